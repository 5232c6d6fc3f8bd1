"""Tenants, from the command line."""

from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import select, update

from agent.gate.deciding.grants import Grants
from bot.admin.beside import at, beside, tell
from bot.process.first import DEFAULT_SLUG, make_tenant
from core.audit import Entry
from core.errors import BadInput, Refused
from core.store import people, preferences, quotas
from core.store.database import Row, Statement
from core.store.statements import param
from core.store.tables import tenants as tenants_table
from core.tenant import ALL
from core.texts import LANGUAGES, say
from core.work import PLANS

TenantStatus = Literal["active", "suspended", "deleted"]
SET_STATUS = Statement(
    update(tenants_table)
    .where(tenants_table.c.id == param("tenant"), tenants_table.c.status != param("status"))
    .values(status=param("status"))
    .returning(tenants_table.c.id)
)
"""The database itself writes since when a tenant is deleted."""
DELETED_AT = Statement(select(tenants_table.c.deleted_at).where(tenants_table.c.id == param("tenant")))
SET_PLAN = Statement(
    update(tenants_table).where(tenants_table.c.id == param("tenant")).values(plan=param("plan"))
)


async def create_tenant(slug: str, name: str, plan: str) -> str:
    """Make a tenant; return its id."""
    async with beside() as (app, database_url, admin_url):
        return (await make_tenant(app, database_url, admin_url, slug, name, plan)).id


async def tenants() -> list[dict[str, Any]]:
    """Return every tenant."""
    async with beside() as (app, _, _), app.database.reading() as db:
        rows: list[Row] = await db.all(ALL)
    return [{key: row[key] for key in ("id", "slug", "name", "plan", "status")} for row in rows]


async def set_tenant_status(slug: str, status: TenantStatus, verb: str) -> str:
    """Suspend, delete, resume or restore a tenant (``verb``), and record it; return its status before.

    Raises Refused for a deleted tenant that is not to be restored, and for deleting the default one.
    """
    async with at(slug, also_deleted=True) as (app, tenant):
        before = tenant.row.status
        if before == "deleted" and verb not in ("restore", "delete"):
            raise Refused("tenant.is_deleted", slug=slug)
        if before == status or (verb == "restore" and before != "deleted"):
            return before
        if verb == "delete" and slug == DEFAULT_SLUG:
            raise Refused("tenant.is_default", slug=slug)
        now = app.clock()
        entry = Entry(f"tenant.{verb}", "system", detail={"slug": slug, "before": before})
        async with tenant.transaction() as tx:
            if await tx.one(SET_STATUS, tenant=tenant.id, status=status) is None:
                return status
            why = say("grant.why_stopped")
            ended = await Grants(app.desk).void(tx, tenant, why) if status != "active" else ()
            if status == "deleted":
                for user in await people.users(tx):
                    gone = {"tenant": tenant.id, "user_id": user.id, "now": now}
                    await tx.run(people.VOID_LINKS, **gone)
                    await tx.run(people.VOID_CODES, **gone)
                    await tx.all(people.END_SESSIONS_OF, **gone)
            for each in (entry, *ended):
                await tenant.audit.append_in(tx, each, now)
        await tell(app, tenant)
        return before


async def set_preference(slug: str, key: str, value: str) -> None:
    """Change a tenant's plan or one of its settings; raises BadInput for a value that it does not take."""
    parsed: Any = value
    match key:
        case "four_eyes" | "l1_goes_ahead" | "step_up" if value in ("on", "off"):
            parsed = value == "on"
        case "approvals_needed" if value.isdecimal() and 1 <= int(value) <= 20:
            parsed = int(value)
        case "grant_minutes" if value.isdecimal() and int(value) <= preferences.MOST_GRANT_MINUTES:
            parsed = int(value)
        case "language" if value in LANGUAGES:
            pass
        case "plan" if value in PLANS:
            pass
        case _:
            raise BadInput("tenant.bad_value", key=key)
    async with at(slug) as (app, tenant):
        entry = Entry("tenant.set", "system", detail={"key": key, "value": parsed})
        async with tenant.transaction() as tx:
            if key == "plan":
                await tx.run(SET_PLAN, tenant=tenant.id, plan=value)
            else:
                await preferences.put(tx, key, parsed, app.clock(), None)
            await tenant.audit.append_in(tx, entry, app.clock())
        await tell(app, tenant)


async def show_tenant(slug: str) -> dict[str, Any]:
    """Return what is known of a tenant, with what it uses of its plan; of a deleted one, until when."""
    async with at(slug, also_deleted=True) as (app, tenant):
        async with tenant.reading() as db:
            used = await quotas.used(db, tenant.row.plan, app.clock())
            deleted_at = await db.value(DELETED_AT, tenant=tenant.id)
        keep = timedelta(days=app.settings.tenant_keep_days)
        row = tenant.row
        return {
            "id": row.id,
            "slug": row.slug,
            "name": row.name,
            "plan": row.plan,
            "status": row.status,
            "dropped_after": (deleted_at + keep).isoformat() if deleted_at else None,
            "quotas": [{"name": each.name, "used": each.used, "limit": each.limit} for each in used],
            "engines": PLANS[row.plan].engines,
        }
