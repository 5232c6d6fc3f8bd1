"""A tenant's redactor, from the secrets in its vault."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agent.fleet.credentials import Credentials
from agent.redaction.redact import Redact
from core.store.fleet import VaultState
from core.tenant import Tenant

KEPT_S = 60.0
"""How long a tenant's secrets stay in memory for this; SPEC 4 allows five minutes."""


More = Callable[[Tenant], Awaitable[Sequence[bytes]]]


async def none_more(tenant: Tenant) -> Sequence[bytes]:
    """Return no further secrets."""
    return ()


class Redactions:
    """Makes a tenant's redactor, from the secrets in its vault.

    more: further secrets that the tenant must not be shown, such as the tokens by which it0 itself works.
    kept_s: how long a tenant's are held in memory.
    """

    def __init__(self, credentials: Credentials, more: More = none_more, kept_s: float = KEPT_S) -> None:
        self._credentials = credentials
        self._more = more
        self._kept_s = kept_s
        self._kept: dict[str, tuple[VaultState, Redact]] = {}

    async def of(self, tenant: Tenant, state: VaultState | None = None) -> Redact:
        """Return the tenant's redactor. state: the vault's, if it was read just now."""
        state = state or await self._credentials.state(tenant)
        known, redact = self._kept.get(tenant.id, (None, Redact([])))
        if known != state:
            secrets = [*await self._credentials.secrets(tenant), *await self._more(tenant)]
            redact = await asyncio.to_thread(Redact, secrets)
            self._kept[tenant.id] = (state, redact)
            asyncio.get_running_loop().call_later(self._kept_s, self._forget, tenant.id, redact)
        return redact

    def _forget(self, tenant_id: str, redact: Redact) -> None:
        if self._kept.get(tenant_id, (None, None))[1] is redact:
            del self._kept[tenant_id]
