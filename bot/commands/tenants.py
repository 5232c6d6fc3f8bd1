"""``it0 tenant``."""

from typing import Any, Literal

import click

from bot.commands.terminal import Group, data_options, json_option, run, show, table, words_of
from core.settings import load_settings
from core.texts import say


@click.group(cls=Group)
def tenant() -> None:
    """Tenants, their plans and their end."""


@tenant.command("create")
@click.argument("slug")
@click.option("--name", default="")
@click.option(
    "--plan",
    default="self-hosted",
    show_default=True,
    type=click.Choice(["self-hosted", "free", "pro", "enterprise"]),
)
@json_option
def tenant_create(slug: str, name: str, plan: str, as_json: bool) -> None:
    """Make a tenant with its schema (DATABASE_ADMIN_URL)."""
    from bot.admin import tenants as admin

    made = run(lambda: admin.create_tenant(slug, name or slug, plan))
    show(as_json, {"id": made, "slug": slug}, say("cli.tenant_made", slug=slug))


@tenant.command("list")
@json_option
def tenant_list(as_json: bool) -> None:
    """List the tenants."""
    from bot.admin import tenants as admin

    rows = run(admin.tenants)
    lines = [(row["slug"], row["plan"], row["status"], row["name"]) for row in rows]
    show(as_json, rows, table(("SLUG", "PLAN", "STATUS", "NAME"), lines, say("cli.no_tenants")))


@tenant.command("set")
@click.argument(
    "key",
    type=click.Choice(
        ["plan", "four_eyes", "approvals_needed", "step_up", "l1_goes_ahead", "grant_minutes", "language"]
    ),
    metavar="KEY",
)
@click.argument("value")
@data_options
def tenant_set(key: str, value: str, tenant: str, as_json: bool) -> None:
    """Change a setting.

    plan: self-hosted, free, pro, enterprise; four_eyes: on, off; approvals_needed: 1 to 20; step_up: on, off;
    l1_goes_ahead: on, off; grant_minutes: 0 to 60; language: en, zh.
    """
    from bot.admin import tenants as admin

    run(lambda: admin.set_preference(tenant, key, value))
    show(as_json, {"key": key, "value": value}, say("cli.tenant_set", key=key, value=value))


@tenant.command("show")
@click.argument("slug", default="default")
@json_option
def tenant_show(slug: str, as_json: bool) -> None:
    """Show a tenant, its settings, and what it uses of its plan (UTC day)."""
    from bot.admin import tenants as admin

    found = run(lambda: admin.show_tenant(slug))
    engines = ", ".join(found["engines"]) if found["engines"] else say("cli.no_limit")
    lines = [
        ("plan", found["plan"], ""),
        ("status", found["status"], ""),
        *([("dropped after", found["dropped_after"], "")] if found["dropped_after"] else []),
        *((each["name"], each["used"], _limit(each["limit"])) for each in found["quotas"]),
        ("engines", "", engines if isinstance(engines, str) else words_of(engines)),
        *((key, _shown(value), "") for key, value in found["settings"].items()),
    ]
    show(as_json, found, table(("WHAT", "NOW", "LIMIT"), lines, say("cli.no_tenants")))


def _shown(value: object) -> str:
    """Return a setting as ``it0 tenant set`` takes it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _limit(limit: int | None) -> str:
    return words_of(say("cli.no_limit")) if limit is None else str(limit)


def _turn(verb: str, status: Literal["active", "suspended", "deleted"], words: str) -> Any:
    @tenant.command(verb, help=words)
    @click.argument("slug")
    @json_option
    def turn(slug: str, as_json: bool) -> None:
        from bot.admin import tenants as admin

        before = run(lambda: admin.set_tenant_status(slug, status, verb))
        is_new = before != status and (verb != "restore" or before == "deleted")
        now = status if is_new else before
        days = load_settings().tenant_keep_days
        words = say(
            f"cli.tenant_{now}" if is_new else "cli.tenant_as_before", slug=slug, status=now, days=days
        )
        show(as_json, {"slug": slug, "status": now, "before": before}, words)

    return turn


_turn("suspend", "suspended", "Let nothing new run, and nothing be decided, until it is resumed.")
_turn("resume", "active", "Let a suspended tenant work again.")
_turn("delete", "deleted", "Take a tenant out of use; after TENANT_KEEP_DAYS its data is dropped.")
_turn("restore", "active", "Let a deleted tenant work again, while its data is kept.")
