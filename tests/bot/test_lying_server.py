"""A server that lies when it is asked for a file: people see what they approve, and words of ours only."""

import pytest
from support.bench import Bench, make_bench
from support.store import Store

from bot.chat.controls import described
from bot.texts.catalogue import load_catalogue
from bot.texts.render import Renderer
from core.messages import Code
from core.store import clusters
from core.work import Approval

HIDES = "\u202e\u2066\x1b[2J\u200b\u3164\u00a0"


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with one server, whose shell says what a test wants."""
    made = await make_bench(store)
    await made.knows("127.0.0.1")
    return made


async def approval_of(bench: Bench, path: str) -> Approval:
    """Ask for a write, to which the server says that the file is at ``path``."""
    bench.shell.on(".*", stdout=f"it0-file new -\n{path}\n")
    answer = await bench("write_file", server="web", path="/srv/app/motd.txt", content="hello\n")
    assert answer.status == "waiting", answer.parts
    return await bench.asked(answer)


async def test_path_that_a_server_invents_is_shown_with_all_that_hides_in_it(bench: Bench) -> None:
    found = await approval_of(bench, f"/srv/{HIDES}motd.txt")
    async with bench.work.tenant.reading() as db:
        card = (await Renderer(load_catalogue(), bench.work.user).cards(db, [found.id], {}))[found.id]
        servers = await clusters.places_by_id(db, list(found.action.server_ids))
    words = load_catalogue()
    chat = [part.code if isinstance(part, Code) else str(part) for part in described(found, servers, {})]
    shown = "".join([*card["reasons"], *chat])
    assert [sign for sign in HIDES if sign in shown and sign not in "[2J"] == []
    assert "\\u202e" in shown
    assert any("/srv/app/motd.txt" in reason for reason in card["reasons"]), words


@pytest.mark.parametrize("path", ["/etc/passwd", "/root/.ssh/authorized_keys", "/etc/sudoers.d/x", "/dev/x"])
async def test_path_that_a_server_invents_is_judged_as_one_that_was_asked_for(
    bench: Bench, path: str
) -> None:
    bench.shell.on(".*", stdout=f"it0-file new -\n{path}\n")
    answer = await bench("write_file", server="web", path="/srv/app/motd.txt", content="hello\n")
    assert (answer.status, answer.approval_id) == ("refused", None)


@pytest.mark.parametrize("path", ["motd.txt", "", "/srv/app/", "/srv/app/../../etc/passwd", "/srv/\ufffd"])
async def test_path_that_is_none_is_not_asked_for(bench: Bench, path: str) -> None:
    bench.shell.on(".*", stdout=f"it0-file new -\n{path}\n")
    answer = await bench("write_file", server="web", path="/srv/app/motd.txt", content="hello\n")
    assert (answer.status, answer.approval_id) == ("refused", None)
