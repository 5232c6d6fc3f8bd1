"""The command ``it0``: exit 0 done, 1 refused or failed with one sentence on stderr, 2 usage."""

import gc
import json
import sys
from typing import Any

import click

from bot.commands import (
    approvals,
    audit,
    channels,
    clusters,
    credentials,
    imports,
    keys,
    people,
    policies,
    servers,
    tenants,
)
from bot.commands.terminal import Group, fail, json_option, run, run_process, show, table, words_of
from bot.texts.visible import listed
from core.texts import say


def start_fast() -> None:
    """Look for garbage only once the process is up (bot.process.running): it took a sixth of the start."""
    gc.disable()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="it0")
def main() -> None:
    """it0: an operations agent that looks after your servers, and asks before it acts."""


@main.command()
def up() -> None:
    """Run everything in one process. PostgreSQL and Valkey come with it unless URLs are set."""
    start_fast()
    from bot.process.up import up as run_up

    run_process(run_up)


@main.command()
def bot() -> None:
    """Run the bot: HTTP, channels, turns. Needs DATABASE_URL and keys."""
    start_fast()
    from bot.process.roles import serve

    run_process(lambda: serve("bot"))


@main.command()
def worker() -> None:
    """Run the worker: what is due at its time. Needs DATABASE_URL and keys."""
    start_fast()
    from bot.process.roles import serve

    run_process(lambda: serve("worker"))


@main.command()
def migrate() -> None:
    """Bring every schema to this program's version. Needs DATABASE_ADMIN_URL; prints a line for each."""
    from bot.process.roles import migrate as run_migrate

    if not run(run_migrate):
        fail(say("cli.migrate_failed"))


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Look at everything that it0 stands on."""
    from bot.admin.records import doctor as run_doctor
    from bot.texts.catalogue import load_catalogue

    report = run(run_doctor)
    lines = [(finding.state.upper(), finding.name, words_of(finding.words)) for finding in report]
    data = [finding.as_json(load_catalogue()) for finding in report]
    show(as_json, data, table(("STATE", "PART", "FINDING"), lines, say("cli.nothing_looked_at")))
    failed = [finding.name for finding in report if finding.state == "failed"]
    if failed:
        fail(say("cli.doctor_failed", parts=listed(failed)))


@main.command()
@click.option("--tenant", default="", help="Judge by this tenant's policy and servers; needs its database.")
@click.option("--policy", "file", type=click.File("r", encoding="utf-8"), help="Judge by this policy.")
def classify(tenant: str, file: Any) -> None:
    """Judge commands by their risk. One JSON value per line on stdin, one JSON object per line on stdout."""
    from bot.commands.classifying import judge_of
    from bot.texts.catalogue import load_catalogue

    judge, texts, wrong = judge_of(tenant, file), load_catalogue(), 0
    for line in filter(bytes.strip, sys.stdin.buffer):
        asked = _asked(line)
        if asked is None:
            wrong += 1
            form = "not a command: a JSON string, or an object with command, environment, count"
            click.echo(json.dumps({"error": form}))
            continue
        verdict = judge(*asked)
        found = {
            "level": int(verdict.level),
            "reasons": [texts(reason, "en") for reason in verdict.reasons],
            "part": verdict.part,
            "rules": verdict.rules,
            "policy": verdict.policy,
            "entry": verdict.entry,
            "hosts": list(verdict.hosts),
        }
        click.echo(json.dumps(found))  # in ASCII: any terminal takes it, and a half surrogate too
    if wrong:
        fail(say("cli.not_commands", count=wrong))


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


servers.server.add_command(imports.server_import)
for group in (
    people.user,
    people.pair,
    keys.key,
    channels.channel,
    credentials.credential,
    servers.server,
    clusters.cluster,
    approvals.approval,
    tenants.tenant,
    audit.audit,
    policies.policy,
):
    main.add_command(group)
