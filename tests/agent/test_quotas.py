"""A plan's limits: the new conversation, task or engine is refused; what runs or waits goes on."""

from fakes.engine import ScriptedEngine
from support.place import Place, at_work, until
from support.store import Store

from core.ids import new_id


async def on_plan(place: Place, plan: str) -> None:
    """Put the tenant on another plan."""
    await place.store.with_plan(plan)
    place.app.tenants.forget(place.tenant.id)


async def note_turns(place: Place, count: int, status: str, days_ago: int = 0) -> None:
    """Write turns of ``count`` other conversations; a running one has its lane held."""
    schema, tenant = place.tenant.schema, place.tenant.id
    for _ in range(count):
        conversation = new_id()
        await place.store.as_owner(
            f"INSERT INTO {schema}.turn (tenant_id, id, conversation_id, engine, status, started_at)"
            " VALUES ($1, $2, $3, 'direct', $4, now() - make_interval(days => $5))",
            tenant, new_id(), conversation, status, days_ago,
        )  # fmt: skip
        if status == "running":
            await place.store.as_owner(
                "INSERT INTO it0_shared.lane (tenant_id, conversation_id, owner) VALUES ($1, $2, $3)",
                tenant, conversation, place.app.me,
            )  # fmt: skip


async def free_lanes(place: Place) -> None:
    """Let the turns of other conversations run nowhere any more."""
    await place.store.as_owner(
        "UPDATE it0_shared.lane SET owner = NULL WHERE tenant_id = $1", place.tenant.id
    )


async def test_conversation_beyond_the_days_quota_is_refused_and_todays_go_on(store: Store) -> None:
    async with at_work(store) as place:
        await on_plan(place, "free")
        await note_turns(place, 49, "completed")
        await note_turns(place, 5, "completed", days_ago=2)
        assert await place.replies(await place.send("/why df", "here")) != [["quota.sessions"]]
        assert await place.replies(await place.send("/why df", "there")) == [["quota.sessions"]]
        assert await place.replies(await place.send("/why df", "here")) != [["quota.sessions"]]
        assert await place.replies(await place.send("/approvals", "there")) == [["approvals.none"]]
        await on_plan(place, "self-hosted")
        assert await place.replies(await place.send("/why df", "there")) != [["quota.sessions"]]


async def test_task_beyond_those_at_once_is_refused_until_one_has_ended(store: Store) -> None:
    async with at_work(store) as place:
        await on_plan(place, "free")
        await note_turns(place, 2, "running")
        assert await place.replies(await place.send("/why df", "here")) == [["quota.tasks"]]
        assert await place.open_work() == []
        await free_lanes(place)
        assert await place.replies(await place.send("/why df", "here")) != [["quota.tasks"]]


async def test_approval_and_its_continuation_go_on_whatever_the_quota(store: Store) -> None:
    async with at_work(store) as place:
        await on_plan(place, "free")
        accepted = await place.send("/run web touch /tmp/x")

        async def asked() -> list[str]:
            rows = await store.as_owner(f"SELECT id FROM {place.tenant.schema}.approval")
            return [row["id"] for row in rows]

        [approval] = await until(asked)
        await note_turns(place, 2, "running")
        await note_turns(place, 60, "completed")
        await place.click(f"approve:{approval}", "here", place.ann)
        [words] = await place.replies(accepted)
        assert "quota" not in str(words)
        assert place.shell.started


async def test_chosen_engine_that_the_plan_does_not_hold_is_refused_and_the_default_becomes_direct(
    store: Store,
) -> None:
    async with at_work(store, ScriptedEngine("claude_api")) as place:
        assert await place.replies(await place.send("hello", "one")) == [["heard hello"]]
        assert await place.replies(await place.send("/engine claude_api", "two")) != [["quota.engine"]]
        await on_plan(place, "free")
        assert await place.replies(await place.send("/engine claude_api", "one")) == [["quota.engine"]]
        assert await place.replies(await place.send("hello", "two")) == [["quota.engine"]]
        [words] = await place.replies(await place.send("hello", "one"))
        assert "heard hello" not in words


async def test_usage_tells_what_is_used_of_the_plan(store: Store) -> None:
    async with at_work(store) as place:
        assert await place.replies(await place.send("/usage")) == [["usage.none"]]
        await on_plan(place, "free")
        await note_turns(place, 3, "completed")
        accepted = await place.send("/usage")
        await place.replies(accepted)
        [row] = [row for row in await place.events(accepted) if row["kind"] == "reply"]
        told = {part["say"]: part["params"] for part in row["body"]["parts"]}
        assert told["usage.of_sessions"] == {"used": 3, "limit": 50}
        assert told["usage.of_users"] == {"used": 1, "limit": 3}
