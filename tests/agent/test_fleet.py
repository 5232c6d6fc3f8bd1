"""Servers and credentials: every field is checked, a key is trusted once, a revoked secret is gone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncssh
import pytest
from fakes.shell import ScriptedShell
from support.store import AUDIT_KEY, Store, actions, add_user

from agent.fleet.forms import NewServer, checked
from agent.fleet.servers import Fleet
from agent.shell.hostkeys import fingerprint, one_line
from core.errors import (
    BadInput,
    It0Error,
    Late,
    NotAllowed,
    NotFound,
    Refused,
    ServerUnreachable,
    VaultError,
)
from core.messages import Address
from core.ports import Target
from core.store import fleet as stored
from core.store import log, openings
from core.store.fleet import FleetState
from core.tenant import Tenant, Tenants, console_installation
from core.texts import say
from core.vault import Vault, new_key
from core.work import Role, Server, User

PLAIN = NewServer("web", "web.example.net", 22, "ops", "key")


def host_key() -> str:
    """Return a new host key's line."""
    return one_line(asyncssh.generate_private_key("ssh-ed25519"))


def private_key(passphrase: str | None = None) -> bytes:
    """Return a new private key."""
    form = "pkcs8-pem" if passphrase else "openssh"
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key(form, passphrase)


class Showing(ScriptedShell):
    """A shell to which every server shows ``key``."""

    def __init__(self) -> None:
        super().__init__()
        self.key = host_key()

    async def host_key(self, target: Target) -> str:
        """Return the key."""
        return self.key


@dataclass
class Yard:
    """A tenant with an admin, a key, and the fleet's door."""

    store: Store
    tenant: Tenant
    ann: User
    shell: Showing
    fleet: Fleet

    async def add(self, name: str = "web", expected: str = "", **fields: Any) -> Server:
        """Add a server."""
        new = replace(PLAIN, name=name, **fields)
        return (await self.fleet.add_server(self.tenant, self.ann, new, expected))[0]

    async def names(self) -> list[str]:
        """Return the servers' names."""
        return [server.name for server in await self.fleet.servers(self.tenant)]

    async def credentials(self) -> list[Any]:
        """Return the credentials' rows."""
        async with self.tenant.reading() as db:
            return await db.all(stored.CREDENTIALS)


@pytest.fixture
async def yard(store: Store) -> Yard:
    """Return a yard with the credential ``key``."""
    tenant, shell = await store.first(), Showing()
    ann = await add_user(tenant, store.clock, "ann")
    fleet = Fleet(shell, store.clock)
    await fleet.credentials.add(tenant, ann, "key", "ssh_key", private_key())
    return Yard(store, tenant, ann, shell, fleet)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["", "-a", "a b", "a/b", "a\n", "x" * 64, "a;b"]),
        ("host", ["", "-oProxyCommand=x", "a b", "a\n", "x" * 254, "a;reboot", "a/b"]),
        ("port", [0, -1, 65536]),
        ("user", ["", "-l", "a b", "root;", "x" * 34, "a\n"]),
        ("environment", ["", "production", "DEV"]),
        ("role", ["", "boss"]),
        ("connection", ["", "telnet"]),
        ("shell", ["", "zsh", "bash -x"]),
        ("description", ["x" * 1001]),
        ("tags", [{str(n): "" for n in range(51)}]),
    ],
)
def test_field_of_another_form_is_refused_by_name(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(BadInput) as caught:
            checked(replace(PLAIN, **{field: value}))
        assert caught.value.say.key == f"server.bad_{field}", value


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ForwardAgent": True}, "agent"),
        ({"agent_forwarding": True}, "agent"),
        ({"LocalForward": "1:a:2"}, "forward"),
        ({"x11_forwarding": True}, "forward"),
        ({"ProxyCommand": "nc %h %p"}, "runs"),
        ({"proxy_command": "nc"}, "runs"),
        (dict.fromkeys(["known_hosts"]), "host_key"),
        ({"StrictHostKeyChecking": "no"}, "host_key"),
        ({"IdentityFile": "~/.ssh/id"}, "secret"),
        ({"SetEnv": "A=b"}, "environment"),
        ({"ControlMaster": "auto"}, "unknown"),
        ({"connect_timeout_s": "10"}, "bad_value"),
        ({"connect_timeout_s": True}, "bad_value"),
        ({"compression": 1}, "bad_value"),
    ],
)
async def test_ssh_option_outside_the_list_is_refused_with_its_reason_and_nothing_added(
    yard: Yard, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await yard.add(ssh_options=options)
    assert caught.value.say.key == "server.bad_ssh_option"
    assert caught.value.say.params["reason"]["say"] == f"option.{reason}"
    assert await yard.names() == []


@pytest.mark.parametrize(
    "options",
    [{"keepalive_s": -1}, {"keepalive_s": 0}, {"connect_timeout_s": 0}, {"connect_timeout_s": 301}],
)
async def test_ssh_option_out_of_its_range_is_refused_and_nothing_added(
    yard: Yard, options: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as caught:
        await yard.add(ssh_options=options)
    assert caught.value.say.key == "server.ssh_option_range"
    assert await yard.names() == []


async def test_server_that_cannot_be_reached_is_not_added_and_that_is_said(yard: Yard) -> None:
    async def nobody(target: Target) -> str:
        raise ServerUnreachable(server=target.server.name, reason="no answer")

    yard.shell.host_key = nobody  # type: ignore[method-assign]
    with pytest.raises(ServerUnreachable) as caught:
        await yard.add()
    assert caught.value.say == say("server.not_added_unreachable", server="web", reason="no answer")
    assert await yard.names() == []


async def test_server_is_added_untrusted_with_the_key_that_it_shows(yard: Yard) -> None:
    server, shown = await yard.fleet.add_server(yard.tenant, yard.ann, PLAIN)
    assert shown == fingerprint(yard.shell.key)
    assert (server.status, server.host_key) == ("untrusted", None)
    assert await yard.fleet.server(yard.tenant, "web") == server
    assert (await actions(yard.tenant))[-1] == "server.add"


async def test_name_in_use_is_refused_and_free_again_after_removal(yard: Yard) -> None:
    server = await yard.add()
    with pytest.raises(BadInput) as caught:
        await yard.add()
    assert caught.value.say.key == "server.name_taken"
    await yard.fleet.remove_server(yard.tenant, yard.ann, server)
    assert yard.shell.forgotten == [server.id]
    await yard.add()


async def test_plan_without_room_adds_no_sixth_server(yard: Yard) -> None:
    yard.tenant = await yard.store.with_plan("free")
    for number in range(5):
        await yard.add(f"web{number}")
    with pytest.raises(Refused) as caught:
        await yard.add("web5")
    assert caught.value.say.key == "quota.servers"
    assert len(await yard.names()) == 5


async def test_credential_that_is_unknown_expired_or_revoked_adds_no_server(yard: Yard) -> None:
    soon = yard.store.clock() + timedelta(hours=1)
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "short", "ssh_password", b"pw", soon)
    yard.store.clock.forward(hours=2)
    await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key")
    expected = {"nothing": "error.no_such_credential", "short": "credential.expired"}
    for name, key in {**expected, "key": "error.no_such_credential"}.items():
        with pytest.raises(Refused) as caught:
            await yard.add(credential=name)
        assert caught.value.say.key == key
    assert await yard.names() == []


async def test_jump_server_that_is_not_there_is_refused(yard: Yard) -> None:
    with pytest.raises(NotFound):
        await yard.add(jump="gone")
    assert await yard.names() == []


async def test_jump_server_is_not_removed_while_another_is_behind_it(yard: Yard) -> None:
    door = await yard.add("door")
    web = await yard.add("web", jump="door")
    target = await yard.fleet.target(yard.tenant, web)
    assert target.jump is not None
    assert target.jump.server.name == "door"
    with pytest.raises(Refused) as caught:
        await yard.fleet.remove_server(yard.tenant, yard.ann, door)
    assert caught.value.say.params == {"server": "door", "servers": "web"}
    await yard.fleet.remove_server(yard.tenant, yard.ann, web)
    await yard.fleet.remove_server(yard.tenant, yard.ann, door)


async def test_circle_of_jump_servers_and_a_jump_that_is_gone_are_refused(yard: Yard) -> None:
    door = await yard.add("door")
    web = await yard.add("web", jump="door")
    schema = yard.tenant.schema
    for field, value, key in (("jump_server_id", web.id, "circle"), ("status", "removed", "gone")):
        await yard.store.as_owner(f"UPDATE {schema}.server SET {field} = $1 WHERE id = $2", value, door.id)
        with pytest.raises(Refused) as caught:
            await yard.fleet.target(yard.tenant, web)
        assert caught.value.say.key == f"server.jump_{key}"


async def test_vouched_fingerprint_is_pinned_and_another_adds_nothing(yard: Yard) -> None:
    with pytest.raises(Refused) as caught:
        await yard.add(expected=fingerprint(host_key()))
    assert caught.value.say.key == "server.not_added_other_key"
    assert await yard.names() == []
    server = await yard.add(expected=fingerprint(yard.shell.key))
    assert (server.status, server.host_key) == ("active", yard.shell.key)


async def test_only_the_confirmed_key_is_trusted(yard: Yard) -> None:
    server, confirmed = await yard.add(), fingerprint(yard.shell.key)
    yard.shell.key = host_key()
    with pytest.raises(Refused) as caught:
        await yard.fleet.trust(yard.tenant, yard.ann, server, confirmed)
    assert caught.value.say.key == "server.other_key"
    assert (await yard.fleet.server(yard.tenant, "web")).host_key is None
    await yard.fleet.trust(yard.tenant, yard.ann, server, fingerprint(yard.shell.key))
    assert (await yard.fleet.server(yard.tenant, "web")).host_key == yard.shell.key


async def test_key_of_where_a_server_was_before_is_not_pinned_for_where_it_is(yard: Yard) -> None:
    server, shown = await yard.add(), fingerprint(yard.shell.key)
    await yard.fleet.change_server(yard.tenant, yard.ann, server, {"host": "elsewhere.example.net"})
    with pytest.raises(Refused) as caught:  # as where the change comes while the key is asked for
        await yard.fleet.trust(yard.tenant, yard.ann, server, shown)
    assert caught.value.say.key == "server.moved_meanwhile"
    assert (await yard.fleet.server(yard.tenant, "web")).host_key is None


async def test_the_bots_own_machine_has_no_key_to_confirm_or_drop(yard: Yard) -> None:
    here, _ = await yard.fleet.add_server(yard.tenant, yard.ann, NewServer("here", connection="local"))
    for attempt in (yard.fleet.trust(yard.tenant, yard.ann, here, "SHA256:x"),
                    yard.fleet.distrust(yard.tenant, yard.ann, here)):  # fmt: skip
        with pytest.raises(Refused) as caught:
            await attempt
        assert caught.value.say.key == "server.has_no_key"
    assert (await yard.fleet.server(yard.tenant, "here")).status == "active"


async def test_pinned_key_gives_way_to_another_only_after_distrust(yard: Yard) -> None:
    server = await yard.add(expected=fingerprint(yard.shell.key))
    first, yard.shell.key = yard.shell.key, host_key()
    with pytest.raises(Late) as caught:
        await yard.fleet.trust(yard.tenant, yard.ann, server, fingerprint(yard.shell.key))
    assert caught.value.say.key == "server.key_pinned"
    assert (await yard.fleet.server(yard.tenant, "web")).host_key == first
    await yard.fleet.distrust(yard.tenant, yard.ann, server)
    assert yard.shell.forgotten == [server.id]
    await yard.fleet.trust(yard.tenant, yard.ann, server, fingerprint(yard.shell.key))


async def test_check_says_first_contact_then_reachable_then_that_the_key_changed(yard: Yard) -> None:
    server = await yard.add()
    told = [(await yard.fleet.check(yard.tenant, yard.ann, server))[1].key]
    await yard.fleet.trust(yard.tenant, yard.ann, server, fingerprint(yard.shell.key))
    server = await yard.fleet.server(yard.tenant, "web")
    told.append((await yard.fleet.check(yard.tenant, yard.ann, server))[1].key)
    yard.shell.key = host_key()
    told.append((await yard.fleet.check(yard.tenant, yard.ann, server))[1].key)
    assert told == ["server.first_contact", "server.reachable", "error.host_key_changed"]
    assert (await actions(yard.tenant))[-1] == "server.key_changed"


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
async def test_nobody_but_admins_changes_the_fleet(yard: Yard, role: Role) -> None:
    server = await yard.add()
    before = await actions(yard.tenant)
    bob = await add_user(yard.tenant, yard.store.clock, "bob", role)
    fleet, tenant = yard.fleet, yard.tenant
    tries: list[Callable[[], Any]] = [
        lambda: fleet.add_server(tenant, bob, replace(PLAIN, name="x")),
        lambda: fleet.trust(tenant, bob, server, fingerprint(yard.shell.key)),
        lambda: fleet.distrust(tenant, bob, server),
        lambda: fleet.remove_server(tenant, bob, server),
        lambda: fleet.credentials.add(tenant, bob, "x", "ssh_password", b"pw"),
        lambda: fleet.credentials.revoke(tenant, bob, "key"),
    ]
    for attempt in tries:
        with pytest.raises(NotAllowed):
            await attempt()
    assert (await yard.names(), await actions(tenant)) == (["web"], before)


@pytest.mark.parametrize(
    ("name", "kind", "secret", "key"),
    [
        ("k", "ssh_key", private_key("open"), "credential.encrypted"),
        ("k", "ssh_key", b"garbage", "credential.not_a_key"),
        ("k", "ssh_key", b"\xff\xfe\x00", "credential.not_a_key"),
        ("k", "ssh_key", b"", "credential.empty"),
        ("k", "ssh_password", b"\r\n", "credential.empty"),
        ("k", "token", b" \n", "credential.empty"),
        ("k", "ssh_password", b"x" * 65537, "credential.empty"),
        ("k", "magic", b"x", "credential.bad_kind"),
        ("a b", "token", b"x", "credential.bad_name"),
        ("", "token", b"x", "credential.bad_name"),
        ("key", "token", b"x", "credential.name_taken"),
    ],
)
async def test_credential_that_could_not_be_used_is_refused(
    yard: Yard, name: str, kind: str, secret: bytes, key: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await yard.fleet.credentials.add(yard.tenant, yard.ann, name, kind, secret)
    assert caught.value.say.key == key
    assert [row["name"] for row in await yard.credentials()] == ["key"]


async def test_password_is_sealed_without_its_line_end_and_never_in_the_clear(yard: Yard) -> None:
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "pw", "ssh_password", b" hunter2 \r\n")
    assert b" hunter2 " in await yard.fleet.credentials.secrets(yard.tenant)
    assert all(b"hunter2" not in row["sealed"] for row in await yard.credentials())
    server = await yard.add(credential="pw")
    target = await yard.fleet.target(yard.tenant, server)
    assert target.login is not None
    login = await target.login()
    assert (login.user, login.kind, login.secret) == ("ops", "ssh_password", b" hunter2 ")
    assert "hunter2" not in repr(login)


async def test_secrets_are_sealed_anew_after_a_rotation_and_the_old_key_may_go(store: Store) -> None:
    old, new = new_key(), new_key()
    fleet = Fleet(Showing(), store.clock)

    async def under(*keys: str) -> Tenant:
        return await Tenants(store.database, Vault(",".join(keys)), AUDIT_KEY).by_slug("first")

    before = await under(old)
    ann = await add_user(before, store.clock, "ann")
    await fleet.credentials.add(before, ann, "pw", "ssh_password", b"hunter2")
    both = await under(new, old)
    assert (await fleet.credentials.reseal(both, ann), await fleet.credentials.reseal(both, ann)) == (1, 0)
    assert await fleet.credentials.secrets(await under(new)) == [b"hunter2"]
    with pytest.raises(VaultError):
        await fleet.credentials.secrets(before)


async def test_revoked_secret_is_destroyed_and_its_servers_are_named(yard: Yard) -> None:
    for name in ("a", "b"):
        await yard.add(name)
    server = await yard.fleet.server(yard.tenant, "a")
    target = await yard.fleet.target(yard.tenant, server)
    using = await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key")
    assert sorted(using) == ["a", "b"]
    rows = await yard.credentials()
    assert [row["sealed"] for row in rows] == [b""]
    assert yard.shell.forgotten == [rows[0]["id"]]
    assert target.login is not None
    for attempt in (target.login, lambda: yard.fleet.target(yard.tenant, server)):
        with pytest.raises(It0Error) as caught:
            await attempt()
        assert caught.value.say.key == "credential.expired"
    assert await yard.fleet.credentials.secrets(yard.tenant) == []


async def last_detail(yard: Yard) -> dict[str, Any]:
    """Return the newest audit row's detail."""
    return dict((await yard.tenant.audit.page(count=1))[0]["detail"])


async def test_new_credential_under_a_revoked_ones_name_takes_its_servers_over(yard: Yard) -> None:
    web, other = await yard.add("web"), await yard.add("other")
    gone = await yard.add("gone")
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "second", "ssh_password", b"a password")
    await yard.fleet.change_server(yard.tenant, yard.ann, other, {"credential": "second"})
    await yard.fleet.remove_server(yard.tenant, yard.ann, gone)
    assert await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key") == ["web"]
    yard.shell.forgotten.clear()
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "key", "ssh_key", private_key())
    assert await yard.fleet.credentials.using(yard.tenant, "key") == ["web"]
    assert (await yard.fleet.target(yard.tenant, await yard.fleet.server(yard.tenant, "web"))).login
    assert await yard.fleet.credentials.using(yard.tenant, "second") == ["other"]
    assert yard.shell.forgotten == [web.id]
    assert (await last_detail(yard))["servers"] == "web"


async def test_token_takes_no_servers_over(yard: Yard) -> None:
    web = await yard.add()
    await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key")
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "key", "token", b"a token")
    assert await yard.fleet.credentials.using(yard.tenant, "key") == []
    assert (await yard.fleet.server(yard.tenant, "web")).credential_id == web.credential_id


async def test_change_is_stored_and_audited_with_what_it_was(yard: Yard) -> None:
    await yard.add("door")
    web = await yard.add(expected=fingerprint(yard.shell.key))
    changes = {"environment": "prod", "role": "db", "jump": "door", "tags": {"team": "shop"}, "user": "root"}
    changed = await yard.fleet.change_server(yard.tenant, yard.ann, web, changes)
    assert await yard.fleet.server(yard.tenant, "web") == changed
    assert (changed.environment, changed.role, changed.ssh_user) == ("prod", "db", "root")
    assert (changed.host_key, changed.status) == (web.host_key, "active")
    assert await last_detail(yard) == {
        "name": "web",
        "changes": {
            "environment": ["dev", "prod"],
            "role": [None, "db"],
            "jump": ["", "door"],
            "tags": [{}, {"team": "shop"}],
            "user": ["ops", "root"],
        },
    }
    assert yard.shell.forgotten == [web.id]


@pytest.mark.parametrize("changes", [{"host": "other.example.net"}, {"port": 2222}])
async def test_changed_host_or_port_forgets_the_pinned_key(yard: Yard, changes: dict[str, Any]) -> None:
    web = await yard.add(expected=fingerprint(yard.shell.key))
    changed = await yard.fleet.change_server(yard.tenant, yard.ann, web, changes)
    assert (changed.host_key, changed.status) == (None, "untrusted")


async def test_what_is_the_same_changes_nothing_and_is_not_audited(yard: Yard) -> None:
    web = await yard.add()
    before = await actions(yard.tenant)
    assert (
        await yard.fleet.change_server(yard.tenant, yard.ann, web, {"port": 22, "credential": "key"}) == web
    )
    assert await actions(yard.tenant) == before


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": "other"}, "server.not_changeable"),
        ({"connection": "local"}, "server.not_changeable"),
        ({"host_key": "x"}, "server.not_changeable"),
        ({"port": 0}, "server.bad_port"),
        ({"ssh_options": {"keepalive_s": -1}}, "server.ssh_option_range"),
        ({"credential": "nothing"}, "error.no_such_credential"),
        ({"jump": "nowhere"}, "error.no_such_server"),
        ({"jump": "web"}, "server.jump_circle"),
        ({"jump": "behind"}, "server.jump_circle"),
    ],
)
async def test_change_that_cannot_be_is_refused_and_changes_nothing(
    yard: Yard, changes: dict[str, Any], key: str
) -> None:
    web = await yard.add()
    await yard.add("behind", jump="web")
    with pytest.raises(Refused) as caught:
        await yard.fleet.change_server(yard.tenant, yard.ann, web, changes)
    assert caught.value.say.key == key
    assert await yard.fleet.server(yard.tenant, "web") == web


async def test_servers_of_a_credential_that_was_replaced_before_can_be_given_the_new_one(yard: Yard) -> None:
    web = await yard.add()
    schema = yard.tenant.schema
    await yard.fleet.credentials.revoke(yard.tenant, yard.ann, "key")
    await yard.fleet.credentials.add(yard.tenant, yard.ann, "key", "ssh_key", private_key())
    await yard.store.as_owner(f"UPDATE {schema}.server SET credential_id = $1", web.credential_id)
    web = await yard.fleet.server(yard.tenant, "web")
    await yard.fleet.change_server(yard.tenant, yard.ann, web, {"credential": "key"})
    assert await yard.fleet.credentials.using(yard.tenant, "key") == ["web"]


async def test_own_machine_has_no_host_to_change_and_only_admins_change_anything(yard: Yard) -> None:
    local = await yard.add("local", connection="local", credential="")
    with pytest.raises(BadInput) as caught:
        await yard.fleet.change_server(yard.tenant, yard.ann, local, {"host": "x"})
    assert caught.value.say.key == "server.not_changeable"
    changed = await yard.fleet.change_server(yard.tenant, yard.ann, local, {"environment": "prod"})
    assert changed.environment == "prod"
    by = replace(yard.ann, role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await yard.fleet.change_server(yard.tenant, by, local, {"environment": "dev"})


async def test_whatever_changes_a_server_is_seen_by_whoever_asks_with_the_state_of_now(yard: Yard) -> None:
    elsewhere = Fleet(yard.shell, yard.store.clock)  # another process
    seen: list[FleetState | None] = []
    place = Address("console", console_installation(yard.tenant.id), "here")
    async with yard.tenant.transaction() as tx:
        here = await log.open_conversation(tx, "here", place, yard.ann.id, yard.store.clock())

    async def state() -> FleetState | None:
        async with yard.tenant.reading() as db:
            return (await openings.read(db, here, yard.ann.id)).fleet

    async def changed() -> None:
        seen.append(await state())
        assert await yard.fleet.servers(yard.tenant, await state()) == await elsewhere.servers(yard.tenant)

    await changed()
    web = await elsewhere.add_server(yard.tenant, yard.ann, PLAIN)
    await changed()
    await elsewhere.trust(yard.tenant, yard.ann, web[0], web[1])
    await changed()
    await elsewhere.change_server(yard.tenant, yard.ann, web[0], {"environment": "prod"})
    await changed()
    await elsewhere.remove_server(yard.tenant, yard.ann, web[0])
    await changed()
    assert len(set(seen[:-1])) == 4
    assert seen[-1] == seen[0]  # there is no server, as in the beginning


async def test_servers_that_have_not_changed_are_read_once(yard: Yard) -> None:
    await yard.add()
    async with yard.tenant.reading() as db:
        state, _ = await stored.servers_and_state(db)
    once = await yard.fleet.servers(yard.tenant, state)
    assert await yard.fleet.servers(yard.tenant, state) is once
    assert await yard.fleet.servers(yard.tenant) is not once  # who does not know the state gets them anew
