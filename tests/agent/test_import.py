"""Servers from ssh_config and Ansible inventories: what is taken, what is refused and why, all or nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakes.shell import ScriptedShell
from hypothesis import given
from hypothesis import strategies as st
from support.store import Store, actions, add_user

from agent.fleet.forms import NewServer
from agent.fleet.importing import Importing
from agent.fleet.inventory.found import Listing, expanded
from agent.fleet.inventory.plan import Plan, Wishes, plan
from agent.fleet.inventory.reading import kind_of, listing_of
from agent.fleet.servers import Fleet
from core.audit import Entry
from core.errors import BadInput, It0Error, NotAllowed, Refused
from core.store.database import Transaction
from core.tenant import Tenant
from core.texts import Say
from core.work import Role, User

WISHES = Wishes(credential="key", user="ops")

SSH = """\
# all of it
Host bastion
    HostName 203.0.113.7
    Port 2222
    User=jump
Host web-1 web-2
    HostName %h.example.net
    ProxyJump bastion
    IdentityFile ~/.ssh/web_key
    ForwardAgent yes
    StrictHostKeyChecking no
    ServerAliveInterval 30
Host db-1
    HostName "10.0.0.9"
    ProxyCommand ssh -q -W %h:%p bastion
Host odd
    ProxyCommand nc -X connect %h %p
Host deep
    ProxyJump bastion,web-1
Host *.wild !no
    Port 99
Host *
    User ops
    Port 22
    Compression yes
"""

INI = """\
lonely ansible_host=10.0.0.1

[web]
web[01:03].example.net ansible_user=deploy
10.0.0.5:2200

[db]
db-[a:b] ansible_ssh_pass=hunter2

[production:children]
web
db

[production:vars]
ansible_port=2022
ansible_ssh_common_args='-J ops@bastion -o ForwardAgent=yes -o StrictHostKeyChecking=no'
db_password=swordfish

[windows]
win ansible_connection=winrm
tpl ansible_host="{{ lookup('x') }}"
"""

YAML = """\
all:
  vars:
    ansible_user: root
  children:
    production:
      children:
        web:
          hosts:
            web[1:2]:
              ansible_port: 2200
      vars:
        ansible_user: ops
        ansible_become_pass: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          6638
    db:
      hosts:
        db-1: {ansible_host: 10.0.0.9, ansible_ssh_private_key_file: /keys/db}
"""


def found(text: str, name: str = "hosts", folder: Path | None = None) -> dict[str, Any]:
    """Return the hosts of a text by name."""
    return {host.name: host for host in listing_of(text, name, folder=folder).hosts}


def left_out(text: str, name: str = "hosts") -> dict[int, list[str]]:
    """Return the keys of the reasons by line."""
    by_line: dict[int, list[str]] = {}
    for note in listing_of(text, name).notes.values():
        by_line.setdefault(note.spot.line, []).append(note.why.key)
    return by_line


def states(text: str) -> dict[str, str]:
    """Return the state of each server of the plan, in its order."""
    return {row.name: row.state for row in plan(listing_of(text, "hosts"), {}, WISHES).rows}


def row(text: str, name: str, known: Mapping[str, NewServer] | None = None, wishes: Wishes = WISHES) -> Any:
    """Return one row of the plan."""
    return next(r for r in plan(listing_of(text, "hosts"), known or {}, wishes).rows if r.name == name)


# --- ssh_config --------------------------------------------------------------------------------------------


def test_first_value_of_the_blocks_that_fit_counts() -> None:
    hosts = found(SSH)
    assert set(hosts) == {"bastion", "web-1", "web-2", "db-1", "odd", "deep"}
    assert (hosts["bastion"].host, hosts["bastion"].port, hosts["bastion"].user) == (
        "203.0.113.7",
        2222,
        "jump",
    )
    assert (hosts["web-2"].host, hosts["web-2"].user) == ("web-2.example.net", "ops")
    assert hosts["web-1"].ssh_options == {"keepalive_s": 30, "compression": True}
    assert (hosts["db-1"].host, hosts["db-1"].jumps[0].host) == ("10.0.0.9", "bastion")


def test_each_line_that_is_refused_is_said_once_with_its_reason() -> None:
    assert left_out(SSH) == {
        10: ["option.agent"],
        11: ["option.host_key"],
        17: ["option.runs"],
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ForwardAgent yes", "agent"),
        ("ForwardAgent $SSH_AUTH_SOCK", "agent"),
        ("IdentityAgent /run/agent", "agent"),
        ("StrictHostKeyChecking no", "host_key"),
        ("StrictHostKeyChecking accept-new", "host_key"),
        ("StrictHostKeyChecking=off", "host_key"),
        ("UserKnownHostsFile /dev/null", "host_key"),
        ("HostKeyAlias other", "host_key"),
        ("KnownHostsCommand /bin/x", "host_key"),
        ("LocalForward 8080 localhost:80", "forward"),
        ("RemoteForward 8080 localhost:80", "forward"),
        ("DynamicForward 1080", "forward"),
        ("ForwardX11 yes", "forward"),
        ("Tunnel yes", "forward"),
        ("LocalCommand rm -rf ~", "runs"),
        ("PermitLocalCommand yes", "runs"),
        ("RemoteCommand tmux", "runs"),
        ("PKCS11Provider /lib/x.so", "runs"),
        ("SetEnv A=b", "environment"),
        ("ControlMaster auto", "unknown"),
    ],
)
def test_option_is_refused_with_the_reason_for_its_kind(line: str, reason: str) -> None:
    assert left_out(f"Host a\n  {line}\n") == {2: [f"option.{reason}"]}
    assert states(f"Host a\n  {line}\n") == {"a": "new"}


@pytest.mark.parametrize(
    "line", ["ForwardAgent no", "StrictHostKeyChecking yes", "StrictHostKeyChecking ask", "ForwardX11 no"]
)
def test_what_it0_does_anyway_is_no_refusal(line: str) -> None:
    assert left_out(f"Host a\n  {line}\n") == {}


@pytest.mark.parametrize(
    "command",
    [
        "nc %h %p",
        "ssh bastion nc %h %p",
        "sh -c 'ssh -W %h:%p bastion'",
        "ssh -W %h:%p bastion; rm x",
        "ssh -o ProxyCommand=x -W %h:%p bastion",
        "ssh -W other:22 bastion",
        "ssh -A -W %h:%p bastion",
        "ssh -W %h:%p",
    ],
)
def test_proxy_command_that_is_no_jump_refuses_its_host(command: str) -> None:
    text = f"Host bastion\n  Port 22\nHost a\n  ProxyCommand {command}\n"
    assert states(text) == {"bastion": "new", "a": "refused"}


def test_included_files_are_read_in_their_place_and_others_are_said(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "one").write_text("Host inner\n  User first\n")
    text = "Include conf.d/*\nInclude nothing/*\nHost inner\n  User second\n  Port 23\n"
    listing = listing_of(text, "config", folder=tmp_path)
    (host,) = listing.hosts
    assert (host.user, host.port) == ("first", 23)
    assert [note.why.key for note in listing.notes.values()] == ["import.not_included"]


def test_file_that_includes_itself_comes_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include config\nHost a\n  Port 23\n")
    text = (tmp_path / "config").read_text()
    assert [host.name for host in listing_of(text, "config", folder=tmp_path).hosts] == ["a"]


def test_files_that_include_one_another_over_and_over_are_too_large(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include config config config config\n")
    with pytest.raises(BadInput) as caught:
        listing_of((tmp_path / "config").read_text(), "config", folder=tmp_path)
    assert caught.value.say.key == "import.too_large"


@pytest.mark.parametrize("what", ["/dev/zero", "pipe", "~nobody-of-that-name/config", "."])
def test_what_has_no_end_or_is_nobodys_is_not_included(what: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    listing = listing_of(f"Include {what}\nHost a\n  Port 23\n", "config", folder=tmp_path)
    assert [host.port for host in listing.hosts] == [23]
    assert [note.why.key for note in listing.notes.values()] == ["import.not_included"]


def test_groups_that_stand_in_many_others_are_each_looked_at_once() -> None:
    rows = [[f"g{depth}x{n}" for n in range(6)] for depth in range(19)]
    lines = [f"[{one}:children]\n" + "\n".join(below) for row, below in pairwise(rows) for one in row]
    (host,) = listing_of("\n".join([*lines, "[g18x0]", "h"]), "hosts").hosts
    assert len(host.tags) == 18 * 6 + 1


def test_match_that_runs_a_program_holds_for_nobody_and_is_said(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    text = f'Match exec "touch {touched}"\n  Port 99\nHost a\n  HostName b\nMatch host a\n  Port 23\n'
    assert found(text, folder=tmp_path)["a"].port == 23
    assert left_out(text) == {1: ["import.match"]}
    assert not touched.exists()


def test_key_that_is_named_is_not_read(tmp_path: Path) -> None:
    text = f"Host a\n  IdentityFile {tmp_path}/none\n"
    assert row(text, "a").key_file == f"{tmp_path}/none"
    assert (
        row(text, "a", wishes=replace(WISHES, keys={f"{tmp_path}/none": "other"})).new.credential == "other"
    )


# --- Ansible -----------------------------------------------------------------------------------------------


def test_ini_has_ranges_groups_and_the_nearest_variable() -> None:
    hosts = found(INI)
    assert [name for name in hosts if name.startswith("web")] == [f"web0{n}.example.net" for n in (1, 2, 3)]
    web = hosts["web01.example.net"]
    assert (web.user, web.port, web.environment, web.role) == ("deploy", 2022, "prod", "web")
    assert web.tags == {"production": "yes", "web": "yes"}
    assert hosts["10.0.0.5"].port == 2200
    assert [(hop.host, hop.user) for hop in web.jumps] == [("bastion", "ops")]
    assert (hosts["lonely"].host, hosts["lonely"].jumps) == ("10.0.0.1", ())


def test_ini_takes_no_password_and_says_each_line_it_left_out() -> None:
    reasons = left_out(INI)
    assert reasons[8] == ["import.secret"]
    assert reasons[16] == ["option.agent", "option.host_key"]
    assert reasons[17] == ["import.secret"]
    assert "hunter2" not in repr(listing_of(INI, "hosts"))
    assert "swordfish" not in repr(listing_of(INI, "hosts"))


def test_what_is_not_reached_by_ssh_or_is_a_template_is_refused() -> None:
    assert row(INI, "win").why.key == "import.connection"
    assert row(INI, "tpl").why.key == "import.template"


def test_yaml_is_read_alike_and_its_vault_is_never_opened() -> None:
    hosts = found(YAML, "hosts.yml")
    assert (hosts["web1"].user, hosts["web1"].port, hosts["web2"].environment) == ("ops", 2200, "prod")
    assert (hosts["db-1"].host, hosts["db-1"].user, hosts["db-1"].role) == ("10.0.0.9", "root", "db")
    assert hosts["db-1"].key_file == "/keys/db"
    assert left_out(YAML, "hosts.yml") == {13: ["import.vault"]}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("$ANSIBLE_VAULT;1.1;AES256\n66", "import.vault_file"),
        ("all: [", "import.bad_yaml"),
        ("all: &a\n  children:\n    x: *a\n", "import.groups_in_a_circle"),
        ("[a:children]\nb\n[b:children]\na\n[b]\nh\n", "import.groups_in_a_circle"),
        ("[a]\n" + "\n".join(f"h{n}" for n in range(1001)), "import.too_many"),
        ("[a]\n" + "\n".join(f"h{n}x[0:999]" for n in range(300_000)), "import.too_large"),
        ("all:\n  hosts:\n" + "\n".join(f"    h{n}x[0:999]:" for n in range(60)), "import.too_large"),
    ],
)
def test_file_that_is_wrong_as_a_whole_is_refused(text: str, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        listing_of(text, "hosts.yml" if text.startswith("all") else "hosts")
    assert caught.value.say.key == key


@pytest.mark.parametrize(
    "text",
    [
        "root:x:0:0:root:/root:/bin/bash\nlist:x:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin\n",
        "127.0.0.1 localhost\n",
        "[project]\nname = 'it0'\nversion = '0.1.0'\n",
        "services:\n  web:\n    image: nginx\n",
        "\x7fELF\x02\0\0",
    ],
)
def test_file_that_is_no_inventory_is_said_to_be_none_once(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        listing_of(text, "file")
    assert caught.value.say.key == "import.no_inventory"


@pytest.mark.parametrize("text", ["web1\nweb2 ansible_port=22\n", "[a]\nweb1\nweb2:2222\nwhat is this\n"])
def test_inventory_with_a_line_too_many_is_one_all_the_same(text: str) -> None:
    assert [host.name for host in listing_of(text, "file").hosts][:2] == ["web1", "web2"]


@pytest.mark.parametrize(
    "pattern", ["w[9:1]", "w[1:99999]", "w[a:22]", "w[]", "w[1:2:0]", "w[1:2]x[1:2000]", "[0:0]" * 2000]
)
def test_range_that_is_none_is_said_by_its_line(pattern: str) -> None:
    assert left_out(f"[a]\n{pattern}\n") == {2: ["import.bad_range"]}


@given(first=st.integers(0, 500), count=st.integers(1, 200), width=st.integers(1, 5))
def test_range_of_numbers_keeps_its_width(first: int, count: int, width: int) -> None:
    names = expanded(f"a[{first:0{width}}:{first + count - 1}]b")
    assert names == [f"a{n:0{max(width, len(str(first)))}}b" for n in range(first, first + count)]


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    for kind in ("ssh_config", "ansible-ini", "ansible-yaml"):
        try:
            listing = listing_of(text, "x", kind)
        except It0Error:
            continue
        plan(listing, {}, WISHES)


@pytest.mark.parametrize(
    ("text", "kind"), [(SSH, "ssh_config"), (INI, "ansible-ini"), (YAML, "ansible-yaml")]
)
def test_kind_is_told_by_the_text(text: str, kind: str) -> None:
    assert kind_of(text, "hosts") == kind


# --- the plan ----------------------------------------------------------------------------------------------


def test_jump_servers_come_before_those_behind_them() -> None:
    order = list(states(SSH))
    assert order.index("bastion") < order.index("web-1") < order.index("web-2")
    text = "Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n User x\n"
    assert list(states(text)) == ["c", "b", "a"]


def test_chain_of_jumps_is_a_server_each() -> None:
    text = "Host a\n  ProxyJump u@one:2201,two\n"
    rows = plan(listing_of(text, "hosts"), {}, WISHES).rows
    assert [(r.name, r.new.jump, r.new.port, r.new.user) for r in rows] == [
        ("one", "", 2201, "u"),
        ("two", "one", 22, "ops"),
        ("a", "two", 22, "ops"),
    ]


def test_chain_that_contradicts_the_jump_servers_own_way_is_refused() -> None:
    assert row(SSH, "deep").state == "new"  # web-1 is itself behind bastion
    text = (
        "Host one\n  Port 1\nHost two\n  Port 2\nHost a\n  ProxyJump one,two\nHost b\n  ProxyJump x@one:9\n"
    )
    assert [row(text, name).why.key for name in ("a", "b")] == ["import.other_jump"] * 2


def test_circle_is_refused_with_what_stands_behind_it() -> None:
    text = "Host a\n ProxyJump b\nHost b\n ProxyJump a\nHost c\n ProxyJump b\nHost d\n User x\n"
    assert states(text) == {"a": "refused", "b": "refused", "c": "refused", "d": "new"}


def test_circle_through_servers_that_there_are_is_refused() -> None:
    known = {"old": NewServer("old", "h", jump="a", credential="key", user="ops")}
    assert row("Host a\n ProxyJump old\n", "a", known).why.key == "server.jump_circle"


def test_chain_of_more_than_eight_is_refused() -> None:
    text = "".join(f"Host h{n}\n ProxyJump h{n + 1}\n" for n in range(9)) + "Host h9\n User x\n"
    assert {name for name, state in states(text).items() if state == "refused"} == {"h0"}


def test_missing_user_or_credential_is_said() -> None:
    assert row("Host a\n Port 1\n", "a", wishes=Wishes(credential="key")).why.key == "import.no_user"
    assert row("Host a\n User u\n", "a", wishes=Wishes()).why.key == "import.no_credential"


@pytest.mark.parametrize(
    ("line", "key"),
    [("HostName a;b", "server.bad_host"), ("User -x", "server.bad_user"), ("Port 0", "server.bad_port")],
)
def test_field_of_another_form_refuses_its_server(line: str, key: str) -> None:
    assert row(f"Host a\n {line}\n", "a").why.key == key


def test_what_is_there_is_the_same_or_changed_in_named_fields() -> None:
    now = NewServer("a", "h", user="ops", credential="mine", environment="prod", tags={"x": "1"})
    assert row("Host a\n HostName h\n", "a", {"a": now}).state == "same"
    changed = row("Host a\n HostName i\n Port 23\n", "a", {"a": now})
    assert changed.changes == {"host": ["h", "i"], "port": [22, 23]}
    assert (changed.new.credential, changed.new.environment) == ("mine", "prod")


def test_wishes_go_over_what_groups_say_and_only_takes_what_is_named() -> None:
    wishes = replace(WISHES, environment="staging", tags={"team": "shop"}, only=frozenset({"lonely"}))
    (one,) = plan(listing_of(INI, "hosts"), {}, wishes).rows
    assert (one.name, one.new.environment, one.new.tags) == ("lonely", "staging", {"team": "shop"})


# --- taking it ---------------------------------------------------------------------------------------------


class Yard:
    """A tenant whose servers come from files."""

    def __init__(self, tenant: Tenant, ann: User, fleet: Fleet, importing: Importing) -> None:
        self.tenant, self.ann, self.fleet, self.importing = tenant, ann, fleet, importing

    async def plan(self, text: str, wishes: Wishes = WISHES) -> tuple[Listing, Plan]:
        """Return what a file lists and its plan."""
        listing = listing_of(text, "hosts")
        return listing, await self.importing.plan(self.tenant, self.ann, listing, wishes)

    async def take(self, text: str, wishes: Wishes = WISHES) -> None:
        """Import a file."""
        listing, shown = await self.plan(text, wishes)
        await self.importing.take(self.tenant, self.ann, listing, wishes, shown)

    async def names(self) -> list[str]:
        """Return the servers' names."""
        return [server.name for server in await self.fleet.servers(self.tenant)]


@pytest.fixture
async def yard(store: Store) -> Yard:
    """Return a yard with the credential ``key``."""
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    fleet = Fleet(ScriptedShell(), store.clock)
    await fleet.credentials.add(tenant, ann, "key", "ssh_password", b"a password")
    return Yard(tenant, ann, fleet, Importing(fleet, store.clock))


async def test_all_is_taken_untrusted_in_order_and_audited_and_then_the_same(yard: Yard) -> None:
    await yard.take(SSH)
    servers = {server.name: server for server in await yard.fleet.servers(yard.tenant)}
    assert set(servers) == {"bastion", "web-1", "web-2", "db-1", "deep"}
    assert servers["web-1"].jump_server_id == servers["bastion"].id
    assert {server.status for server in servers.values()} == {"untrusted"}
    assert (await actions(yard.tenant)).count("server.add") == 5
    _, again = await yard.plan(SSH)
    assert {r.state for r in again.rows} == {"same", "refused"}


async def test_changed_address_forgets_the_confirmed_key(yard: Yard) -> None:
    await yard.take("Host a\n Port 22\n")
    await yard.take("Host a\n Port 23\n")
    server = await yard.fleet.server(yard.tenant, "a")
    assert (server.port, server.host_key, server.status) == (23, None, "untrusted")
    assert (await actions(yard.tenant))[-1] == "server.change"


class Ends:
    """What is granted: it notes for which places it was ended, and why."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    async def void(self, tx: Transaction, tenant: Tenant, why: Say, *, place: str = "") -> Sequence[Entry]:
        """Note it."""
        self.ended.append((why.key, place))
        return [Entry("grant.void", "system", resource_id=place)]


async def test_what_was_granted_for_a_changed_server_ends_and_is_on_record(yard: Yard) -> None:
    await yard.take("Host a\n Port 22\nHost b\n User u\n")
    ends = yard.fleet.granted = Ends()
    await yard.take("Host a\n Port 23\nHost b\n User u\nHost c\n User u\n")
    server = await yard.fleet.server(yard.tenant, "a")
    assert ends.ended == [("grant.why_changed", server.id)]
    assert (await actions(yard.tenant))[-1] == "grant.void"


async def test_nothing_is_taken_where_one_cannot_be(yard: Yard) -> None:
    text = "Host a\n User u\nHost b\n User u\n IdentityFile k\n"
    with pytest.raises(Refused):
        await yard.take(text, replace(WISHES, keys={"k": "no-such-credential"}))
    assert await yard.names() == []
    assert "server.add" not in await actions(yard.tenant)


async def test_plan_without_room_takes_nothing(yard: Yard, store: Store) -> None:
    yard.tenant = await store.with_plan("free")
    with pytest.raises(Refused) as caught:
        await yard.take("".join(f"Host h{n}\n User u\n" for n in range(6)))
    assert caught.value.say.key == "quota.servers"
    assert await yard.names() == []


async def test_what_was_shown_is_taken_or_nothing(yard: Yard) -> None:
    listing, shown = await yard.plan("Host a\n User u\nHost b\n User u\n")
    await yard.take("Host b\n User other\n")
    with pytest.raises(Refused) as caught:
        await yard.importing.take(yard.tenant, yard.ann, listing, WISHES, shown)
    assert caught.value.say.key == "import.changed_meanwhile"
    assert await yard.names() == ["b"]


async def test_only_admins_import(yard: Yard) -> None:
    yard.ann = replace(yard.ann, role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await yard.plan(SSH)
