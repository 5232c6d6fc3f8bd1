"""An update becomes what happened, whatever is in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.telegram_updates import ANN, GROUP, ME, OURS, PRIVATE, click, message, taken, update, why

from channels.telegram.arrivals import TOLD, Arrival, Ignored, Membership, Migrated, Reason
from channels.telegram.places import Place
from channels.telegram.updates import parse
from core.messages import Address, Click, Sender, Text


def test_private_text_is_for_us_with_all_that_is_known_of_it() -> None:
    arrival = taken(parse(update(**message(" check disk ", PRIVATE)), ME))
    assert arrival.inbound.address == Address("telegram", "inst-1", "7:0")
    assert arrival.inbound.event_id == "1000"
    assert arrival.inbound.sender == Sender("7", home="7:0", name="Ann Li", language="zh")
    assert arrival.inbound.body == Text("check disk")
    assert (arrival.message_id, arrival.language) == (5, "zh")
    assert arrival.has_words
    assert arrival.callback_id is None


def test_each_topic_is_a_conversation_and_a_thread_of_replies_is_none() -> None:
    in_topic = update(**message("x", message_thread_id=3, is_topic_message=True))
    assert taken(parse(in_topic, ME, followed=True)).inbound.address.thread == "-100123:3"
    replies = update(**message("x", message_thread_id=3))
    assert taken(parse(replies, ME, followed=True)).inbound.address.thread == "-100123:0"
    assert Place.of("-100123:3:session-2") == Place(-100123, 3)
    assert Place.of("7") == Place(7, 0)


def test_edited_message_is_not_run_again_and_its_author_can_be_told() -> None:
    parsed = parse(update("edited_message", **message("restart nginx", PRIVATE)), ME)
    assert parsed == Ignored(Reason.EDITED, Address("telegram", "inst-1", "7:0"), 5)
    assert Reason.EDITED in TOLD
    assert why(parse(update("edited_message", **message("lunch?")), ME)) is Reason.NOT_ADDRESSED


def test_click_is_the_clickers_and_carries_what_the_button_held() -> None:
    arrival = taken(parse(click(), ME))
    assert arrival.inbound.body == Click("a:1")
    assert arrival.inbound.sender == Sender("7", name="Ann Li", language="zh")
    assert arrival.inbound.address.thread == "-100123:3"
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
