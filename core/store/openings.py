"""What work stands on when it begins, in one round trip: who asks, and what their tenant decided."""

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, true

from core.store import people, preferences, tables
from core.store.database import Row, Statement, Transaction
from core.store.fleet import FLEET_STATE, VAULT_STATE, FleetState, VaultState
from core.store.preferences import Preferences
from core.store.statements import of_tenant, param
from core.work import User

C = tables.conversations
K = tables.clusters
S = tables.settings
U = tables.users

_settings = select(func.jsonb_object_agg(S.c.key, S.c.value)).where(of_tenant(S)).scalar_subquery()
_clusters = exists(select(K.c.id).where(of_tenant(K), K.c.status != "removed"))
_vault = select(*VAULT_STATE).where(of_tenant(tables.credentials)).subquery("vault")
_fleet = FLEET_STATE.subquery("fleet")


def opening(*more: ColumnElement[Any], conversation: ColumnElement[str]) -> Select[Any]:
    """Return the question for what holds as work of the user ``user`` begins in a conversation.

    more: what else is selected.
    """
    return (
        select(
            *more,
            U,
            C.c.engine.label("conversation_engine"),
            _settings.label("settings"),
            _clusters.label("clusters"),
            *_vault.c,
            *_fleet.c,
        )
        .select_from(C)
        .join(U, and_(of_tenant(U), U.c.id == param("user")), isouter=True)
        .join(_vault, true())
        .join(_fleet, true())
        .where(of_tenant(C), C.c.id == conversation)
    )


READ = Statement(opening(conversation=param("conversation")))
FRESH_S = 0.1
"""So long what holds need not be read again: it is read with the message, which most often begins at once."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What holds as work begins. user: None for it0's own work, or somebody unknown.

    engine: the conversation's own, None for its tenant's; vault: the state of the tenant's secrets;
    clusters: whether the tenant has any; fleet: the state of its servers. until: by the monotonic clock, how
    long it need not be read again.
    """

    user: User | None = None
    wishes: Preferences = field(default_factory=Preferences)
    engine: str | None = None
    vault: VaultState | None = None
    clusters: bool = True
    fleet: FleetState | None = None
    until: float = 0.0


async def read(tx: Transaction, conversation_id: str, user_id: str | None) -> Opening:
    """Return what work in a conversation begins with."""
    row = await tx.one(READ, conversation=conversation_id, user=user_id or "")
    return Opening() if row is None else of(row)


def of(row: Row) -> Opening:
    """Return what ``opening`` selected."""
    user = people.user_of(row) if row["id"] else None
    vault, fleet = (tuple(row[column.name] for column in state.c) for state in (_vault, _fleet))
    wishes = preferences.of(row["settings"] or {})
    until = time.monotonic() + FRESH_S
    return Opening(user, wishes, row["conversation_engine"], vault, row["clusters"], fleet, until)
