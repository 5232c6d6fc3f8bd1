"""People: who may be let in, who may change whom, and one-time links and codes."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from fakes.desk import make_grants
from fakes.shell import ScriptedShell
from hypothesis import given
from hypothesis import strategies as st
from support.store import Store, actions, add_user

from agent.fleet.forms import NewServer
from agent.fleet.servers import Fleet
from agent.people import Staff, clean_name, role_of, set_language
from bot.console import limits
from bot.console.auth import Sessions, Unauthenticated
from core.errors import BadInput, NotAllowed, NotFound, Refused, StoreUnavailable
from core.ids import PAIRING_ALPHABET, new_id, pairing_code
from core.store import fleet, people
from core.store.people import code_hash, token_hash
from core.tenant import Tenant
from core.work import PLANS, Role, User

URL = "https://it0.example"


@pytest.fixture
async def store(module_store: Store) -> Store:
    """Return the module's database, emptied."""
    await module_store.wipe()
    return module_store


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self.now


@pytest.fixture
def staff(store: Store) -> Staff:
    """Return the people's door with codes that hold an hour."""
    return Staff(store.clock, 60, make_grants(store.clock))


@pytest.fixture
def sessions(store: Store) -> Sessions:
    """Return the sign-in door: links hold 10 minutes, sessions 12 hours."""
    return Sessions(
        store.database, store.tenants, store.clock, link_minutes=10, session_hours=12, secure=True
    )


async def user_of(tenant: Tenant, name: str) -> User | None:
    """Return a stored user."""
    async with tenant.reading() as db:
        return await people.user_named(db, name)


def test_each_role_may_do_what_the_ones_before_it_may() -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    for (i, one), (j, other) in itertools.product(enumerate(order), repeat=2):
        assert one.covers(other) == (i >= j)


@pytest.mark.parametrize("text", ["", "root", "Admin", "admin ", "ADMIN", "owner"])
def test_role_that_does_not_exist_is_refused_with_those_that_do(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        role_of(text)
    assert caught.value.say.params == {"roles": "viewer, operator, admin"}


async def test_user_is_added_with_a_console_identity_and_an_audit_row(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    added = await staff.add(tenant, None, "林小雨", "operator", "zh")
    assert await user_of(tenant, "林小雨") == added
    async with tenant.reading() as db:
        identity = await db.one(people.IDENTITY, installation_id=f"console-{tenant.id}", external_id=added.id)
    assert identity is not None
    assert (identity["tenant_id"], identity["user_id"]) == (tenant.id, added.id)
    assert await actions(tenant) == ["user.add"]
    assert await user_of(await store.second(), "林小雨") is None


async def test_same_name_is_refused_in_one_tenant_and_taken_in_another(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    await staff.add(tenant, None, "ann", "viewer", "en")
    with pytest.raises(BadInput) as caught:
        await staff.add(tenant, None, "ann", "admin", "en")
    assert caught.value.say.key == "people.name_taken"
    await staff.add(await store.second(), None, "ann", "viewer", "en")


async def test_same_name_at_the_same_moment_is_added_once(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    tries = (staff.add(tenant, None, "ann", "viewer", "en") for _ in range(6))
    results = await asyncio.gather(*tries, return_exceptions=True)
    added = [result for result in results if isinstance(result, User)]
    assert len(added) == 1
    refusals = [result for result in results if not isinstance(result, User)]
    assert all(isinstance(result, BadInput) for result in refusals), refusals


@pytest.mark.parametrize("name", ["", " ann", "a:b", "a/b", "a\nb", "a\x00b", "\x7f", "x" * 64])
async def test_bad_name_is_refused(module_store: Store, name: str) -> None:
    tenant = await module_store.first()
    with pytest.raises(BadInput) as caught:
        await Staff(module_store.clock, 60, make_grants(module_store.clock)).add(
            tenant, None, name, "viewer", "en"
        )
    assert caught.value.say.key == "people.bad_name"


@pytest.mark.parametrize(
    "name",
    [
        "ann ", "an  n", "an\u00a0n", "an\u3000n", "an\u2003n", "an\u200bn", "an\u202en", "an\u2066n",
        "an\u00adn", "an\ufeffn", "an\u3164n", "an\u115fn", "an\u2800n", "\U000e0041nn", "a\ud800",
        "аnn", "αnn", "ann\u0338", "<b>", "ann\u2044bob", "ann`", "**ann**", "ann\\", "...", "ann😀", "١٢",
    ],
)  # fmt: skip
def test_name_that_looks_like_another_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        clean_name(name)
    assert caught.value.say.key in ("people.odd_name", "people.bad_name")


@pytest.mark.parametrize("name", ["it0", "IT0", "ｉｔ０", "It0"])
def test_name_of_it0_itself_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        clean_name(name)
    assert caught.value.say.key == "people.name_reserved"


@pytest.mark.parametrize(
    "name", ["ann", "林小雨", "佐々木", "Ann-Marie O.", "a_b@c.d", "Çelik", "Анна", "x" * 63, "7"]
)
def test_name_of_a_person_is_kept(name: str) -> None:
    assert clean_name(name) == name


async def test_full_width_name_is_the_plain_one(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    await staff.add(tenant, None, "ann", "admin", "en")
    with pytest.raises(BadInput) as caught:
        await staff.add(tenant, None, "ａｎｎ", "viewer", "en")
    assert caught.value.say.key == "people.name_taken"
    assert (await staff.add(tenant, None, "ｂｏｂ", "viewer", "en")).name == "bob"


async def test_language_that_it0_does_not_speak_is_refused(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    with pytest.raises(BadInput) as caught:
        await staff.add(tenant, None, "ann", "admin", "fr")  # type: ignore[arg-type]
    assert caught.value.say.key == "language.unknown"


async def test_bad_role_is_refused_before_anything_is_written(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    with pytest.raises(BadInput):
        await staff.add(tenant, None, "ann", "root", "en")
    assert await user_of(tenant, "ann") is None
    assert await actions(tenant) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_only_admins_change_people(store: Store, staff: Staff, role: Role) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    by = await add_user(tenant, store.clock, "by", role)
    for work in (
        staff.add(tenant, by, "x", "viewer", "en"),
        staff.change(tenant, by, "by", role="admin", active=None),
        staff.pairing_code(tenant, by, "by"),
    ):
        with pytest.raises(NotAllowed):
            await work
    assert await actions(tenant) == []


async def test_change_of_an_unknown_user_is_said(store: Store, staff: Staff) -> None:
    with pytest.raises(NotFound):
        await staff.change(await store.first(), None, "nobody", role="admin", active=None)


@pytest.mark.parametrize("change", [{"role": "operator", "active": None}, {"role": None, "active": False}])
async def test_last_active_admin_stays_one(store: Store, staff: Staff, change: dict[str, object]) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    await add_user(tenant, store.clock, "gone")
    await staff.change(tenant, None, "gone", role=None, active=False)
    with pytest.raises(Refused) as caught:
        await staff.change(tenant, None, "root", **change)  # type: ignore[arg-type]
    assert caught.value.say.key == "people.last_admin"
    assert await user_of(tenant, "root") == await staff.named(tenant, "root")
    await staff.change(tenant, None, "gone", role=None, active=True)
    await staff.change(tenant, None, "root", **change)  # type: ignore[arg-type]


async def test_two_admins_who_dismiss_each_other_at_once_leave_one(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    for name in ("ann", "bob"):
        await add_user(tenant, store.clock, name)
    for _ in range(5):
        demotions = (staff.change(tenant, None, name, role="viewer", active=None) for name in ("ann", "bob"))
        results = await asyncio.gather(*demotions, return_exceptions=True)
        assert [type(result) for result in results if result] == [Refused]
        for name in ("ann", "bob"):
            await staff.change(tenant, None, name, role="admin", active=None)


async def test_role_and_activity_change_apart_from_each_other(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "ann", Role.VIEWER, "zh")
    await staff.change(tenant, None, "ann", role="operator", active=None)
    await staff.change(tenant, None, "ann", role=None, active=False)
    ann = await staff.named(tenant, "ann")
    assert (ann.role, ann.active, ann.language) == (Role.OPERATOR, False, "zh")
    assert await actions(tenant) == ["user.change", "user.change"]


async def signed_in(sessions: Sessions, tenant: Tenant, user: User) -> str:
    """Return a session's secret."""
    link = await sessions.make_link(tenant, user, URL)
    secret = await sessions.sign_in(link.split("token=")[1], "192.0.2.1")
    assert secret is not None
    return secret


async def test_let_out_user_loses_every_session_at_once(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    ann = await add_user(tenant, store.clock, "ann", Role.VIEWER)
    secrets = [await signed_in(sessions, tenant, ann) for _ in range(2)]
    assert (await sessions.visitor_of(secrets[0], None)).user.name == "ann"
    await staff.change(tenant, None, "ann", role=None, active=False)
    for secret in secrets:
        with pytest.raises(Unauthenticated):
            await sessions.visitor_of(secret, None)
    await staff.change(tenant, None, "ann", role=None, active=True)
    for secret in secrets:  # an old session does not come back with its user
        with pytest.raises(Unauthenticated):
            await sessions.visitor_of(secret, None)


async def test_let_out_user_cannot_sign_in_with_a_link_made_before(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    ann = await add_user(tenant, store.clock, "ann", Role.VIEWER)
    link = await sessions.make_link(tenant, ann, URL)
    code = await staff.pairing_code(tenant, None, "ann")
    await staff.change(tenant, None, "ann", role=None, active=False)
    with pytest.raises(BadInput) as caught:
        await sessions.make_link(tenant, await staff.named(tenant, "ann"), URL)
    assert caught.value.say.key == "people.inactive"
    for active in (False, True):  # what was voided stays so when they are let in again
        await staff.change(tenant, None, "ann", role=None, active=active)
        assert await sessions.sign_in(link.split("token=")[1], None) is None
        assert await use(store, code) is None
    assert await store.as_owner("SELECT * FROM it0_shared.web_session") == []


async def test_link_that_was_made_while_its_user_was_let_out_makes_no_session(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    ann = await add_user(tenant, store.clock, "ann", Role.VIEWER)
    await staff.change(tenant, None, "ann", role=None, active=False)
    link = await sessions.make_link(tenant, ann, URL)  # by one who read her as active a moment ago
    assert await sessions.sign_in(link.split("token=")[1], None) is None
    assert await store.as_owner("SELECT * FROM it0_shared.web_session") == []
    assert (await actions(tenant))[-1] == "user.sign_in_refused"


async def test_signing_in_while_being_let_out_leaves_no_session_open(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    ann = await add_user(tenant, store.clock, "ann", Role.VIEWER)
    for _ in range(10):
        tokens = [(await sessions.make_link(tenant, ann, URL)).split("token=")[1] for _ in range(2)]
        tries = (sessions.sign_in(token, None) for token in tokens)
        await asyncio.gather(*tries, staff.change(tenant, None, "ann", role=None, active=False))
        assert await store.as_owner("SELECT * FROM it0_shared.web_session WHERE ended_at IS NULL") == []
        await staff.change(tenant, None, "ann", role=None, active=True)


async def test_changed_role_holds_in_sessions_that_are_open(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    secret = await signed_in(sessions, tenant, await add_user(tenant, store.clock, "ann"))
    await staff.change(tenant, None, "ann", role="viewer", active=None)
    assert (await sessions.visitor_of(secret, None)).user.role is Role.VIEWER


async def test_sign_in_link_works_once_also_for_twenty_at_once(store: Store, sessions: Sessions) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    token = (await sessions.make_link(tenant, ann, URL)).split("token=")[1]
    results = await asyncio.gather(*(sessions.sign_in(token, None) for _ in range(20)))
    assert len([secret for secret in results if secret]) == 1
    assert await sessions.sign_in(token, None) is None
    # Of the nineteen that came late, and the one after, a row a minute says how many they were.
    written = await actions(tenant)
    assert sorted(written) == ["user.link", "user.sign_in", "user.sign_in_failed"]


async def test_link_that_holds_no_more_is_on_record_once_a_minute_with_a_count(
    store: Store, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = Seconds()
    monkeypatch.setattr(limits, "time", moment)
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    token = (await sessions.make_link(tenant, ann, URL)).split("token=")[1]
    assert await sessions.sign_in(token, "192.0.2.1")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"):
        assert await sessions.sign_in(token, address) is None
    moment.now += 60
    assert await sessions.sign_in(token, "192.0.2.1") is None
    rows = [r for r in await tenant.audit.page() if r["action"] == "user.sign_in_failed"]
    told = [(r["ip"], r["detail"]["count"], r["resource_id"] == ann.id) for r in reversed(rows)]
    assert told == [("192.0.2.1", 1, True), ("192.0.2.2", 1, True), ("192.0.2.1", 3, True)]


async def test_link_is_made_with_its_audit_row_or_not_at_all(
    store: Store, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await store.first()
    root, ann = [await add_user(tenant, store.clock, name) for name in ("root", "ann")]
    visitor = await sessions.visitor_of(await signed_in(sessions, tenant, root), "192.0.2.9")
    await sessions.make_link(tenant, ann, URL, visitor)
    row = (await tenant.audit.page())[0]
    assert (row["action"], row["actor_type"], row["actor_id"]) == ("user.link", "user", root.id)
    assert (row["resource_id"], row["ip"], row["detail"]) == (ann.id, "192.0.2.9", {"name": "ann"})
    await sessions.make_link(tenant, ann, URL)
    row = (await tenant.audit.page())[0]
    assert (row["actor_type"], row["actor_id"]) == ("system", None)
    count = len(await store.as_owner("SELECT * FROM it0_shared.login_link"))
    monkeypatch.setattr(tenant.audit, "append_in", no_append)
    with pytest.raises(StoreUnavailable):
        await sessions.make_link(tenant, ann, URL, visitor)
    with pytest.raises(StoreUnavailable):
        await sessions.sign_out(visitor)
    with pytest.raises(StoreUnavailable):
        await set_language(tenant, ann, "zh", "console", store.clock())
    assert len(await store.as_owner("SELECT * FROM it0_shared.login_link")) == count
    assert await sessions.stands(visitor)
    assert (await user_of(tenant, "ann")) == ann


async def no_append(*_: object) -> int:
    """Be an audit log that cannot be written."""
    raise StoreUnavailable


async def test_open_session_stands_until_it_ends_or_its_person_is_let_out(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "root")
    ann = await add_user(tenant, store.clock, "ann")
    one, two = [await sessions.visitor_of(await signed_in(sessions, tenant, ann), None) for _ in range(2)]
    assert await sessions.stands(one)
    await sessions.sign_out(one)
    assert (await sessions.stands(one), await sessions.stands(two)) == (False, True)
    await staff.change(tenant, None, "ann", role=None, active=False)
    assert not await sessions.stands(two)


async def test_language_of_a_person_is_on_record(store: Store) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    await set_language(tenant, ann, "zh", "chat", store.clock())
    changed = await user_of(tenant, "ann")
    assert changed
    assert changed.language == "zh"
    row = (await tenant.audit.page())[0]
    assert (row["action"], row["actor_id"], row["detail"]["language"]) == ("user.language", ann.id, "zh")
    with pytest.raises(BadInput):
        await set_language(tenant, ann, "fr", "chat", store.clock())


async def test_what_is_over_is_forgotten_and_what_holds_is_not(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")

    async def fill() -> str:
        secret = await signed_in(sessions, tenant, ann)
        await staff.pairing_code(tenant, None, "ann")
        async with tenant.transaction() as tx:
            form = {"name": "k", "kind": "ssh_key", "user_id": ann.id, "expires_at": store.clock()}
            await tx.run(fleet.ADD_FORM, token_hash=token_hash(secret), secret_expires_at=None, **form)
            place = {"installation_id": "i", "external_id": new_id()}
            said = {"name": "Zoe", "language": "en", "home": "1:0"}
            await tx.one(people.TELL_STRANGER, told_at=store.clock(), **place, **said)
        return secret

    await fill()
    store.clock.forward(days=31)
    kept = await fill()
    async with tenant.transaction() as tx:
        for purge in (*people.PURGES, people.FORMS_PURGE):
            assert await tx.run(purge, before=store.clock() - timedelta(days=30)) == 1
    assert (await sessions.visitor_of(kept, None)).user.name == "ann"


async def test_sign_in_link_expires_to_the_second(store: Store, sessions: Sessions) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    kept, late = [(await sessions.make_link(tenant, ann, URL)).split("token=")[1] for _ in range(2)]
    store.clock.forward(minutes=10, seconds=-1)
    assert await sessions.sign_in(kept, None)
    store.clock.forward(seconds=1)
    assert await sessions.sign_in(late, None) is None


@pytest.mark.parametrize("token", ["", "x", "../..", "' OR 1=1 --", "\ud7ff", "\ud800", "a" * 10_000])
async def test_link_that_nobody_made_signs_nobody_in(module_store: Store, token: str) -> None:
    sessions = Sessions(
        module_store.database,
        module_store.tenants,
        module_store.clock,
        link_minutes=10,
        session_hours=12,
        secure=True,
    )
    assert await sessions.sign_in(token, None) is None
    with pytest.raises(Unauthenticated):
        await sessions.visitor_of(token, None)


async def test_session_slides_and_ends(store: Store, sessions: Sessions) -> None:
    tenant = await store.first()
    secret = await signed_in(sessions, tenant, await add_user(tenant, store.clock, "ann"))
    for _ in range(3):
        store.clock.forward(hours=11)
        visitor = await sessions.visitor_of(secret, None)
    store.clock.forward(hours=12)
    with pytest.raises(Unauthenticated):
        await sessions.visitor_of(secret, None)
    secret = await signed_in(sessions, tenant, visitor.user)
    visitor = await sessions.visitor_of(secret, None)
    await sessions.sign_out(visitor)
    with pytest.raises(Unauthenticated):
        await sessions.visitor_of(secret, None)


async def test_links_codes_and_sessions_are_stored_hashed(
    store: Store, staff: Staff, sessions: Sessions
) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    code = await staff.pairing_code(tenant, None, "ann")
    link = (await sessions.make_link(tenant, ann, URL)).split("token=")[1]
    session = await signed_in(sessions, tenant, ann)
    stored = ""
    for table in ("pairing_code", "login_link", "web_session"):
        for row in await store.as_owner(f"SELECT to_jsonb(t)::text AS line FROM it0_shared.{table} t"):
            stored += row["line"]
    for row in await store.as_owner(f"SELECT to_jsonb(t)::text AS line FROM {tenant.schema}.audit t"):
        stored += row["line"]
    for secret in (code, code.replace("-", ""), link, session):
        assert secret not in stored
        assert secret.encode().hex() not in stored
    assert code_hash(code).hex() in stored
    assert token_hash(link).hex() in stored


async def use(store: Store, code: str) -> User | None:
    """Type a code in as a stranger would."""
    async with store.database.transaction() as tx:
        used = await tx.one(people.USE_CODE, token_hash=code_hash(code), now=store.clock())
    if used is None:
        return None
    async with (await store.tenants.by_id(used["tenant_id"])).reading() as db:
        return await people.user(db, used["user_id"])


async def test_pairing_code_works_once_also_for_twenty_at_once(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "ann")
    code = await staff.pairing_code(tenant, None, "ann")
    found = await asyncio.gather(*(use(store, code) for _ in range(20)))
    assert [user.name for user in found if user] == ["ann"]
    assert await actions(tenant) == ["user.pairing_code"]


async def test_pairing_code_expires_after_its_minutes(store: Store, staff: Staff) -> None:
    tenant = await store.first()
    await add_user(tenant, store.clock, "ann")
    kept, late = [await staff.pairing_code(tenant, None, "ann") for _ in range(2)]
    store.clock.forward(minutes=60, seconds=-1)
    assert await use(store, kept)
    store.clock.forward(seconds=1)
    assert await use(store, late) is None


async def test_code_for_an_unknown_user_is_not_made(store: Store, staff: Staff) -> None:
    with pytest.raises(NotFound):
        await staff.pairing_code(await store.first(), None, "nobody")


SPACES = st.sampled_from(["", " ", "-", "\t", " - ", "\n"])


@given(
    st.text(PAIRING_ALPHABET, min_size=10, max_size=10), st.lists(SPACES, min_size=11, max_size=11), st.data()
)
def test_code_is_known_whatever_its_case_spaces_and_dashes(
    letters: str, gaps: list[str], data: st.DataObject
) -> None:
    cases = data.draw(st.lists(st.booleans(), min_size=10, max_size=10))
    typed = [each.lower() if lower else each for each, lower in zip(letters, cases, strict=True)]
    loose = "".join(gap + each for gap, each in zip(gaps, [*typed, ""], strict=True))
    assert code_hash(loose) == code_hash(letters)


@given(
    st.text(PAIRING_ALPHABET, min_size=10, max_size=10), st.text(PAIRING_ALPHABET, min_size=10, max_size=10)
)
def test_other_letters_are_another_code(one: str, other: str) -> None:
    assert (code_hash(one) == code_hash(other)) == (one == other)


def test_codes_have_no_look_alikes_and_do_not_repeat() -> None:
    codes = {pairing_code() for _ in range(10_000)}
    assert len(codes) == 10_000
    assert not set("".join(codes)) & set("01IO")
    assert all(len(code) == 11 and code[5] == "-" for code in codes)


async def test_free_plan_refuses_the_fourth_user_and_names_the_limit(store: Store, staff: Staff) -> None:
    tenant = await store.with_plan("free")
    for number in range(3):
        await staff.add(tenant, None, f"u{number}", "admin", "en")
    with pytest.raises(Refused) as caught:
        await staff.add(tenant, None, "u3", "viewer", "en")
    assert (caught.value.say.key, caught.value.say.params) == ("quota.users", {"limit": 3, "plan": "free"})
    assert await user_of(tenant, "u3") is None


async def test_quota_of_users_holds_when_many_are_added_at_once(store: Store, staff: Staff) -> None:
    tenant = await store.with_plan("free")
    adding = (staff.add(tenant, None, f"u{n}", "viewer", "en") for n in range(8))
    await asyncio.gather(*adding, return_exceptions=True)
    async with tenant.reading() as db:
        assert await db.value(people.COUNT) == 3


async def test_quota_of_users_is_not_passed_by_letting_old_ones_in_again(store: Store, staff: Staff) -> None:
    tenant = await store.with_plan("free")
    for number in range(3):
        await staff.add(tenant, None, f"u{number}", "admin", "en")
    await staff.change(tenant, None, "u0", role=None, active=False)
    await staff.add(tenant, None, "u3", "viewer", "en")
    with pytest.raises(Refused) as caught:
        await staff.change(tenant, None, "u0", role=None, active=True)
    assert caught.value.say.key == "quota.users"
    await staff.change(tenant, None, "u1", role=None, active=True)  # is active already: nothing is added


async def test_free_plan_refuses_the_sixth_server_and_names_the_limit(store: Store) -> None:
    tenant, hands = await store.with_plan("free"), Fleet(ScriptedShell(), store.clock)
    admin = await add_user(tenant, store.clock, "root")
    for number in range(5):
        await hands.add_server(tenant, admin, NewServer(f"s{number}", connection="local"))
    with pytest.raises(Refused) as caught:
        await hands.add_server(tenant, admin, NewServer("s5", connection="local"))
    assert (caught.value.say.key, caught.value.say.params) == ("quota.servers", {"limit": 5, "plan": "free"})
    await hands.remove_server(tenant, admin, await hands.server(tenant, "s0"))
    await hands.add_server(tenant, admin, NewServer("s5", connection="local"))


async def test_quota_of_servers_holds_when_many_are_added_at_once(store: Store) -> None:
    tenant, hands = await store.with_plan("free"), Fleet(ScriptedShell(), store.clock)
    admin = await add_user(tenant, store.clock, "root")
    adding = (hands.add_server(tenant, admin, NewServer(f"s{n}", connection="local")) for n in range(12))
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert len(await hands.servers(tenant)) == 5
    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(result, Refused) for result in refused), refused


async def test_same_server_at_the_same_moment_is_added_once(store: Store) -> None:
    tenant, hands = await store.first(), Fleet(ScriptedShell(), store.clock)
    admin = await add_user(tenant, store.clock, "root")
    adding = (hands.add_server(tenant, admin, NewServer("web", connection="local")) for _ in range(6))
    results = await asyncio.gather(*adding, return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 5
    assert all(isinstance(result, BadInput) for result in refused), refused


async def test_same_credential_at_the_same_moment_is_added_once(store: Store) -> None:
    tenant, hands = await store.first(), Fleet(ScriptedShell(), store.clock)
    admin = await add_user(tenant, store.clock, "root")
    adding = (hands.credentials.add(tenant, admin, "main", "ssh_password", b"secret") for _ in range(6))
    results = await asyncio.gather(*adding, return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 5
    assert all(isinstance(result, BadInput) for result in refused), refused


def test_own_installation_has_no_quotas_and_free_has_the_documented_ones() -> None:
    own, free = PLANS["self-hosted"], PLANS["free"]
    assert {own.servers, own.skills, own.users, own.sessions_a_day, own.running_tasks} == {None}
    assert (free.servers, free.skills, free.users, free.sessions_a_day) == (5, 10, 3, 50)
    assert all(plan.allows("direct") for plan in PLANS.values())


async def test_one_account_is_linked_to_one_person(store: Store) -> None:
    tenant = await store.first()
    one, other = [await add_user(tenant, store.clock, name) for name in ("ann", "bob")]
    async with tenant.transaction() as tx:
        link = (tx, tenant.id, "slack-1", "U123")
        assert await people.add_identity(*link, one.id, store.clock())
        assert not await people.add_identity(*link, other.id, store.clock())
        assert not await people.add_identity(*link, new_id(), store.clock())
