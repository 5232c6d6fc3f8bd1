"""Judging a command as a tenant has it: by the rules, by its policy, and by which hosts are its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.fleet.servers import Fleet
from agent.gate.judging.files import file_act, judged_file, judged_send, judged_write
from agent.gate.judging.hosts import Judge, weighed
from agent.risk.policy import Policy, policy_of
from core.store import policies
from core.store.database import Transaction
from core.store.policies import Stored
from core.tenant import Tenant
from core.work import ENVIRONMENTS, Environment, Risk, Server, Verdict, strictest


@dataclass(frozen=True, slots=True)
class Explained:
    """A verdict with where it holds. in_prod: what it would be on one production server."""

    verdict: Verdict
    environment: Environment
    servers: tuple[str, ...]
    in_prod: Risk


class Judging:
    """Judges commands for tenants."""

    def __init__(self, classify: Judge, fleet: Fleet) -> None:
        self._classify = classify
        self._fleet = fleet

    async def judge(self, tenant: Tenant, command: str, servers: Sequence[Server]) -> Verdict:
        """Return the level of ``command`` on all of ``servers``: the strictest environment counts."""
        async with tenant.reading() as db:
            return await self.judge_in(db, command, servers)

    async def judge_in(self, tx: Transaction, command: str, servers: Sequence[Server]) -> Verdict:
        """Return the same within a transaction."""
        environment = strictest(*(each.environment for each in servers))
        return await self._judged(tx, command, environment, len(servers), await _policy(tx))

    async def write(self, tx: Transaction, path: str, server: Server) -> Verdict:
        """Return how writing the file ``path`` is judged; raises Refused for one that nobody may write."""
        return judged_write(path, server.environment, self._classify, await _policy(tx))

    async def send(self, tx: Transaction, path: str, server: Server) -> Verdict:
        """Return how sending the file ``path`` is judged; raises Refused for one that may hold a secret."""
        return judged_send(path, server.environment, await _policy(tx))

    async def _judged(
        self, tx: Transaction, command: str, environment: str, count: int, policy: Policy
    ) -> Verdict:
        verdict = self._classify(command, environment, count, policy)
        if not verdict.hosts:
            return verdict
        known = await policies.known_hosts(tx)
        return weighed(self._classify, command, environment, count, policy, known)

    async def explain(self, tenant: Tenant, command: str, names: Sequence[str]) -> Explained:
        """Return how ``command`` would be judged on the servers ``names``, a dev server for none.

        command: also ``write_file PATH`` or ``send_file PATH``. Raises as ``Clusters.meant``.
        """
        servers = await self._fleet.clusters.meant(tenant, names) if names else []
        environment = strictest(*(each.environment for each in servers)) if servers else ENVIRONMENTS[0]
        async with tenant.reading() as db:
            policy = await _policy(db)
            if (act := file_act(command)) is not None:
                verdict = judged_file(*act, environment, self._classify, policy)
                in_prod = judged_file(*act, "prod", self._classify, policy)
            else:
                verdict = await self._judged(db, command, environment, max(1, len(servers)), policy)
                in_prod = await self._judged(db, command, "prod", 1, policy)
        return Explained(verdict, environment, tuple(each.name for each in servers), in_prod.level)

    async def trial(self, tenant: Tenant, document: Mapping[str, Any]) -> "Trial":
        """Return what judges commands under the policy that holds and under ``document``."""
        async with tenant.reading() as db:
            stored, known = await policies.current(db), await policies.known_hosts(db)
            places, names = await policies.environments(db)
        return Trial(self._classify, stored, policy_of(stored.version + 1, document), known, places, names)


@dataclass(frozen=True, slots=True)
class Trial:
    """Two policies side by side, with all that a verdict needs.

    places: environments of servers and clusters by id and name; names: theirs by id.
    """

    classify: Judge
    stored: Stored
    new: Policy
    known: Mapping[str, Environment]
    places: Mapping[str, str]
    names: Mapping[str, str]

    def both(self, command: str, servers: Sequence[str], *, of_file: bool) -> tuple[Verdict, Verdict]:
        """Return the verdict under the policy that holds, and under the new one.

        of_file: ``command`` is the short form of a file act.
        """
        environment = strictest(*(self.places.get(each, "prod") for each in servers))
        act = file_act(command) if of_file else None

        def judged(policy: Policy) -> Verdict:
            if act is not None:
                return judged_file(*act, environment, self.classify, policy)
            return weighed(self.classify, command, environment, max(1, len(servers)), policy, self.known)

        return judged(policy_of(self.stored.version, self.stored.document)), judged(self.new)


async def _policy(tx: Transaction) -> Policy:
    stored = await policies.current(tx)
    return policy_of(stored.version, stored.document)
