"""Whether a grant covers a command by now: what it was given for, and what would still give it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from agent.context import Work
from core.store import approvals, clusters, keys, people, preferences
from core.store import grants as store
from core.store.database import Transaction
from core.store.grants import Grant
from core.tenant import Tenant
from core.texts import Say, say
from core.work import Action, Risk, Verdict, may_decide


@dataclass(frozen=True, slots=True)
class Cover:
    """What grants come to for a command.

    grant: the one under which it may run unasked, None if people have to be asked; ended: those that would
    cover it, but for what has changed since they were given, each with the reason.
    """

    grant: Grant | None = None
    ended: Sequence[tuple[Grant, Say]] = ()


async def covering(
    tx: Transaction, work: Work, action: Action, verdict: Verdict, seen: Sequence[str], now: datetime
) -> Cover:
    """Return under which grant ``work`` may run ``action`` unasked, and which hold for it no more.

    seen: what its turn has read of data from outside.
    """
    found, ended = None, list[tuple[Grant, Say]]()
    for grant in await store.live(tx, now, work.user.id):
        if not grant.covers(action):
            changed = await _changed(tx, grant, action)
            ended += [(grant, changed)] if changed else []
        elif (why := await fallen(tx, work.tenant, grant)) is not None:
            ended.append((grant, why))
        elif verdict.level <= grant.approval.level and set(seen) <= await _readable(tx, grant):
            found = found or grant
    return Cover(found, ended)


async def _readable(tx: Transaction, grant: Grant) -> set[str]:
    """Return what a turn may have read: what the approval's turn had, and the granted servers' output."""
    places = await clusters.places_by_id(tx, list(grant.approval.action.server_ids))
    return {*grant.approval.seen, *(f"server:{place.name}" for place in places.values())}


async def _changed(tx: Transaction, grant: Grant, action: Action) -> Say | None:
    """Return which server is another one by now, if that is all that keeps ``grant`` from covering it."""
    then, now = _whereabouts(grant.approval.action), _whereabouts(action)
    if not now.keys() <= then.keys():
        return None
    keys, users, ways = zip(*(then[each] for each in now), strict=True)
    if not grant.covers(replace(action, host_keys=keys, os_users=users, ways=ways)):
        return None
    places = await clusters.places_by_id(tx, [each for each in now if now[each] != then[each]])
    return say("grant.why_changed", server=", ".join(sorted(place.name for place in places.values())))


def _whereabouts(action: Action) -> dict[str, tuple[str, ...]]:
    """Return each target's host key, account and way, by id; what was granted before names no ways."""
    at = zip_longest(action.host_keys, action.os_users, action.ways, fillvalue="")
    return dict(zip(action.server_ids, at, strict=True))


async def fallen(tx: Transaction, tenant: Tenant, grant: Grant) -> Say | None:
    """Return why the votes for a grant would not give it any more, None if they would."""
    approval, wishes = grant.approval, await preferences.load(tx)
    if not wishes.grant_minutes:
        return say("grant.why_off")
    is_stepped_up = wishes.step_up and approval.level >= Risk.L2
    if is_stepped_up and grant.given_at < await tx.value(preferences.STEP_UP_AT):
        return say("grant.why_step_up")  # nobody was asked for a second factor then
    four_eyes = approval.four_eyes or wishes.four_eyes
    needed = max(approval.needed, wishes.approvals_needed if approval.level >= Risk.L2 else 1)
    strict = replace(approval, four_eyes=four_eyes, needed=needed)
    givers = (await approvals.approvers(tx, [approval.id])).get(approval.id, ())
    if len(givers) < needed:
        return say("grant.too_few")
    for giver in givers:
        user = await people.user(tx, giver)
        if user is None or may_decide(user, strict) is not None:
            return say("grant.giver_gone")
        is_split = four_eyes and approval.level >= Risk.L2
        if is_split and await keys.stands_behind(tx, tenant.id, giver, approval.requester_id):
            return say("grant.giver_gone")
    return None
