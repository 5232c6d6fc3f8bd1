"""Audit rows as the page shows them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from support.place import built
from support.store import Store

from bot.console.audited import audit_json, known_to
from bot.texts.catalogue import load_catalogue
from core.audit import Entry

ROOT = Path(__file__).parents[2]
RECORDERS = ("Entry", "_entry", "note", "_note", "_record")
BY_VERB = {"approval.approve", "approval.reject", "tenant.delete", "tenant.restore", "tenant.suspend"}
"""Actions that the code puts together."""


async def test_server_that_was_removed_keeps_its_name_in_the_audit_log(store: Store) -> None:
    async with built(store) as place:
        tenant = place.tenant
        [server] = await place.app.fleet.servers(tenant)
        await place.app.fleet.remove_server(tenant, place.ann, server)
        rows = await tenant.audit.page()
        async with tenant.reading() as db:
            known = await known_to(db, rows)
        assert known.servers == {server.id: "web"}
        assert {audit_json(row, known, "en")["about"] for row in rows} == {"web"}


async def test_who_asked_stands_beside_it0_and_a_grant_is_called_by_its_code(store: Store) -> None:
    async with built(store) as place:
        tenant, at = place.tenant, store.clock()
        about = {"requester": place.ann.id, "command": "rm -rf /"}
        await tenant.audit.append(Entry("command.refused", "agent", detail=about), at)
        given = {"code": "A7-493", "requester": place.ann.id}
        await tenant.audit.append(Entry("grant.void", "system", None, None, "grant", "id", detail=given), at)
        rows = await tenant.audit.page()
        async with tenant.reading() as db:
            known = await known_to(db, rows)
        told = {row["action"]: audit_json(row, known, "en") for row in rows}
        assert told["command.refused"]["actor"] == "it0 (ann)"
        assert told["grant.void"]["about"] == "A7-493"


def recorded(tree: ast.AST) -> Iterator[str]:
    """Yield what a module passes to those who record, and what it calls an action."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in RECORDERS:
                given = args
            case ast.Assign(targets=[ast.Name(id="action")], value=value):
                given = [value]
            case _:
                continue
        for each in given:
            either = [each.body, each.orelse] if isinstance(each, ast.IfExp) else [each]
            yield from (
                one.value for one in either if isinstance(one, ast.Constant) and "." in str(one.value)
            )


def test_every_action_on_record_has_words_on_the_audit_page() -> None:
    files = [file for room in ("agent", "bot", "core") for file in (ROOT / room).rglob("*.py")]
    actions = {action for file in files for action in recorded(ast.parse(file.read_text()))} | BY_VERB
    assert {"user.admit", "command.result", "tenant.halt", "user.sign_in_refused"} <= actions
    worded = load_catalogue().starting_with(("console.audit.",), "zh")
    assert {f"console.audit.{action}" for action in actions} == set(worded)
