"""What was approved is bound to where it was to run: a server that was changed since is another place."""

from dataclasses import replace

import pytest
from support.place import at_work
from support.store import Store
from test_grants import STOP, answered, granted, pending, ran, said

from core.work import Action

CHANGES = ["host = 'elsewhere'", "port = 23", "environment = 'prod'", "restricted = true", "shell = 'sh'"]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_approved_for_a_server_as_it_was_does_not_run_on_it_as_it_is(
    store: Store, change: str
) -> None:
    async with at_work(store) as place:
        asked = await answered(place, f"/run web {STOP}")
        (card,) = await pending(place)
        await place.store.as_owner(f"UPDATE {place.tenant.schema}.server SET {change}")
        await place.click(f"approve:{card['id']}", "there", place.ann)
        assert "gate.changed" in str(await place.replies(asked))
        assert ran(place, STOP) == 0


@pytest.mark.parametrize("change", CHANGES)
async def test_grant_ends_where_its_server_was_changed_which_is_said(store: Store, change: str) -> None:
    async with at_work(store) as place:
        await granted(place, STOP)
        await place.store.as_owner(f"UPDATE {place.tenant.schema}.server SET {change}")
        await answered(place, f"/run web {STOP}")
        assert (ran(place, STOP), len(await pending(place))) == (1, 1)
        assert (await said(place, "grant.void"), await said(place, "grant.why_changed")) == (1, 1)


async def test_approval_of_before_that_names_no_way_still_runs(store: Store) -> None:
    async with at_work(store) as place:
        asked = await answered(place, f"/run web {STOP}")
        (card,) = await pending(place)
        old = replace(Action.from_json(card["action"]), ways=())
        digest = old.digest(place.tenant.id, card["id"], card["nonce"])
        table = f"{place.tenant.schema}.approval"
        await place.store.as_owner(f"UPDATE {table} SET action = $1, digest = $2", old.as_json(), digest)
        await place.click(f"approve:{card['id']}", "there", place.ann)
        await place.replies(asked)
        assert ran(place, STOP) == 1
