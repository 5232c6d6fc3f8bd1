"""Decisions in words and with a second factor, as they come in by a chat and by the console."""

from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest
from fakes.engine import ScriptedEngine, Turn, run
from support.chat import Chat, chat_at
from support.place import Place, at_work, until
from support.store import Store, actions, add_user
from test_pasted import tables_with

from agent.engine import ApprovalRequired, Completed, EngineEvent, Request, ToolResult, Tools
from agent.gate.deciding.typed import own_code
from core.messages import Click
from core.store import approvals as stored
from core.store import grants, preferences
from core.work import Approval, Role, User

LOW, HIGH = "systemctl restart nginx", "apt-get install nginx"


async def asks(request: Request, tools: Tools) -> AsyncIterator[EngineEvent]:
    """Run what is typed behind "do", and wait where that takes an approval."""
    if not request.text.startswith("do "):
        yield Completed((f"heard {request.text}",))
        return
    async for event in run(1, request.text[3:], tools):
        yield event
        if isinstance(event, ToolResult) and event.answer.status == "waiting":
            yield ApprovalRequired(event.answer.approval_id or "")
            return
    yield Completed(("done",))


class Room:
    """A place with its chat, where Ann and Bob, admins, and Olga, an operator, are at home."""

    def __init__(self, place: Place, chat: Chat, bob: User, olga: User) -> None:
        self.place, self.chat, self.ann, self.bob, self.olga = place, chat, place.ann, bob, olga
        self.secrets: dict[str, str] = {}

    async def prefer(self, **wishes: Any) -> None:
        """Set what the tenant decided for itself."""
        async with self.place.tenant.transaction() as tx:
            for key, value in wishes.items():
                await preferences.put(tx, key, value, self.place.store.clock(), None)

    async def ask(self, command: str, user: User | None = None, thread: str = "") -> Approval:
        """Ask for a command in a chat; return the request."""
        known = {each.id for each in await self._all()}
        await self.chat.send(user or self.ann, f"do {command}", thread)

        async def new() -> Approval | None:
            return next((each for each in await self._all() if each.id not in known), None)

        found = await until(new)
        assert isinstance(found, Approval)
        return found

    async def _all(self) -> list[Approval]:
        async with self.place.tenant.reading() as db:
            return (await stored.page_of(db))[0]

    async def status(self, approval: Approval) -> str:
        """Return how it stands."""
        async with self.place.tenant.reading() as db:
            found = await stored.get(db, approval.id)
        assert found is not None
        return found.status

    async def granted(self) -> list[int]:
        """Return for how many minutes each grant holds that was given."""
        async with self.place.tenant.reading() as db:
            found = await grants.live(db, self.place.store.clock())
        return [(each.ends_at - each.given_at).seconds // 60 for each in found]

    async def said(self, user: User, text: str | Click, thread: str = "", kind: str = "reply") -> list[str]:
        """Say something and return the keys of the answer's sentences."""
        accepted = await self.chat.send(user, text, thread)

        async def answer() -> list[Any]:
            return await self.place.words(accepted, kind)

        return [part for part in (await until(answer))[0] if isinstance(part, str)]

    def code(self, user: User) -> str:
        """Return a code of a person's app that was not used yet: time goes on by a step."""
        return pyotp.TOTP(self.secrets[user.name]).now()

    async def enrol(self, user: User) -> None:
        """Let a person have a second factor, unproved, with no code of it used."""
        door, tenant = self.place.app.step_up, self.place.tenant
        made = await door.begin(tenant, user)
        self.secrets[user.name] = made.secret
        await door.confirm(tenant, user, self.code(user))
        await self.place.store.as_owner(
            f'UPDATE "{tenant.schema}".totp SET last_step = 0, proven_until = NULL'
        )


def own(approval: Approval, user: User) -> str:
    """Return a person's own code for a request."""
    return own_code(approval.id, approval.nonce, user.id)


@pytest.fixture
async def room(store: Store) -> AsyncIterator[Room]:
    """Yield a process that runs, with a chat beside its console."""
    script: Turn = asks
    async with at_work(store, ScriptedEngine(script=script)) as place:
        chat = await chat_at(place)
        bob = await add_user(place.tenant, store.clock, "bob")
        olga = await add_user(place.tenant, store.clock, "olga", Role.OPERATOR)
        await chat.join(bob)
        await chat.join(olga)
        yield Room(place, chat, bob, olga)


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["approve ", "/approve ", "批准"])
async def test_low_risk_is_approved_by_ones_own_code(room: Room, verb: str) -> None:
    approval = await room.ask(LOW)
    assert await room.said(room.olga, f"{verb}{own(approval, room.olga)}") == ["approval.counted_approved"]
    assert await room.status(approval) == "approved"
    row = [r async for r in room.place.tenant.audit.rows() if r["action"] == "approval.approve"]
    assert [(r["actor_id"], r["channel"]) for r in row] == [(room.olga.id, "chat")]


async def test_code_of_somebody_else_the_requests_name_and_a_made_up_one_approve_nothing(room: Room) -> None:
    approval = await room.ask(LOW)
    for code, answer in (
        (own(approval, room.bob), "approval.words_unknown"),
        (approval.code, "approval.words_name"),
        ("Z9-999", "approval.words_unknown"),
    ):
        assert await room.said(room.olga, f"approve {code}") == [answer]
    assert await room.status(approval) == "pending"


async def test_guesses_are_counted_and_then_not_even_the_right_code_is_looked_at(room: Room) -> None:
    approval = await room.ask(LOW)
    said = [await room.said(room.olga, f"approve Z9-{n}") for n in range(900, 906)]
    assert said == [["approval.words_unknown"]] * 5 + [["approval.words_too_many"]]
    assert await room.said(room.olga, f"approve {own(approval, room.olga)}") == ["approval.words_too_many"]
    assert await room.said(room.bob, f"approve {own(approval, room.bob)}") == ["approval.counted_approved"]


@pytest.mark.parametrize("text", ["yes", "OK!", "approve", "好的", "批准"])
async def test_yes_approves_nothing_and_is_said_so_where_something_waits(room: Room, text: str) -> None:
    assert await room.said(room.ann, text) == [f"heard {text}"]
    approval = await room.ask(LOW)
    assert await room.said(room.ann, text) == ["approval.yes_is_no_vote"]
    assert await room.status(approval) == "pending"


async def test_forwarded_or_quoted_code_decides_nothing(room: Room) -> None:
    approval = await room.ask(LOW)
    text = f"> approve {own(approval, room.ann)}"
    assert await room.said(room.ann, text) == [f"heard {text}"]
    assert await room.status(approval) == "pending"


async def test_rejection_needs_no_code_where_one_request_waits(room: Room) -> None:
    assert await room.said(room.ann, "拒绝") == ["approval.words_nothing"]
    approval = await room.ask(HIGH)
    assert await room.said(room.ann, "reject") == ["approval.counted_rejected"]
    assert await room.status(approval) == "rejected"


async def test_rejection_of_one_of_many_takes_its_name(room: Room) -> None:
    first, second = await room.ask(HIGH), await room.ask(HIGH)
    assert await room.said(room.ann, "reject") == ["approval.words_which"]
    assert await room.said(room.bob, f"reject {second.code}") == ["approval.counted_rejected"]
    assert [await room.status(each) for each in (first, second)] == ["pending", "rejected"]


async def test_late_code_says_who_was_first(room: Room) -> None:
    approval = await room.ask(LOW)
    await room.said(room.bob, f"approve {own(approval, room.bob)}")
    assert await room.said(room.olga, f"approve {own(approval, room.olga)}") == ["approval.was_approved"]


async def test_who_may_not_decide_may_not_in_words(room: Room) -> None:
    vic = await add_user(room.place.tenant, room.place.store.clock, "vic", Role.VIEWER)
    await room.chat.join(vic)
    approval = await room.ask(LOW)
    assert await room.said(vic, f"approve {own(approval, vic)}") == ["approval.not_yours_role"]
    assert await room.status(approval) == "pending"
    assert "approval.refused" in await actions(room.place.tenant)


async def test_words_do_not_approve_level_2_without_a_second_factor(room: Room) -> None:
    approval = await room.ask(HIGH)
    assert await room.said(room.bob, f"approve {own(approval, room.bob)}") == ["approval.words_for_low"]
    assert await room.status(approval) == "pending"


async def test_words_pass_by_a_running_turn(room: Room) -> None:
    approval = await room.ask(LOW)
    accepted = await room.chat.send(room.ann, f"approve {own(approval, room.ann)}")
    rows = await room.place.store.as_owner(
        "SELECT laned FROM it0_shared.inbox WHERE id = $1", accepted.inbox_id
    )
    assert [row["laned"] for row in rows] == [False]


# --- the second factor ------------------------------------------------------------------------------------


async def test_click_asks_for_a_code_in_private_and_the_code_completes_it(room: Room) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    press = Click(f"approve:{approval.id}")
    assert await room.said(room.bob, press, "group") == ["totp.asked_in_private"]
    assert await room.status(approval) == "pending"
    code = room.code(room.bob)
    assert await room.said(room.bob, code, kind="notice") == ["totp.right", "approval.counted_approved"]
    assert await room.status(approval) == "approved"
    other = await room.ask(HIGH)
    await room.chat.send(room.bob, Click(f"approve:{other.id}"), "group")
    assert await until(lambda: _is(room, other, "approved"))


async def _is(room: Room, approval: Approval, status: str) -> bool:
    return await room.status(approval) == status


@pytest.mark.parametrize(
    ("verb", "asks", "minutes"), [("grant", "totp.question_grant", [15]), ("approve", "totp.question", [])]
)
async def test_code_gives_the_minutes_that_were_clicked_and_no_others(
    room: Room, verb: str, asks: str, minutes: list[int]
) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    assert asks in await room.said(room.bob, Click(f"{verb}:{approval.id}"))
    code = room.code(room.bob)
    assert await room.said(room.bob, code, kind="notice") == ["totp.right", "approval.counted_approved"]
    assert await room.granted() == minutes


async def test_click_that_is_made_again_without_the_minutes_takes_them_back(room: Room) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    for verb in ("grant", "approve"):
        await room.said(room.bob, Click(f"{verb}:{approval.id}"))
    await room.said(room.bob, room.code(room.bob), kind="notice")
    assert await room.status(approval) == "approved"
    assert await room.granted() == []


async def test_typed_code_is_kept_nowhere_and_taken_back(
    room: Room, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    await room.enrol(room.ann)
    code = room.code(room.ann)
    assert await room.said(room.ann, f"/totp {code}", kind="notice") == ["totp.right"]
    assert await tables_with(room.place, code) == []
    assert await tables_with(room.place, room.secrets["ann"]) == []
    assert code not in caplog.text + "".join(capfd.readouterr())
    assert await room.said(room.ann, f"/totp {code}", kind="notice") == ["totp.used"]


async def test_code_in_a_group_is_not_looked_at_and_taken_back(room: Room) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    await room.said(room.bob, Click(f"approve:{approval.id}"), "group")
    for text in (f"/totp {room.code(room.bob)}", room.code(room.bob)):
        assert await room.said(room.bob, text, "group", kind="notice") == ["totp.group"]
    assert await tables_with(room.place, room.code(room.bob)) == []
    assert await room.status(approval) == "pending"


async def test_six_digits_are_ordinary_words_where_no_code_was_asked_for(room: Room) -> None:
    await room.enrol(room.ann)
    assert await room.said(room.ann, "123456") == ["heard 123456"]


async def test_who_has_no_second_factor_is_told_how_to_get_one(room: Room) -> None:
    await room.prefer(step_up=True)
    approval = await room.ask(HIGH)
    assert await room.said(room.bob, Click(f"approve:{approval.id}")) == ["approval.step_up_enrol"]
    assert await room.said(room.bob, "/totp 123456", kind="notice") == ["totp.none"]
    assert await room.status(approval) == "pending"


async def test_words_approve_level_2_with_a_second_factor(room: Room) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    assert "totp.question" in await room.said(room.bob, f"approve {own(approval, room.bob)}")
    assert await room.status(approval) == "pending"
    said = await room.said(room.bob, f"/totp {room.code(room.bob)}", kind="notice")
    assert said == ["totp.right", "approval.counted_approved"]


async def test_rejection_and_low_risk_take_no_second_factor(room: Room) -> None:
    await room.prefer(step_up=True)
    low, high = await room.ask(LOW), await room.ask(HIGH)
    await room.chat.send(room.olga, Click(f"approve:{low.id}"))
    await room.chat.send(room.bob, Click(f"reject:{high.id}"))
    assert await until(lambda: _is(room, low, "approved"))
    assert await until(lambda: _is(room, high, "rejected"))


async def test_decision_that_was_asked_for_long_ago_does_not_come_with_a_later_code(room: Room) -> None:
    await room.prefer(step_up=True)
    await room.enrol(room.bob)
    approval = await room.ask(HIGH)
    await room.said(room.bob, Click(f"approve:{approval.id}"))
    schema = room.place.tenant.schema
    await room.place.store.as_owner(f"UPDATE \"{schema}\".totp SET asked_at = asked_at - interval '6 min'")
    assert await room.said(room.bob, room.code(room.bob), kind="notice") == ["totp.right"]
    assert await room.status(approval) == "pending"


async def test_code_delivered_again_is_answered_once(room: Room) -> None:
    await room.enrol(room.ann)
    text = f"/totp {room.code(room.ann)}"
    first = await room.chat.send(room.ann, text, event_id="e1")
    again = await room.chat.send(room.ann, text, event_id="e1")
    assert (again.repeat, again.seq) == (True, first.seq)

    async def told() -> list[Any]:
        return await room.place.words(first, "notice")

    assert await until(told) == [["totp.right"]]
