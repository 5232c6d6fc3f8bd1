"""Who is let in by a tap, and by whom."""

from collections.abc import AsyncIterator

import pytest
from support.place import Place, built
from support.store import Store, add_user

from core.errors import BadInput, Late, NotAllowed, NotFound
from core.store import people
from core.work import Role

BOT = "telegram-1"


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    """Yield a process to whose bot strangers have written."""
    async with built(store) as place:
        await knocked(place, "8", "Bob Stone")
        yield place


async def knocked(place: Place, external_id: str, name: str, home: str = "8:0") -> None:
    """Have somebody write to the bot who is not known."""
    said = {"name": name, "language": "zh", "home": home, "told_at": place.store.clock()}
    async with place.store.database.transaction() as tx:
        await tx.one(people.TELL_STRANGER, installation_id=BOT, external_id=external_id, **said)


async def test_an_admin_lets_in_who_has_knocked_and_it_is_on_record(place: Place) -> None:
    user, home = await place.app.staff.admit(place.tenant, place.ann, BOT, "8", "operator")
    assert (user.name, user.role, user.language, home) == ("Bob Stone", Role.OPERATOR, "zh", "8:0")
    async with place.tenant.reading() as db:
        assert [each.name for each in await people.users(db)] == ["Bob Stone", "ann"]
        found = await db.one(people.IDENTITY, installation_id=BOT, external_id="8")
    assert found is not None
    assert (found["user_id"], found["home"]) == (user.id, "8:0")
    rows = await place.store.as_owner(
        f"SELECT action, actor_id FROM {place.tenant.schema}.audit ORDER BY seq"
    )
    assert dict(rows[-1]) == {"action": "user.admit", "actor_id": place.ann.id}


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_nobody_else_does(place: Place, role: str) -> None:
    other = await add_user(place.tenant, place.store.clock, "eve", Role(role))
    with pytest.raises(NotAllowed):
        await place.app.staff.admit(place.tenant, other, BOT, "8", "viewer")


async def test_who_has_not_knocked_or_is_in_already_is_said_so(place: Place) -> None:
    with pytest.raises(NotFound):
        await place.app.staff.admit(place.tenant, place.ann, BOT, "9", "viewer")
    with pytest.raises(NotFound):
        await place.app.staff.admit(place.tenant, place.ann, "telegram-2", "8", "viewer")
    await place.app.staff.admit(place.tenant, place.ann, BOT, "8", "viewer")
    with pytest.raises(Late):
        await place.app.staff.admit(place.tenant, place.ann, BOT, "8", "admin")
    with pytest.raises(BadInput):
        await place.app.staff.admit(place.tenant, place.ann, BOT, "8", "owner")


@pytest.mark.parametrize("name", ["ann", "it0", "", "\u202e evil", "a" * 300, "**x**"])
async def test_a_name_that_somebody_has_or_that_deceives_is_not_given(place: Place, name: str) -> None:
    await knocked(place, "55", name, "55:0")
    user, _ = await place.app.staff.admit(place.tenant, place.ann, BOT, "55", "viewer")
    assert user.name != "ann"
    assert user.name.isprintable()
    assert len(user.name) <= 63
