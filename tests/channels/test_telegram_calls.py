"""What is said becomes calls that Telegram takes."""

import json

import pytest

from channels.markup.characters import utf16_length
from channels.markup.measuring import visible
from channels.telegram.calls import Call, Extras, answer, calls_of, edit, messages, take_buttons
from channels.telegram.keyboard import Key, keyboard
from channels.telegram.places import Place
from core.messages import Code, Plain
from core.ports import Document, Label, Message

HERE = Place(-100123)


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


YES = Label("Approve", "approve:1", "primary")


def test_file_of_a_card_comes_before_its_buttons_and_of_a_reply_after_its_words() -> None:
    file = Document("A7-493.txt", b"x")
    card = calls_of(HERE, Message([Plain("card")], [YES], file=file))
    assert [call.method for call in card] == ["sendDocument", "sendMessage"]
    assert "reply_markup" in card[-1].data
    reply = calls_of(HERE, Message([Plain("here it is")], file=file))
    assert [call.method for call in reply] == ["sendMessage", "sendDocument"]


def test_long_card_that_goes_on_waiting_keeps_its_buttons_and_one_that_is_decided_loses_them() -> None:
    said = [Plain("1 of 2"), Plain("by bob"), Plain("…")]
    waits = calls_of(HERE, Message(said, [YES], edits=[5, 6], waits=True))
    assert [(call.method, "reply_markup" in call.data) for call in waits] == [("sendMessage", False)]
    assert "by bob" in waits[0].plain
    decided = calls_of(HERE, Message([Plain("approved"), Plain("…")], edits=[5, 6]))
    assert [call.method for call in decided] == ["editMessageReplyMarkup", "sendMessage"]
    assert decided[0].data["message_id"] == 6


def test_long_card_that_lapsed_is_asked_again_from_below_it() -> None:
    again = Label("Ask again", "again:1", "secondary")
    lapsed = calls_of(HERE, Message([Plain("lapsed"), Plain("…")], [again], edits=[5, 6]))
    assert [call.method for call in lapsed] == ["editMessageReplyMarkup", "sendMessage"]
    assert lapsed[1].data["reply_markup"] == keyboard([Key("Ask again", "again:1", "secondary")])


def test_click_is_answered_in_200_units_at_most() -> None:
    assert answer("q1") == Call("answerCallbackQuery", {"callback_query_id": "q1"})
    text = answer("q1", "😀" * 150).data["text"]
    assert utf16_length(text) == 199
    assert text.endswith("😀…")
    assert answer("q1", "no < yes").as_plain == answer("q1", "no < yes")
