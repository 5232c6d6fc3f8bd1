"""Asking what an account can do on its server: a run like any other, judged, audited and kept."""

from dataclasses import replace
from functools import partial

from agent.context import Desk
from agent.fleet import rights
from agent.fleet.accounts import Account, account_of, question, told
from agent.fleet.servers import Fleet
from agent.gate.deciding.standing import not_stopped
from agent.gate.judging.judging import Judging
from agent.gate.running.execution import Executor
from agent.gate.running.jobs import Job
from agent.redaction.stored import said_without_secrets
from core.audit import Entry
from core.errors import It0Error, Refused, StoreUnavailable
from core.messages import Progress
from core.store import fleet as store
from core.store import people
from core.store.database import Transaction
from core.store.runs import Run
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Risk, RunTarget, Server, User

LIMIT_S = 20
"""Seconds that an answer may take."""


class Unseen:
    """A live reply that nobody looks at."""

    async def update(self, progress: Progress) -> None:
        """Show nothing."""

    async def close(self) -> None:
        """Take away nothing."""


class Probing:
    """Asks servers what it0's accounts can do there, and keeps the answer."""

    def __init__(self, desk: Desk, fleet: Fleet, executor: Executor, judging: Judging) -> None:
        self._desk = desk
        self._fleet = fleet
        self._executor = executor
        self._judging = judging

    async def check(
        self, tenant: Tenant, by: User, server: Server, channel: str = ""
    ) -> tuple[bool, tuple[Say, ...], str]:
        """Return whether a server can be used, what it0 can do there, and the key that it shows.

        The words are a sentence about the connection and one for each account. Raises Refused in a suspended
        tenant.
        """
        await _check_active(tenant)
        ok, words, shown = await self._fleet.check(tenant, by, server)
        if not ok:  # a server may say in its refusal what it was sent
            return False, (said_without_secrets(words, await self._executor.redact(tenant)),), shown
        ask = self._look_at if server.by_api else self.probe
        return True, (words, *await ask(tenant, by, server, channel)), shown

    async def check_cluster(
        self, tenant: Tenant, by: User, name: str, channel: str = ""
    ) -> list[tuple[str, bool, tuple[Say, ...]]]:
        """Check what a cluster is reached by: its entry server, its API, or each of its servers.

        Returns for each its name, whether it can be used, and words. Raises NotFound.
        """
        found = await self._fleet.clusters.checked_by(tenant, name)
        checks = [(each.name, await self.check(tenant, by, each, channel)) for each in found]
        return [(each, ok, words) for each, (ok, words, _) in checks]

    async def _look_at(self, tenant: Tenant, by: User, cluster: Server, channel: str = "") -> tuple[Say, ...]:
        """Ask a cluster's API for its version and for what the account may do there."""
        version = await self._ask(tenant, by, cluster, channel, rights.VERSION)
        may = await self._ask(tenant, by, cluster, channel, rights.RIGHTS)
        return (
            rights.version_of(version, cluster) or _no_answer(version, cluster),
            rights.rights_of(may, cluster) or _no_answer(may, cluster),
        )

    async def probe(self, tenant: Tenant, by: User, server: Server, channel: str = "") -> tuple[Say, ...]:
        """Ask for each account of ``server`` and return the answers in words; raises what the gate raises."""
        await _check_active(tenant)
        known: dict[str, Account] = {}
        failed: list[Say] = []
        asked = {"main": server, **({"read": server.for_reading} if server.read_credential_id else {})}
        for kind, seen in asked.items():
            result = await self._ask(tenant, by, seen, channel, question(seen))
            account = account_of(result, self._desk.clock())
            if account is None:
                failed.append(_no_answer(result, seen))
            else:
                known[kind] = account
        stored = {kind: account.as_json() for kind, account in known.items()}
        async with tenant.transaction() as tx:
            now = {"server": server.id, "ssh_user": server.ssh_user, "read_user": server.read_user}
            if await tx.run(store.SEEN_ACCOUNT, **now, accounts=stored):
                await tenant.audit.append_in(tx, _seen(server, by, known, channel), self._desk.clock())
        return (*told(replace(server, accounts=stored)), *failed)

    async def learn(self, tenant: Tenant, by: User, server: Server, channel: str = "") -> tuple[Say, ...]:
        """Do what ``probe`` does, and say why where it cannot: the server stands without it."""
        try:
            return await self.probe(tenant, by, server, channel)
        except StoreUnavailable:
            raise
        except It0Error as error:
            return (error.say,)

    async def _ask(self, tenant: Tenant, by: User, seen: Server, channel: str, command: str) -> RunTarget:
        verdict = await self._judging.judge(tenant, command, [seen])
        if verdict.level > Risk.L0:
            key = "account.not_asked_policy" if verdict.entry else "account.not_asked"
            raise Refused(key, server=seen.name, entry=verdict.entry, level=int(verdict.level))
        ways = await self._fleet.ways(tenant, [seen])
        if why := ways.unfit.get(seen.id):
            return RunTarget(seen.id, seen.name, "failed", error=why.as_json(), os_user=seen.ssh_user)
        run_id = self._desk.ids()
        run = Run(run_id, "", run_id, None, command, Risk.L0, ((seen.id, seen.name),), by.id, None)
        may_start = partial(not_stopped, tenant=tenant)
        job = Job(run, ways.targets, LIMIT_S, "", _anybody, Unseen(), 0, may_start, channel=channel)
        return (await self._executor.run(tenant, job))[0]


async def _check_active(tenant: Tenant) -> None:
    async with tenant.reading() as db:
        status = await db.value(people.TENANT_STATUS, tenant=tenant.id)  # the handle's is seconds old
    if status != "active":
        raise Refused("error.tenant_suspended")


async def _anybody(tx: Transaction) -> None:
    """Ask nothing: no conversation owns this run."""


def _no_answer(result: RunTarget, server: Server) -> Say:
    user = server.ssh_user or "?"
    if result.error:
        return say("account.failed", server=server.name, user=user, reason=dict(result.error))
    return say("account.silent", server=server.name, user=user)


def _seen(server: Server, by: User, known: dict[str, Account], channel: str) -> Entry:
    detail = {
        "name": server.name,
        **{kind: {"user": a.user, "root": a.is_root, "sudo": a.sudo} for kind, a in known.items()},
    }
    return Entry("server.account", "user", by.id, None, "server", server.id, channel or None, detail=detail)
