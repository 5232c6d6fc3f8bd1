"""What all tests share: one PostgreSQL a run, fresh databases on it, and a clock."""

import gc
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from fakes.clock import FakeClock
from support.house import Client
from support.store import Cluster, Store, folder_in_memory, fresh_store, running_cluster

gc.disable()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Return the event loop that the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_finish() -> None:
    """Look for garbage from here on, and never among what was imported and collected: it stays."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
async def clients_are_closed() -> AsyncIterator[None]:
    """Close the clients that tests left open: some leave them to a process that they kill."""
    yield
    for client in tuple(Client.everyone):
        await client.close()


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    """Return a real PostgreSQL with a migrated template."""
    with folder_in_memory() as folder:
        async with running_cluster(folder / "home") as running:
            yield running


@pytest.fixture
async def store(cluster: Cluster) -> AsyncIterator[Store]:
    """Return a fresh database with two tenants, of this test alone."""
    async with fresh_store(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def module_store(cluster: Cluster) -> AsyncIterator[Store]:
    """Return a fresh database that the tests of a module share."""
    async with fresh_store(cluster) as fresh:
        yield fresh


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock of the test's own."""
    return FakeClock()
