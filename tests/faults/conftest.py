"""Houses that the fault tests share: started once a module, with an admin's page open."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.yard import Yard, yard_in

Build = Callable[..., Awaitable[Yard]]


@pytest.fixture(scope="module")
async def build(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Build]:
    """Return what builds a yard, and clean up after it."""
    async with AsyncExitStack() as stack:

        async def make(**environment: str) -> Yard:
            folder: Path = tmp_path_factory.mktemp("yard")
            return await yard_in(folder, stack, **environment)

        yield make


@pytest.fixture(scope="module")
async def yard(build: Build) -> Yard:
    """Return a yard of the module's own."""
    return await build()
