"""People of a module's own ``house``, each with a console's page that is connected."""

from collections.abc import AsyncIterator

import pytest
from support.house import Client, House, signed_in


async def connected(house: House, name: str, role: str = "") -> Client:
    """Return a person's client, connected; they are added if a role is given."""
    client = await signed_in(house, name, role)
    await client.connect()
    return client


@pytest.fixture(scope="module")
async def admin(house: House) -> AsyncIterator[Client]:
    """Yield the first admin, connected."""
    client = await connected(house, "admin")
    yield client
    await client.close()


@pytest.fixture(scope="module")
async def olga(house: House) -> AsyncIterator[Client]:
    """Yield an operator, connected."""
    client = await connected(house, "olga", "operator")
    yield client
    await client.close()


@pytest.fixture(scope="module")
async def victor(house: House) -> AsyncIterator[Client]:
    """Yield a viewer, connected."""
    client = await connected(house, "victor", "viewer")
    yield client
    await client.close()
