"""``it0 tenant``."""

from typing import Any, Literal

import click

from bot.commands.terminal import Group, data_options, json_option, run, show, table
from core.texts import say


@click.group(cls=Group)
def tenant() -> None:
    """Tenants: create, list, set, suspend, resume, delete."""


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
    from bot import admin

    made = run(lambda: admin.create_tenant(slug, name or slug, plan))
    show(as_json, {"id": made, "slug": slug}, say("cli.tenant_made", slug=slug))


@tenant.command("list")
@json_option
def tenant_list(as_json: bool) -> None:
    """List the tenants."""
    from bot import admin

    rows = run(admin.tenants)
    lines = [(row["slug"], row["plan"], row["status"], row["name"]) for row in rows]
    show(as_json, rows, table(("SLUG", "PLAN", "STATUS", "NAME"), lines, say("cli.no_tenants")))


@tenant.command("set")
@click.argument("key", type=click.Choice(["four_eyes", "approvals_needed", "language"]))
@click.argument("value")
@data_options
def tenant_set(key: str, value: str, tenant: str, as_json: bool) -> None:
    """Change a setting. four_eyes: on or off; approvals_needed: 1 to 20; language: en or zh."""
    from bot import admin

    run(lambda: admin.set_preference(tenant, key, value))
    show(as_json, {"key": key, "value": value}, say("cli.tenant_set", key=key, value=value))


def _turn(verb: str, status: Literal["active", "suspended", "deleted"], words: str) -> Any:
    @tenant.command(verb, help=words)
    @click.argument("slug")
    @json_option
    def turn(slug: str, as_json: bool) -> None:
        from bot import admin

        before = run(lambda: admin.set_tenant_status(slug, status))
        key = f"cli.tenant_{status}" if before != status else "cli.tenant_as_before"
        show(as_json, {"slug": slug, "status": status, "before": before}, say(key, slug=slug, status=status))

    return turn


_turn("suspend", "suspended", "Let nothing new run, and nothing be decided, until it is resumed.")
_turn("resume", "active", "Let a suspended or deleted tenant work again.")
_turn("delete", "deleted", "Take a tenant out of use; its data and its audit log stay.")
