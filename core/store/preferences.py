"""A tenant's settings: four eyes, approvals needed, halted and the like."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import JSON, MOMENT, of_tenant, param

S = tables.settings

ALL = Statement(select(S.c.key, S.c.value).where(of_tenant(S)))
_insert = upsert(S).values(
    {
        S.c.tenant_id: param("tenant_id"),
        S.c.key: param("key"),
        S.c.value: param("value", JSON),
        S.c.changed_at: param("at", MOMENT),
        S.c.changed_by: param("by"),
    }
)
PUT = Statement(
    _insert.on_conflict_do_update(
        index_elements=[S.c.key],
        set_={
            "value": _insert.excluded.value,
            "changed_at": _insert.excluded.changed_at,
            "changed_by": _insert.excluded.changed_by,
        },
    )
)

UNSET = Statement(delete(S).where(of_tenant(S), S.c.key == param("key")))


_changed_at = select(S.c.changed_at).where(of_tenant(S))
HALTED_AT = Statement(_changed_at.where(S.c.key == literal_column("'halted_by'")))
STEP_UP_AT = Statement(_changed_at.where(S.c.key == literal_column("'step_up'")))


MOST_GRANT_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a tenant decided for itself.

    four_eyes: an L2 needs somebody else than its requester; approvals_needed: N of M for L2.
    step_up: whoever approves an L2 proves a second factor, and may then do so in words, too.
    l1_goes_ahead: an L1 that nobody decides goes ahead after its time where nothing speaks against it.
    grant_minutes: how long a grant holds, 0 where none are given.
    halted_by: the user who called a halt, None while work goes on.
    engine: None for the installation's (IT0_ENGINE).
    """

    four_eyes: bool = False
    approvals_needed: int = 1
    step_up: bool = False
    halted_by: str | None = None
    language: str = "en"
    engine: str | None = None
    l1_goes_ahead: bool = False
    grant_minutes: int = 15


async def load(tx: Transaction) -> Preferences:
    """Return the tenant's settings; what it never set has its default."""
    return of({row["key"]: row["value"] for row in await tx.all(ALL)})


def of(stored: Mapping[str, Any]) -> Preferences:
    """Return settings by their names as a tenant's; what is not among them has its default."""
    return Preferences(**{name: stored[name] for name in Preferences.__slots__ if name in stored})


async def halted_at(tx: Transaction) -> datetime | None:
    """Return when the halt that holds now was called, None while work goes on."""
    at: datetime | None = await tx.value(HALTED_AT)
    return at


async def put(tx: Transaction, key: str, value: Any, at: datetime, by: str | None) -> None:
    """Set one setting, or with None let its default hold again.

    Raises KeyError for a name that ``Preferences`` does not have.
    """
    if key not in Preferences.__slots__:
        raise KeyError(key)
    if value is None:
        await tx.run(UNSET, key=key)
        return
    await tx.run(PUT, key=key, value=value, at=at, by=by)
