"""What work stands on when it begins, in one round trip: who asks, and what their tenant decided."""

from dataclasses import dataclass, field

from sqlalchemy import and_, exists, func, select, true

from core.store import people, preferences, tables
from core.store.database import Statement, Transaction
from core.store.fleet import VAULT_STATE, VaultState
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
READ = Statement(
    select(
        U,
        C.c.engine.label("conversation_engine"),
        _settings.label("settings"),
        _clusters.label("clusters"),
        *_vault.c,
    )
    .select_from(C)
    .join(U, and_(of_tenant(U), U.c.id == param("user")), isouter=True)
    .join(_vault, true())
    .where(of_tenant(C), C.c.id == param("conversation"))
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What holds as work begins. user: None for it0's own work, or somebody unknown.

    engine: the conversation's own, None for its tenant's; vault: the state of the tenant's secrets;
    clusters: whether the tenant has any.
    """

    user: User | None = None
    wishes: Preferences = field(default_factory=Preferences)
    engine: str | None = None
    vault: VaultState | None = None
    clusters: bool = True


async def read(tx: Transaction, conversation_id: str, user_id: str | None) -> Opening:
    """Return what work in a conversation begins with."""
    row = await tx.one(READ, conversation=conversation_id, user=user_id or "")
    if row is None:
        return Opening()
    user = people.user_of(row) if row["id"] else None
    vault = tuple(row[column.name] for column in _vault.c)
    wishes = preferences.of(row["settings"] or {})
    return Opening(user, wishes, row["conversation_engine"], vault, row["clusters"])
