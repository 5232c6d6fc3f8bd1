"""Keeps a house running over its deaths, with its pages connected: what a supervisor and a browser do."""

import asyncio
import contextlib
from typing import Self

import aiohttp
from support.house import Client, House


class Kept:
    """While it is entered, a dead house is started again and lost clients connect again."""

    def __init__(self, house: House, *clients: Client) -> None:
        self.house = house
        self.clients = clients
        self.deaths = 0
        self._over = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        assert self._task
        await self._task

    @property
    def _stands(self) -> bool:
        return not self.house.died and all(client.connected for client in self.clients)

    async def _keep(self) -> None:
        while not (self._over and self._stands):
            await asyncio.sleep(0.01)
            if self.house.died:
                self.deaths += 1
                await asyncio.to_thread(self.house.start)
            for client in self.clients:
                if not client.connected:
                    await client.drop()
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        await client.connect()
