"""Real servers behind one another, and a real server that takes bare commands only, by the gate's own way."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench, key_of, make_bench
from support.sshd import SSHD, Sshd, start_sshd
from support.store import Store

from agent.fleet.forms import NewServer
from agent.gate.running.jobs import unasked
from agent.shell.hostkeys import fingerprint
from agent.shell.ssh import SshShell
from core.errors import Refused
from core.messages import Code
from core.store import runs
from core.work import Risk

pytestmark = pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")

ONLY = """\
#!/bin/sh
# A shell that knows three words and no scripts.
case "$SSH_ORIGINAL_COMMAND" in
    uptime | id) exec $SSH_ORIGINAL_COMMAND ;;
    "systemctl restart nginx") sleep 30 ;;
    *) echo "only: not allowed" >&2; exit 126 ;;
esac
"""


@dataclass
class Yard:
    """A bench with real hands. add: puts an sshd into the inventory, its key confirmed."""

    bench: Bench

    async def add(self, name: str, sshd: Sshd, **more: Any) -> None:
        """Add a server with a credential of its own."""
        tenant, user = self.bench.work.tenant, self.bench.work.user
        await self.bench.fleet.credentials.add(tenant, user, f"key-{name}", "ssh_key", sshd.client_key)
        fields = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "credential": f"key-{name}"}
        new = NewServer(name, **{**fields, **more})
        await self.bench.fleet.add_server(tenant, user, new, fingerprint(sshd.host_key))


@pytest.fixture
async def yard(store: Store) -> AsyncIterator[Yard]:
    """Return a yard."""
    shell = SshShell(connect_timeout_s=5)
    yield Yard(await make_bench(store, shell))
    await shell.close()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Sshd]]:
    """Return three servers."""
    servers = [start_sshd(tmp_path / str(number)) for number in range(3)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Sshd]:
    """Return a server with a forced command that takes few words."""
    only = tmp_path / "only"
    only.write_text(ONLY)
    only.chmod(0o755)
    server = start_sshd(tmp_path / "sshd", extra=f"ForceCommand {only}")
    yield server
    server.stop()


async def test_command_reaches_the_last_of_three_through_the_others(yard: Yard, three: list[Sshd]) -> None:
    before = ""
    for number, sshd in enumerate(three):
        await yard.add(f"hop-{number}", sshd, jump=before)
        before = f"hop-{number}"
    answer = await yard.bench("run_command", command="uptime", servers=["hop-2"])
    assert answer.status == "done"
    assert [len(sshd.children()) for sshd in three] == [1, 1, 1]
    three[1].stop()
    again = await yard.bench("run_command", command="uptime", servers=["hop-2"])
    assert again.status == "failed"


async def test_way_that_would_lead_in_a_circle_is_refused_and_the_old_one_stands(
    yard: Yard, three: list[Sshd]
) -> None:
    tenant, user, fleet = yard.bench.work.tenant, yard.bench.work.user, yard.bench.fleet
    for number, sshd in enumerate(three):
        await yard.add(f"hop-{number}", sshd, jump=f"hop-{number - 1}" if number else "")
    first = await fleet.server(tenant, "hop-0")
    with pytest.raises(Refused) as caught:
        await fleet.change_server(tenant, user, first, {"jump": "hop-2"})
    assert caught.value.say.key == "server.jump_circle"
    assert (await yard.bench("run_command", command="uptime", servers=["hop-2"])).status == "done"


async def test_restricted_server_takes_the_bare_command_and_says_what_it_refuses(
    yard: Yard, narrow: Sshd
) -> None:
    await yard.add("narrow", narrow, restricted=True)
    assert (await yard.bench("run_command", command="uptime", servers=["narrow"])).status == "done"
    refused = await yard.bench("run_command", command="df -h", servers=["narrow"])
    assert key_of(refused) == "run.exit"
    assert Code("only: not allowed") in refused.parts


async def test_restricted_server_is_asked_by_a_bare_word_what_its_account_can_do(
    yard: Yard, narrow: Sshd
) -> None:
    await yard.add("narrow", narrow, restricted=True)
    answer = await yard.bench("check_server", name="narrow")
    assert [part.key for part in answer.parts] == ["server.reachable", "account.main"]  # type: ignore[union-attr]


async def test_server_with_such_a_shell_that_is_not_declared_runs_nothing_and_that_is_said(
    yard: Yard, narrow: Sshd
) -> None:
    await yard.add("narrow", narrow)
    answer = await yard.bench("run_command", command="uptime", servers=["narrow"])
    assert (answer.status, key_of(answer)) == ("failed", "run.failed")
    assert "only: not allowed" in "".join(p.code for p in answer.parts if isinstance(p, Code))


async def test_after_a_crash_the_outcome_on_a_restricted_server_is_unknown_and_nothing_runs_again(
    yard: Yard, narrow: Sshd
) -> None:
    await yard.add("narrow", narrow, restricted=True)
    work = yard.bench.work
    server = await yard.bench.fleet.server(work.tenant, "narrow")
    run = runs.Run(
        unasked(work, 1), work.conversation_id, work.turn_id, None, "uptime", Risk.L0,
        ((server.id, server.name),), work.user.id, None,
    )  # fmt: skip
    async with work.tenant.transaction() as tx:
        assert await runs.start(tx, run, "a process that died", yard.bench.desk.clock())
    answer = await yard.bench("run_command", command="uptime", servers=["narrow"])
    assert [each["state"] for each in answer.data["results"]] == ["unknown"]
    assert narrow.children() == []


async def test_card_says_beforehand_that_it_cannot_be_ended(yard: Yard, narrow: Sshd) -> None:
    await yard.add("narrow", narrow, restricted=True)
    asked = await yard.bench("run_command", command="systemctl restart nginx", servers=["narrow"])
    approval = await yard.bench.asked(asked)
    assert {"say": "gate.restricted", "params": {"servers": "narrow"}} in approval.reasons
