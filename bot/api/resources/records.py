"""Audit, usage, health."""

from collections.abc import Sequence

from agent.tools.audit import wanted_of
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import records as models
from bot.api.paging import cut
from bot.chat.about import used
from bot.console.audited import audit_json, known_to
from bot.texts.catalogue import Catalogue
from bot.upkeep.doctor import Doctor
from bot.upkeep.heads import Heads
from core.clock import Clock
from core.work import Role


class RecordsDesk:
    """The endpoints. heads: the audit chains' ends that were kept outside the database."""

    def __init__(self, doctor: Doctor, heads: Heads, texts: Catalogue, clock: Clock) -> None:
        self._doctor = doctor
        self._heads = heads
        self._texts = texts
        self._clock = clock

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/audit", self.list_audit),
            endpoint("GET", "/audit/verification", self.verify_audit),
            endpoint("GET", "/usage", self.show_usage),
            endpoint("GET", "/health", self.show_health),
            endpoint("GET", "/doctor", self.show_findings),
        ]

    async def list_audit(self, caller: Caller, query: models.AuditQuery) -> models.AuditRows:
        """Search the audit log (admins), the newest first."""
        caller.needs(Role.ADMIN)
        asked = query.model_dump(include={"who", "server", "action", "since", "until"})
        wanted = await wanted_of(caller.tenant, **asked, at=self._clock())
        rows = await caller.tenant.audit.find(wanted, query.limit + 1, query.cursor)
        async with caller.tenant.reading() as db:
            known = await known_to(db, rows)
        language = caller.user.language
        shown = [models.AuditRow(**audit_json(row, known, language)) for row in rows[: query.limit]]
        return models.AuditRows(rows=shown, next=shown[-1].seq if len(rows) > query.limit else None)

    async def verify_audit(self, caller: Caller) -> models.Verified:
        """Check every row of the audit log against the chain and its kept ends (admins)."""
        caller.needs(Role.ADMIN)
        count, faults = await caller.tenant.audit.verify(self._heads.read(caller.tenant.id))
        head = await caller.tenant.audit.head()
        broken = [models.Fault(seq=fault.seq, kind=fault.kind) for fault in faults]
        return models.Verified(rows=count, head=head.hash if head else None, faults=broken)

    async def show_usage(self, caller: Caller, query: models.UsageQuery) -> models.Usage:
        """Show what the models have cost (admins), a row a day, engine and model."""
        rows = await used(caller.tenant, caller.user, query.days, self._clock())
        same = ("day", "engine", "model", "calls", "input_tokens", "output_tokens")
        page, after = cut(
            rows, query, lambda row: f"{row['day']} {row['engine']} {row['model']}", newest_first=True
        )
        shown = [
            models.UsageRow(**{name: row[name] for name in same}, usd=row["micro_usd"] / 1_000_000)
            for row in page
        ]
        return models.Usage(rows=shown, next=after)

    async def show_health(self, caller: Caller) -> models.Health:
        """Show whether work can be taken."""
        return models.Health(**await self._doctor.ready())

    async def show_findings(self, caller: Caller) -> models.Findings:
        """Look at everything that it0 stands on (admins)."""
        caller.needs(Role.ADMIN)
        found = await self._doctor.findings(caller.tenant)
        language = caller.user.language
        return models.Findings(
            findings=[
                models.Finding(name=each.name, state=each.state, message=self._texts(each.words, language))
                for each in found
            ]
        )
