"""*Ask again*: a request that nobody decided in time is asked for anew by one press, as it was."""

from typing import Any

import pytest
from support.place import Place, at_work, until
from support.sshd import a_server
from support.store import Store, add_user

from bot.inbound.again import typed
from core.edits import Edit
from core.store.database import Row
from core.work import Action, Role

COMMAND = "systemctl restart nginx\nsystemctl  status 'nginx'"
"""Two lines and two blanks: what is asked for again is the same to the byte."""


async def requests(place: Place) -> list[Row]:
    """Return every request, the oldest first."""
    return await place.store.as_owner(f"SELECT * FROM {place.tenant.schema}.approval ORDER BY created_at")


async def many(place: Place, count: int) -> list[Row]:
    """Wait for ``count`` requests and return them."""

    async def enough() -> list[Row]:
        found = await requests(place)
        return found if len(found) >= count else []

    return list(await until(enough))


async def expired(place: Place, text: str) -> Row:
    """Ask for something and let its time pass; return the request."""
    asked = await place.send(text)
    (row,) = await many(place, 1)
    past = "now() - interval '1 second'"
    await place.store.as_owner(f"UPDATE {place.tenant.schema}.approval SET expires_at = {past}")
    await place.store.as_owner(f"UPDATE it0_shared.timer SET due_at = {past} WHERE kind = 'approval_expiry'")
    await place.replies(asked)
    return row


async def test_a_press_makes_a_fresh_request_of_exactly_the_same_and_only_one(store: Store) -> None:
    async with at_work(store) as place:
        old = await expired(place, f"/run --timeout 77s web {COMMAND}")
        await place.click(f"again:{old['id']}", "feed", place.ann)
        _, new = await many(place, 2)
        assert (new["action"], new["status"]) == (old["action"], "pending")
        assert new["id"] != old["id"]
        assert new["conversation_id"] == old["conversation_id"]
        pressed = await place.click(f"again:{old['id']}", "feed", place.ann)
        assert await place.replies(pressed) == [["again.already"]]
        assert len(await requests(place)) == 2
        await place.click(f"approve:{new['id']}", "feed", place.ann)

        async def ran() -> list[str]:
            return [order.command for _, order in place.shell.started]

        assert await until(ran) == [COMMAND]


@pytest.mark.parametrize(("who", "why"), [("olga", "again.not_yours"), ("ann", "again.not_expired")])
async def test_it_is_for_its_requester_and_for_what_has_expired(store: Store, who: str, why: str) -> None:
    async with at_work(store) as place:
        olga = await add_user(place.tenant, store.clock, "olga", Role.OPERATOR)
        if who == "olga":
            row = await expired(place, "/run web systemctl restart nginx")
        else:
            await place.send("/run web systemctl restart nginx")
            (row,) = await many(place, 1)
        pressed = await place.click(f"again:{row['id']}", "feed", olga if who == "olga" else place.ann)
        assert await place.replies(pressed) == [[why]]
        assert len(await requests(place)) == 1


WEB = a_server(id="1", name="web", host_key=None)
DB = a_server(id="2", name="db", host_key=None)


def action(kind: Any, command: str, *, ids: tuple[str, ...] = ("1",), edit: Edit | None = None) -> Action:
    """Return an act on servers."""
    return Action(kind, command, ids, ("",) * len(ids), ("ops",) * len(ids), timeout_s=90, edit=edit)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (action("run", "a  b\nc", ids=("2", "1")), "/run --timeout 90s db,web a  b\nc"),
        (action("send", "send_file '/etc/my app.conf'"), "/send web '/etc/my app.conf'"),
        (action("write", "", edit=Edit("/srv/a b", "x\n", "y\n", "")), "/write web '/srv/a b'\ny\n"),
        (
            action("write", "", edit=Edit("/srv/run", None, "y\n", "", "0755")),
            "/write web /srv/run 0755\ny\n",
        ),
        (action("write", "", edit=Edit("/a", "y\n", None, "", undoes="A7-493")), "/undo A7-493"),
        (action("write", "", edit=Edit("/a", "y", "no end", "")), None),  # typed, it would get a line break
        (action("run", "`ls`"), None),  # typed, it would lose its quotes
        (action("run", "ls", ids=("1", "gone")), None),
        (action("trust", "trust web SHA256:x"), None),
    ],
)
def test_what_is_typed_for_somebody_means_the_same_act_or_nothing(act: Action, text: str | None) -> None:
    assert typed(act, {"1": WEB, "2": DB}) == text
