"""API keys: hashes of their tokens in the shared schema, and the user whose name each acts in."""

from sqlalchemy import select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import MOMENT, insert_row, of_tenant, param

K = tables.api_keys
U = tables.users

_user = upsert(U).values(
    {c: param(c.name, c.type) for c in U.c if c.name not in ("active", "is_key")}
    | {U.c.active: true(), U.c.is_key: true()}
)
SET_USER = Statement(
    _user.on_conflict_do_update(
        constraint="uq_user_name",
        set_={"role": _user.excluded.role, "active": true()},
        where=U.c.is_key,
    ).returning(U.c.id)
)
"""Makes a key's user, or lets that of an earlier key in again; nothing for a person's name."""
ADD = insert_row(K, leave_out=["used_at", "revoked_at"])
LISTED = Statement(
    select(K.c.id, K.c.prefix, K.c.made_by, K.c.created_at, K.c.expires_at, K.c.used_at, K.c.revoked_at)
    .add_columns(U.c.name, U.c.role)
    .join(U, U.c.id == K.c.user_id)
    .where(of_tenant(U), K.c.tenant_id == U.c.tenant_id)
    .order_by(K.c.created_at.desc())
)
LIVE_NAMED = Statement(
    select(K.c.id, K.c.user_id)
    .join(U, U.c.id == K.c.user_id)
    .where(
        of_tenant(U),
        K.c.tenant_id == U.c.tenant_id,
        U.c.name == param("name"),
        K.c.revoked_at.is_(None),
    )
)
"""The key of a name that is not revoked; it may have expired."""
REVOKE = Statement(
    update(K)
    .where(K.c.tenant_id == param("tenant"), K.c.id == param("id"), K.c.revoked_at.is_(None))
    .values(revoked_at=param("now", MOMENT))
)
FOUND = Statement(
    select(K.c.id, K.c.tenant_id, K.c.user_id, K.c.expires_at, K.c.used_at).where(
        K.c.token_hash == param("token_hash", K.c.token_hash.type), K.c.revoked_at.is_(None)
    )
)
STANDS = Statement(
    select(K.c.id).where(
        K.c.tenant_id == param("tenant"),
        K.c.id == param("id"),
        K.c.revoked_at.is_(None),
        K.c.expires_at.is_(None) | (K.c.expires_at > param("now", MOMENT)),
    )
)
"""Whether a key still holds."""
USED = Statement(update(K).where(K.c.id == param("id")).values(used_at=param("now", MOMENT)))
MAKERS = Statement(
    select(K.c.made_by).where(
        K.c.tenant_id == param("tenant"),
        K.c.user_id == param("user_id"),
        K.c.made_by.is_not(None),
    )
)
"""Who made any key of a user's: a person, or another key's user."""


MADE_BY = Statement(
    select(K.c.id, K.c.user_id, K.c.revoked_at, U.c.name, U.c.role)
    .join(U, U.c.id == K.c.user_id)
    .where(of_tenant(U), K.c.tenant_id == U.c.tenant_id, K.c.made_by == param("maker"))
    .order_by(K.c.created_at)
)


async def made_by(db: Transaction, maker_id: str) -> list[Row]:
    """Return the keys that hold and that ``maker_id`` made, or a key that they made, however far on."""
    seen, left, found = {maker_id}, [maker_id], list[Row]()
    while left:
        for row in await db.all(MADE_BY, maker=left.pop()):
            found += [row] if row["revoked_at"] is None else []
            if row["user_id"] not in seen:
                seen.add(row["user_id"])
                left.append(row["user_id"])
    return found


async def stands_behind(db: Transaction, tenant_id: str, maker_id: str, user_id: str) -> bool:
    """Return whether ``maker_id`` made a key of ``user_id``'s, or a key that made it, however far back."""
    seen, left = set[str](), [user_id]
    while left:
        rows = await db.all(MAKERS, tenant=tenant_id, user_id=left.pop())
        found = {row["made_by"] for row in rows} - seen
        if maker_id in found:
            return True
        seen |= found
        left += found
    return False
