"""A credential's owner is told in time that it expires: once for each warning, whatever happens meanwhile."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.desk import Noted, make_desk
from fakes.shell import ScriptedShell
from support.store import Store, actions, add_user

from agent.context import Desk
from agent.fleet.credentials import EXPIRES
from agent.fleet.expiry import Expiry
from agent.fleet.secrets import expiry_of
from agent.fleet.servers import Fleet
from bot.texts.catalogue import load_catalogue
from core.errors import BadInput
from core.store import people
from core.tenant import Tenant
from core.work import Role, User
from scheduler.timers import TimerWorker


@dataclass
class Yard:
    """A tenant with an owner, another admin, and an operator."""

    store: Store
    tenant: Tenant
    ann: User
    bob: User
    fleet: Fleet

    async def add(self, days: float, name: str = "key", by: User | None = None) -> None:
        """Store a credential that ends in so many days."""
        until = self.store.clock() + timedelta(days=days)
        door = self.fleet.credentials
        await door.add(self.tenant, by or self.ann, name, "ssh_password", b"a password", until)

    async def sweep(self, me: str = "me") -> int:
        """Handle what is due, as a process does."""
        return await self.worker(make_desk(self.store.clock, Noted(), me)).sweep()

    def worker(self, desk: Desk) -> TimerWorker:
        """Return a process's handler of timers."""
        handlers = {EXPIRES: Expiry(desk, self.store.tenants).warn}
        return TimerWorker(desk.me, self.store.database, desk.clock, handlers, 1)

    async def told(self) -> list[tuple[str, list[str]]]:
        """Return (name, keys of the sentences) of each notice, in order."""
        rows = await self.store.as_owner(
            f"SELECT u.name, e.body FROM {self.tenant.schema}.event e"
            f" JOIN {self.tenant.schema}.conversation c ON c.id = e.conversation_id"
            f" JOIN {self.tenant.schema}.user u ON u.id = c.user_id"
            " WHERE e.kind = 'notice' ORDER BY e.at, u.name, c.channel"
        )
        return [(row["name"], [part["say"] for part in _json(row["body"])["parts"]]) for row in rows]


def _json(body: Any) -> Any:
    return json.loads(body) if isinstance(body, str) else body


SOON = ["credential.expires_soon", "credential.unused", "credential.how_to_replace"]


@pytest.fixture
async def yard(store: Store) -> Yard:
    """Return a yard."""
    tenant = await store.first()
    ann, bob = [await add_user(tenant, store.clock, name) for name in ("ann", "bob")]
    await add_user(tenant, store.clock, "olga", Role.OPERATOR)
    return Yard(store, tenant, ann, bob, Fleet(ScriptedShell(), store.clock))


async def test_owner_is_told_fourteen_and_three_days_before_once_each(yard: Yard) -> None:
    await yard.add(days=20)
    told = []
    for _ in range(21):
        await yard.sweep()
        await yard.sweep("another")
        told.append(len(await yard.told()))
        yard.store.clock.forward(days=1)
    assert (told[5], told[6], told[16], told[17], told[20]) == (0, 1, 1, 2, 2)
    assert await yard.told() == [("ann", SOON)] * 2
    assert (await actions(yard.tenant)).count("credential.warned") == 2


async def test_words_have_the_days_the_servers_and_how_to_replace_it_in_both_languages(yard: Yard) -> None:
    await yard.add(days=20)
    yard.store.clock.forward(days=6)
    await yard.sweep()
    rows = await yard.store.as_owner(f"SELECT body FROM {yard.tenant.schema}.event WHERE kind = 'notice'")
    first, _, replace = _json(rows[0]["body"])["parts"]
    texts = load_catalogue()
    assert "key expires in 14 days" in texts(first, "en")
    assert "14 天" in texts(first, "zh")
    assert "it0 credential add key" in texts(replace, "zh")


@pytest.mark.parametrize("gone", ["active", "role"])
async def test_admins_are_told_when_the_owner_is_gone(yard: Yard, gone: str) -> None:
    await yard.add(days=20)
    value = "false" if gone == "active" else "'viewer'"
    await yard.store.as_owner(
        f"UPDATE {yard.tenant.schema}.user SET {gone} = {value} WHERE id = '{yard.ann.id}'"
    )
    yard.store.clock.forward(days=7)
    await yard.sweep()
    assert [name for name, _ in await yard.told()] == ["bob"]


async def test_every_private_chat_of_the_owner_hears_of_it(yard: Yard) -> None:
    await yard.add(days=20)
    await yard.store.as_owner(
        "INSERT INTO it0_shared.installation (id, tenant_id, channel, name, active, created_at)"
        f" VALUES ('bot', '{yard.tenant.id}', 'telegram', 'bot', true, now())"
    )
    async with yard.tenant.transaction() as tx:
        at = yard.store.clock()
        await people.add_identity(tx, yard.tenant.id, "bot", "77", yard.ann.id, at, "77")
    yard.store.clock.forward(days=7)
    await yard.sweep()
    rows = await yard.store.as_owner("SELECT installation_id FROM it0_shared.outbox")
    assert {row["installation_id"] for row in rows} >= {"bot"}
    assert len(await yard.told()) == 2


async def test_nothing_is_said_twice_when_the_process_dies_after_it_was_said(yard: Yard) -> None:
    await yard.add(days=20)
    yard.store.clock.forward(days=7)

    class Dies(Exception):
        pass

    desk = make_desk(yard.store.clock)
    expiry = Expiry(desk, yard.store.tenants)

    async def warn_and_die(timer: Any) -> None:
        await expiry.warn(timer)
        raise Dies

    await TimerWorker(desk.me, yard.store.database, desk.clock, {EXPIRES: warn_and_die}, 1).sweep()
    yard.store.clock.forward(hours=1)
    await yard.sweep("another")
    assert await yard.told() == [("ann", SOON)]


async def test_what_a_process_died_before_is_said_by_another(yard: Yard) -> None:
    await yard.add(days=20)
    yard.store.clock.forward(days=7)
    await yard.store.as_owner("UPDATE it0_shared.timer SET state = 'taken', owner = 'dead'")
    await yard.sweep("another")
    assert await yard.told() == [("ann", SOON)]


async def test_revoked_or_replaced_credential_is_not_warned_of(yard: Yard) -> None:
    await yard.add(days=20)
    await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key")
    await yard.add(days=400)
    yard.store.clock.forward(days=30)
    await yard.sweep()
    assert await yard.told() == []


async def test_warning_that_comes_too_late_says_that_it_has_expired(yard: Yard) -> None:
    await yard.add(days=20)
    yard.store.clock.forward(days=60)
    await yard.sweep()
    assert [keys[0] for _, keys in await yard.told()] == ["credential.is_expired"] * 2


async def test_short_lived_credential_has_only_the_warnings_that_are_still_to_come(yard: Yard) -> None:
    await yard.add(days=10)
    await yard.add(days=1, name="brief")
    rows = await yard.store.as_owner("SELECT step FROM it0_shared.timer WHERE kind = $1", EXPIRES)
    assert [row["step"] for row in rows] == [3]


async def test_suspended_tenant_is_told_when_it_is_back(yard: Yard) -> None:
    await yard.add(days=20)
    yard.store.clock.forward(days=7)
    for status, count in (("suspended", 0), ("active", 1)):
        await yard.store.as_owner(f"UPDATE it0_shared.tenant SET status = '{status}' WHERE slug = 'first'")
        yard.store.tenants.forget(yard.tenant.id)
        await yard.sweep()
        assert len(await yard.told()) == count
        yard.store.clock.forward(days=1)


async def test_end_that_is_over_is_refused(yard: Yard) -> None:
    with pytest.raises(BadInput) as caught:
        await yard.add(days=-1)
    assert caught.value.say.key == "credential.bad_expiry"


def test_day_counts_to_its_end_and_what_is_no_day_is_refused() -> None:
    assert expiry_of("2027-01-31") == datetime(2027, 1, 31, 23, 59, 59, 999999, UTC)
    assert expiry_of("2027-01-31T10:00+02:00") == datetime(2027, 1, 31, 8, 0, tzinfo=UTC)
    assert expiry_of("") is None
    for text in ("tomorrow", "2027-13-01", "31.1.2027"):
        with pytest.raises(BadInput):
            expiry_of(text)
