"""Second factors: one a person. What a check comes to is written under the row's lock."""

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Statement
from core.store.statements import BIG, BOOL, INT, MOMENT, of_tenant, param

T = tables.totps
_mine = (of_tenant(T), T.c.user_id == param("user"))

_begin = upsert(T).values(
    {
        T.c.tenant_id: param("tenant_id"),
        T.c.user_id: param("user"),
        T.c.sealed: param("sealed", T.c.sealed.type),
        T.c.created_at: param("now", MOMENT),
    }
)
BEGIN = Statement(
    _begin.on_conflict_do_update(
        index_elements=[T.c.user_id],
        set_={"sealed": _begin.excluded.sealed, "created_at": _begin.excluded.created_at},
        where=T.c.confirmed_at.is_(None),
    ).returning(T.c.user_id)
)
"""Takes the place of one that was never confirmed; how often it was tried goes on counting."""
GET = Statement(select(T).where(*_mine))
HOLD = Statement(select(T).where(*_mine).with_for_update())
ALL = Statement(select(T.c.user_id, T.c.sealed).where(of_tenant(T)))
CONFIRMED = Statement(select(T.c.user_id).where(of_tenant(T), T.c.confirmed_at.is_not(None)))
RIGHT = Statement(
    update(T)
    .where(*_mine)
    .values(
        last_step=param("step", BIG),
        confirmed_at=param("confirmed_at", MOMENT),
        proven_until=param("until", MOMENT),
        failures=0,
        locked_until=None,
        asked_for=None,
        asked_at=None,
    )
)
WRONG = Statement(
    update(T).where(*_mine).values(failures=param("failures", INT), locked_until=param("until", MOMENT))
)
ASK = Statement(
    update(T)
    .where(*_mine, T.c.confirmed_at.is_not(None))
    .values(asked_for=param("approval"), asked_grants=param("grants", BOOL), asked_at=param("now", MOMENT))
    .returning(T.c.user_id)
)
REMOVE = Statement(delete(T).where(*_mine).returning(T.c.confirmed_at))
RESEAL = Statement(
    update(T)
    .where(*_mine, T.c.sealed == param("old", T.c.sealed.type))
    .values(sealed=param("new", T.c.sealed.type))
)
