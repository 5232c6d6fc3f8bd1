"""API keys: made once, hashed, revoked, and no second pair of eyes."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.desk import make_grants
from support.store import Store, actions, add_user

from agent.keys import ApiKeys
from agent.people import Staff
from core.errors import BadInput, NotAllowed, NotFound, Refused
from core.store import keys, people
from core.store.people import token_hash
from core.work import Role, User


@pytest.fixture
async def store(module_store: Store) -> Store:
    """Return the module's database, emptied."""
    await module_store.wipe()
    return module_store


@pytest.fixture
def api_keys(store: Store) -> ApiKeys:
    """Return the keys' door."""
    return ApiKeys(store.clock, make_grants(store.clock))


async def test_key_is_stored_as_a_hash_and_named_by_its_prefix(store: Store, api_keys: ApiKeys) -> None:
    tenant = await store.first()
    made, token = await api_keys.new(tenant, None, "ci", "operator", "en")
    assert token.startswith(f"{made.prefix}_")
    async with store.database.reading() as db:
        found = await db.one(keys.FOUND, token_hash=token_hash(token))
    assert found is not None
    assert (found["id"], found["tenant_id"]) == (made.id, tenant.id)
    assert [(k.name, k.role, k.revoked_at) for k in await api_keys.listed(tenant)] == [
        ("ci", Role.OPERATOR, None)
    ]
    assert await api_keys.listed(await store.second()) == []
    assert await actions(tenant) == ["key.add"]


async def test_revoked_key_is_found_no_more_and_its_name_can_be_taken_again(
    store: Store, api_keys: ApiKeys
) -> None:
    tenant = await store.first()
    _, token = await api_keys.new(tenant, None, "ci", "admin", "en")
    await api_keys.revoke(tenant, None, "ci")
    async with tenant.reading() as db:
        assert await db.one(keys.FOUND, token_hash=token_hash(token)) is None
        before = await people.user_named(db, "ci")
    assert before is not None
    assert not before.active
    await api_keys.new(tenant, None, "ci", "viewer", "en")
    async with tenant.reading() as db:
        again = await people.user_named(db, "ci")
    assert again == User(before.id, "ci", Role.VIEWER, "en", is_key=True)


async def test_key_takes_no_name_of_a_person_or_of_another_key(store: Store, api_keys: ApiKeys) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "ann", Role.VIEWER)
    with pytest.raises(BadInput) as caught:
        await api_keys.new(tenant, None, "ann", "admin", "en")
    assert caught.value.say.key == "people.name_taken"
    await api_keys.new(tenant, None, "ci", "viewer", "en")
    with pytest.raises(BadInput) as caught:
        await api_keys.new(tenant, None, "ci", "admin", "en")
    assert caught.value.say.key == "key.name_taken"


async def test_only_admins_make_and_revoke_keys(store: Store, api_keys: ApiKeys) -> None:
    tenant = await store.first()
    olga = await add_user(tenant, store.clock, "olga", Role.OPERATOR)
    await api_keys.new(tenant, None, "ci", "viewer", "en")
    with pytest.raises(NotAllowed):
        await api_keys.new(tenant, olga, "mine", "viewer", "en")
    with pytest.raises(NotAllowed):
        await api_keys.revoke(tenant, olga, "ci")
    assert [k.revoked_at for k in await api_keys.listed(tenant)] == [None]


async def test_key_that_would_have_ended_already_is_not_made(store: Store, api_keys: ApiKeys) -> None:
    tenant = await store.first()
    with pytest.raises(BadInput) as caught:
        await api_keys.new(tenant, None, "ci", "viewer", "en", store.clock() - timedelta(seconds=1))
    assert caught.value.say.key == "key.expires_past"
    with pytest.raises(NotFound):
        await api_keys.revoke(tenant, None, "ci")


async def test_key_is_no_person_for_quotas_links_codes_and_the_last_admin(
    store: Store, api_keys: ApiKeys
) -> None:
    tenant, staff = await store.first(), Staff(store.clock, 60, make_grants(store.clock))
    root = await add_user(tenant, store.clock, "root", Role.ADMIN)
    await api_keys.new(tenant, root, "robot", "admin", "en")
    async with tenant.reading() as db:
        assert await db.value(people.COUNT) == 1
        assert [user.name for user in await people.persons(db)] == ["root"]
    with pytest.raises(Refused) as caught:
        await staff.change(tenant, root, "root", role=None, active=False)
    assert caught.value.say.key == "people.last_admin"
    for change in (staff.pairing_code(tenant, root, "robot"), staff.named(tenant, "robot")):
        with pytest.raises(NotFound):
            await change


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"role": None, "active": False}, {"theirs"}),
        ({"role": "viewer", "active": None}, {"theirs", "look"}),
        ({"role": "operator", "active": None}, {"theirs", "look"}),
        ({"role": "admin", "active": None}, {"theirs", "look", "ci", "of ci"}),
    ],
)
async def test_who_is_let_out_or_may_less_takes_the_keys_that_may_more_along(
    store: Store, api_keys: ApiKeys, change: dict[str, Any], left: set[str]
) -> None:
    tenant = await store.first()
    ann, bob = [await add_user(tenant, store.clock, name) for name in ("ann", "bob")]
    await api_keys.new(tenant, ann, "theirs", "admin", "en")
    await api_keys.new(tenant, bob, "look", "viewer", "en")
    await api_keys.new(tenant, bob, "ci", "admin", "en")
    async with tenant.reading() as db:
        ci = await people.user_named(db, "ci")
    _, token = await api_keys.new(tenant, ci, "of ci", "admin", "en")
    revoked = await Staff(store.clock, 10, make_grants(store.clock)).change(tenant, ann, "bob", **change)
    assert {key.name for key in await api_keys.listed(tenant) if key.revoked_at is None} == left
    assert set(revoked) == {"theirs", "look", "ci", "of ci"} - left
    async with tenant.reading() as db:
        assert (await db.one(keys.FOUND, token_hash=token_hash(token)) is None) == ("of ci" not in left)
    assert (await actions(tenant)).count("key.revoke") == len(revoked)


@pytest.mark.parametrize("change", [{"role": None, "active": False}, {"role": "operator", "active": None}])
async def test_admin_who_was_let_out_a_moment_ago_makes_no_key(
    store: Store, api_keys: ApiKeys, change: dict[str, Any]
) -> None:
    tenant = await store.first()
    ann, bob = [await add_user(tenant, store.clock, name) for name in ("ann", "bob")]
    await Staff(store.clock, 10, make_grants(store.clock)).change(tenant, ann, "bob", **change)
    with pytest.raises(NotAllowed):
        await api_keys.new(tenant, bob, "late", "admin", "en")
