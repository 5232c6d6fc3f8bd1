"""Who may decide a request: by role, by four eyes, and as their rights are at the moment of the vote."""

from dataclasses import replace

from core.errors import NotAllowed
from core.store import approvals as store
from core.store import keys, people, preferences
from core.store.database import Transaction
from core.tenant import Tenant
from core.texts import say
from core.work import Approval, Risk, Role, User, may_decide


async def deciders(tx: Transaction, asker: User, level: Risk, four_eyes: bool) -> list[User]:
    """Return the people who may decide what ``asker`` asks for at ``level``."""
    needed = Role.OPERATOR if level <= Risk.L1 else Role.ADMIN
    able = [user for user in await people.persons(tx) if user.active and user.role.covers(needed)]
    return [user for user in able if not (four_eyes and level >= Risk.L2 and user.id == asker.id)]


async def check_right(tx: Transaction, tenant: Tenant, user: User, approval: Approval) -> None:
    """Raise NotAllowed unless ``user`` may decide now; until the transaction's end nobody changes that.

    What the tenant asks for by now counts as well as what it asked for when the request was made.
    """
    await tx.one(people.HOLD_USER, id=user.id)
    present = await people.user(tx, user.id)
    wishes = await preferences.load(tx)
    strict = replace(
        approval,
        four_eyes=approval.four_eyes or wishes.four_eyes,
        needed=max(approval.needed, wishes.approvals_needed),
    )
    refusal = may_decide(present or replace(user, active=False), strict)
    if refusal is None and strict.four_eyes and approval.level >= Risk.L2:
        made = await keys.stands_behind(tx, tenant.id, user.id, approval.requester_id)
        refusal = say("approval.not_yours_four_eyes") if made else None
    if refusal is not None:
        raise NotAllowed(refusal.key, **refusal.params)
    if approval.level >= Risk.L2:
        await tx.run(store.ASK_MORE, id=approval.id, needed=wishes.approvals_needed)
