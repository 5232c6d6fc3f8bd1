"""``it0 policy``."""

from typing import Any

import click

from bot.commands.terminal import Group, data_options, run, show, words_of
from bot.texts.visible import visible
from core.errors import It0Error
from core.messages import Code
from core.texts import Say, say


@click.group(cls=Group)
def policy() -> None:
    """The tenant's policy: show, set, remove, simulate."""


@policy.command("show")
@data_options
def policy_show(tenant: str, as_json: bool) -> None:
    """Show the policy, as `it0 policy set` takes it."""
    from agent.policy.documents import as_toml
    from bot.admin import policies as admin

    stored = run(lambda: admin.current(tenant))
    shown = {"version": stored.version, **stored.document}
    show(as_json, shown, as_toml(stored) if stored.version else say("cli.policy_empty"))


@policy.command("set")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@data_options
def policy_set(file: Any, tenant: str, as_json: bool) -> None:
    """Let FILE (TOML or JSON, - for stdin) be the whole policy. It holds at once."""
    from agent.policy.words import count_of
    from bot.admin import policies as admin

    draft = read_draft(file)
    stored = run(lambda: admin.put(tenant, draft))
    data = {"version": stored.version, "entries": count_of(stored)}
    show(as_json, data, say("cli.policy_set", version=stored.version, count=count_of(stored)))


@policy.command("remove")
@click.argument("name")
@data_options
def policy_remove(name: str, tenant: str, as_json: bool) -> None:
    """Remove an entry."""
    from bot.admin import policies as admin

    stored = run(lambda: admin.remove(tenant, name))
    show(
        as_json,
        {"version": stored.version},
        say("policy.removed", entry=visible(name), version=stored.version),
    )


@policy.command("simulate")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@data_options
def policy_simulate(file: Any, days: int, tenant: str, as_json: bool) -> None:
    """Tell what FILE would have done to the commands of the last days. It changes nothing."""
    from agent.policy.simulating import as_json as data_of
    from agent.policy.words import outcome_of
    from bot.admin import policies as admin

    draft = read_draft(file)
    found = run(lambda: admin.simulate(tenant, draft.document, days))
    lines = [
        f"  {visible(part.code)}" if isinstance(part, Code) else visible(words_of(part))
        for part in outcome_of(found, most=len(found.changed))
        if isinstance(part, Code | Say)
    ]
    show(as_json, data_of(found), "\n".join(lines))


def read_draft(file: Any) -> Any:
    """Return the policy that a file holds; what is wrong with it is said, and the command ends."""
    from agent.policy.documents import draft_of

    async def read() -> Any:
        try:
            return draft_of(file.read())
        except UnicodeDecodeError:
            raise It0Error("policy.not_readable", form="UTF-8", line=1) from None

    return run(read)
