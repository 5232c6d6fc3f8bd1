"""Work without pause, as several pages do it, while something is taken away from under it0."""

import asyncio
import contextlib
import itertools
import secrets
import time
from typing import Any, Self

import aiohttp
from support.house import Client, House
from support.marks import Marks

PACE_S = 0.35
"""A page may send 240 messages a minute."""

PATIENT_S = 120
"""What a page waits before it calls something lost."""

TEMPORARY = ("error.store_unavailable", "error.unavailable")


class Load:
    """While it is entered, pages look and act, resend what was not accepted, and come back when cut off.

    houses: where a page that was cut off may come back, if not only where it was.
    longest_s, unheard_s: the longest that anybody has waited for an answer, or for a message to be accepted.
    """

    def __init__(self, pages: list[Client], marks: Marks | None, *houses: House) -> None:
        self.pages = pages
        self.marks = marks
        self.houses = itertools.cycle(houses) if houses else None
        self.answered = 0
        self.longest_s = self.unheard_s = 0.0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(work) for page in self.pages for work in self._works(page)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks[::2])
        for keeper in self._tasks[1::2]:
            keeper.cancel()
        await asyncio.wait(self._tasks)

    def _works(self, page: Client) -> tuple:
        return self._use(page), self._keep(page)

    async def _use(self, page: Client) -> None:
        number = 0
        while not self._over:
            number += 1
            began = time.monotonic()
            await (self._act(page, self.marks) if self.marks and number % 4 == 0 else self._look(page))
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.answered += 1
            await asyncio.sleep(PACE_S)

    async def _look(self, page: Client) -> None:
        await self._ask(page, f"/run local echo {secrets.token_hex(6)}")

    async def _ask(self, page: Client, text: str) -> dict[str, Any]:
        began = time.monotonic()
        said = await page.say(text)
        accepted = await page.until(lambda: page.accepted.get(said), PATIENT_S)
        self.unheard_s = max(self.unheard_s, time.monotonic() - began)
        found: dict[str, Any] = await page.until(lambda: page.answer(accepted), PATIENT_S)
        return found

    async def _act(self, page: Client, marks: Marks) -> None:
        card = await self._ask(page, f"/run local {marks.write()}")
        await page.click(f"approve:{card['body']['approval']['id']}")
        await page.until(lambda: page.of_kind(card["conversation"], "reply"), PATIENT_S)

    async def _keep(self, page: Client) -> None:
        """Do as a browser does: connect again, and say again what was put off."""
        while True:
            await asyncio.sleep(0.1)
            with contextlib.suppress(aiohttp.ClientError, OSError):
                if not page.connected:
                    page.house = next(self.houses) if self.houses else page.house
                    await page.drop()
                    await page.connect()
                for frame in [f for f in page.refused if f["code"] in TEMPORARY]:
                    page.refused.remove(frame)
                    await page.send(page.sent[frame["id"]])


async def pages_of(house: House, client: Client, count: int) -> list[Client]:
    """Return pages of the admin, connected."""
    found = []
    for _ in range(count):
        page = Client(house)
        await page.sign_in(await client.link_for("admin"))
        await page.connect()
        found.append(page)
    return found
