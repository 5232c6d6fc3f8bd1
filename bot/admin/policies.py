"""The tenant's policy, from the command line."""

from collections.abc import Mapping
from typing import Any

from agent.policy.documents import Draft
from agent.policy.policies import By
from agent.policy.simulating import Simulated
from agent.policy.simulating import simulate as simulated
from agent.risk.policy import Policy, policy_of
from bot.admin.beside import OWNER, at
from core.store import policies as store
from core.store.policies import Stored
from core.work import Environment

OWN = By(OWNER, "")


async def current(slug: str) -> Stored:
    """Return the policy that holds."""
    async with at(slug) as (app, tenant):
        return await app.policies.current(tenant)


async def put(slug: str, draft: Draft) -> Stored:
    """Let a draft be the policy; raises as ``Policies.put``."""
    async with at(slug) as (app, tenant):
        return await app.policies.put(tenant, OWN, draft)


async def remove(slug: str, name: str) -> Stored:
    """Remove an entry; raises NotFound."""
    async with at(slug) as (app, tenant):
        return await app.policies.remove(tenant, OWN, name)


async def simulate(slug: str, document: Mapping[str, Any], days: int) -> Simulated:
    """Try a document on the commands of the last ``days``."""
    async with at(slug) as (app, tenant):
        return await simulated(tenant, app.judging, document, app.clock, days)


async def grounds(slug: str) -> tuple[Policy, Mapping[str, Environment]]:
    """Return a tenant's policy, and the names and hosts that are its own."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        stored, known = await store.current(db), await store.known_hosts(db)
    return policy_of(stored.version, stored.document), known
