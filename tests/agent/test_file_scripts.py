"""The scripts that read and write a file, in every shell that servers have, and the diff that people read."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.files.changes import NO_NEWLINE, diff_of, patched
from agent.files.scripts import (
    CHANGED,
    KEPT_BACKUPS,
    NO_FOLDER,
    NOT_WRITABLE,
    found_in,
    read_command,
    write_command,
    write_input,
)
from core.edits import Edit

BUSYBOX = shutil.which("busybox")
SHELLS = ["sh", "bash", *(["busybox"] if BUSYBOX else [])]
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
NOBODY = 65_534


@pytest.fixture(scope="module")
def applets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that has busybox's programs and no others."""
    folder = tmp_path_factory.mktemp("applets")
    if BUSYBOX:
        subprocess.run([BUSYBOX, "--install", "-s", str(folder)], check=True)
    return folder


def ran(
    shell: str, command: str, home: Path, given: str = "", applets: Path = Path("/"), user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a server's shell would."""
    is_busybox = shell == "busybox"
    path = str(applets) if is_busybox else "/usr/sbin:/usr/bin:/sbin:/bin"
    program = [str(applets / "sh") if is_busybox else shell, "-c", command]
    environment: Mapping[str, str] = {"PATH": path, "HOME": str(home)}
    return subprocess.run(
        program,
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        user=user,
        timeout=20,
    )


def edit_of(path: Path, new: str | None, mode: str = "") -> Edit:
    """Return the change of a file as it is now."""
    old = path.read_bytes().decode() if path.exists() else None
    return Edit(str(path), old, new, "", mode)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_is_made_changed_read_and_removed(shell: str, tmp_path: Path, applets: Path) -> None:
    file = tmp_path / "a 'b' $(c).txt"
    for at, text in enumerate(["one\n", "", "zwei\r\n\tdrei", "x" * 200_000]):
        edit = edit_of(file, text)
        went = ran(shell, write_command(edit, f"b{at}"), tmp_path, write_input(edit), applets)
        assert (went.returncode, went.stderr) == (0, "")
        seen = found_in(ran(shell, read_command(str(file), 262_144), tmp_path, "", applets).stdout)
        assert seen is not None
        assert (seen.word, seen.path, seen.content.decode()) == ("file", str(file), text)
    edit = edit_of(file, None)
    assert ran(shell, write_command(edit, "last"), tmp_path, write_input(edit), applets).returncode == 0
    assert not file.exists()
    assert sorted(each.name for each in (tmp_path / ".it0/backups").iterdir()) == ["b1", "b2", "b3", "last"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_read_says_what_is_there(shell: str, tmp_path: Path, applets: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("x" * 100)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "way").symlink_to(tmp_path / "folder")
    (tmp_path / "odd\nname").write_text("x")
    (tmp_path / "to_odd").symlink_to(tmp_path / "odd\nname")
    os.mkfifo(tmp_path / "pipe")

    def word(name: str) -> tuple[str, str]:
        found = found_in(ran(shell, read_command(str(tmp_path / name), 99), tmp_path, "", applets).stdout)
        assert found is not None
        return found.word, found.path.removeprefix(str(tmp_path))

    assert word("folder") == ("no_file", "/folder")
    assert word("large") == ("too_large", "/large")
    assert word("nowhere")[0] == "dangling"
    assert word("way/new") == ("new", "/folder/new")
    assert word("gone/new")[0] == "no_folder"
    assert word("pipe") == ("no_file", "/pipe")
    assert word("to_odd")[0] == "odd_name"


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_whatever_text_is_written_is_read_back_byte_for_byte(old: str, new: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(old.encode())
        edit = edit_of(file, new)
        assert ran("sh", write_command(edit, "b"), Path(folder), write_input(edit)).returncode == 0
        assert file.read_bytes() == new.encode()
        assert (Path(folder) / ".it0/backups/b").read_bytes() == old.encode()


def test_input_that_was_cut_off_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old\n")
    edit = edit_of(file, "a long text\n" * 1000)
    for cut in (0, 1, 77, 5000):
        went = ran("sh", write_command(edit, "b"), tmp_path, write_input(edit)[:cut])
        assert went.returncode > 30
        assert file.read_text() == "old\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".it0", "file"]


def test_a_change_leads_to_one_file_only_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old\n")
    edit = edit_of(file, "new\n")
    codes = [ran("sh", write_command(edit, "b"), tmp_path, write_input(edit)).returncode for _ in range(2)]
    assert codes == [0, CHANGED]


def test_only_the_newest_backups_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("0")
    for at in range(1, KEPT_BACKUPS + 4):
        edit = edit_of(file, str(at))
        ran("sh", write_command(edit, f"b{at}"), tmp_path, write_input(edit))
        os.utime(tmp_path / ".it0/backups" / f"b{at}", (at, at))
    left = {each.name for each in (tmp_path / ".it0/backups").iterdir()}
    assert len(left) == KEPT_BACKUPS
    assert {"b1", "b2"}.isdisjoint(left)
    assert f"b{KEPT_BACKUPS + 3}" in left


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_who_may_not_write_changes_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        home, closed, foreign = folder / "home", folder / "closed", folder / "home" / "foreign"
        home.mkdir()
        closed.mkdir(mode=0o755)
        os.chown(home, NOBODY, NOBODY)
        for file in (closed / "file", foreign):
            file.write_text("old\n")
        (closed / "file").chmod(0o666)
        for file, code in (
            (closed / "file", NO_FOLDER),
            (foreign, NOT_WRITABLE),
            (closed / "new", NO_FOLDER),
        ):
            edit = edit_of(file, "new\n")
            went = ran("sh", write_command(edit, "b"), home, write_input(edit), user=NOBODY)
            assert went.returncode == code
            assert not file.exists() or file.read_text() == "old\n"


def applied(diff: str, old: str) -> str:
    """Return what a diff makes of a text: what people read is what happens."""
    lines = old.split("\n")
    found: list[str] = []
    at = 0
    shown = diff.split("\n")[2:]
    for number, line in enumerate(shown):
        ends = "" if shown[number + 1 : number + 2] == [NO_NEWLINE] else "\n"
        if line.startswith("@@ "):
            start, count = map(int, line.split()[1][1:].split(","))
            upto = start - 1 if count else start
            found += [f"{each}\n" for each in lines[at:upto]]
            at = upto
        elif line != NO_NEWLINE:
            at += line[0] in " -"
            found += [line[1:] + ends] * (line[0] in " +")
    rest = lines[at:]
    return "".join(found) + "\n".join(rest)


LINES = st.lists(
    st.sampled_from(["a\n", "b\n", "c\r\n", "-\n", "+++\n", "@@\n", "\n", "x"]), max_size=30
).map("".join)


@given(LINES, LINES)
def test_a_diff_shows_all_that_changes(old: str, new: str) -> None:
    if old != new:
        assert applied(diff_of(old, new, "/f"), old) == new


def test_a_large_change_is_shown_as_a_whole() -> None:
    old, new = ("".join(f"{mark}{n}\n" for n in range(3000)) for mark in "ab")
    diff = diff_of(f"top\n{old}end\n", f"top\n{new}end\n", "/f")
    assert diff.count("\n") == 2 + 6000 + 2
    assert applied(diff, f"top\n{old}end\n") == f"top\n{new}end\n"


@given(st.text("ab\n", max_size=12), st.text("ab\n", min_size=1, max_size=3), st.text("ab\n", max_size=3))
def test_a_patch_takes_the_place_of_one_occurrence_or_is_refused(text: str, old: str, new: str) -> None:
    places = [at for at in range(len(text)) if text.startswith(old, at)]
    if len(places) == 1:
        assert patched(text, old, new, "/f") == text[: places[0]] + new + text[places[0] + len(old) :]
    else:
        with pytest.raises(Exception, match="edit"):
            patched(text, old, new, "/f")


def beset(
    tmp_path: Path, command: str, given: str, program: str, attack: str
) -> subprocess.CompletedProcess[str]:
    """Run a command while somebody who may write to the file's folder acts just before ``program``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    guise = folder / program
    guise.write_text(
        f'#!/bin/sh\nif mkdir {tmp_path}/done 2>/dev/null; then\n{attack}\nfi\nexec /usr/bin/{program} "$@"\n'
    )
    guise.chmod(0o755)
    path = f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        ["sh", "-c", command],
        input=given,
        env={"PATH": path, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


@pytest.mark.parametrize("program", ["cp", "base64", "chmod", "mv"])
@pytest.mark.parametrize(
    "attack",
    [
        "mv {d}/.it0-b {tmp}/taken; ln -s {victim} {d}/.it0-b",
        "mv {d} {tmp}/moved; ln -s {tmp}/other {d}",
        "mv {file} {tmp}/taken; ln -s {victim} {file}",
        "mv {file} {tmp}/taken; ln -s {tmp}/other {file}",
        "mv {file} {tmp}/taken; mkdir {file}",
    ],
)
def test_whoever_may_write_to_the_folder_cannot_turn_a_write_elsewhere(
    tmp_path: Path, program: str, attack: str
) -> None:
    file, other, victim = tmp_path / "d/app", tmp_path / "other", tmp_path / "other/app"
    for each in (file, victim):
        each.parent.mkdir()
        each.write_text("one\n")
    names = {"tmp": tmp_path, "d": file.parent, "file": file, "victim": victim}
    edit = edit_of(file, "two\n")
    beset(tmp_path, write_command(edit, "b"), write_input(edit), program, attack.format(**names))
    assert (tmp_path / "done").exists()
    assert [(each.name, each.read_text()) for each in other.iterdir()] == [("app", "one\n")]
    assert file.is_symlink() or not file.is_dir() or not [*file.iterdir()]


@pytest.mark.parametrize("program", ["readlink", "wc", "base64"])
def test_link_that_takes_a_files_place_while_it_is_read_shows_nothing(tmp_path: Path, program: str) -> None:
    file, secret = tmp_path / "d/app.log", tmp_path / "shadow"
    file.parent.mkdir()
    file.write_text("a line\n")
    secret.write_text("secret\n")
    attack = f"rm {file}; ln -s {secret} {file}"
    went = beset(tmp_path, read_command(str(file), 99), "", program, attack)
    found = found_in(went.stdout)
    assert found is not None
    assert (found.content in (b"", b"a line\n")) or found.path == str(secret)


@pytest.mark.parametrize("word", ["undone_before", "went_31", "x", "written"])
def test_word_that_no_read_says_is_no_answer(word: str) -> None:
    assert found_in(f"it0-file {word} -\n/etc/app\n") is None


@pytest.mark.parametrize("shell", SHELLS)
def test_new_file_in_a_shared_folder_gets_the_folders_group(
    shell: str, tmp_path: Path, applets: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder to another group")
    folder = tmp_path / "shared"
    folder.mkdir()
    os.chown(folder, -1, NOBODY)
    folder.chmod(0o2775)
    edit = edit_of(folder / "new", "x\n")
    assert ran(shell, write_command(edit, "b"), tmp_path, write_input(edit), applets).returncode == 0
    assert ((folder / "new").stat().st_gid, [each.name for each in folder.iterdir()]) == (NOBODY, ["new"])
