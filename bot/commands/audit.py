"""``it0 audit``."""

import click

from bot.commands.terminal import Group, data_options, fail, run, show
from core.texts import say


@click.group(cls=Group)
def audit() -> None:
    """The audit log: verify, export."""


@audit.command("verify")
@data_options
def audit_verify(tenant: str, as_json: bool) -> None:
    """Check the chain; every row that is not as it was written is named."""
    from bot.admin import records as admin

    count, faults = run(lambda: admin.verify_audit(tenant))
    data = {"rows": count, "faults": [{"seq": f.seq, "kind": f.kind} for f in faults]}
    lines = "\n".join(f"row {f.seq}: {f.kind}" for f in faults)
    show(as_json, data, lines or say("cli.audit_whole", count=count))
    if faults:
        fail(say("cli.audit_broken", count=len(faults)))


@audit.command("export")
@data_options
def audit_export(tenant: str, as_json: bool) -> None:
    """Print every row, one JSON object a line."""
    from bot.admin import records as admin

    run(lambda: admin.export_audit(tenant, click.echo))
