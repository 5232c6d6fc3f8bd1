"""Files that are sent from a server to a chat: once, by the rule for their path, and without secrets."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes.tools import server
from support.bench import Bench, key_of, make_bench
from support.store import Store, actions

from agent.engines.direct import read
from agent.engines.targets import Intent
from agent.gate.actions.sending import name_of
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from core.store import files
from core.work import Risk, Role

BINARY = bytes(range(256)) * 8


@pytest.fixture
async def real(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench whose one server is this machine; 20,000 bytes may be sent."""
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    made = await make_bench(store, shell)
    await made.knows("127.0.0.1")
    yield made
    await shell.close()


async def sent(bench: Bench) -> list[tuple[str, bytes]]:
    """Return every file that was sent, as the conversation names it and as it is kept."""
    schema = bench.work.tenant.schema
    rows = await bench.store.as_owner(f"SELECT * FROM {schema}.event WHERE kind = 'notice' ORDER BY seq")
    kept = {r["id"]: r for r in await bench.store.as_owner(f"SELECT * FROM {schema}.file")}
    ids = [str(row["body"]).partition('"file": {"id": "')[2].partition('"')[0] for row in rows]
    return [(kept[each]["name"], bytes(kept[each]["content"])) for each in ids]


@pytest.mark.parametrize("content", [b"text\n", "文\n".encode(), BINARY, b"x" * 20_000])
async def test_a_file_is_sent_as_it_is(real: Bench, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some file.bin"
    file.write_bytes(content)
    answer = await real("send_file", server="web", path=str(file))
    assert (answer.status, key_of(answer)) == ("done", "file.done")
    assert await sent(real) == [("some file.bin", content)]
    assert "file.sent" in await actions(real.work.tenant)


async def test_a_step_that_is_done_again_sends_nothing_twice(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("text\n")
    await real("send_file", server="web", path=str(file))
    real.steps -= 1
    real.as_role(Role.ADMIN)
    assert (await real("send_file", server="web", path=str(file))).status == "done"
    assert len(await sent(real)) == 1


async def test_configuration_is_sent_once_it_is_approved(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.conf"
    file.write_text("port = 1\n")
    answer = await real("send_file", server="web", path=str(file))
    assert answer.status == "waiting"
    assert await sent(real) == []
    approval, _ = await real.approved(answer)
    assert approval.level == Risk.L1
    assert await sent(real) == [("app.conf", b"port = 1\n")]


async def test_a_link_is_judged_by_where_it_leads(real: Bench, tmp_path: Path) -> None:
    config, secret = tmp_path / "app.conf", tmp_path / ".env"
    config.write_text("port = 1\n")
    secret.write_text("KEY=x\n")
    for name, target in (("innocent.txt", config), ("harmless.txt", secret)):
        (tmp_path / name).symlink_to(target)
    assert key_of(await real("send_file", server="web", path=str(tmp_path / "harmless.txt"))) == (
        "edit.secret_path"
    )
    answer = await real("send_file", server="web", path=str(tmp_path / "innocent.txt"))
    assert (answer.status, (await real.asked(answer)).action.command) == ("waiting", f"send_file {config}")
    assert await sent(real) == []


async def test_what_became_a_link_to_a_secret_after_the_approval_is_not_sent(
    real: Bench, tmp_path: Path
) -> None:
    config, secret = tmp_path / "app.conf", tmp_path / ".env"
    config.write_text("port = 1\n")
    secret.write_text("KEY=x\n")
    answer = await real("send_file", server="web", path=str(config))
    config.unlink()
    config.symlink_to(secret)
    with pytest.raises(Exception, match="secret"):
        await real.approved(answer)
    assert await sent(real) == []


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/root/.ssh/id_ed25519", "/srv/.env", "/dev/sda", "/srv/../etc/shadow"]
)
async def test_secrets_are_never_sent(real: Bench, path: str) -> None:
    answer = await real("send_file", server="web", path=path)
    assert (answer.status, key_of(answer)) == ("refused", "edit.secret_path")


async def test_what_the_vault_holds_is_taken_out_of_text_and_keeps_a_binary_back(
    real: Bench, tmp_path: Path
) -> None:
    await real.fleet.credentials.add(
        real.work.tenant, real.work.user, "db", "ssh_password", b"hunter2-hunter2"
    )
    text, binary = tmp_path / "a.txt", tmp_path / "a.bin"
    text.write_text("the word hunter2-hunter2 it is\n")
    binary.write_bytes(b"\xff\0hunter2-hunter2\xff")
    await real("send_file", server="web", path=str(text))
    assert await sent(real) == [("a.txt", "the word ‹redacted› it is\n".encode())]
    answer = await real("send_file", server="web", path=str(binary))
    assert (answer.status, key_of(answer)) == ("refused", "file.has_secret")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("none.txt", "file.none"),
        ("large.txt", "edit.too_large"),
        ("", "edit.no_file"),
        ("empty.txt", "file.empty"),
    ],
)
async def test_what_cannot_be_sent_is_said_so(real: Bench, tmp_path: Path, name: str, key: str) -> None:
    (tmp_path / "large.txt").write_bytes(b"x" * 20_001)
    (tmp_path / "empty.txt").touch()
    answer = await real("send_file", server="web", path=str(tmp_path / name))
    assert (answer.status, key_of(answer)) == ("refused", key)


async def test_only_operators_send(real: Bench) -> None:
    real.as_role(Role.VIEWER)
    assert key_of(await real("send_file", server="web", path="/var/log/x")) == "error.operators_only"


async def test_only_the_newest_files_are_kept(real: Bench) -> None:
    tenant, at = real.work.tenant, real.store.clock
    async with tenant.transaction() as tx:
        for number in range(files.MOST + 3):
            place = real.work.conversation_id
            await files.add(tx, f"f{number}", place, "a.txt", b"x", at.forward(seconds=1))
    rows = await real.store.as_owner(f"SELECT id FROM {tenant.schema}.file")
    assert (len(rows), {"f0", "f1", "f2"} & {row["id"] for row in rows}) == (files.MOST, set())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/app.log", "app.log"),
        ("/srv/页面.txt", "页面.txt"),
        ("/srv/page.html", "page.html.txt"),
        ("/srv/PAGE.SVG", "PAGE.SVG.txt"),
        ("/srv/a\u202etxt.js", "a_txt.js.txt"),
        ('/srv/"; filename="x.sh', "__ filename__x.sh"),
        ("/srv/...", "file"),
        ("/srv/" + "x" * 300, "x" * 100),
    ],
)
def test_a_file_is_named_by_what_can_be_seen_and_runs_in_no_browser(path: str, name: str) -> None:
    assert name_of(path) == name


def test_it_is_asked_for_by_a_command() -> None:
    found: Any = read("/send web-1 '/var/log/my app.log'", [server("web-1")])
    assert found == Intent("send_file", {"server": "web-1", "path": "/var/log/my app.log"})


@pytest.mark.parametrize("ending", ["txt", "conf"])
async def test_a_link_to_a_name_that_is_a_secret_is_neither_sent_nor_asked_for(
    real: Bench, tmp_path: Path, ending: str
) -> None:
    work, secret = real.work, "hunter2-hunter2"
    await real.fleet.credentials.add(work.tenant, work.user, "pw", "ssh_password", secret.encode())
    (tmp_path / f"{secret}.{ending}").write_text("text\n")
    (tmp_path / "plain.txt").symlink_to(tmp_path / f"{secret}.{ending}")
    answer = await real("send_file", server="web", path=str(tmp_path / "plain.txt"))
    assert (answer.status, key_of(answer)) == ("refused", "file.secret_name")
    assert await sent(real) == []
    for table in ("event", "audit", "approval", "file", "run"):
        rows = await real.store.as_owner(f"SELECT t::text AS t FROM {work.tenant.schema}.{table} t")
        assert secret not in str(rows)
