"""Files that are changed from the console: on a server over SSH, with cards that people read and click."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, expect
from support.browser import CHROMIUM
from support.house import Client, House, audit_of, running_house, signed_in, words_of
from support.sshd import SSHD, Sshd, start_sshd
from support.staff import admin
from test_two_people import enter, say

__all__ = ["admin"]

needs_sshd = pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield a running it0."""
    with running_house(tmp_path_factory.mktemp("writes") / "home", CONNECT_TIMEOUT_S="3") as running:
        yield running


@pytest.fixture(scope="module")
def sshd(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Yield an SSH server that it0 trusts as ``far``, and as ``narrow`` where it counts as restricted."""
    folder = tmp_path_factory.mktemp("sshd")
    server = start_sshd(folder)
    (folder / "key").write_bytes(server.client_key)
    house.command("credential", "add", "far", "--type", "ssh_key", "--file", str(folder / "key"))
    for name, *more in (("far",), ("narrow", "--restricted")):
        where = ("--host", "127.0.0.1", "--port", str(server.port), "--user", server.user)
        added = house.command("server", "add", name, *where, "--credential", "far", *more, "--json")
        assert added.returncode == 0, added.stderr
        shown = added.stdout.partition("SHA256:")[2].split('"')[0]
        trusted = house.command("server", "trust", name, f"SHA256:{shown}")
        assert trusted.returncode == 0, trusted.stderr
    yield server
    server.stop()


async def approved(client: Client, card: dict[str, Any]) -> str:
    """Approve a card and return what is said of its outcome."""
    assert card["kind"] == "card", card
    conversation = card["conversation"]
    before = len(client.of_kind(conversation, "reply"))
    await client.click(f"approve:{card['body']['approval']['id']}")
    await client.until(lambda: len(client.of_kind(conversation, "reply")) > before)
    return words_of(client.of_kind(conversation, "reply")[-1])


@needs_sshd
async def test_a_file_is_written_over_ssh_and_taken_back(admin: Client, sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "motd.txt"
    file.write_text("old\n")
    card = await admin.ask(f"/write far {file}\nnew\nlines")
    shown = card["body"]["approval"]
    assert (shown["level"], shown["kind"]) == (2, "write")
    assert shown["command"].endswith("-old\n+new\n+lines")
    said = await approved(admin, card)
    assert file.read_text() == "new\nlines\n"
    assert f"/undo {shown['code']}" in said
    back = await admin.ask(f"撤销 {shown['code']}", card["conversation"])
    await approved(admin, back)
    assert file.read_text() == "old\n"
    assert (sshd.home / ".it0" / "backups" / shown["id"]).read_text() == "old\n"


@needs_sshd
async def test_what_changed_meanwhile_is_left_alone_and_said_so(
    admin: Client, sshd: Sshd, tmp_path: Path
) -> None:
    file = tmp_path / "motd.txt"
    file.write_text("old\n")
    card = await admin.ask(f"/write far {file}\nnew")
    file.write_text("theirs\n")
    said = await approved(admin, card)
    assert "was not changed" in said
    assert file.read_text() == "theirs\n"


@needs_sshd
async def test_no_record_and_no_process_list_has_the_content(
    admin: Client, sshd: Sshd, tmp_path: Path
) -> None:
    file = tmp_path / "motd.txt"
    seen: list[str] = []

    async def watch() -> None:
        while True:
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(place.read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    await approved(admin, await admin.ask(f"/write far {file}\n" + "canary-of-the-content\n" * 2000))
    watching.cancel()
    assert any("it0.backups" in each or ".it0/backups" in each for each in seen)
    assert not any("canary-of-the-content" in each or "Y2FuYXJ5LW9mLX" in each for each in seen)
    rows = await audit_of(admin, "command.intent")
    assert "canary" not in str(rows)
    assert f"write_file {file} sha256 - -> " in str(rows[0])


@needs_sshd
async def test_restricted_servers_and_clusters_take_no_files(admin: Client, sshd: Sshd, house: House) -> None:
    house.command("cluster", "add", "shop", "--type", "k8s", "--entry", "far")
    assert "bare commands" in words_of(await admin.ask("/write narrow /srv/x.txt\nx"))
    assert "cluster" in words_of(await admin.ask("/write shop /srv/x.txt\nx"))


async def got(client: Client, path: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return the answer to a page's request, and its body."""
    assert client._session
    async with client._session.get(client.house.url + path) as response:
        return response, await response.read()


async def test_a_sent_file_is_downloaded_by_its_own_people_only(
    house: House, admin: Client, tmp_path: Path
) -> None:
    file = tmp_path / "页 1.html"
    file.write_text("<script>alert(1)</script>\n")
    reply = await admin.ask(f"/send local '{file}'")
    notice = await admin.until(lambda: admin.of_kind(reply["conversation"], "notice"))
    path = f"/files/{notice[0]['body']['file']['id']}"
    answer, content = await got(admin, path)
    assert (answer.status, content) == (200, file.read_bytes())
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E9%A1%B5%201.html.txt"
    other = await signed_in(house, "olga", "admin")
    assert (await got(other, path))[0].status == 404
    await other.close()
    async with aiohttp.ClientSession() as stranger, stranger.get(house.url + path) as refused:
        assert refused.status == 401


@needs_chromium
async def test_a_sent_file_is_saved_from_the_page(house: House, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "app.txt"
    file.write_text("hello\n")
    page = await enter(browser, house, "admin")
    await say(page, f"/send local {file}")
    async with page.expect_download() as saving:
        await page.get_by_text("Download app.txt").click()
    saved = await saving.value
    assert saved.suggested_filename == "app.txt"
    assert Path(await saved.path()).read_text() == "hello\n"


@needs_chromium
async def test_the_card_shows_the_diff_and_its_button_takes_the_change_back(
    house: House, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "motd.txt"
    file.write_text("old\n")
    page = await enter(browser, house, "admin")
    await say(page, f"/write local {file}\nnew")
    await expect(page.locator(".card .command")).to_contain_text("-old")
    await page.locator(".card [data-press=approve]").click()
    await page.locator(".card [data-press=undo]").click()
    assert file.read_text() == "new\n"
    await expect(page.locator(".card .command").nth(1)).to_contain_text("+old")
    await page.locator(".card [data-press=approve]").click()
    await expect(page.locator(".card .act-done")).to_have_count(2)
    assert file.read_text() == "old\n"
