"""Every statement fits the migrated schema, and none that belongs to a tenant can do without one."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from support.store import Store

import core.store
from bot.embedded.postgres import APP
from core.store import tables
from core.store.database import Statement
from core.store.statements import of_tenant, param

ROOT = Path(__file__).parents[2]
MODULES = [
    *(f"core.store.{module.name}" for module in pkgutil.iter_modules(core.store.__path__)),
    "core.audit",
    "core.tenant",
]
OF_ONES_OWN = {"core.store.schema", "core.store.migrations"}
"""Alembic's modules hold no statements of the application."""


def statements() -> dict[str, Statement]:
    """Return every statement that a module holds."""
    found: dict[str, Statement] = {}
    for name in set(MODULES) - OF_ONES_OWN:
        for key, value in vars(importlib.import_module(name)).items():
            several = value if isinstance(value, tuple | list) else (value,)
            for number, each in enumerate(several):
                if isinstance(each, Statement):
                    found[f"{name}.{key}" + (f"[{number}]" if number else "")] = each
    return dict(sorted(found.items()))


STATEMENTS = statements()


def test_statements_are_found() -> None:
    assert len(STATEMENTS) > 100
    assert {"core.audit.APPEND", "core.store.people.USE_LINK", "core.store.inbox.CLAIM_LANED"} <= set(
        STATEMENTS
    )


def is_of_tenant(statement: Statement) -> bool:
    """Return whether it needs a tenant."""
    try:
        statement.on("")
    except RuntimeError:
        return True
    return False


@pytest.fixture(scope="module")
async def connection(module_store: Store) -> Any:
    """Return a connection of the application's role."""
    async with module_store.connection(APP) as open_one:
        yield open_one


@pytest.mark.parametrize("name", STATEMENTS)
async def test_statement_is_prepared_and_allowed_on_the_migrated_schema(
    module_store: Store, connection: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    schema = (await module_store.first()).schema
    sql, names, constants = STATEMENTS[name].on(schema if is_of_tenant(STATEMENTS[name]) else "")
    prepared = await connection.prepare(sql)
    assert len(prepared.get_parameters()) == len(names)
    assert set(constants) <= set(names)
    await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")  # looks at the role's rights too


@pytest.mark.parametrize("name", [name for name, each in STATEMENTS.items() if is_of_tenant(each)])
def test_statement_of_a_tenant_names_its_schema_and_its_id(name: str) -> None:
    sql, names, _ = STATEMENTS[name].on("it0_t_abc")
    assert "tenant_id" in names
    assert "it0_t_abc." in sql
    assert not re.search(r"(?<![.\w])tenant\.", sql.replace('"', ""))


S, C, E = tables.servers, tables.conversations, tables.events
LOOSE = {
    "select": select(S.c.name),
    "alias": select(S.alias("s").c.name),
    "count": select(func.count()).select_from(S),
    "join": select(C.c.id).join(E, E.c.conversation_id == C.c.id),
    "join with a shared table": select(C.c.id).join(tables.lanes, tables.lanes.c.conversation_id == C.c.id),
    "subquery": select(tables.tenants.c.id).where(tables.tenants.c.id.in_(select(S.c.id))),
    "exists": select(literal_column("1")).where(exists(select(S.c.id))),
    "cte": select(select(S.c.id).cte("c").c.id),
    "insert": insert(S).values({S.c.id: param("id")}),
    "insert from select": insert(tables.strangers).from_select(["external_id"], select(S.c.id)),
    "upsert": upsert(S).values({S.c.id: param("id")}).on_conflict_do_nothing(),
    "update": update(S).where(S.c.id == param("id")).values(name="x"),
    "delete": delete(S),
    "quoted name": select(tables.users.c.name),
    "tenant's id as a constant": select(S.c.name).where(S.c.tenant_id == "t1"),
}


@pytest.mark.parametrize("clause", LOOSE.values(), ids=LOOSE)
def test_statement_without_tenant_or_without_its_id_is_refused(clause: Any) -> None:
    with pytest.raises(RuntimeError, match=r"needs a tenant's transaction|must name tenant_id"):
        Statement(clause).on("it0_t_abc")
    with pytest.raises(RuntimeError, match="needs a tenant's transaction"):
        Statement(clause).on("")


async def test_statement_of_a_tenant_does_not_run_in_a_shared_transaction(module_store: Store) -> None:
    statement = Statement(select(S.c.name).where(of_tenant(S)))
    async with module_store.database.transaction() as tx:
        with pytest.raises(RuntimeError, match="needs a tenant's transaction"):
            await tx.all(statement, tenant_id="ready0")


async def test_tenants_id_comes_from_the_handle_whatever_a_caller_gives(module_store: Store) -> None:
    tenant, other = await module_store.first(), await module_store.second()
    statement = Statement(select(bindparam("tenant_id", type_=S.c.id.type)).select_from(tables.tenants))
    async with tenant.transaction() as tx:
        assert await tx.value(statement, tenant_id=other.id) == tenant.id
        await tx.many(
            Statement(insert(tables.strangers).values(tenants_place())),
            [{"tenant_id": other.id, "external_id": "x", "told_at": module_store.clock()}],
        )
    told = await module_store.as_owner("SELECT installation_id FROM it0_shared.stranger")
    assert [row["installation_id"] for row in told] == [tenant.id]


def tenants_place() -> dict[Any, Any]:
    """Return a row whose first column takes the tenant's id."""
    table = tables.strangers
    moment = param("told_at", table.c.told_at.type)
    return {
        table.c.installation_id: param("tenant_id"),
        table.c.external_id: param("external_id"),
        table.c.told_at: moment,
    }


PRODUCT = ("agent", "bot", "channels", "core", "scheduler", "skills", "voice")
MAKES_SCHEMAS = (
    "core/store/schema.py",
    "core/store/provisioning.py",
    "core/store/migrations/",
    "bot/embedded/postgres.py",
)
RAW_CALLS = {"text", "exec_driver_sql", "DDL"}
DRIVER_CALLS = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor"}
DRIVERS_PLACE = ("core/store/database.py",)


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield (path, tree) of every file of the product that does not make schemas."""
    for room in PRODUCT:
        for file in (ROOT / room).rglob("*.py"):
            path = str(file.relative_to(ROOT))
            if not path.startswith(MAKES_SCHEMAS):
                yield path, ast.parse(file.read_text("utf-8"))


def inside_functions(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes that run after import."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return {id(node) for each in ast.walk(tree) if isinstance(each, functions) for node in ast.walk(each)}


def imports_from_sqlalchemy(tree: ast.Module) -> set[str]:
    """Return the names that come from SQLAlchemy."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name
        for node in found
        if (node.module or "").startswith("sqlalchemy")
        for alias in node.names
    }


def test_no_raw_sql_stands_outside_the_modules_that_make_schemas() -> None:
    wrong = []
    for path, tree in sources():
        raw = imports_from_sqlalchemy(tree) & RAW_CALLS
        if raw and path != "core/store/tables.py":
            wrong.append(f"{path}: imports {raw}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in RAW_CALLS and "sqlalchemy" in ast.unparse(node.func.value):
                    wrong.append(f"{path}:{node.lineno}: {ast.unparse(node.func)}")
                if node.func.attr in DRIVER_CALLS and path not in DRIVERS_PLACE:
                    wrong.append(f"{path}:{node.lineno}: {ast.unparse(node.func)}")
    assert wrong == []


SQL = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE \S+ SET|DELETE FROM|SET (LOCAL|ROLE|SESSION)|ALTER|DROP|CREATE) "
)


def test_no_sql_is_put_together_as_text() -> None:
    wrong = []
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
                wrong.append(f"{path}:{node.lineno}: {node.value[:40]!r}")
    assert wrong == []


def test_literal_columns_are_written_at_import_or_are_constants() -> None:
    wrong = []
    for path, tree in sources():
        late = inside_functions(tree)
        for node in ast.walk(tree):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in ("literal_column", "text") and name in imports_from_sqlalchemy(tree):
                assert isinstance(node, ast.Call)
                plain = all(isinstance(argument, ast.Constant) for argument in node.args)
                if id(node) in late and not plain and path != "core/store/tables.py":
                    wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_nobody_sets_a_search_path() -> None:
    assert [path for path, tree in sources() if "search_path" in ast.unparse(tree)] == []
