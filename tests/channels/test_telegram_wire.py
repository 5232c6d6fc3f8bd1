"""Telegram's wire: whom an update concerns, what a call carries, what an error means."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.engines.commands import COMMANDS
from bot.catalogue import load_catalogue
from channels.markup import Plain, utf16_length, visible
from channels.telegram_wire import (
    TOLD,
    Arrival,
    Attachment,
    Call,
    Extras,
    Ignored,
    Key,
    Me,
    Membership,
    Migrated,
    Outcome,
    Parsed,
    Place,
    Reason,
    answer,
    classify,
    commands_menu,
    edit,
    entity_text,
    keyboard,
    messages,
    parse,
    shortened,
    take_buttons,
    thread_of,
)
from core.messages import Address, Click, Code, Sender, Text, command_word

ME = Me(99, "it0_bot", "inst-1")
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Li", "language_code": "zh-hans"}
PRIVATE = {"id": 7, "type": "private"}
GROUP = {"id": -100123, "type": "supergroup", "title": "ops", "is_forum": True}
OURS = {"message_id": 1, "from": {"id": 99, "is_bot": True}, "text": "done"}
HERE = Place(-100123)


def message(text: str | None = None, chat: dict[str, Any] = GROUP, **more: Any) -> dict[str, Any]:
    """Return a message as Telegram sends it; ``sender`` stands for ``from``."""
    said = {"text": text} if text is not None else {}
    sender = more.pop("sender", ANN)
    return {"message_id": 5, "date": 1, "chat": chat, "from": sender, **said, **more}


def update(kind: str = "message", /, **body: Any) -> dict[str, Any]:
    """Return an update."""
    return {"update_id": 1000, kind: body}


def taken(parsed: Parsed) -> Arrival:
    """Return what is for us."""
    assert isinstance(parsed, Arrival), parsed
    return parsed


def words(parsed: Parsed) -> str:
    """Return the text that the agent gets."""
    body = taken(parsed).inbound.body
    assert isinstance(body, Text)
    return body.text


def why(parsed: Parsed) -> Reason:
    """Return why an update was left alone."""
    assert isinstance(parsed, Ignored), parsed
    return parsed.reason


def named(text: str, name: str, kind: str = "mention", **more: Any) -> list[dict[str, Any]]:
    """Return the entity of ``name`` in ``text``, counted as Telegram counts."""
    offset = utf16_length(text[: text.index(name)])
    return [{"type": kind, "offset": offset, "length": utf16_length(name), **more}]


# --- what comes in ----------------------------------------------------------------------------------------


def test_private_text_is_for_us_with_all_that_is_known_of_it() -> None:
    arrival = taken(parse(update(**message(" check disk ", PRIVATE)), ME))
    assert arrival.inbound.address == Address("telegram", "inst-1", "7:0")
    assert arrival.inbound.event_id == "1000"
    assert arrival.inbound.sender == Sender("7")
    assert arrival.inbound.body == Text("check disk")
    assert (arrival.message_id, arrival.name, arrival.language) == (5, "Ann Li", "zh")
    assert arrival.private
    assert arrival.has_words
    assert arrival.callback_id is None


def test_talk_in_a_group_is_not_ours_unless_we_take_part_in_its_thread() -> None:
    talk = update(**message("lunch?"))
    assert why(parse(talk, ME)) is Reason.NOT_ADDRESSED
    assert words(parse(talk, ME, followed=True)) == "lunch?"
    to_bob = message("@bob_1 lunch?", entities=named("@bob_1 lunch?", "@bob_1"))
    assert why(parse(update(**to_bob), ME, followed=True)) is Reason.NOT_ADDRESSED
    of_bob = message("ask @bob_1", entities=named("ask @bob_1", "@bob_1"))
    assert words(parse(update(**of_bob), ME, followed=True)) == "ask @bob_1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@it0_bot check disk", "check disk"),
        ("@IT0_Bot, check disk", "check disk"),
        ("check disk @it0_bot", "check disk"),
        ("ask @it0_bot to check", "ask @it0_bot to check"),
        ("😀👍🏽 @it0_bot 磁盘", "😀👍🏽 @it0_bot 磁盘"),
    ],
)
def test_mention_addresses_us_and_is_left_out_at_the_ends(text: str, expected: str) -> None:
    name = next(word for word in text.replace(",", " ").split() if word.casefold() == "@it0_bot")
    parsed = parse(update(**message(text, entities=named(text, name))), ME)
    assert words(parsed) == expected


def test_only_an_entity_that_is_our_name_exactly_is_a_mention() -> None:
    text = "see @it0_bot"
    assert why(parse(update(**message(text)), ME)) is Reason.NOT_ADDRESSED
    code = message(text, entities=named(text, "@it0_bot", "code"))
    assert why(parse(update(**code), ME)) is Reason.NOT_ADDRESSED
    longer = message("@it0_bot2 hi", entities=named("@it0_bot2 hi", "@it0_bot2"))
    assert why(parse(update(**longer), ME)) is Reason.NOT_ADDRESSED
    # Counted in code points instead of UTF-16 units, this one would read "@it0_bot".
    shifted = message("😀 @it0_bot", entities=[{"type": "mention", "offset": 2, "length": 8}])
    assert why(parse(update(**shifted), ME)) is Reason.NOT_ADDRESSED


def test_mention_without_a_username_counts_too() -> None:
    text = "it0 check"
    ours = named(text, "it0", "text_mention", user={"id": 99})
    bobs = named(text, "it0", "text_mention", user={"id": 8})
    assert words(parse(update(**message(text, entities=ours)), ME)) == "it0 check"
    assert why(parse(update(**message(text, entities=bobs)), ME, followed=True)) is Reason.NOT_ADDRESSED


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
@example("😀", "👨‍👩‍👧", "x")
def test_entities_are_counted_in_utf16_units(before: str, name: str, after: str) -> None:
    try:
        (before + name + after).encode()
    except UnicodeEncodeError:
        return
    offset, length = utf16_length(before), utf16_length(name)
    assert entity_text(before + name + after, offset, length) == name


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("/run@it0_bot web-1 df", True),
        ("/RUN@IT0_BOT", True),
        ("/run web-1", False),
        ("/run@other_bot", False),
    ],
)
def test_command_in_a_group_is_ours_if_it_names_us(text: str, ours: bool) -> None:
    said = message(text, entities=named(text, text.split()[0], "bot_command"))
    parsed = parse(update(**said), ME)
    assert isinstance(parsed, Arrival) is ours
    assert not ours or command_word(words(parsed)) == "/run"
    assert isinstance(parse(update(**{**said, "chat": PRIVATE}), ME), Arrival)


def test_command_for_another_bot_is_never_ours() -> None:
    text = "/restart@other_bot"
    said = message(text, entities=named(text, text, "bot_command"), reply_to_message=OURS)
    assert why(parse(update(**said), ME, followed=True)) is Reason.NOT_ADDRESSED


def test_reply_to_us_is_for_us_and_a_topics_first_message_is_no_reply() -> None:
    assert words(parse(update(**message("again", reply_to_message=OURS)), ME)) == "again"
    to_bob = message("again", reply_to_message={**OURS, "from": {"id": 8}})
    assert why(parse(update(**to_bob), ME)) is Reason.NOT_ADDRESSED
    start = {"message_id": 3, "from": {"id": 99, "is_bot": True}, "forum_topic_created": {"name": "x"}}
    talk = message("hi all", reply_to_message=start, message_thread_id=3, is_topic_message=True)
    assert why(parse(update(**talk), ME)) is Reason.NOT_ADDRESSED


def test_each_topic_is_a_conversation_and_a_thread_of_replies_is_none() -> None:
    in_topic = update(**message("x", message_thread_id=3, is_topic_message=True))
    assert taken(parse(in_topic, ME, followed=True)).inbound.address.thread == "-100123:3"
    assert thread_of(in_topic) == "-100123:3"
    replies = update(**message("x", message_thread_id=3))
    assert thread_of(replies) == "-100123:0"
    assert Place.of("-100123:3:session-2") == Place(-100123, 3)
    assert Place.of("7") == Place(7, 0)


def test_edited_message_is_not_run_again_and_its_author_can_be_told() -> None:
    parsed = parse(update("edited_message", **message("restart nginx", PRIVATE)), ME)
    assert parsed == Ignored(Reason.EDITED, Address("telegram", "inst-1", "7:0"), 5)
    assert Reason.EDITED in TOLD
    assert why(parse(update("edited_message", **message("lunch?")), ME)) is Reason.NOT_ADDRESSED


def click(**more: Any) -> dict[str, Any]:
    """Return a pressed button."""
    card = {"message_id": 44, "chat": GROUP, "date": 1, "message_thread_id": 3, "is_topic_message": True}
    return update("callback_query", **{"id": "q1", "from": ANN, "message": card, "data": "a:1", **more})


def test_click_is_the_clickers_and_carries_what_the_button_held() -> None:
    arrival = taken(parse(click(), ME))
    assert arrival.inbound.body == Click("a:1")
    assert arrival.inbound.sender == Sender("7")
    assert arrival.inbound.address.thread == thread_of(click()) == "-100123:3"
    assert (arrival.callback_id, arrival.message_id) == ("q1", 44)


@pytest.mark.parametrize(
    "more", [{"data": None}, {"data": "x" * 65}, {"data": "磁" * 22}, {"message": None}, {"data": ""}]
)
def test_click_that_says_nothing_to_us_is_still_answered(more: dict[str, Any]) -> None:
    parsed = parse(click(**more), ME)
    assert parsed == Ignored(Reason.BAD_BUTTON, callback_id="q1")


def test_click_on_a_card_too_old_to_be_shown_still_counts() -> None:
    old = parse(click(message={"message_id": 44, "chat": GROUP, "date": 0}), ME)
    assert taken(old).inbound.address.thread == "-100123:0"
    assert why(parse(click(**{"from": {"id": 1, "is_bot": True}}), ME)) is Reason.BOT


FILE = {"file_id": "f1", "file_size": 2048}
SENT: list[tuple[dict[str, Any], list[Attachment]]] = [
    ({"voice": {**FILE, "duration": 9, "mime_type": "audio/ogg"}}, [
        Attachment("voice", "f1", 2048, mime="audio/ogg", seconds=9)
    ]),
    ({"photo": [{"file_id": "s", "width": 90}, {**FILE, "width": 800}]}, [Attachment("photo", "f1", 2048)]),
    ({"document": {**FILE, "file_name": "a\u202eb"}}, [Attachment("document", "f1", 2048, "a\ufffdb")]),
    ({"sticker": FILE}, [Attachment("sticker", "f1", 2048)]),
    ({"animation": FILE, "document": FILE}, [Attachment("animation", "f1", 2048)]),
    ({"video_note": {"file_id": "f1"}}, [Attachment("video_note", "f1")]),
    ({"location": {"latitude": 1.0}, "venue": {}}, [Attachment("venue")]),
    ({"poll": {"id": "1"}}, [Attachment("poll")]),
    ({"rich_message": {}}, [Attachment("rich_message")]),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), SENT, ids=lambda each: next(iter(each), "") if each else "")
def test_what_was_sent_besides_text_is_named_never_dropped(
    sent: dict[str, Any], expected: list[Attachment]
) -> None:
    arrival = taken(parse(update(**message(None, PRIVATE, **sent)), ME))
    assert list(arrival.attachments) == expected
    assert not arrival.has_words
    assert arrival.attachments[0].note.params["kind"] == expected[0].kind


def test_caption_is_read_with_its_own_entities() -> None:
    caption = "@it0_bot what is this"
    said = message(
        caption=caption, caption_entities=named(caption, "@it0_bot"), photo=[FILE], media_group_id="8"
    )
    arrival = taken(parse(update(**said), ME))
    assert arrival.inbound.body == Text("what is this")
    assert (arrival.attachments[0].kind, arrival.album) == ("photo", "8")
    assert why(parse(update(**message(photo=[FILE])), ME)) is Reason.NOT_ADDRESSED


@pytest.mark.parametrize("how", [{"forward_origin": {"type": "user"}}, {"via_bot": {"id": 3}}])
def test_words_of_others_are_data_and_command_nothing(how: dict[str, Any]) -> None:
    text = "/run@it0_bot web-1 reboot\n@it0_bot stop"
    said = message(text, PRIVATE, entities=named(text, "@it0_bot"), **how)
    arrival = taken(parse(update(**said), ME))
    assert arrival.quoted
    assert arrival.inbound.body == Text("> /run@it0_bot web-1 reboot\n> @it0_bot stop")
    assert command_word("> /run@it0_bot web-1 reboot") == ""
    assert why(parse(update(**{**said, "chat": GROUP}), ME)) is Reason.NOT_ADDRESSED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message("x", PRIVATE, sender={"id": 3, "is_bot": True}), Reason.BOT),
        (message("x", PRIVATE, sender={"id": 99, "is_bot": True}), Reason.BOT),
        (message("x", {"id": -1, "type": "channel"}), Reason.CHANNEL),
        (message("x", is_automatic_forward=True, sender_chat={"id": -5}), Reason.CHANNEL),
        (message(None, new_chat_members=[ANN]), Reason.SERVICE),
        (
            message("lunch", sender_chat=GROUP, sender={"id": 1087968824, "is_bot": True}),
            Reason.NOT_ADDRESSED,
        ),
        (message("  ", PRIVATE), Reason.EMPTY),
    ],
)
def test_what_is_not_for_us_is_left_alone(body: dict[str, Any], reason: Reason) -> None:
    assert why(parse(update(**body), ME)) is reason


def test_anonymous_admin_is_refused_because_nobody_knows_who_it_is() -> None:
    said = message("go", sender_chat=GROUP, sender={"id": 1087968824, "is_bot": True}, reply_to_message=OURS)
    parsed = parse(update(**said), ME)
    assert parsed == Ignored(Reason.ANONYMOUS, Address("telegram", "inst-1", "-100123:0"), 5)
    assert Reason.ANONYMOUS in TOLD


@pytest.mark.parametrize(
    ("member", "present"),
    [
        ({"status": "member"}, True),
        ({"status": "administrator"}, True),
        ({"status": "restricted", "is_member": True}, True),
        ({"status": "restricted", "is_member": False}, False),
        ({"status": "left"}, False),
        ({"status": "kicked"}, False),
    ],
)
def test_being_put_in_and_thrown_out_is_noticed(member: dict[str, Any], present: bool) -> None:
    change = update("my_chat_member", **{"chat": GROUP, "from": ANN, "date": 1, "new_chat_member": member})
    place = Address("telegram", "inst-1", "-100123:0")
    assert parse(change, ME) == Membership(place, "1000", Sender("7"), present, "ops")


def test_group_that_became_a_supergroup_is_the_same_place() -> None:
    old = message(None, {"id": -5, "type": "group"}, migrate_to_chat_id=-100123)
    new = message(None, migrate_from_chat_id=-5, sender_chat=GROUP)
    assert parse(update(**old), ME) == parse(update(**new), ME) == Migrated("1000", -5, -100123)


@pytest.mark.parametrize("kind", ["channel_post", "edited_channel_post"])
def test_channels_are_not_read(kind: str) -> None:
    assert why(parse(update(kind, **message("x")), ME)) is Reason.CHANNEL


def test_unknown_and_broken_updates_are_named_and_raise_nothing() -> None:
    assert why(parse(update("message_reaction", chat=GROUP), ME)) is Reason.UNKNOWN
    for broken in (
        {},
        {"update_id": "x"},
        {"update_id": 1, "message": {}},
        {"update_id": 1, "message": None},
    ):
        assert why(parse(broken, ME)) is Reason.MALFORMED
        assert thread_of(broken) is None
    odd = update(**message("@it0_bot", entities=[{"type": "mention", "offset": 900, "length": 4}]))
    assert why(parse(odd, ME)) is Reason.NOT_ADDRESSED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("chat", "from", "text", "entities", "photo", "voice", "data", "message", "reply_to_message", "id")


@given(st.sampled_from(["message", "callback_query", "my_chat_member"]), st.sampled_from(FIELDS), JSON)
def test_no_update_whatever_raises(kind: str, name: str, value: Any) -> None:
    whole = click()["callback_query"] if kind == "callback_query" else message("x", PRIVATE)
    odd = {"update_id": 1, kind: {**whole, name: value}}
    assert isinstance(parse(odd, ME), Arrival | Ignored | Membership | Migrated)
    assert thread_of(odd) is None or isinstance(thread_of(odd), str)


# --- what goes out ----------------------------------------------------------------------------------------


def test_message_is_html_without_preview_in_its_topic() -> None:
    (call,) = messages(Place(-5, 3), ["**done** <b>", Code("a<b", "web-1")])
    assert call.method == "sendMessage"
    assert call.data == {
        "chat_id": -5,
        "message_thread_id": 3,
        "text": "<b>done</b> &lt;b&gt;\n\n<b>web-1</b>\n<pre>a&lt;b</pre>",
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    assert "message_thread_id" not in messages(HERE, ["x"])[0].data
    json.dumps(call.data)


def test_nothing_to_be_seen_is_not_sent() -> None:
    for parts in ([], [""], [" \n"], [Plain("\u200b")], [Code("\n")]):
        assert messages(HERE, parts, Extras([Key("Yes", "y")], reply_to=5)) == []
        assert edit(HERE, 4, parts) == []


def test_first_message_answers_the_question_and_the_last_has_the_buttons() -> None:
    extras = Extras([Key("Approve", "a:1", "primary"), Key("Reject", "r:1", "danger")], reply_to=5)
    calls = messages(HERE, [Code("line\n" * 2000)], extras)
    assert len(calls) == 3
    assert [("reply_parameters" in call.data, "reply_markup" in call.data) for call in calls] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert calls[0].data["reply_parameters"] == {"message_id": 5, "allow_sending_without_reply": True}
    assert calls[-1].data["reply_markup"]["inline_keyboard"] == [
        [
            {"text": "Approve", "callback_data": "a:1", "style": "success"},
            {"text": "Reject", "callback_data": "r:1", "style": "danger"},
        ]
    ]


def test_what_is_too_long_for_messages_goes_as_a_file_with_the_buttons() -> None:
    calls = messages(
        HERE, [Code("line\n" * 9000)], Extras([Key("Yes", "y")], rest="The rest is attached. " * 99)
    )
    assert [call.method for call in calls] == ["sendMessage"] * 5 + ["sendDocument"]
    last = calls[-1]
    assert last.file is not None
    assert last.file.name == "rest.txt"
    shown = sum(call.data["text"].count("line") for call in calls[:5])
    assert shown + last.file.content.count(b"line") == 9000
    assert utf16_length(last.data["caption"]) == 1024
    assert "reply_markup" in last.data
    assert last.as_plain.data == last.data


def test_plain_fallback_says_the_same_and_keeps_the_buttons() -> None:
    (call,) = messages(HERE, ["**see** [docs](https://a.example) `x`"], Extras([Key("Yes", "y")]))
    plain = call.as_plain.data
    assert plain["text"] == "see docs (https://a.example) x"
    assert "parse_mode" not in plain
    assert plain["reply_markup"] == call.data["reply_markup"]


@pytest.mark.parametrize("text", ["[x](https://a.example/long) " * 300, "> a\n" * 1500, "😀" * 5000])
def test_fallback_is_within_the_limit_too(text: str) -> None:
    for call in messages(HERE, [text]):
        assert utf16_length(call.as_plain.data["text"]) <= 4096
        assert utf16_length(visible(call.data["text"])) <= 4096


def test_edit_rewrites_the_message_takes_its_buttons_and_sends_what_is_over() -> None:
    first, second = edit(Place(-5, 3), 44, ["a " * 2500], Extras(reply_to=9))
    assert first.method == "editMessageText"
    assert first.data["message_id"] == 44
    assert first.data["reply_markup"] == {"inline_keyboard": []}
    assert not {"message_thread_id", "reply_parameters"} & set(first.data)
    assert second.method == "sendMessage"
    assert second.data["message_thread_id"] == 3
    (kept,) = edit(HERE, 44, ["x"], Extras([Key("Stop", "s")]))
    assert kept.data["reply_markup"] == keyboard([Key("Stop", "s")])
    assert take_buttons(HERE, 44).data["reply_markup"] == {"inline_keyboard": []}


def rows(keys: Sequence[Key]) -> list[int]:
    """Return how many buttons each row has."""
    return [len(row) for row in keyboard(keys)["inline_keyboard"]]


def test_buttons_stand_in_rows_that_a_phone_can_show() -> None:
    assert rows([Key("OK", str(n)) for n in range(20)]) == [6, 6, 6, 2]
    assert rows([Key("1", str(n)) for n in range(20)]) == [7, 7, 6]
    assert rows([Key("Approve this for all servers", "a"), Key("Reject", "r")]) == [1, 1]
    assert rows([Key("批准", "a"), Key("拒绝", "r")]) == [2]
    assert max(rows([Key("1", str(n)) for n in range(100)])) <= 8
    assert "style" not in keyboard([Key("OK", "1", "primary")], styled=False)["inline_keyboard"][0][0]


@pytest.mark.parametrize(
    "keys",
    [
        [Key("OK", "x" * 65)],
        [Key("OK", "磁" * 22)],
        [Key("OK", "")],
        [Key(" ", "x")],
        [Key("OK", str(n)) for n in range(101)],
    ],
)
def test_buttons_that_telegram_would_refuse_are_found_before(keys: list[Key]) -> None:
    with pytest.raises(ValueError):
        keyboard(keys)


def test_click_is_answered_in_200_units_at_most() -> None:
    assert answer("q1") == Call("answerCallbackQuery", {"callback_query_id": "q1"})
    text = answer("q1", "😀" * 150).data["text"]
    assert utf16_length(text) == 199
    assert text.endswith("😀…")
    assert shortened("short", 200) == "short"


def test_menu_has_our_commands_in_both_languages() -> None:
    texts = load_catalogue()
    said = {
        name: {language: texts(command.line, language) for language in ("en", "zh")}
        for name, command in COMMANDS.items()
    }
    english, chinese = commands_menu(said)  # type: ignore[arg-type]
    assert "language_code" not in english.data
    assert chinese.data["language_code"] == "zh"
    for call in (english, chinese):
        assert [each["command"] for each in call.data["commands"]] == list(COMMANDS)
        assert all(1 <= utf16_length(each["description"]) <= 256 for each in call.data["commands"])
    assert "列出服务器" in chinese.data["commands"][0]["description"]


def test_menu_takes_no_name_that_telegram_refuses_and_shortens_what_is_long() -> None:
    for name in ("Run", "run-all", "x" * 33, "", "运行"):
        with pytest.raises(ValueError, match="no commands"):
            commands_menu({name: {"en": "x", "zh": "x"}})
    (call, _) = commands_menu({"run": {"en": "a\nb " * 200, "zh": "x"}})
    assert utf16_length(call.data["commands"][0]["description"]) == 256
    assert call.data["commands"][0]["description"].startswith("a b a b")


# --- what the API answers ---------------------------------------------------------------------------------

BAD = "Bad Request: "
ANSWERS: list[tuple[int, str, Outcome]] = [
    (200, "", Outcome.DONE),
    (400, BAD + "message is not modified: specified new message content and reply markup are", Outcome.DONE),
    (400, BAD + "query is too old and response timeout expired or query ID is invalid", Outcome.DONE),
    (400, "Message is not modified", Outcome.DONE),
    (400, BAD + 'can\'t parse entities: Unsupported start tag "x" at byte offset 3', Outcome.PLAIN),
    (400, BAD + "ENTITIES_TOO_LONG", Outcome.PLAIN),
    (400, BAD + "message to edit not found", Outcome.RESEND),
    (400, BAD + "message can't be edited", Outcome.RESEND),
    (400, BAD + "TOPIC_CLOSED", Outcome.CLOSED),
    (400, BAD + "message thread not found", Outcome.CLOSED),
    (400, BAD + "chat not found", Outcome.UNREACHABLE),
    (400, BAD + "not enough rights to send text messages to the chat", Outcome.UNREACHABLE),
    (403, "Forbidden: bot was blocked by the user", Outcome.UNREACHABLE),
    (403, "Forbidden: bot was kicked from the supergroup chat", Outcome.UNREACHABLE),
    (403, "Forbidden: bot can't initiate conversation with a user", Outcome.UNREACHABLE),
    (401, "Unauthorized", Outcome.BAD_TOKEN),
    (404, "Not Found", Outcome.BAD_TOKEN),
    (409, "Conflict: terminated by other getUpdates request", Outcome.CONFLICT),
    (409, "Conflict: can't use getUpdates method while webhook is active", Outcome.CONFLICT),
    (500, "Internal Server Error", Outcome.LATER),
    (502, "Bad Gateway", Outcome.LATER),
    (0, "", Outcome.LATER),
    (400, BAD + "message text is empty", Outcome.REFUSED),
    (400, BAD + "BUTTON_DATA_INVALID", Outcome.REFUSED),
]


@pytest.mark.parametrize(("code", "description", "outcome"), ANSWERS)
def test_every_answer_of_the_api_says_what_to_do(code: int, description: str, outcome: Outcome) -> None:
    result = classify(code, description, {})
    assert (result.outcome, result.reason) == (outcome, description)


def test_flood_says_how_long_to_wait() -> None:
    told = classify(429, "Too Many Requests: retry after 35", {"retry_after": 40})
    assert (told.outcome, told.retry_after_s) == (Outcome.WAIT, 40.0)
    assert classify(429, "Too Many Requests: retry after 35").retry_after_s == 35.0
    assert classify(429).retry_after_s == 1.0
    assert classify(429, "", {"retry_after": 0}).retry_after_s == 1.0


def test_migrated_chat_says_its_new_id() -> None:
    moved = classify(
        400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": -100123}
    )
    assert (moved.outcome, moved.chat_id) == (Outcome.MIGRATED, -100123)
