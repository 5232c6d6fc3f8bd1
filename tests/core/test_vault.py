"""The vault: secrets open with their key, in their place, whole, or not at all."""

import asyncio
import base64
import os
from dataclasses import fields, replace

import pytest
from fakes.shell import ScriptedShell
from hypothesis import given
from hypothesis import strategies as st
from support.store import Store, actions, add_user

from agent.fleet.servers import Fleet
from core.errors import SetupError, VaultError
from core.store import fleet
from core.tenant import Tenant, Tenants
from core.vault import NONCE_BYTES, Place, Vault, new_key, parse_key
from core.work import User

PLACE = Place("t1", "credential", "c1", "sealed", "ssh_key")
VAULT = Vault(new_key())
SECRET = b"correct horse battery staple"
SEALED = VAULT.seal(SECRET, PLACE)
WORDS = st.text(max_size=20)
PLACES = st.builds(Place, WORDS, WORDS, WORDS, WORDS, WORDS)


@given(st.binary(max_size=5000), PLACES)
def test_what_is_sealed_opens_as_it_was(secret: bytes, place: Place) -> None:
    sealed = VAULT.seal(secret, place)
    assert VAULT.open(sealed, place) == secret
    assert len(secret) < 6 or secret not in sealed


@pytest.mark.parametrize("field", [field.name for field in fields(Place)])
def test_secret_moved_to_another_row_tenant_table_field_or_kind_does_not_open(field: str) -> None:
    with pytest.raises(VaultError):
        VAULT.open(SEALED, replace(PLACE, **{field: "other"}))


@given(PLACES, PLACES)
def test_no_two_places_are_bound_alike(one: Place, other: Place) -> None:
    assert (one.bound_to(b"\x01\x02\x03\x04") == other.bound_to(b"\x01\x02\x03\x04")) == (one == other)


def test_letters_moved_between_neighbouring_fields_make_another_place() -> None:
    one, other = Place("ab", "c", "d", "e", "f"), Place("a", "bc", "d", "e", "f")
    with pytest.raises(VaultError):
        VAULT.open(VAULT.seal(SECRET, one), other)


def test_any_flipped_bit_is_refused() -> None:
    for bit in range(len(SEALED) * 8):
        broken = bytearray(SEALED)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VaultError):
            VAULT.open(bytes(broken), PLACE)


def test_any_truncation_is_refused() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(VaultError):
            VAULT.open(SEALED[:length], PLACE)
        with pytest.raises(VaultError):
            VAULT.open(SEALED[length + 1 :], PLACE)


@given(st.binary(max_size=100))
def test_anything_that_was_never_sealed_is_refused(junk: bytes) -> None:
    with pytest.raises(VaultError):
        VAULT.open(junk, PLACE)
    with pytest.raises(VaultError):
        VAULT.open(SEALED + junk + b"x", PLACE)


def test_no_nonce_comes_twice_in_ten_thousand() -> None:
    nonces = {VAULT.seal(SECRET, PLACE)[4 : 4 + NONCE_BYTES] for _ in range(10_000)}
    assert len(nonces) == 10_000


def test_older_key_still_opens_and_the_newest_seals() -> None:
    old, new = new_key(), new_key()
    sealed = Vault(old).seal(SECRET, PLACE)
    both = Vault(f"{new}, {old}")
    assert both.open(sealed, PLACE) == SECRET
    assert not both.is_current(sealed)
    assert both.is_current(both.seal(SECRET, PLACE))
    assert Vault(new).open(both.seal(SECRET, PLACE), PLACE) == SECRET


def test_missing_key_is_named_as_such() -> None:
    with pytest.raises(VaultError) as caught:
        Vault(new_key()).open(SEALED, PLACE)
    assert caught.value.say.key == "error.vault_key_missing"


def test_vault_shows_no_key() -> None:
    key = new_key()
    shown = repr(Vault(key)) + str(Vault(key)) + repr(vars(Vault(key)))
    assert key not in shown
    assert base64.b64decode(key).hex() not in shown
    assert repr(base64.b64decode(key))[2:-1] not in shown


BAD_KEYS = {
    "empty": "",
    "only commas": " , ,",
    "no base64": "sesame-open-up!",
    "too short": base64.b64encode(os.urandom(31)).decode(),
    "too long": base64.b64encode(os.urandom(33)).decode(),
    "url-safe alphabet": base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    "not ASCII": "密钥密钥密钥",
    "second bad": f"{new_key()},geheim",
}


@pytest.mark.parametrize("text", BAD_KEYS.values(), ids=BAD_KEYS)
def test_bad_master_key_is_refused_by_the_settings_name_and_not_its_value(text: str) -> None:
    with pytest.raises(SetupError) as caught:
        Vault(text)
    error = caught.value
    assert (error.say.key, error.say.params) == ("setup.bad_key", {"setting": "VAULT_MASTER_KEY"})
    assert error.__cause__ is None
    for part in filter(None, map(str.strip, text.split(","))):
        assert part not in str(error)


def test_bad_audit_key_names_its_own_setting() -> None:
    with pytest.raises(SetupError) as caught:
        parse_key("nope", "AUDIT_KEY")
    assert caught.value.say.params == {"setting": "AUDIT_KEY"}


async def sealed_rows(tenant: Tenant) -> dict[str, bytes]:
    """Return the stored bytes of each credential."""
    async with tenant.reading() as db:
        return {row["name"]: row["sealed"] for row in await db.all(fleet.CREDENTIALS)}


async def with_secrets(store: Store, count: int) -> tuple[Fleet, Tenant, User]:
    """Return a tenant with secrets under the store's key."""
    tenant = await store.first()
    admin = await add_user(tenant, store.clock, "root")
    hands = Fleet(ScriptedShell(), store.clock)
    for number in range(count):
        secret = f"password-{number}\n".encode()
        await hands.credentials.add(tenant, admin, f"c{number}", "ssh_password", secret)
    return hands, tenant, admin


async def test_stored_secret_swapped_between_rows_or_tenants_does_not_open(store: Store) -> None:
    hands, tenant, admin = await with_secrets(store, 2)
    other = await store.second()
    await hands.credentials.add(other, admin, "theirs", "ssh_password", b"password-0")
    theirs = (await sealed_rows(other))["theirs"]
    mine = await sealed_rows(tenant)
    for foreign in (mine["c1"], theirs):
        await store.as_owner(f"UPDATE {tenant.schema}.credential SET sealed=$1 WHERE name='c0'", foreign)
        with pytest.raises(VaultError):
            await hands.credentials.secrets(tenant)
    await store.as_owner(f"UPDATE {tenant.schema}.credential SET sealed=$1 WHERE name='c0'", mine["c0"])
    assert sorted(await hands.credentials.secrets(tenant)) == [b"password-0", b"password-1"]


async def test_rotation_seals_everything_anew_while_readers_go_on(store: Store) -> None:
    old, new = new_key(), new_key()
    store.tenants = Tenants(store.database, Vault(old), bytes(32))
    hands, tenant, admin = await with_secrets(store, 20)
    rotating = await Tenants(store.database, Vault(f"{new},{old}"), bytes(32)).by_id(tenant.id)
    expected = sorted(f"password-{n}".encode() for n in range(20))
    done = asyncio.Event()

    async def read_on() -> int:
        rounds = 0
        while not done.is_set() or not rounds:
            assert sorted(await hands.credentials.secrets(rotating)) == expected
            rounds += 1
        return rounds

    readers = [asyncio.ensure_future(read_on()) for _ in range(4)]
    resealed = await asyncio.gather(*(hands.credentials.reseal(rotating, admin) for _ in range(3)))
    done.set()
    assert all(await asyncio.gather(*readers))
    assert sum(resealed) == 20
    newest = await Tenants(store.database, Vault(new), bytes(32)).by_id(tenant.id)
    assert sorted(await hands.credentials.secrets(newest)) == expected
    assert (await actions(tenant)).count("credential.rotate") == 3


async def test_secret_revoked_during_a_rotation_does_not_come_back(store: Store) -> None:
    hands, tenant, admin = await with_secrets(store, 1)
    before = await sealed_rows(tenant)
    await hands.credentials.revoke(tenant, admin, "c0")
    async with tenant.transaction() as tx:
        credential = (await tx.all(fleet.CREDENTIALS))[0]["id"]
        assert await tx.run(fleet.RESEAL, credential=credential, old=before["c0"], new=b"back") == 0
    assert await sealed_rows(tenant) == {"c0": b""}
    assert await hands.credentials.secrets(tenant) == []


async def test_only_sealed_bytes_reach_the_database(store: Store) -> None:
    _, tenant, _ = await with_secrets(store, 1)
    rows = await store.as_owner(f"SELECT c::text AS line FROM {tenant.schema}.credential c")
    rows += await store.as_owner(f"SELECT a::text AS line FROM {tenant.schema}.audit a")
    shown = " ".join(row["line"] for row in rows)
    assert "password-0" not in shown
    assert b"password-0".hex() not in shown
