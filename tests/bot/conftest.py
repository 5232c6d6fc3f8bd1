"""One browser a run, and nothing left open in it by a test."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser
from support.browser import running_browser


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Yield a real browser."""
    async with running_browser() as running:
        yield running


@pytest.fixture
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """Yield the browser; what a test opens in it is closed after it."""
    yield chromium
    for context in chromium.contexts:
        await context.close()
