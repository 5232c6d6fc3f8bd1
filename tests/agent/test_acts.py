"""Approved acts whose process died, or whose servers changed: told as it was, and never begun by mistake."""

import asyncio
from typing import Any

from fakes.shell import Answer
from support.place import Place, at_work, built, until
from support.store import Store, actions

from agent.fleet.forms import NewServer
from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.votes import Click
from core.messages import Accepted
from core.store import preferences

RESTART = "systemctl restart nginx"


async def card_of(place: Place, asked: Accepted) -> str | None:
    """Return the approval that a card shows."""
    rows = [row for row in await place.events(asked) if row["kind"] == "card"]
    return str(rows[0]["body"]["approval_id"]) if rows else None


async def approved(place: Place) -> tuple[Accepted, str]:
    """Ask for a restart and have it approved; return the message and the approval's id."""
    asked = await place.send(f"/run web {RESTART}")
    card: str = await until(lambda: card_of(place, asked))
    await place.click(f"approve:{card}", "here", place.ann)
    return asked, card


async def began(place: Place) -> bool:
    """Return whether a command was begun on a server."""
    return bool(place.shell.started)


async def crash_while_it_runs(store: Store) -> tuple[Accepted, Place]:
    """Let a process die with an act that it has begun."""
    async with at_work(store) as place:
        place.shell.on(RESTART, Answer(hang=True))
        asked, _ = await approved(place)
        await until(lambda: began(place))
    await store.as_owner("DELETE FROM it0_shared.process")
    return asked, place


async def test_a_halt_after_a_crash_ends_what_had_begun_and_never_calls_it_not_run(store: Store) -> None:
    asked, before = await crash_while_it_runs(store)
    async with built(store) as quiet, quiet.tenant.transaction() as tx:
        await preferences.put(tx, "halted_by", "ann", store.clock(), quiet.ann.id)
    async with at_work(store, shell=before.shell) as place:
        replies = await place.replies(asked)
        assert "direct.approved_refused" not in replies[0]
        assert before.shell.stopped
        rows = await store.as_owner(f"SELECT state FROM {place.tenant.schema}.run")
        assert [row["state"] for row in rows] != ["running"]
        assert "command.result" in await actions(place.tenant)


async def test_a_server_removed_after_a_crash_leaves_the_outcome_unknown_and_not_refused(
    store: Store,
) -> None:
    asked, before = await crash_while_it_runs(store)
    await store.as_owner(f"UPDATE {before.tenant.schema}.server SET status = 'removed'")
    async with at_work(store, shell=before.shell) as place:
        replies = await place.replies(asked)
        assert "direct.approved_refused" not in replies[0]
        assert "direct.unclear" in replies[0]


async def test_a_read_whose_asker_was_let_out_after_a_crash_is_ended(store: Store) -> None:
    async with at_work(store) as place:
        place.shell.on("uptime", Answer(hang=True))
        asked = await place.send("/run web uptime")
        await until(lambda: began(place))
    await store.as_owner("DELETE FROM it0_shared.process")
    await store.as_owner(f'UPDATE {place.tenant.schema}."user" SET active = false')
    async with at_work(store, shell=place.shell) as after:
        assert await after.replies(asked) == [["approval.not_yours_removed"]]
        rows = await store.as_owner(f"SELECT state FROM {place.tenant.schema}.run")
        assert [row["state"] for row in rows] != ["running"]


async def test_an_act_that_is_set_aside_is_told_to_the_turn_that_waits(store: Store) -> None:
    async with at_work(store) as place:
        asked = await place.send(f"/run web {RESTART}")
        card: Any = await until(lambda: card_of(place, asked))
    async with built(store) as place:
        click = Click(card, "approve", "console", "event")
        await Approvals(place.app.desk).decide(place.tenant, place.ann, click)
        rows = await store.as_owner(
            "UPDATE it0_shared.inbox SET state = 'set_aside' WHERE event_id LIKE 'act:%' RETURNING *"
        )
        await place.app.workers._set_aside(rows[0])
    async with at_work(store, shell=place.shell) as place:
        assert await place.replies(asked) == [["direct.approved_refused", "act.set_aside"]]
        assert (await actions(place.tenant))[-1] == "command.not_run"
        assert place.shell.started == []
        await asyncio.sleep(0)


def broken(*_: object) -> Answer:
    """Break as no shell should."""
    raise RuntimeError("nobody thought of this")


async def test_an_act_in_which_it0_itself_broke_is_unclear_and_not_called_refused(store: Store) -> None:
    async with at_work(store) as place:
        place.shell.on(RESTART, broken)
        asked, _ = await approved(place)
        replies = await place.replies(asked)
        assert "direct.approved_refused" not in replies[0]
        assert "direct.unclear" in replies[0]
        rows = await store.as_owner(f"SELECT state FROM {place.tenant.schema}.run")
        assert [row["state"] for row in rows] == ["unknown"]
        assert "command.result" in await actions(place.tenant)


async def test_what_broke_on_one_server_leaves_the_others_their_answers(store: Store) -> None:
    async with at_work(store) as place:
        await place.app.fleet.add_server(place.tenant, place.ann, NewServer("db", connection="local"))
        place.shell.on("uptime", broken, server="db")
        place.shell.on("uptime", Answer(stdout="up 3 days", after_s=0.1), server="web")
        await place.replies(await place.send("/run web,db uptime"))
        table = f"{place.tenant.schema}.run_target"
        rows = await store.as_owner(f"SELECT server, state, stdout FROM {table} ORDER BY server")
        assert [tuple(row) for row in rows] == [("db", "unknown", ""), ("web", "done", "up 3 days")]


async def test_a_stop_goes_only_where_the_command_had_begun(store: Store) -> None:
    async with at_work(store, fan_out=2) as place:
        for name in ("a", "b", "c", "d"):
            await place.app.fleet.add_server(place.tenant, place.ann, NewServer(name, connection="local"))
        place.shell.on("uptime", Answer(hang=True))
        asked = await place.send("/run a,b,c,d uptime")

        async def two() -> bool:
            return len(place.shell.started) == 2

        await until(two)
        await place.send("/stop")
        await place.replies(asked, 2)
        began = {name for name, _ in place.shell.started}
        assert {name for name, _ in place.shell.stopped} == began
        rows = await store.as_owner(f"SELECT server, state, error FROM {place.tenant.schema}.run_target")
        assert {row["server"] for row in rows if row["state"] == "stopped"} == began
        assert all("shell.never_started" in row["error"] for row in rows if row["server"] not in began)
