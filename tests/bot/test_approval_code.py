"""Approving at the command line where the tenant wants a second factor."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyotp
import pytest
from support.house import Client, House, signed_in

pytestmark = pytest.mark.timeout(300)  # each command is a process of its own


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Start an it0 of the module's own, in which who approves level 2 proves a second factor."""
    running = House(tmp_path_factory.mktemp("code") / "home")
    running.start()
    assert running.command("tenant", "set", "step_up", "on").returncode == 0
    yield running
    running.close()


@pytest.fixture(scope="module")
async def client(house: House) -> AsyncIterator[Client]:
    """Return an admin's page."""
    page = await signed_in(house, "admin")
    await page.connect()
    yield page
    await page.close()


@pytest.fixture(scope="module")
async def secret(client: Client) -> str:
    """Let the admin have a second factor; return its secret."""
    _, made = await client.post("/api/v1/me/totp")
    given = {"code": pyotp.TOTP(made["secret"]).now()}
    assert (await client.post("/api/v1/me/totp/confirm", given))[0] == 204
    return str(made["secret"])


@pytest.fixture
async def unproved(house: House, secret: str) -> str:
    """Forget what was proved; return a code that counts."""
    async with house.database() as db:
        await db.execute(f'UPDATE "{await house.schema()}".totp SET last_step = 0, proven_until = NULL')
    return pyotp.TOTP(secret).now()


async def asked(client: Client, mark: Path) -> tuple[str, ...]:
    """Ask for a command of level 2; return what approves it."""
    card = await client.ask(f"/run local touch {mark}")
    return "approval", "approve", card["body"]["approval"]["code"], "--as", "admin"


async def it0(house: House, *words: str, given: str = "", language: str = "en") -> tuple[int, str]:
    """Run ``it0`` where nobody can type; return its exit code and what it said."""
    house.environment["IT0_LANGUAGE"] = language
    done = await asyncio.to_thread(house.command, *words, given=given)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("language", "words"), [("en", "--totp-file FILE"), ("zh", "--totp-file 文件")])
async def test_without_a_code_it_is_not_counted_and_says_how_to_give_one(
    house: House, client: Client, unproved: str, tmp_path: Path, language: str, words: str
) -> None:
    code, said = await it0(house, *await asked(client, tmp_path / "mark"), language=language)
    assert (code, words in said) == (1, True), said
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("way", ["-", "file"])
async def test_code_comes_from_a_file_or_standard_input(
    house: House, client: Client, unproved: str, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "code"
    path.write_text(f"{unproved}\n")
    approve = [*await asked(client, tmp_path / "mark"), "--totp-file", "-" if way == "-" else str(path)]
    code, said = await it0(house, *approve, given=f"{unproved[:3]} {unproved[3:]}\n")
    assert (code, said.endswith(": approved\n")) == (0, True), said
    await client.until(lambda: (tmp_path / "mark").exists())
    assert unproved not in house.log.read_text() + (await it0(house, "audit", "export"))[1]


@pytest.mark.parametrize(("language", "words"), [("en", "not right"), ("zh", "验证码不正确")])
async def test_wrong_code_decides_nothing(
    house: House, client: Client, unproved: str, tmp_path: Path, language: str, words: str
) -> None:
    wrong = str((int(unproved) + 7) % 1_000_000).zfill(6)
    approve = [*await asked(client, tmp_path / "mark"), "--totp-file", "-"]
    code, said = await it0(house, *approve, given=wrong, language=language)
    assert (code, words in said) == (1, True), said
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("language", "prompt"), [("en", "admin's authenticator app"), ("zh", "admin 的身份验证器应用验证码")]
)
async def test_terminal_is_asked_and_does_not_show_what_is_typed(
    house: House, client: Client, unproved: str, tmp_path: Path, language: str, prompt: str
) -> None:
    words = await asked(client, tmp_path / "mark")
    house.environment["IT0_LANGUAGE"] = language
    screen = await asyncio.to_thread(at_terminal, house, words, prompt, unproved)
    assert ": approved" in screen
    assert unproved not in screen
    await client.until(lambda: (tmp_path / "mark").exists())


def at_terminal(house: House, words: tuple[str, ...], prompt: str, typed: str) -> str:
    """Run ``it0`` at a terminal and type a line once it asks; return all that stood on the screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bot", *words]
    env = house._environment({"PYTHONIOENCODING": "utf-8"})
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    ) as process:
        os.close(theirs)
        screen = b""
        while prompt not in screen.decode(errors="replace"):
            screen += os.read(ours, 1024)
        os.write(ours, typed.encode() + b"\n")
        try:
            while piece := os.read(ours, 1024):
                screen += piece
        except OSError:  # so a terminal ends whose last writer has left
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return screen.decode(errors="replace")


async def test_reject_takes_no_code(house: House, client: Client, unproved: str, tmp_path: Path) -> None:
    _, _, name, *rest = await asked(client, tmp_path / "mark")
    assert (await it0(house, "approval", "reject", name, *rest, "--totp-file", "-"))[0] == 2
    assert (await it0(house, "approval", "reject", name, *rest)) == (0, f"{name}: rejected\n")
