"""Whom a message concerns: mentions, commands, replies, topics."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.telegram_updates import GROUP, ME, OURS, PRIVATE, message, named, taken, update, why, words

from channels.markup.characters import utf16_length
from channels.telegram.addressing import entity_text
from channels.telegram.arrivals import Arrival, Reason
from channels.telegram.updates import parse
from core.messages import Text, command_word


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


@pytest.mark.parametrize("how", [{"forward_origin": {"type": "user"}}, {"via_bot": {"id": 3}}])
def test_words_of_others_are_data_and_command_nothing(how: dict[str, Any]) -> None:
    text = "/run@it0_bot web-1 reboot\n@it0_bot stop"
    said = message(text, PRIVATE, entities=named(text, "@it0_bot"), **how)
    arrival = taken(parse(update(**said), ME))
    assert arrival.quoted
    assert arrival.inbound.body == Text("> /run@it0_bot web-1 reboot\n> @it0_bot stop")
    assert command_word("> /run@it0_bot web-1 reboot") == ""
    assert why(parse(update(**{**said, "chat": GROUP}), ME)) is Reason.NOT_ADDRESSED
