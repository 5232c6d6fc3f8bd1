"""A tenant's redactor, from the secrets in its vault."""

import asyncio
import time
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
    """

    def __init__(self, credentials: Credentials, more: More = none_more) -> None:
        self._credentials = credentials
        self._more = more
        self._kept: dict[str, tuple[float, VaultState, Redact]] = {}

    async def of(self, tenant: Tenant, state: VaultState | None = None) -> Redact:
        """Return the tenant's redactor. state: the vault's, if it was read just now."""
        state = state or await self._credentials.state(tenant)
        until, known, redact = self._kept.get(tenant.id, (0.0, (), Redact([])))
        if until < time.monotonic() or known != state:
            secrets = [*await self._credentials.secrets(tenant), *await self._more(tenant)]
            redact = await asyncio.to_thread(Redact, secrets)
            self._kept[tenant.id] = (time.monotonic() + KEPT_S, state, redact)
        return redact
