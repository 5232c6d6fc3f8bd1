"""Asking the audit log: its filters, who may ask, how rows are told, and what the direct engine reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.tools import ScriptedTools, server
from pydantic import ValidationError
from support.bench import Bench, key_of, make_bench
from support.store import Store, add_user

from agent.engine import Answer, Completed, Request
from agent.engines.direct import Direct, read
from agent.engines.targets import Intent, Suggestion
from agent.tools.audit import AuditArguments, moment_of
from core.audit import Entry
from core.errors import BadInput
from core.messages import Code
from core.work import Role, User

FLEET = [server("web-1", role="web"), server("db-3", "prod", "db")]


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench where ann runs things on web, a command waits, and bob changed the language days ago."""
    made = await make_bench(store)
    tenant, clock = made.work.tenant, store.clock
    bob = await add_user(tenant, clock, "Bob")
    for number in range(3):
        entry = Entry(
            "user.language", "user", bob.id, None, "user", bob.id, "console", detail={"name": "Bob"}
        )
        await tenant.audit.append(entry, clock() - timedelta(days=3 - number))
    await made.knows("127.0.0.1")
    await made("run_command", command="uptime", servers=["web"])
    await made("run_command", command="systemctl restart nginx", servers=["web"])
    return made


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """Return the rows of an answer, which are also what is shown."""
    rows: list[dict[str, Any]] = answer.data["rows"]
    shown = "\n".join(part.code for part in answer.parts if isinstance(part, Code))
    assert [line.split()[0] for line in shown.splitlines()] == [f"#{row['no']}" for row in rows]
    return rows


async def test_who_touched_a_server_is_answered_with_numbers_times_and_commands(bench: Bench) -> None:
    rows = rows_of(await bench("ask_audit", server="web"))
    assert [(row["action"], row["actor"], row["command"]) for row in rows] == [
        ("approval.asked", "ann", "systemctl restart nginx"),
        ("command.result", "ann", "uptime"),
        ("command.intent", "ann", "uptime"),
        ("server.add", "ann", "web"),
    ]
    assert [row["servers"] for row in rows] == [["web"]] * 4
    stored = [row["seq"] async for row in bench.work.tenant.audit.rows()]
    assert [row["no"] for row in rows] == sorted(stored, reverse=True)[:4]


async def test_fate_of_a_request_belongs_to_its_server(bench: Bench) -> None:
    asked = rows_of(await bench("ask_audit", action="approval.asked"))[0]
    audit = bench.work.tenant.audit
    found = next(iter([row async for row in audit.rows() if row["seq"] == asked["no"]]))
    entry = Entry("approval.cancelled", "user", bench.work.user.id, None, "approval", found["resource_id"])
    number = await audit.append(entry, bench.store.clock())
    assert number in [row["no"] for row in rows_of(await bench("ask_audit", server="web"))]


async def test_removed_server_can_be_asked_for(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.remove_server(tenant, user, await bench.fleet.server(tenant, "web"))
    assert len(rows_of(await bench("ask_audit", server="web"))) == 5


@pytest.mark.parametrize(
    ("filters", "actions"),
    [
        ({"who": "bob"}, ["user.language"] * 3),
        ({"who": "Bob", "since": "60h"}, ["user.language"] * 2),
        ({"who": "Bob", "limit": 1}, ["user.language"]),
        ({"who": "Bob", "server": "web"}, []),
        ({"action": "command"}, ["command.result", "command.intent"]),
        ({"action": "approval, server.add"}, ["approval.asked", "server.add"]),
        ({"action": "%"}, []),
        ({"action": "nothing_such"}, []),
        ({"until": "1h"}, ["user.language"] * 3),
        ({"since": "today", "who": "Bob"}, []),
    ],
)
async def test_filters_narrow(bench: Bench, filters: dict[str, Any], actions: list[str]) -> None:
    answer = await bench("ask_audit", **filters)
    assert answer.status == "done"
    if not actions:
        assert key_of(answer) == "audit.none"
    assert [row["action"] for row in rows_of(answer)] == actions
    assert answer.data["more"] is (filters.get("limit") == 1)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
async def test_only_admins_may_ask(bench: Bench, role: Role) -> None:
    bench.as_role(role)
    answer = await bench("ask_audit")
    assert (answer.status, key_of(answer), answer.data) == ("refused", "error.admins_only", {})


async def test_another_tenants_rows_are_not_found(bench: Bench) -> None:
    other = await bench.store.second()
    await other.audit.append(Entry("secret.of_other", "system"), bench.store.clock())
    assert rows_of(await bench("ask_audit", action="secret.of_other")) == []


async def test_hostile_command_stays_in_its_row(bench: Bench) -> None:
    detail = {"command": "echo a\n#99  2026-01-01 00:00:00  root  command.intent\r\x1b[2J" + "x" * 1000}
    await bench.work.tenant.audit.append(
        Entry("command.refused", "agent", detail=detail), bench.store.clock()
    )
    (row,) = rows_of(await bench("ask_audit", action="command.refused"))
    assert len(row["command"]) == 300
    assert row["command"].isprintable()


async def test_secret_that_was_stored_later_is_not_shown(bench: Bench) -> None:
    secret = "hunter2-Secret"
    detail = {"command": f"mysql -p{secret}"}
    await bench.work.tenant.audit.append(
        Entry("command.refused", "agent", detail=detail), bench.store.clock()
    )
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.credentials.add(tenant, user, "pw", "ssh_password", secret.encode())
    answer = await bench("ask_audit")
    assert secret not in str(answer)
    assert "‹redacted›" in str(answer)


@pytest.mark.parametrize(
    ("filters", "key"),
    [
        ({"who": "nobody"}, "audit.no_such_person"),
        ({"who": "'; DROP TABLE audit; --"}, "audit.no_such_person"),
        ({"server": "web' OR 1=1"}, "error.no_such_server"),
        ({"since": "soon"}, "audit.bad_time"),
        ({"since": "999999h"}, "audit.bad_time"),
        ({"until": "0001-01-01T00:00+14:00"}, "audit.bad_time"),
        ({"limit": 51}, "tool.bad_arguments"),
        ({"limit": 0}, "tool.bad_arguments"),
        ({"who": ""}, "tool.bad_arguments"),
        ({"server": "a\nb"}, "tool.bad_arguments"),
        ({"sql": "SELECT 1"}, "tool.bad_arguments"),
    ],
)
async def test_wrong_filter_is_refused_with_a_sentence(
    bench: Bench, filters: dict[str, Any], key: str
) -> None:
    answer = await bench("ask_audit", **filters)
    assert (answer.status, key_of(answer)) == ("refused", key)


@pytest.mark.parametrize("field", ["who", "server", "action", "since", "until"])
def test_nul_is_no_filter(field: str) -> None:
    with pytest.raises(ValidationError):
        AuditArguments.model_validate({field: "a\0"})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", datetime(2026, 3, 9, 15, 30, tzinfo=UTC)),
        ("90m", datetime(2026, 3, 10, 14, 0, tzinfo=UTC)),
        ("2W", datetime(2026, 2, 24, 15, 30, tzinfo=UTC)),
        ("today", datetime(2026, 3, 10, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 3, 9, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T14:00+02:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert moment_of(text, datetime(2026, 3, 10, 15, 30, tzinfo=UTC)) == moment
    with pytest.raises(BadInput):
        moment_of(f"{text} ago", moment)


# --- what the direct engine reads --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("/audit", {}),
        ("/audit ann", {"who": "ann"}),
        ('/audit "Ann Lee" server=DB-3 since=24h', {"who": "Ann Lee", "server": "db-3", "since": "24h"}),
        ("/audit server=gone action=command limit=50", {"server": "gone", "action": "command", "limit": 50}),
        ("/audit since=yesterday until=today", {"since": "yesterday", "until": "today"}),
        ("who touched db-3?", {"server": "db-3"}),
        ("who touched db-3 yesterday?", {"server": "db-3", "since": "yesterday", "until": "today"}),
        ("who changed web-1 today", {"server": "web-1", "since": "today"}),
        ("谁动过 db-3？", {"server": "db-3"}),
        ("昨天谁动过 db-3", {"server": "db-3", "since": "yesterday", "until": "today"}),
        ("今天谁改了 db-3", {"server": "db-3", "since": "today"}),
    ],
)
def test_a_text_asks_the_audit_log(text: str, arguments: dict[str, Any]) -> None:
    assert read(text, FLEET) == Intent("ask_audit", arguments)
    AuditArguments.model_validate(arguments)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/audit ann bob", "direct.usage"),
        ('/audit "ann', "direct.usage"),
        ("/audit colour=red", "direct.bad_option"),
        ("/audit since=", "direct.bad_option"),
        ("/audit limit=51", "direct.bad_limit"),
        ("/audit 'a\nb'", "direct.bad_option"),
        ("/audit 'a\0b'", "direct.bad_option"),
        ("who touched", "direct.not_understood"),
        ("who touched dv-3", "direct.unknown_server_near"),
        ("who touched db-3 today and yesterday", "direct.not_understood_word"),
        ("disk on db-3 yesterday", "direct.not_understood_word"),
        ("昨天 db-3 的磁盘", "direct.not_understood_word"),
        ("restart nginx on db-3 today", "direct.not_understood_word"),
    ],
)
def test_what_is_not_clear_asks_nothing(text: str, key: str) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Suggestion), reading
    assert reading.parts[0].key == key


async def test_operator_is_told_so_before_anything_is_called() -> None:
    tools = ScriptedTools(FLEET)
    for text in ("/audit", "who touched db-3"):
        request = Request("t1", "c1", User("u1", "Ann", Role.OPERATOR, "en"), text)
        (last,) = [event async for event in Direct().turn(request, tools)]
        assert isinstance(last, Completed)
        assert getattr(last.parts[0], "key", "") == "error.admins_only"
    assert tools.calls == []
