"""A deleted tenant is dropped by the database's own function: after its time, whole, and nothing else."""

from datetime import UTC, datetime

import asyncpg
import pytest
from support.place import built
from support.store import Store, actions, add_user

from agent.fleet.expiry import Expiry
from bot.upkeep.chores import GONE, timer_handlers
from core.store import people
from core.store.timers import Timer, set_timer

AGED = "it0_shared.tenant SET status = 'deleted', deleted_at = now() - make_interval(days => {days})"


async def delete(store: Store, slug: str, days_ago: float) -> str:
    """Let a tenant be deleted for so long, as only the owner can make it seem; return its id."""
    trigger = "ALTER TABLE it0_shared.tenant {} TRIGGER tenant_deleted_at"
    async with store.connection() as owner, owner.transaction():
        await owner.execute(trigger.format("DISABLE"))
        tenant_id = await owner.fetchval(
            f"UPDATE {AGED.format(days=int(days_ago))} WHERE slug = $1 RETURNING id", slug
        )
        await owner.execute(trigger.format("ENABLE"))
    return str(tenant_id)


async def schemas(store: Store) -> set[str]:
    """Return the tenants' schemas."""
    rows = await store.as_owner("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'it0_t_')")
    return {row["nspname"] for row in rows}


async def left_of(store: Store, tenant_id: str) -> dict[str, int]:
    """Return how many rows each shared table has of a tenant."""
    tables = await store.as_owner(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'it0_shared' AND column_name = 'tenant_id'"
    )
    counts = {}
    for name in (row["table_name"] for row in tables):
        [row] = await store.as_owner(
            f"SELECT count(*) FROM it0_shared.{name} WHERE tenant_id = $1", tenant_id
        )
        counts[name] = row["count"]
    return counts


async def fill(store: Store) -> None:
    """Give the first tenant rows in the shared tables, and a stranger at its console."""
    tenant = await store.first()
    await add_user(tenant, store.clock, "ann")
    async with tenant.transaction() as tx:
        await set_timer(tx, tenant.id, "x", "", store.clock())
        link = {"token_hash": b"x", "tenant": tenant.id, "user_id": "u", "expires_at": store.clock()}
        await tx.run(people.ADD_LINK, **link)
        await tx.run(people.ADD_CODE, **link)
    await store.as_owner(
        "INSERT INTO it0_shared.stranger (installation_id, external_id, told_at) VALUES ($1, 's', now())",
        f"console-{tenant.id}",
    )


async def test_after_its_time_a_deleted_tenant_is_dropped_whole_and_no_other(store: Store) -> None:
    await fill(store)
    tenant_id, other = await delete(store, "first", 30), await store.second()
    assert not await store.tenants.drop(tenant_id, 31)
    assert await store.tenants.drop(tenant_id, 30)
    assert await schemas(store) == {other.schema}
    assert set((await left_of(store, tenant_id)).values()) == {0}
    assert (await left_of(store, other.id))["installation"] == 1
    assert await store.as_owner("SELECT 1 FROM it0_shared.stranger") == []
    assert not await store.tenants.drop(tenant_id, 30)


@pytest.mark.parametrize("keep_days", [-1, 0, 7, None])
async def test_database_itself_keeps_a_deleted_tenant_for_a_week(store: Store, keep_days: int | None) -> None:
    tenant_id = await delete(store, "first", 6)
    async with store.connection("it0_app") as app:
        assert await app.fetchval("SELECT it0_shared.drop_tenant($1, $2)", tenant_id, keep_days) is False
    assert f"it0_t_{tenant_id}" in await schemas(store)


@pytest.mark.parametrize("status", ["active", "suspended"])
async def test_tenant_that_is_not_deleted_is_not_dropped(store: Store, status: str) -> None:
    tenant = await store.first()
    await store.as_owner("UPDATE it0_shared.tenant SET status = $1", status)
    assert not await store.tenants.drop(tenant.id, 0)
    assert tenant.schema in await schemas(store)


async def test_application_can_neither_backdate_a_deletion_nor_move_a_tenants_id(store: Store) -> None:
    tenant_id = (await store.first()).id
    async with store.connection("it0_app") as app:
        await app.execute("UPDATE it0_shared.tenant SET status = 'deleted', deleted_at = '2020-01-01'")
        await app.execute("UPDATE it0_shared.tenant SET deleted_at = '2020-01-01'")
        at = await app.fetchval("SELECT deleted_at FROM it0_shared.tenant WHERE id = $1", tenant_id)
        assert at > datetime(2021, 1, 1, tzinfo=UTC)
        with pytest.raises(asyncpg.RaiseError, match="keeps its id"):
            await app.execute("UPDATE it0_shared.tenant SET id = 'x' WHERE id = $1", tenant_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(f"DROP SCHEMA it0_t_{tenant_id} CASCADE")


async def test_due_tenant_is_dropped_by_the_timer_and_the_default_tenant_has_it_on_record(
    store: Store,
) -> None:
    recorder = await store.make_tenant("default")
    due, early = await delete(store, "second", 40), await store.make_tenant("early")
    await delete(store, "early", 29)
    async with built(store) as place:
        app = place.app
        handlers = timer_handlers(
            app.settings,
            app.database,
            app.tenants,
            app.clock,
            app.executor,  # type: ignore[arg-type]
            app.heads,
            Expiry(app.desk, app.tenants),  # type: ignore[arg-type]
        )
        for _ in range(2):
            again_at = await handlers[GONE](Timer(0, "", GONE, "", 0, app.clock(), 0))
        assert again_at is not None
        assert f"it0_t_{due}" not in await schemas(store)
        assert early.schema in await schemas(store)
        assert (await actions(await app.tenants.by_id(recorder.id))) == ["tenant.drop"]
