"""The audit log: whatever is done to its rows or to its end is found, and nobody may do it."""

import asyncio
import json
import stat
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fakes.clock import START
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.store import AUDIT_KEY, Store, fresh_store

from bot.embedded.postgres import APP, OWNER
from bot.upkeep.heads import Heads
from core.audit import GENESIS, AuditLog, Entry, Head, row_hash
from core.tenant import Tenant

ROWS = 12


@pytest.fixture
async def store(module_store: Store) -> Store:
    """Return the module's database, emptied."""
    await module_store.wipe()
    return module_store


async def fill(tenant: Tenant, count: int = ROWS) -> None:
    """Append some rows."""
    for number in range(count):
        detail = {"number": number, "命令": "uptime", "nested": [1, {"b": None, "a": True}]}
        await tenant.audit.append(Entry("test.row", "user", "u1", detail=detail), START)


async def tamper(store: Store, statement: str, *values: Any) -> None:
    """Do what only an owner who switches the trigger off can do."""
    schema = (await store.first()).schema
    async with store.connection() as owner:
        await owner.execute(f"ALTER TABLE {schema}.audit DISABLE TRIGGER audit_no_change")
        await owner.execute(statement.replace("audit", f"{schema}.audit"), *values)
        await owner.execute(f"ALTER TABLE {schema}.audit ENABLE TRIGGER audit_no_change")


async def verify(store: Store, heads: list[Head] | None = None) -> list[tuple[int, str]]:
    """Return the faults of the first tenant's chain."""
    _, faults = await (await store.first()).audit.verify(heads or [])
    return [(fault.seq, fault.kind) for fault in faults]


async def test_untouched_chain_has_no_fault_and_no_gap(store: Store) -> None:
    tenant = await store.first()
    await fill(tenant)
    seqs = [row["seq"] async for row in tenant.audit.rows(batch=5)]
    assert seqs == list(range(1, ROWS + 1))
    head = await tenant.audit.head()
    assert head is not None
    assert await tenant.audit.verify([head]) == (ROWS, [])


async def test_empty_chain_verifies(store: Store) -> None:
    tenant = await store.first()
    assert await tenant.audit.head() is None
    assert await tenant.audit.verify([]) == (0, [])


ALTERED = {
    "at": "at = at + interval '1 microsecond'",
    "action": "action = 'test.other'",
    "actor_type": "actor_type = 'system'",
    "actor_id": "actor_id = NULL",
    "approver_id": "approver_id = 'u1'",
    "resource_type": "resource_type = 'server'",
    "resource_id": "resource_id = 's'",
    "channel": "channel = ''",
    "ip": "ip = '10.0.0.1'",
    "detail": "detail = jsonb_set(detail, '{number}', '99')",
    "nested detail": "detail = jsonb_set(detail, '{nested,1,a}', 'false')",
    "key": "key = 'k'",
    "hash": "hash = sha256('x')",
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
async def test_altered_column_is_found_where_it_is(store: Store, change: str) -> None:
    await fill(await store.first())
    await tamper(store, f"UPDATE audit SET {change} WHERE seq = 5")
    assert (await verify(store))[0] == (5, "altered")


async def test_every_hashed_column_is_among_the_alterations_tested(store: Store) -> None:
    columns = await store.as_owner(
        "SELECT column_name FROM information_schema.columns WHERE table_name='audit' AND table_schema=$1",
        (await store.first()).schema,
    )
    assert {row["column_name"] for row in columns} - {"tenant_id", "seq", "previous_hash"} <= set(ALTERED)


async def test_altered_previous_hash_is_found(store: Store) -> None:
    await fill(await store.first())
    await tamper(store, "UPDATE audit SET previous_hash = sha256('x') WHERE seq = 5")
    assert await verify(store) == [(5, "out_of_order")]


@pytest.mark.parametrize("seq", [1, 5, ROWS - 1])
async def test_deleted_row_is_found(store: Store, seq: int) -> None:
    await fill(await store.first())
    await tamper(store, f"DELETE FROM audit WHERE seq = {seq}")
    assert (await verify(store))[0] == (seq, "missing")


async def test_deleted_row_is_found_when_the_later_ones_are_renumbered(store: Store) -> None:
    await fill(await store.first())
    await tamper(store, "DELETE FROM audit WHERE seq = 5")
    await tamper(store, "UPDATE audit SET seq = seq - 1 WHERE seq > 5 AND seq < 7")
    await tamper(store, "UPDATE audit SET seq = seq - 1 WHERE seq > 6")
    assert (await verify(store))[0] == (5, "out_of_order")


async def test_two_rows_in_each_others_place_are_found(store: Store) -> None:
    await fill(await store.first())
    await tamper(store, "UPDATE audit SET seq = 100 WHERE seq = 5")
    await tamper(store, "UPDATE audit SET seq = 5 WHERE seq = 6")
    await tamper(store, "UPDATE audit SET seq = 6 WHERE seq = 100")
    assert (await verify(store))[0] == (5, "out_of_order")


FORGED = "INSERT INTO audit (tenant_id, seq, at, action, actor_type, detail, previous_hash, hash) SELECT \
tenant_id, {seq}, at, 'forged', actor_type, detail, previous_hash, hash FROM audit WHERE seq = {like}"


@pytest.mark.parametrize("seq", [0, -1, -(2**63), ROWS + 1, ROWS + 7, 2**40, 2**63 - 1])
async def test_row_put_in_is_found_wherever_it_stands(store: Store, seq: int) -> None:
    await fill(await store.first())
    await tamper(store, FORGED.format(seq=seq, like=1 if seq < 1 else ROWS))
    faults = await asyncio.wait_for(verify(store), 5)
    assert faults
    assert len(faults) <= 110


async def test_row_put_between_is_found(store: Store) -> None:
    await fill(await store.first())
    await tamper(store, "UPDATE audit SET seq = seq + 100 WHERE seq > 5")
    await tamper(store, "UPDATE audit SET seq = seq - 99 WHERE seq > 100")
    await tamper(store, FORGED.format(seq=6, like=5))
    assert (await verify(store))[0] == (6, "out_of_order")


async def test_row_of_another_tenants_chain_does_not_fit(store: Store) -> None:
    first, second = await store.first(), await store.second()
    await fill(first)
    await fill(second)
    others = [dict(row) async for row in second.audit.rows()]
    await tamper(store, "UPDATE audit SET detail = $1, hash = $2 WHERE seq = 5", "{}", others[4]["hash"])
    assert (await verify(store))[0] == (5, "altered")


async def test_chain_made_with_another_key_is_altered_from_the_first_row(store: Store) -> None:
    tenant = await store.first()
    tenant.audit = AuditLog(tenant, b"another key, of the attacker's..")
    await fill(tenant, 3)
    tenant.audit = AuditLog(tenant, AUDIT_KEY)
    assert await verify(store) == [(1, "altered"), (2, "altered"), (3, "altered")]


async def test_cut_end_is_found_by_the_kept_heads(store: Store, tmp_path: Path) -> None:
    tenant, heads = await store.first(), Heads(tmp_path / "audit")
    await fill(tenant)
    await heads.write([tenant], START)
    await tamper(store, f"DELETE FROM audit WHERE seq > {ROWS - 2}")
    assert await verify(store) == []
    assert await verify(store, heads.read(tenant.id)) == [(ROWS, "cut")]


async def test_whole_log_gone_is_found_by_the_kept_heads(store: Store, tmp_path: Path) -> None:
    tenant, heads = await store.first(), Heads(tmp_path / "audit")
    await fill(tenant)
    await heads.write([tenant], START)
    await tamper(store, "TRUNCATE audit")
    assert await verify(store, heads.read(tenant.id)) == [(ROWS, "cut")]


@pytest.mark.parametrize("regrown", [1, 2, 5])
async def test_end_that_was_cut_and_grew_again_is_found(store: Store, tmp_path: Path, regrown: int) -> None:
    tenant, heads = await store.first(), Heads(tmp_path / "audit")
    await fill(tenant)
    await heads.write([tenant], START)
    await tamper(store, f"DELETE FROM audit WHERE seq = {ROWS}")
    for _ in range(regrown):
        await tenant.audit.append(Entry("test.after", "system"), START)
        await heads.write([tenant], START)
    assert await verify(store) == []
    assert await verify(store, heads.read(tenant.id)) == [(ROWS, "replaced")]


async def test_heads_are_written_only_for_their_owner_once_each(store: Store, tmp_path: Path) -> None:
    first, second, heads = await store.first(), await store.second(), Heads(tmp_path / "audit")
    await fill(first, 2)
    for _ in range(3):
        await heads.write([first, second], START)
    file = tmp_path / "audit" / f"{first.id}.heads"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["seq"], line["at"]) for line in lines] == [(2, START.isoformat())]
    assert [head.seq for head in heads.read(first.id)] == [2]
    assert heads.read(second.id) == []


async def test_head_cut_short_by_a_full_disk_does_not_stop_later_ones(store: Store, tmp_path: Path) -> None:
    tenant, heads = await store.first(), Heads(tmp_path / "audit")
    await fill(tenant, 2)
    await heads.write([tenant], START)
    with (tmp_path / "audit" / f"{tenant.id}.heads").open("a") as file:
        file.write('{"at": "2026-')
    await fill(tenant, 1)
    await heads.write([tenant], START)
    assert [head.seq for head in heads.read(tenant.id)] == [2, 3]


async def test_fifty_appends_at_once_make_one_unbroken_chain(store: Store) -> None:
    tenant = await store.first()
    entries = [Entry("test.row", "agent", detail={"n": n}) for n in range(50)]
    seqs = await asyncio.gather(*(tenant.audit.append(entry, START) for entry in entries))
    assert sorted(seqs) == list(range(1, 51))
    assert await tenant.audit.verify([]) == (50, [])


async def test_tenants_chains_grow_apart(store: Store) -> None:
    first, second = await store.first(), await store.second()
    await asyncio.gather(fill(first, 10), fill(second, 10))
    for tenant in (first, second):
        assert await tenant.audit.verify([]) == (10, [])


async def test_entry_of_a_key_is_written_once_and_leaves_no_gap(store: Store) -> None:
    tenant = await store.first()
    entry = Entry("test.once", "system", key="k")
    seqs = await asyncio.gather(*(tenant.audit.append(entry, START) for _ in range(20)))
    assert set(seqs) == {1}
    assert await tenant.audit.append(Entry("test.next", "system"), START) == 2
    assert await tenant.audit.verify([]) == (2, [])


async def test_failed_append_leaves_no_gap(store: Store) -> None:
    tenant = await store.first()
    await fill(tenant, 2)
    with pytest.raises(asyncpg.CheckViolationError):
        await tenant.audit.append(Entry("test.bad", "nobody"), START)  # type: ignore[arg-type]
    assert await tenant.audit.append(Entry("test.good", "system"), START) == 3


async def test_moment_told_in_another_time_zone_verifies(store: Store) -> None:
    tenant = await store.first()
    await tenant.audit.append(Entry("test", "system"), START.astimezone(timezone(timedelta(hours=8))))
    assert await verify(store) == []


@pytest.fixture(scope="module")
async def chain(cluster: Any) -> Any:
    """Return a chain that all examples of a property append to."""
    async with fresh_store(cluster) as store:
        yield (await store.first()).audit


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


async def test_any_detail_verifies_after_a_round_through_the_database(chain: AuditLog) -> None:
    details: list[dict[str, Any]] = []

    @given(st.dictionaries(TEXTS, VALUES, max_size=5))
    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    def collect(detail: dict[str, Any]) -> None:
        details.append(detail)

    collect()
    odd = [{"f": f} for f in (1e16, 1e22, 1.0, -0.0, 1e-7, 5e-324, 1.7e308)]
    for detail in [*details, *odd, {"t": (1, 2)}]:
        await chain.append(Entry("test.detail", "system", detail=detail), START)
    assert (await chain.verify([]))[1] == []


def test_hash_depends_on_the_key_and_on_what_came_before() -> None:
    row = dict.fromkeys(("action", "actor_type", "actor_id", "approver_id", "resource_type"), "x")
    row |= dict.fromkeys(("resource_id", "channel", "ip", "key"), None)
    full = {**row, "seq": 1, "at": START, "detail": {}}
    one = row_hash(AUDIT_KEY, GENESIS, full)
    assert one != row_hash(AUDIT_KEY, b"\x01" * 32, full)
    assert one != row_hash(b"\x01" * 32, GENESIS, full)
    assert one == row_hash(AUDIT_KEY, GENESIS, dict(reversed(full.items())))


FORBIDDEN = {
    "update": "UPDATE {t}.audit SET action = 'x'",
    "delete": "DELETE FROM {t}.audit",
    "truncate": "TRUNCATE {t}.audit",
    "alter": "ALTER TABLE {t}.audit DROP COLUMN detail",
    "drop": "DROP TABLE {t}.audit",
    "disable trigger": "ALTER TABLE {t}.audit DISABLE TRIGGER ALL",
    "replica role": "SET session_replication_role = replica",
    "drop trigger": "DROP TRIGGER audit_no_change ON {t}.audit",
    "replace function": "CREATE OR REPLACE FUNCTION {t}.audit_is_append_only() RETURNS trigger "
    "LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "upsert": "INSERT INTO {t}.audit SELECT * FROM {t}.audit ON CONFLICT (seq) DO UPDATE SET action = 'x'",
    "merge": "MERGE INTO {t}.audit a USING {t}.audit b ON a.seq = b.seq WHEN MATCHED THEN DELETE",
    "take ownership": "ALTER TABLE {t}.audit OWNER TO it0_app",
    "lock out": "BEGIN; LOCK TABLE {t}.audit IN ACCESS EXCLUSIVE MODE",
    "become owner": "SET ROLE it0_owner",
    "create in tenant": "CREATE TABLE {t}.mine (x int)",
    "create in shared": "CREATE TABLE it0_shared.mine (x int)",
    "create in public": "CREATE TABLE public.mine (x int)",
    "create schema": "CREATE SCHEMA mine",
    "create temporary": "CREATE TEMP TABLE mine (x int)",
    "create database": "CREATE DATABASE mine",
    "create role": "CREATE ROLE mine",
    "version": "UPDATE {t}.version SET version_num = 'x'",
    "shared version": "DELETE FROM it0_shared.version",
}


@pytest.fixture(scope="module")
async def written(cluster: Any) -> Any:
    """Return a database with an audit row."""
    async with fresh_store(cluster) as store:
        await fill(await store.first(), 1)
        yield store


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_applications_role_may_only_read_and_append(written: Store, statement: str) -> None:
    schema = (await written.first()).schema
    async with written.connection(APP) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(t=schema))


async def test_application_cannot_give_itself_a_right(written: Store) -> None:
    schema = (await written.first()).schema
    async with written.connection(APP) as connection:
        await connection.execute(f"GRANT ALL ON {schema}.audit TO it0_app")  # a mere warning
        for right in ("UPDATE", "DELETE", "TRUNCATE"):
            allowed = "SELECT has_table_privilege($1, $2)"
            assert not await connection.fetchval(allowed, f"{schema}.audit", right)


@pytest.mark.parametrize("kind", ["update", "delete", "truncate", "upsert", "merge"])
@pytest.mark.parametrize("role", [OWNER, "postgres"])
async def test_owner_and_superuser_are_stopped_by_the_trigger(written: Store, kind: str, role: str) -> None:
    schema = (await written.first()).schema
    async with written.connection(role) as connection:
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute(FORBIDDEN[kind].format(t=schema))


async def test_no_cascade_from_another_table_reaches_the_log(written: Store) -> None:
    tenant = await written.first()
    references = await written.as_owner(
        "SELECT 1 FROM pg_constraint WHERE contype = 'f' AND conrelid = $1::regclass",
        f"{tenant.schema}.audit",
    )
    assert references == []
