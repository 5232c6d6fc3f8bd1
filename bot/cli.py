"""The command ``it0``: exit 0 done, 1 refused or failed with one sentence on stderr, 2 usage."""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import click

from bot.catalogue import load_catalogue
from core.errors import It0Error, SetupError
from core.settings import load_settings
from core.texts import as_language

SECRET_LIMIT = 65_536


def fail(error: It0Error, language: str | None = None) -> None:
    """Say what went wrong, in one sentence, and leave with exit code 1."""
    words = load_catalogue()(error.say, as_language(language or _language()))
    click.echo(f"it0: {words}", err=True)
    sys.exit(1)


def _language() -> str:
    try:
        return load_settings().it0_language
    except SetupError:
        return "en"


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a command's work; an error of it0's own becomes one sentence and exit code 1."""
    try:
        return asyncio.run(_awaited(work))
    except It0Error as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
    return None


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


def start_fast() -> None:
    """Look for garbage only once the process is up (bot.running): it took a sixth of the start."""
    gc.disable()


def show(as_json: bool, data: Any, text: str) -> None:
    """Print ``data`` as JSON, or ``text``."""
    click.echo(json.dumps(data, ensure_ascii=False, default=str) if as_json else text)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="it0")
def main() -> None:
    """it0: an operations agent that looks after your servers, and asks before it acts."""


@main.command()
def up() -> None:
    """Run everything in one process, with its own PostgreSQL and Valkey unless URLs are set."""
    start_fast()
    from bot.up import up as run_up

    run(run_up)


@main.command()
def bot() -> None:
    """Run the bot: HTTP, channels, turns. Needs DATABASE_URL and keys."""
    start_fast()
    from bot.roles import serve

    run(lambda: serve("bot"))


@main.command()
def worker() -> None:
    """Run the worker: timers and standing orders. Needs DATABASE_URL and keys."""
    start_fast()
    from bot.roles import serve

    run(lambda: serve("worker"))


@main.command()
def migrate() -> None:
    """Bring every schema to this program's version (DATABASE_ADMIN_URL); a line for each."""
    from bot.roles import migrate as run_migrate

    if not run(run_migrate):
        sys.exit(1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Look at everything that it0 stands on."""
    from bot.admin import doctor as run_doctor

    report = run(run_doctor)
    texts, language = load_catalogue(), as_language(_language())
    lines = [f"{f.state.upper():8} {f.name}: {texts(f.words, language)}" for f in report]
    show(as_json, [finding.as_json(texts) for finding in report], "\n".join(lines))
    if any(finding.state == "failed" for finding in report):
        sys.exit(1)


@main.command()
def classify() -> None:
    """Judge commands: one JSON value per line on stdin, one JSON object per line on stdout."""
    from agent.risk import classify as judge

    texts = load_catalogue()
    for line in filter(bytes.strip, sys.stdin.buffer):
        asked = _asked(line)
        if asked is None:
            wrong = "not a command: a JSON string, or an object with command, environment, count"
            click.echo(json.dumps({"error": wrong}))
            continue
        verdict = judge(*asked)
        found = {
            "level": int(verdict.level),
            "reasons": [texts(reason, "en") for reason in verdict.reasons],
            "part": verdict.part,
            "rules": verdict.rules,
        }
        click.echo(json.dumps(found))  # in ASCII: any terminal takes it, and a half surrogate too


def _asked(line: bytes) -> tuple[str, str, int] | None:
    """Return (command, environment, count) of one line, or None if it is none."""
    try:
        given = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    asked = {"command": given} if isinstance(given, str) else given
    match asked:
        case {"command": str(command), **rest}:
            environment, count = rest.get("environment", "dev"), rest.get("count", 1)
            if environment in ("dev", "staging", "prod") and type(count) is int and count >= 1:
                return command, environment, count
    return None


def _tenant_option(function: Any) -> Any:
    function = click.option("--tenant", default="default", show_default=True, help="The tenant's slug.")(
        function
    )
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def _secret(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(SECRET_LIMIT + 1)
    try:
        return Path(path).expanduser().read_bytes()[: SECRET_LIMIT + 1]
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from error


@main.group()
def user() -> None:
    """People: add, list, change, and make sign-in links."""


@user.command("add")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(["viewer", "operator", "admin"]))
@click.option("--language", type=click.Choice(["en", "zh"]), default="en")
@_tenant_option
def user_add(name: str, role: str, language: str, tenant: str, as_json: bool) -> None:
    """Add a person."""
    from bot import admin

    added = run(lambda: admin.add_user(tenant, name, role, as_language(language)))
    show(as_json, {"id": added.id, "name": added.name, "role": added.role}, f"{name} may come in as {role}.")


@user.command("link")
@click.argument("name")
@_tenant_option
def user_link(name: str, tenant: str, as_json: bool) -> None:
    """Print a one-time sign-in link for the console."""
    from bot import admin

    link = run(lambda: admin.user_link(tenant, name))
    show(as_json, {"link": link}, link)


@user.command("list")
@_tenant_option
def user_list(tenant: str, as_json: bool) -> None:
    """List the people."""
    from bot import admin

    found = run(lambda: admin.users(tenant))
    rows = [{"name": u.name, "role": u.role, "language": u.language, "active": u.active} for u in found]
    show(as_json, rows, "\n".join(f"{u.name:20} {u.role:10} {'' if u.active else 'inactive'}" for u in found))


@user.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]))
@click.option("--active/--inactive", default=None)
@_tenant_option
def user_change(name: str, role: str | None, active: bool | None, tenant: str, as_json: bool) -> None:
    """Change a person's role, or let them out or in again."""
    from bot import admin

    run(lambda: admin.change_user(tenant, name, role, active))
    show(as_json, {"name": name}, f"{name} is changed.")


@main.group()
def pair() -> None:
    """Pairing codes for chat accounts."""


@pair.command("new")
@click.option("--user", "name", required=True)
@_tenant_option
def pair_new(name: str, tenant: str, as_json: bool) -> None:
    """Print a one-time code, which the person sends to the bot."""
    from bot import admin

    code = run(lambda: admin.pairing_code(tenant, name))
    show(as_json, {"code": code}, code)


@main.group()
def credential() -> None:
    """Credentials: add, list, revoke, rotate. A secret comes from a file or stdin, never as an argument."""


@credential.command("add")
@click.argument("name")
@click.option(
    "--type", "kind", required=True, type=click.Choice(["ssh_key", "ssh_password", "token", "kubeconfig"])
)
@click.option("--file", "path", required=True, help="A file, or - for standard input.")
@_tenant_option
def credential_add(name: str, kind: str, path: str, tenant: str, as_json: bool) -> None:
    """Seal a secret in the vault."""
    from bot import admin

    secret = _secret(path)
    shown = run(lambda: admin.add_credential(tenant, name, kind, secret))
    show(as_json, {"name": name, "fingerprint": shown}, f"{name} is sealed. {shown}".strip())


@credential.command("list")
@_tenant_option
def credential_list(tenant: str, as_json: bool) -> None:
    """List credentials, never their secrets."""
    from bot import admin

    rows = run(lambda: admin.credentials(tenant))
    lines = [f"{r['name']:20} {r['kind']:14} {r['fingerprint']}" for r in rows]
    show(as_json, rows, "\n".join(lines))


@credential.command("revoke")
@click.argument("name")
@_tenant_option
def credential_revoke(name: str, tenant: str, as_json: bool) -> None:
    """Destroy a secret."""
    from bot import admin

    using = run(lambda: admin.revoke_credential(tenant, name))
    note = f" Servers without a credential now: {', '.join(using)}." if using else ""
    show(as_json, {"name": name, "servers": list(using)}, f"{name} is revoked.{note}")


@credential.command("rotate")
@_tenant_option
def credential_rotate(tenant: str, as_json: bool) -> None:
    """Seal every secret anew under the newest key of VAULT_MASTER_KEY ("new,old")."""
    from bot import admin

    count = run(lambda: admin.rotate(tenant))
    show(as_json, {"resealed": count}, f"{count} secrets are sealed under the newest key.")


@main.group()
def server() -> None:
    """Servers: add, list, check, trust, remove."""


@server.command("add")
@click.argument("name")
@click.option("--host", required=True)
@click.option("--port", default=22, show_default=True)
@click.option("--user", "ssh_user", required=True)
@click.option("--credential", required=True)
@click.option(
    "--environment", type=click.Choice(["dev", "staging", "prod"]), default="dev", show_default=True
)
@click.option("--role", type=click.Choice(["web", "db", "cache", "worker", "gateway"]))
@click.option("--jump", default="", help="The server before it.")
@click.option("--tag", "tags", multiple=True, metavar="K=V")
@click.option("--description", default="")
@click.option("--restricted", is_flag=True, help="Its shell takes bare commands only.")
@click.option("--shell", type=click.Choice(["bash", "sh"]), default="bash", show_default=True)
@click.option("--trust", default="", metavar="SHA256:…", help="Pin the host key if it has this fingerprint.")
@_tenant_option
def server_add(
    tenant: str, as_json: bool, trust: str, tags: tuple[str, ...], ssh_user: str, **given: Any
) -> None:
    """Add a server. Without --trust its key waits for `it0 server trust`."""
    from agent.fleet import NewServer
    from bot import admin

    pairs = dict(tag.partition("=")[::2] for tag in tags)
    new = NewServer(user=ssh_user, tags=pairs, **given)
    added, shown = run(lambda: admin.add_server(tenant, new, trust))
    state = (
        "It is trusted." if added.host_key else f"Compare the key, then: it0 server trust {new.name} {shown}"
    )
    show(
        as_json,
        {"name": added.name, "fingerprint": shown, "status": added.status},
        f"{added.name}: {shown}\n{state}",
    )


@server.command("trust")
@click.argument("name")
@click.argument("fingerprint")
@_tenant_option
def server_trust(name: str, fingerprint: str, tenant: str, as_json: bool) -> None:
    """Pin the host key that the server shows, if it has this fingerprint."""
    from bot import admin

    run(lambda: admin.trust_server(tenant, name, fingerprint))
    show(as_json, {"name": name, "status": "active"}, f"{name} is trusted.")


@server.command("distrust")
@click.argument("name")
@_tenant_option
def server_distrust(name: str, tenant: str, as_json: bool) -> None:
    """Drop the pinned host key, so that a new one can be confirmed."""
    from bot import admin

    shown = run(lambda: admin.distrust_server(tenant, name))
    show(
        as_json,
        {"name": name, "fingerprint": shown},
        f"{name} shows {shown}. To trust it: it0 server trust {name} {shown}",
    )


@server.command("list")
@_tenant_option
def server_list(tenant: str, as_json: bool) -> None:
    """List the servers."""
    from agent.tools.servers import line_of
    from bot import admin

    found = run(lambda: admin.servers(tenant))
    rows = [
        {
            "name": s.name,
            "host": s.host,
            "port": s.port,
            "user": s.ssh_user,
            "environment": s.environment,
            "status": s.status,
        }
        for s in found
    ]
    show(as_json, rows, "\n".join(line_of(s) for s in found))


@server.command("check")
@click.argument("name")
@_tenant_option
def server_check(name: str, tenant: str, as_json: bool) -> None:
    """Connect and log in, and say how that went."""
    from bot import admin

    ok, words, shown = run(lambda: admin.check_server(tenant, name))
    text = load_catalogue()(words, as_language(_language()))
    show(as_json, {"ok": ok, "message": text, "fingerprint": shown}, text)
    if not ok:
        sys.exit(1)


@server.command("remove")
@click.argument("name")
@_tenant_option
def server_remove(name: str, tenant: str, as_json: bool) -> None:
    """Remove a server."""
    from bot import admin

    run(lambda: admin.remove_server(tenant, name))
    show(as_json, {"name": name}, f"{name} is removed.")


@main.group()
def approval() -> None:
    """Approvals: list and decide."""


@approval.command("list")
@click.option("--status", default="pending", show_default=True)
@_tenant_option
def approval_list(status: str, tenant: str, as_json: bool) -> None:
    """List approvals."""
    from bot import admin

    found = run(lambda: admin.approvals(tenant, status))
    rows = [
        {"id": a.id, "code": a.code, "level": int(a.level), "command": a.action.command, "status": a.status}
        for a in found
    ]
    show(
        as_json,
        rows,
        "\n".join(f"{r['id']}  {r['code']}  L{r['level']}  {r['status']:9} {r['command']}" for r in rows),
    )


def _decide(verdict: Literal["approve", "reject"]) -> Any:
    @approval.command(verdict, help=f"{verdict.capitalize()} a request, by its id or code.")
    @click.argument("approval_id", metavar="ID")
    @click.option("--as", "name", required=True, metavar="USER", help="Who decides.")
    @_tenant_option
    def decide(approval_id: str, name: str, tenant: str, as_json: bool) -> None:
        from bot import admin

        status = run(lambda: admin.decide(tenant, name, approval_id, verdict))
        show(as_json, {"id": approval_id, "status": status}, f"{approval_id}: {status}")

    return decide


_decide("approve")
_decide("reject")


@main.group()
def tenant() -> None:
    """Tenants: create, list."""


@tenant.command("create")
@click.argument("slug")
@click.option("--name", default="")
@click.option(
    "--plan", default="self-hosted", type=click.Choice(["self-hosted", "free", "pro", "enterprise"])
)
@click.option("--json", "as_json", is_flag=True)
def tenant_create(slug: str, name: str, plan: str, as_json: bool) -> None:
    """Make a tenant with its schema (DATABASE_ADMIN_URL)."""
    from bot import admin

    made = run(lambda: admin.create_tenant(slug, name or slug, plan))
    show(
        as_json,
        {"id": made, "slug": slug},
        f"{slug} is made. Next: it0 user add NAME --role admin --tenant {slug}",
    )


@tenant.command("list")
@click.option("--json", "as_json", is_flag=True)
def tenant_list(as_json: bool) -> None:
    """List the tenants."""
    from bot import admin

    rows = run(admin.tenants)
    show(as_json, rows, "\n".join(f"{r['slug']:20} {r['plan']:12} {r['status']}" for r in rows))


@tenant.command("set")
@click.argument("key", type=click.Choice(["four_eyes", "approvals_needed", "language"]))
@click.argument("value")
@_tenant_option
def tenant_set(key: str, value: str, tenant: str, as_json: bool) -> None:
    """Change a tenant's setting: four_eyes on|off, approvals_needed N, language en|zh."""
    from bot import admin

    run(lambda: admin.set_preference(tenant, key, value))
    show(as_json, {"key": key, "value": value}, f"{key} is {value}.")


@main.group()
def audit() -> None:
    """The audit log: verify, export."""


@audit.command("verify")
@_tenant_option
def audit_verify(tenant: str, as_json: bool) -> None:
    """Check the chain; every row that is not as it was written is named."""
    from bot import admin

    count, faults = run(lambda: admin.verify_audit(tenant))
    data = {"rows": count, "faults": [{"seq": f.seq, "kind": f.kind} for f in faults]}
    lines = [f"row {f.seq}: {f.kind}" for f in faults] or [
        f"{count} rows, none changed, removed or put between."
    ]
    show(as_json, data, "\n".join(lines))
    if faults:
        sys.exit(1)


@audit.command("export")
@_tenant_option
def audit_export(tenant: str, as_json: bool) -> None:
    """Print every row, one JSON object a line."""
    from bot import admin

    run(lambda: admin.export_audit(tenant, click.echo))
