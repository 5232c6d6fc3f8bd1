"""A second factor: whose it is, which codes hold, how often, and for how long."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from fakes.desk import make_desk, make_grants
from support.store import Store, actions, add_user

from agent.gate.proving import totp
from agent.gate.proving.stepup import StepUp, place_of
from agent.keys import ApiKeys
from core.errors import NotAllowed, Refused, VaultError
from core.messages import Address
from core.store import people
from core.store import stepup as stored
from core.store.log import events_after, open_at
from core.tenant import Tenant, console_installation
from core.vault import Vault, new_key
from core.work import Role, User


@dataclass
class Scene:
    """A tenant with Ann, an admin, and what looks after second factors."""

    store: Store
    tenant: Tenant
    door: StepUp
    ann: User

    def code(self, secret: str, steps: int = 0) -> str:
        """Return the code of now, or of so many steps from now."""
        return pyotp.TOTP(secret).at(self.store.clock(), counter_offset=steps)

    async def enrolled(self) -> str:
        """Let Ann have a second factor, used a while ago; return its secret."""
        made = await self.door.begin(self.tenant, self.ann)
        await self.door.confirm(self.tenant, self.ann, self.code(made.secret))
        self.store.clock.forward(minutes=10)
        return made.secret

    async def prove(self, code: str, user: User | None = None) -> str:
        """Return what a code comes to."""
        try:
            await self.door.prove(self.tenant, user or self.ann, code, "console")
        except NotAllowed as refusal:
            return refusal.say.key
        return "right"

    async def row(self) -> Any:
        """Return what is stored of Ann's."""
        async with self.tenant.reading() as db:
            return await db.one(stored.GET, user=self.ann.id)


@pytest.fixture
async def scene(module_store: Store) -> Scene:
    """Return the module's database, emptied, with Ann."""
    await module_store.wipe()
    tenant = await module_store.first()
    ann = await add_user(tenant, module_store.clock, "ann")
    return Scene(module_store, tenant, StepUp(make_desk(module_store.clock), 5), ann)


async def test_second_factor_holds_once_a_first_code_was_right(scene: Scene) -> None:
    made = await scene.door.begin(scene.tenant, scene.ann)
    assert not (await scene.door.standing(scene.tenant, scene.ann)).enrolled
    assert await scene.prove(scene.code(made.secret)) == "totp.none"
    with pytest.raises(NotAllowed):
        await scene.door.confirm(scene.tenant, scene.ann, "000000")
    await scene.door.confirm(scene.tenant, scene.ann, scene.code(made.secret))
    assert (await scene.door.standing(scene.tenant, scene.ann)).enrolled
    assert (await actions(scene.tenant)) == ["totp.begin", "totp.refused", "totp.enrol"]
    with pytest.raises(Refused):
        await scene.door.begin(scene.tenant, scene.ann)


async def test_what_an_app_scans_names_the_person_and_holds_the_secret(scene: Scene) -> None:
    made = await scene.door.begin(scene.tenant, scene.ann)
    read = pyotp.parse_uri(made.uri)
    assert (read.secret, read.name, read.issuer) == (made.secret, "ann", "it0 first")
    assert len(made.qr) >= 21
    assert {len(row) for row in made.qr} == {len(made.qr)}
    assert set("".join(made.qr)) == {"0", "1"}


async def test_secret_is_sealed_for_its_person_in_its_tenant(scene: Scene) -> None:
    secret, row = await scene.enrolled(), await scene.row()
    vault, place = scene.tenant.vault, place_of(scene.tenant, scene.ann.id)
    assert secret.encode() not in row["sealed"]
    assert vault.open(row["sealed"], place) == secret.encode()
    for other in (place_of(scene.tenant, "eve"), place_of(await scene.store.second(), scene.ann.id)):
        with pytest.raises(VaultError):
            vault.open(row["sealed"], other)


async def test_secret_is_sealed_anew_under_a_new_master_key_and_goes_on_holding(scene: Scene) -> None:
    first, second = new_key(), new_key()
    scene.tenant.vault = Vault(first)
    secret = await scene.enrolled()
    scene.tenant.vault = Vault(f"{second},{first}")
    assert [await scene.door.reseal(scene.tenant) for _ in range(2)] == [1, 0]
    scene.tenant.vault = Vault(second)
    assert await scene.prove(scene.code(secret)) == "right"


async def test_code_is_taken_once_and_holds_for_the_minutes(scene: Scene) -> None:
    secret = await scene.enrolled()
    code = scene.code(secret)
    assert [await scene.prove(code) for _ in range(3)] == ["right", "totp.used", "totp.used"]
    assert (await scene.door.standing(scene.tenant, scene.ann)).proven_until is not None
    scene.store.clock.forward(minutes=5)
    assert (await scene.door.standing(scene.tenant, scene.ann)).proven_until is None


async def test_of_fifty_at_once_with_one_code_one_is_right(scene: Scene) -> None:
    code = scene.code(await scene.enrolled())
    found = await asyncio.gather(*(scene.prove(code) for _ in range(50)))
    assert sorted(found) == ["right"] + ["totp.used"] * 49


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [(-2, "totp.wrong"), (-1, "right"), (0, "right"), (1, "right"), (2, "totp.wrong")],
)
async def test_clock_may_be_off_by_one_step(scene: Scene, steps: int, outcome: str) -> None:
    assert await scene.prove(scene.code(await scene.enrolled(), steps)) == outcome


async def test_older_code_is_not_taken_after_a_newer_one(scene: Scene) -> None:
    secret = await scene.enrolled()
    assert await scene.prove(scene.code(secret, 1)) == "right"
    assert await scene.prove(scene.code(secret, 0)) == "totp.used"


async def test_after_five_wrong_codes_none_is_looked_at_and_the_log_does_not_grow(scene: Scene) -> None:
    secret = await scene.enrolled()
    wrong = [await scene.prove("000000") for _ in range(5)]
    assert wrong == ["totp.wrong"] * 4 + ["totp.locked"]
    before = len(await actions(scene.tenant))
    assert [await scene.prove(scene.code(secret)) for _ in range(20)] == ["totp.locked"] * 20
    assert len(await actions(scene.tenant)) == before
    scene.store.clock.forward(minutes=5, seconds=1)
    assert await scene.prove(scene.code(secret)) == "right"


async def test_fifty_guesses_at_once_are_five(scene: Scene) -> None:
    await scene.enrolled()
    found = await asyncio.gather(*(scene.prove(f"{n:06}") for n in range(50)))
    assert found.count("totp.wrong") <= 4


@pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 345", "-12345"])
async def test_what_has_no_codes_form_is_said_so(scene: Scene, text: str) -> None:
    await scene.enrolled()
    assert await scene.prove(text) == "totp.form"


async def test_code_of_one_person_is_nobody_elses(scene: Scene) -> None:
    secret = await scene.enrolled()
    bob = await add_user(scene.tenant, scene.store.clock, "bob")
    assert await scene.prove(scene.code(secret), bob) == "totp.none"
    made = await scene.door.begin(scene.tenant, bob)
    await scene.door.confirm(scene.tenant, bob, scene.code(made.secret))
    assert await scene.prove(scene.code(secret), bob) == "totp.wrong"


async def test_own_second_factor_is_removed_by_a_code_only(scene: Scene) -> None:
    secret = await scene.enrolled()
    with pytest.raises(NotAllowed):
        await scene.door.remove(scene.tenant, scene.ann, "000000")
    assert await scene.row() is not None
    await scene.door.remove(scene.tenant, scene.ann, scene.code(secret))
    assert await scene.row() is None
    assert (await actions(scene.tenant))[-1] == "totp.remove"


async def test_admin_takes_one_away_and_its_person_is_told(scene: Scene) -> None:
    await scene.enrolled()
    bob = await add_user(scene.tenant, scene.store.clock, "bob")
    olga = await add_user(scene.tenant, scene.store.clock, "olga", Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await scene.door.take_away(scene.tenant, olga, scene.ann)
    await scene.door.take_away(scene.tenant, bob, scene.ann)
    with pytest.raises(Refused):
        await scene.door.take_away(scene.tenant, bob, scene.ann)
    installation = console_installation(scene.tenant.id)
    async with scene.tenant.reading() as db:
        place = await open_at(db, Address("console", installation, f"{scene.ann.id}:it0-says"))
        assert place is not None
        said = [event["body"]["parts"] for event in await events_after(db, place["id"], 0)]
    assert said == [[{"say": "totp.taken_away", "params": {"who": "bob"}}]]
    assert (await actions(scene.tenant))[-1] == "totp.take_away"


async def test_key_has_no_second_factor(scene: Scene) -> None:
    await ApiKeys(scene.store.clock, make_grants(scene.store.clock)).new(
        scene.tenant, scene.ann, "robot", "admin", "en"
    )
    async with scene.tenant.reading() as db:
        robot = await people.user_named(db, "robot")
    assert robot is not None
    with pytest.raises(NotAllowed):
        await scene.door.begin(scene.tenant, robot)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/totp 123456", "123456"),
        ("／totp　123 456", "123456"),
        ("、TOTP: 123456", "123456"),
        ("/totp@it0_bot 123456", "123456"),
        ("/totp", ""),
        ("/totp 12", "12"),
        ("totp 123456", None),
        ("> /totp 123456", None),
        ("/totps 123456", None),
        ("say /totp 123456", None),
    ],
)
def test_code_is_read_behind_its_command_only(text: str, code: str | None) -> None:
    assert totp.typed_code(text) == code
