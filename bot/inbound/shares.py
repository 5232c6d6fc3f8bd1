"""Shares of a process's turns: nobody's flood keeps the others waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class Shares:
    """Lets turns run within the limits of the whole process, of each tenant and of each person.

    A turn waits for its person's share first, then for the tenant's, then for the process's: whoever waits
    holds up only those with whom they share.
    """

    def __init__(self, total: int, per_tenant: int, per_user: int) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_tenant = per_tenant
        self._per_user = per_user
        self._shares: dict[tuple[str, ...], asyncio.Semaphore] = {}
        self._users: dict[tuple[str, ...], int] = {}

    def is_full(self, tenant_id: str, user_id: str) -> bool:
        """Return whether who asks for a place now has to wait for it."""
        shares = (self._shares.get((tenant_id, user_id)), self._shares.get((tenant_id,)), self._total)
        return any(share is not None and share.locked() for share in shares)

    @asynccontextmanager
    async def one(self, tenant_id: str, user_id: str) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._of((tenant_id, user_id), self._per_user))
            await stack.enter_async_context(self._of((tenant_id,), self._per_tenant))
            await stack.enter_async_context(self._total)
            yield

    @asynccontextmanager
    async def _of(self, key: tuple[str, ...], limit: int) -> AsyncIterator[None]:
        """Hold a place of ``key``'s share; it is forgotten with its last user."""
        share = self._shares.setdefault(key, asyncio.Semaphore(limit))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with share:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._shares[key]
