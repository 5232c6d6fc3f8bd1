"""Schemas: made whole or not at all, all alike, upgraded tenant by tenant."""

import ast
import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, Text
from sqlalchemy.ext.asyncio import create_async_engine
from support.schemas import NEXT, add_revision, parts_of
from support.store import Cluster, Store, tenant_row

import core.tenant
from bot.embedded.postgres import APP, OWNER, SUPERUSER
from bot.process import upgrading
from core.audit import Entry
from core.errors import NotFound, SetupError, StoreUnavailable, Unavailable
from core.store import provisioning, tables
from core.store import schema as schema_module
from core.store.database import Database, Statement
from core.store.provisioning import create_tenant, schema_of, script_file
from core.store.schema import Schemas, script_of
from core.store.statements import insert_row
from core.tenant import SHARED_HEAD, TENANT_HEAD, Tenants

OWN_OF_TENANTS = ("audit_is_append_only", "audit_no_change", "_tenant |", "version")
"""What a migrated schema has beside its tables: the tenant's CHECK, the audit's guard, alembic's table."""


def revisions(chain: str) -> list[str]:
    """Return a chain's revisions, the oldest first."""
    scripts = ScriptDirectory.from_config(schema_module._config(chain))
    return [script.revision for script in scripts.walk_revisions()][::-1]


@pytest.mark.parametrize(("chain", "head"), [("shared", SHARED_HEAD), ("tenant", TENANT_HEAD)])
def test_heads_in_the_program_are_those_of_the_scripts(chain: str, head: str) -> None:
    scripts = ScriptDirectory.from_config(schema_module._config(chain))
    assert scripts.get_heads() == [head]


def renamed(metadata: MetaData, schema: str) -> MetaData:
    """Return a copy of ``metadata`` in another schema."""
    copy = MetaData(naming_convention=tables.NAMES)
    for table in metadata.sorted_tables:
        table.to_metadata(copy, schema=schema)
    return copy


async def differences(store: Store, schema: str, metadata: MetaData) -> list[Any]:
    """Return what alembic would change."""

    def compare(connection: Connection) -> list[Any]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == schema,
            "version_table": provisioning.VERSION_TABLE,
            "version_table_schema": schema,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(store.owner_url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("chain", ["shared", "tenant"])
async def test_alembic_finds_nothing_to_change_between_the_scripts_and_the_tables(
    module_store: Store, chain: str
) -> None:
    schema = tables.SHARED_SCHEMA if chain == "shared" else (await module_store.first()).schema
    metadata = renamed(tables.shared if chain == "shared" else tables.tenant, schema)
    assert await differences(module_store, schema, metadata) == []


async def test_alembic_would_find_a_difference(module_store: Store) -> None:
    schema = (await module_store.first()).schema
    metadata = renamed(tables.tenant, schema)
    Table("more", metadata, Column("id", Text, primary_key=True), schema=schema)
    found = await differences(module_store, schema, metadata)
    assert [change[0] for change in found] == ["add_table"]


@pytest.mark.parametrize("chain", ["shared", "tenant"])
async def test_scripts_make_what_the_tables_say_with_every_check_and_index(store: Store, chain: str) -> None:
    schema = tables.SHARED_SCHEMA if chain == "shared" else (await store.first()).schema
    metadata = renamed(tables.shared if chain == "shared" else tables.tenant, "by_tables")
    await store.as_owner("CREATE SCHEMA by_tables")
    engine = create_async_engine(store.owner_url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    migrated, written = await parts_of(store, schema), await parts_of(store, "by_tables")
    for kind in ("columns", "constraints", "indexes"):
        ours = [line for line in migrated[kind] if not any(own in line for own in OWN_OF_TENANTS)]
        theirs = [line for line in written[kind] if not any(own in line for own in OWN_OF_TENANTS)]
        assert ours == theirs
        assert ours


@pytest.mark.parametrize("chain", ["shared", "tenant"])
def test_script_of_new_schemas_is_what_the_migrations_come_to(chain: str) -> None:
    assert script_file(chain).read_text() == script_of(chain), "make schema writes it anew"


async def test_shared_schema_made_by_its_script_equals_the_migrated_one(
    store: Store, cluster: Cluster
) -> None:
    await cluster.superuser(f"CREATE DATABASE scripted OWNER {OWNER}")
    try:
        await upgrading.upgrade(cluster.url(APP, "scripted"), cluster.url(OWNER, "scripted"), is_new=True)
        scripted = dataclasses.replace(store, name="scripted")
        assert await parts_of(scripted, "it0_shared") == await parts_of(store, "it0_shared")
        assert (await scripted.as_owner("SELECT version_num FROM it0_shared.version"))[0][0] == SHARED_HEAD
    finally:
        await cluster.drop("scripted")


async def test_new_tenants_schema_equals_one_that_was_migrated_step_by_step(store: Store) -> None:
    new = await store.make_tenant("new", id="new1")
    old = schema_of("old1")
    await store.as_owner(f"CREATE SCHEMA {old}")
    engine = create_async_engine(store.owner_url.replace("postgresql:", "postgresql+asyncpg:"))

    def step(connection: Connection, revision: str) -> None:
        mapped = connection.execution_options(schema_translate_map={tables.TENANT_SCHEMA: old})
        options = {"connection": mapped, "schema": old, "metadata": tables.tenant, "tenant_id": "old1"}
        command.upgrade(schema_module._config("tenant", **options), revision)
        schema_module._grant(connection, old, APP)

    for revision in revisions("tenant"):
        async with engine.begin() as connection:
            await connection.run_sync(step, revision)
    await engine.dispose()
    assert await parts_of(store, new.schema) == await parts_of(store, old)


async def test_tenant_made_after_a_migration_equals_one_made_before(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = await store.first()
    add_revision(monkeypatch, tmp_path)
    monkeypatch.setattr(core.tenant, "TENANT_HEAD", NEXT)
    async with store.schemas() as schemas:
        assert all(line.error is None for line in await schemas.upgrade_all())
    after = await store.make_tenant("after")
    upgraded = await parts_of(store, before.schema)
    assert upgraded == await parts_of(store, after.schema)
    assert any("note" in line for line in upgraded["columns"])


async def test_upgrade_reports_each_schema_and_goes_on_after_one_that_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken, sound = await store.first(), await store.second()
    await store.as_owner(f"ALTER TABLE {broken.schema}.setting ADD COLUMN note int")
    add_revision(monkeypatch, tmp_path)
    async with store.schemas() as schemas:
        report = {line.schema: line.error for line in await schemas.upgrade_all()}
    assert set(report) == {"it0_shared", broken.schema, sound.schema}
    assert (report["it0_shared"], report[sound.schema]) == (None, None)
    assert "already exists" in (report[broken.schema] or "")
    assert await versions(store) == {"it0_shared": NEXT, broken.schema: TENANT_HEAD, sound.schema: NEXT}
    await store.as_owner(f"ALTER TABLE {broken.schema}.setting DROP COLUMN note")
    async with store.schemas() as schemas:
        assert [line.error for line in await schemas.upgrade_all()] == [None] * 3
    assert set((await versions(store)).values()) == {NEXT}


ALTERS = ("add_column", "alter_column", "drop_column", "rename_table", "execute")


def test_no_script_gives_the_placeholder_to_an_operation_that_does_not_translate_it() -> None:
    wrong = []
    for file in (provisioning.MIGRATIONS / "tenant" / "versions").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ALTERS:
                names = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
                wrong += [f"{file.name}:{node.lineno}"] if tables.TENANT_SCHEMA in names else []
    assert wrong == []


async def versions(store: Store) -> dict[str, str]:
    """Return the revision of each schema."""
    ids = await store.as_owner("SELECT id FROM it0_shared.tenant")
    schemas = ["it0_shared", *(schema_of(row["id"]) for row in ids)]
    return {s: (await store.as_owner(f"SELECT version_num FROM {s}.version"))[0][0] for s in schemas}


async def test_failed_upgrade_of_the_shared_schema_leaves_the_tenants_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await store.as_owner("ALTER TABLE it0_shared.process ADD COLUMN note int")
    add_revision(monkeypatch, tmp_path)
    async with store.schemas() as schemas:
        report = await schemas.upgrade_all()
    assert [line.schema for line in report] == ["it0_shared"]
    assert report[0].error
    assert set((await versions(store)).values()) == {SHARED_HEAD, TENANT_HEAD}


async def test_upgrades_at_once_do_each_step_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_revision(monkeypatch, tmp_path)
    async with store.schemas() as one, store.schemas() as other:
        reports = await asyncio.gather(one.upgrade_all(), other.upgrade_all())
    assert [line.error for report in reports for line in report] == [None] * 6


async def test_tenant_that_lags_behind_the_program_is_refused_and_the_others_served(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lagging, sound = await store.first(), await store.second()
    await store.as_owner(f"ALTER TABLE {lagging.schema}.setting ADD COLUMN note int")
    add_revision(monkeypatch, tmp_path)
    async with store.schemas() as schemas:
        await schemas.upgrade_all()
    monkeypatch.setattr(core.tenant, "TENANT_HEAD", NEXT)
    later = Tenants(store.database, store.vault, bytes(32))
    for find in (later.by_id(lagging.id), later.by_slug(lagging.row.slug)):
        with pytest.raises(Unavailable) as caught:
            await find
        assert caught.value.say.key == "error.tenant_being_upgraded"
    assert (await later.by_id(sound.id)).id == sound.id
    assert [tenant.id for tenant in await later.all()] == [sound.id]


async def test_all_says_when_the_database_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(Tenants, "_check_version", gone)
    with pytest.raises(StoreUnavailable):
        await Tenants(store.database, store.vault, bytes(32)).all()


async def test_one_role_for_everything_can_still_upgrade(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    schemas = Schemas(store.owner_url, OWNER)
    assert [line.error for line in await schemas.upgrade_all()] == [None] * 3
    add_revision(monkeypatch, tmp_path)
    assert [line.error for line in await schemas.upgrade_all()] == [None] * 3
    await schemas.close()


async def schemas_in(store: Store) -> list[str]:
    """Return the names of all tenants' schemas."""
    rows = await store.as_owner("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'it0_t_')")
    return sorted(row["nspname"] for row in rows)


async def test_provisioning_that_fails_in_the_middle_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = await schemas_in(store)
    add_revision(monkeypatch, tmp_path)
    with script_file("tenant").open("a") as script:
        script.write("SELECT 1 / 0;\n")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await store.make_tenant("half")
    assert await schemas_in(store) == before
    assert await store.as_owner("SELECT 1 FROM it0_shared.tenant WHERE slug = 'half'") == []
    monkeypatch.undo()
    assert (await store.make_tenant("half")).row.slug == "half"


async def test_slug_in_use_makes_no_schema(store: Store) -> None:
    before = await schemas_in(store)
    with pytest.raises(asyncpg.UniqueViolationError):
        await store.make_tenant("first")
    assert await schemas_in(store) == before


@pytest.mark.parametrize("bad", ["", "A", 'a"; DROP SCHEMA it0_shared', "a-b", "x" * 33, "a\n", "ä"])
async def test_tenant_id_of_another_form_never_becomes_a_schemas_name(store: Store, bad: str) -> None:
    with pytest.raises(ValueError, match="not a tenant id"):
        await create_tenant(store.owner_url, APP, tenant_row("odd", store.clock, id=bad))
    assert await store.as_owner("SELECT 1 FROM it0_shared.tenant WHERE slug = 'odd'") == []


async def test_tenants_are_made_at_once(store: Store) -> None:
    made = await asyncio.gather(*(store.make_tenant(f"t{n}") for n in range(4)))
    assert len({tenant.schema for tenant in made}) == 4
    for tenant in made:
        await tenant.audit.append(Entry("test", "system"), store.clock())


async def test_unknown_tenants_are_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.tenants.by_id("nobody")
    with pytest.raises(NotFound):
        await store.tenants.by_slug("nobody")


async def test_changed_plan_is_seen_once_the_handle_is_read_anew(store: Store) -> None:
    tenant = await store.first()
    await store.as_owner("UPDATE it0_shared.tenant SET plan = 'free', status = 'suspended'")
    assert (await store.tenants.by_id(tenant.id)).row.plan == "self-hosted"
    store.tenants.forget(tenant.id)
    fresh = await store.tenants.by_id(tenant.id)
    assert (fresh.row.plan, fresh.row.status) == ("free", "suspended")


async def test_deleted_tenants_are_left_out_of_all(store: Store) -> None:
    await store.as_owner("UPDATE it0_shared.tenant SET status = 'deleted' WHERE slug = 'first'")
    assert [tenant.row.slug for tenant in await store.tenants.all()] == ["second"]


async def tenant_tables(store: Store, schema: str) -> set[str]:
    """Return a tenant's tables without alembic's."""
    rows = await store.as_owner("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return {row["tablename"] for row in rows} - {provisioning.VERSION_TABLE}


async def test_every_table_of_a_tenant_refuses_other_tenants_rows_by_a_check(module_store: Store) -> None:
    tenant = await module_store.first()
    rows = await module_store.as_owner(
        """SELECT relname, pg_get_constraintdef(o.oid) AS rule FROM pg_constraint o
        JOIN pg_class c ON c.oid = conrelid WHERE connamespace = $1::text::regnamespace
        AND conname = 'ck_' || relname || '_tenant' AND convalidated AND conenforced""",
        tenant.schema,
    )
    assert {row["relname"] for row in rows} == await tenant_tables(module_store, tenant.schema)
    assert {row["rule"] for row in rows} == {f"CHECK ((tenant_id = '{tenant.id}'::text))"}
    assert await tenant_tables(module_store, tenant.schema) == {t.name for t in tables.tenant.sorted_tables}


async def test_row_of_another_tenant_is_refused_whoever_writes_it(module_store: Store) -> None:
    tenant, other = await module_store.first(), await module_store.second()
    insert = (
        f"INSERT INTO {tenant.schema}.setting (tenant_id, key, value, changed_at) VALUES ($1,'k','1',now())"
    )
    for role in (APP, OWNER, SUPERUSER):
        async with module_store.connection(role) as connection:
            with pytest.raises(asyncpg.CheckViolationError) as caught:
                await connection.execute(insert, other.id)
            assert caught.value.constraint_name == "ck_setting_tenant"


async def test_row_cannot_be_handed_to_another_tenant(store: Store) -> None:
    tenant, other = await store.first(), await store.second()
    async with tenant.transaction() as tx:
        row = {"key": "k", "value": 1, "changed_at": store.clock(), "changed_by": None}
        await tx.run(insert_row(tables.settings), **row)
    async with store.connection(APP) as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE {tenant.schema}.setting SET tenant_id = $1", other.id)


async def test_first_start_makes_every_schema_and_the_next_finds_nothing_to_do(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.superuser(f"CREATE DATABASE empty OWNER {OWNER}")
    app_url, owner_url = cluster.url(APP, "empty"), cluster.url(OWNER, "empty")
    try:
        await upgrading.upgrade(app_url, owner_url)
        async with Database.open(app_url, size=2) as database, database.reading() as db:
            versions = Statement(core.tenant.version_of("it0_shared")._clause)
            assert await db.value(versions) == SHARED_HEAD
        monkeypatch.setattr(upgrading, "upgrade_report", None)
        await upgrading.upgrade(app_url, owner_url)
    finally:
        await cluster.drop("empty")


async def test_upgrade_names_the_schemas_that_failed(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = await store.first()
    await store.as_owner(f"ALTER TABLE {broken.schema}.setting ADD COLUMN note int")
    add_revision(monkeypatch, tmp_path)
    monkeypatch.setattr(upgrading, "TENANT_HEAD", NEXT)
    with pytest.raises(SetupError) as caught:
        await upgrading.upgrade(store.app_url, store.owner_url)
    assert caught.value.say.key == "setup.upgrade_failed"
    assert broken.schema in caught.value.say.params["schemas"]
    assert NEXT not in (await versions(store))[broken.schema]


async def test_database_that_is_not_there_is_said_without_its_password(store: Store) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        async with Database.open("postgresql://it0:geheim@127.0.0.1:1/it0", timeout_s=2):
            pass
    assert "geheim" not in str(caught.value)
