"""Files that people let it0 change: what is asked for, what becomes of the file, and when nothing does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench, key_of, make_bench
from support.store import Store

from agent.redaction.redact import HIDDEN
from agent.shell.local import Local
from agent.shell.ssh import SshShell
from core.texts import Say
from core.work import Approval, Risk, Role, RunTarget

HOSTILE_NAMES = [
    "a b.txt",
    "-rf.txt",
    "it's.txt",
    'say "hi".txt',
    "$(touch pwned).txt",
    "`touch pwned`.txt",
    "a;b&c|d.txt",
    "名字.txt",
    "*.txt",
    "\\.txt",
]
HOSTILE_TEXTS = [
    "",
    "no line break",
    "EOF\nIT0\n$(touch pwned)\n`touch pwned`\n'\"\\\n",
    "\r\n\r\n\t \x0b\x0c\x85\u2028 end",
    "%s %d \\n \\0 -n\n",
    "é中文😀\n" * 3,
    "x" * 200_000,
    "0123456789abcdef\n" * 12_000,
]


@pytest.fixture
async def real(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench whose one server is this machine."""
    shell = SshShell(connect_timeout_s=5, local=Local(home=tmp_path))
    made = await make_bench(store, shell)
    await made.knows("127.0.0.1")
    yield made
    await shell.close()


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with one server that nobody may reach."""
    made = await make_bench(store)
    await made.knows("127.0.0.1")
    return made


async def written(bench: Bench, tool: str, **arguments: Any) -> tuple[Approval, RunTarget]:
    """Ask for a change, approve it, and return both once it is made."""
    answer = await bench(tool, **arguments)
    assert answer.status == "waiting", answer.parts
    approval, results = await bench.approved(answer)
    assert isinstance(results, list), results
    return approval, results[0]


async def test_a_file_is_read_first_and_the_card_has_the_whole_diff(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("one\ntwo\nthree\n")
    approval = await real.asked(await real("patch_file", server="web", path=str(file), old="two", new="2"))
    assert approval.level == Risk.L2
    assert approval.action.shown.split("\n")[1:] == [
        f"--- {file}",
        f"+++ {file}",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+2",
        " three",
    ]
    assert file.read_text() == "one\ntwo\nthree\n"


async def test_an_approved_change_is_made_and_owner_and_mode_stay(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("one\ntwo\n")
    file.chmod(0o640)
    before = file.stat()
    approval, went = await written(
        real, "patch_file", server="web", path=str(file), old="two\n", new="zwei\n"
    )
    after = file.stat()
    assert went.ok
    assert file.read_text() == "one\nzwei\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    backup = tmp_path / ".it0" / "backups" / approval.id
    assert (backup.read_text(), backup.stat().st_mode & 0o777) == ("one\ntwo\n", 0o600)
    assert backup.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in tmp_path.iterdir()) == [".it0", "app.txt"]


async def test_a_new_file_gets_the_mode_that_was_asked_for_or_the_usual_one(
    real: Bench, tmp_path: Path
) -> None:
    plain, script = tmp_path / "plain.txt", tmp_path / "run.sh"
    approval, went = await written(real, "write_file", server="web", path=str(plain), content="x\n")
    assert went.ok
    assert Say("edit.makes_file", {"path": str(plain)}).as_json() in approval.reasons
    assert approval.action.shown.endswith(f"--- /dev/null\n+++ {plain}\n@@ -0,0 +1,1 @@\n+x")
    await written(real, "write_file", server="web", path=str(script), content="#!/bin/sh\n", mode="0755")
    assert [each.stat().st_mode & 0o777 for each in (plain, script)] == [0o644, 0o755]


@pytest.mark.parametrize("then", ["changed", "removed", "link", "folder"])
async def test_a_file_that_changed_after_it_was_read_is_left_alone(
    real: Bench, tmp_path: Path, then: str
) -> None:
    file, other = tmp_path / "app.txt", tmp_path / "other.txt"
    file.write_text("one\n")
    other.write_text("one\n")
    answer = await real("write_file", server="web", path=str(file), content="two\n")
    file.unlink()
    match then:
        case "changed":
            file.write_text("newer\n")
        case "link":
            file.symlink_to(other)
        case "folder":
            file.mkdir()
    _, results = await real.approved(answer)
    assert [(each.state, each.exit_code) for each in results] == [("done", 31)]
    assert other.read_text() == "one\n"
    assert not file.is_file() or file.read_text() in ("newer\n", "one\n")


async def test_a_new_file_does_not_take_the_place_of_one_that_came_meanwhile(
    real: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "new.txt"
    answer = await real("write_file", server="web", path=str(file), content="mine\n")
    file.write_text("theirs\n")
    _, results = await real.approved(answer)
    assert [each.exit_code for each in results] == [31]
    assert file.read_text() == "theirs\n"


async def test_a_link_is_followed_and_the_card_says_where_to(real: Bench, tmp_path: Path) -> None:
    file, link = tmp_path / "real.txt", tmp_path / "link.txt"
    file.write_text("one\n")
    link.symlink_to(file)
    approval, went = await written(real, "write_file", server="web", path=str(link), content="two\n")
    assert went.ok
    assert Say("edit.by_link", {"asked": str(link), "path": str(file)}).as_json() in approval.reasons
    assert link.is_symlink()
    assert file.read_text() == "two\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/null", "/proc/self/comm"])
async def test_a_link_to_what_may_not_be_written_is_refused(real: Bench, tmp_path: Path, target: str) -> None:
    link = tmp_path / "innocent.txt"
    link.symlink_to(target)
    answer = await real("write_file", server="web", path=str(link), content="x\n")
    assert answer.status == "refused"
    assert key_of(answer) in ("edit.forbidden_path", "edit.no_file")


async def test_undo_is_asked_for_too_and_brings_the_old_text_back(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("one\n")
    file.chmod(0o600)
    done, _ = await written(real, "write_file", server="web", path=str(file), content="two\n")
    back, went = await written(real, "undo_write", code=done.code)
    assert went.ok
    assert back.level == Risk.L2
    assert "-two\n+one" in back.action.shown
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one\n", 0o600)
    again = await real("undo_write", code=done.code)
    assert (again.status, key_of(again)) == ("refused", "edit.undone_before")


async def test_undo_of_a_new_file_removes_it_and_undo_of_that_brings_it_back(
    real: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "new.txt"
    done, _ = await written(real, "write_file", server="web", path=str(file), content="x\n")
    back, went = await written(real, "undo_write", code=done.code)
    assert went.ok
    assert not file.exists()
    _, again = await written(real, "undo_write", code=back.code)
    assert again.ok
    assert file.read_text() == "x\n"


@pytest.mark.parametrize("when", ["before it is asked for", "before it runs"])
async def test_undo_leaves_alone_what_has_changed_since(real: Bench, tmp_path: Path, when: str) -> None:
    file = tmp_path / "app.txt"
    file.write_text("one\n")
    done, _ = await written(real, "write_file", server="web", path=str(file), content="two\n")
    if when == "before it is asked for":
        file.write_text("three\n")
        answer = await real("undo_write", code=done.code)
        assert (answer.status, key_of(answer)) == ("refused", "edit.changed_since")
    else:
        answer = await real("undo_write", code=done.code)
        file.write_text("three\n")
        _, results = await real.approved(answer)
        assert [each.exit_code for each in results] == [31]
    assert file.read_text() == "three\n"


async def test_undo_of_what_was_never_written_is_refused(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    answer = await real("write_file", server="web", path=str(file), content="x\n")
    waiting = await real.asked(answer)
    assert key_of(await real("undo_write", code=waiting.code)) == "edit.no_such_write"
    file.write_text("theirs\n")
    await real.approved(answer)
    assert key_of(await real("undo_write", code=waiting.code)) == "edit.was_not_written"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_is_only_a_name(real: Bench, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in here"
    folder.mkdir()
    _, went = await written(real, "write_file", server="web", path=str(folder / name), content="x\n")
    assert went.ok
    _, went = await written(real, "patch_file", server="web", path=str(folder / name), old="x", new="y")
    assert went.ok
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [(name, "y\n")]
    assert sorted(each.name for each in tmp_path.iterdir()) == [".it0", "in here"]


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
async def test_whatever_text_is_written_stands_there_byte_for_byte(
    real: Bench, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "app.txt"
    file.write_bytes(b"before\n")
    approval, went = await written(real, "write_file", server="web", path=str(file), content=text)
    assert went.ok, went
    assert file.read_bytes() == text.encode()
    await written(real, "undo_write", code=approval.code)
    assert file.read_bytes() == b"before\n"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (f"password: {HIDDEN}\n", "edit.has_mark"),
        ("a\0b", "edit.no_text"),
        ("x" * 262_145, "edit.text_too_large"),
    ],
)
async def test_text_that_cannot_be_meant_is_refused(
    real: Bench, tmp_path: Path, content: str, key: str
) -> None:
    file = tmp_path / "app.txt"
    file.write_text("keep\n")
    whole = await real("write_file", server="web", path=str(file), content=content)
    part = await real("patch_file", server="web", path=str(file), old="keep", new=content)
    assert [(each.status, key_of(each)) for each in (whole, part)] == [("refused", key)] * 2


@pytest.mark.parametrize(
    ("content", "key"),
    [(b"\x7fELF\0\1", "edit.no_text"), (b"\xff\xfe", "edit.no_text"), (b"x" * 262_145, "edit.too_large")],
)
async def test_what_is_no_text_or_too_large_is_not_changed(
    real: Bench, tmp_path: Path, content: bytes, key: str
) -> None:
    file = tmp_path / "app.bin"
    file.write_bytes(content)
    answer = await real("write_file", server="web", path=str(file), content="x\n")
    assert (answer.status, key_of(answer)) == ("refused", key)


@pytest.mark.parametrize(
    ("old", "key"), [("four", "edit.not_found"), ("one", "edit.found_twice"), ("one\n\n", "edit.not_found")]
)
async def test_a_patch_needs_its_text_exactly_once(real: Bench, tmp_path: Path, old: str, key: str) -> None:
    file = tmp_path / "app.txt"
    file.write_text("one\ntwo\none\n")
    answer = await real("patch_file", server="web", path=str(file), old=old, new="x")
    assert (answer.status, key_of(answer)) == ("refused", key)


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "/etc/shadow", "/etc//passwd", "/etc/./shadow", "/etc/sudoers", "/etc/sudoers.d/x"),
        *("/boot/grub/grub.cfg", "/dev/sda", "/proc/sys/kernel/hostname", "/sys/power/state", "/run/x"),
        *("/root/.ssh/authorized_keys", "/home/ops/.ssh/authorized_keys2", "/srv/authorized_keys"),
        *("/home/ops/.it0/run/x/exit", "/var/log/../../etc/passwd", "/etc/pam.d/sshd", "/etc/ld.so.preload"),
        *("/srv/app/.env", "/etc/ssl/private/web.key", "/srv/app/id_ed25519", "/root/notes.txt"),
    ],
)
async def test_what_no_tool_may_write_is_refused_and_never_asked_for(bench: Bench, path: str) -> None:
    for answer in (
        await bench("write_file", server="web", path=path, content="x\n"),
        await bench("patch_file", server="web", path=path, old="x", new="y"),
    ):
        assert answer.status == "refused"
        assert key_of(answer) in ("edit.forbidden_path", "edit.secret_path")
    assert bench.shell.started == []


async def test_only_operators_write_and_a_turn_that_waits_writes_nothing(real: Bench, tmp_path: Path) -> None:
    real.as_role(Role.VIEWER)
    arguments = {"server": "web", "path": str(tmp_path / "x.txt"), "content": "x\n"}
    assert key_of(await real("write_file", **arguments)) == "error.operators_only"
    assert key_of(await real("undo_write", code="A1-123")) == "error.operators_only"
    real.as_role(Role.OPERATOR)
    assert (await real("write_file", **arguments)).status == "waiting"
    assert key_of(await real("write_file", **arguments)) == "gate.not_run_waiting"


async def test_what_the_vault_holds_is_neither_written_nor_brought_into_an_approval(
    real: Bench, tmp_path: Path
) -> None:
    tenant, user = real.work.tenant, real.work.user
    await real.fleet.credentials.add(tenant, user, "db", "ssh_password", b"hunter2-hunter2")
    file = tmp_path / "app.txt"
    file.write_text("a\npassword hunter2-hunter2\n")
    for answer in (
        await real("patch_file", server="web", path=str(file), old="a\n", new="b\n"),
        await real("write_file", server="web", path=str(tmp_path / "n.txt"), content="x hunter2-hunter2\n"),
    ):
        assert (answer.status, key_of(answer)) == ("refused", "edit.has_secret")


async def test_what_is_read_for_a_change_is_in_no_record(real: Bench, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("canary-in-the-file\n" * 3)
    await real("patch_file", server="web", path=str(file), old="no such text", new="x")
    rows = await real.store.as_owner(f"SELECT * FROM {real.work.tenant.schema}.run_target")
    assert [(row["state"], row["stdout"]) for row in rows] == [("done", "")]
