"""Who is who: users of a tenant, and the identities, links, sessions and codes that lead to them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.messages import Address
from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BOOL, MOMENT, TEXTS, insert_row, of_tenant, param
from core.texts import as_language
from core.work import Role, User

U = tables.users
I = tables.identities  # noqa: E741
S = tables.web_sessions
L = tables.login_links
C = tables.pairing_codes
ST = tables.strangers
N = tables.installations
F = tables.secret_forms

ADD_USER = insert_row(U, leave_out=["active", "is_key"])
USER = Statement(select(U).where(of_tenant(U), U.c.id == param("id")))
USER_NAMED = Statement(select(U).where(of_tenant(U), U.c.name == param("name")))
HOLD_USER = Statement(
    select(U.c.active).where(of_tenant(U), U.c.id == param("id")).with_for_update(read=True)
)
"""Keeps a user as they are until the transaction's end."""
USERS = Statement(select(U).where(of_tenant(U)).order_by(U.c.name))
READER = (
    select(U.c.language)
    .join(tables.conversations, tables.conversations.c.user_id == U.c.id)
    .where(of_tenant(U), of_tenant(tables.conversations), tables.conversations.c.id == param("conversation"))
)
"""In which language whoever began a conversation reads."""
LANGUAGE = Statement(READER)
COUNT = Statement(select(func.count()).select_from(U).where(of_tenant(U), U.c.active, U.c.is_key.is_(False)))
"""How many people there are; keys do not count."""
CHANGE = Statement(
    update(U)
    .where(of_tenant(U), U.c.id == param("user"))
    .values(
        role=func.coalesce(param("role"), U.c.role),
        language=func.coalesce(param("language"), U.c.language),
        active=func.coalesce(param("active", BOOL), U.c.active),
    )
    .returning(U.c.id)
)
ADD_IDENTITY = Statement(
    upsert(I)
    .values(
        {c: param(c.name, c.type) for c in I.c if c.name != "tenant_id"} | {I.c.tenant_id: param("tenant")}
    )
    .on_conflict_do_nothing()
    .returning(I.c.user_id)
)
IDENTITY = Statement(
    select(I.c.tenant_id, I.c.user_id, I.c.home).where(
        I.c.installation_id == param("installation_id"), I.c.external_id == param("external_id")
    )
)
SET_HOME = Statement(
    update(I)
    .where(I.c.installation_id == param("installation_id"), I.c.external_id == param("external_id"))
    .values(home=param("home"))
)
HOMES = Statement(
    select(I.c.user_id, I.c.installation_id, I.c.home, N.c.channel)
    .join(N, and_(N.c.id == I.c.installation_id, N.c.active))
    .where(
        I.c.tenant_id == param("tenant"),
        I.c.user_id == func.any(param("users", TEXTS)),
        I.c.home.is_not(None),
        I.c.home != "",
    )
    .order_by(I.c.created_at)
)
STRANGER = Statement(
    select(ST).where(
        ST.c.installation_id == param("installation_id"), ST.c.external_id == param("external_id")
    )
)
TELL_STRANGER = Statement(
    upsert(ST)
    .values({c: param(c.name, c.type) for c in ST.c})
    .on_conflict_do_nothing()
    .returning(ST.c.external_id)
)
SET_INSTALLATION = Statement(
    upsert(N)
    .values(
        {
            N.c.id: param("id"),
            N.c.tenant_id: param("tenant"),
            N.c.channel: param("channel"),
            N.c.name: param("name"),
            N.c.sealed: param("sealed", N.c.sealed.type),
            N.c.active: True,
            N.c.created_at: param("created_at", MOMENT),
        }
    )
    .on_conflict_do_update(
        index_elements=[N.c.id],
        set_={"sealed": param("sealed", N.c.sealed.type), "name": param("name"), "active": True},
        where=N.c.tenant_id == param("tenant"),
    )
    .returning(N.c.id)
)
END_INSTALLATION = Statement(
    update(N)
    .where(N.c.id == param("id"), N.c.tenant_id == param("tenant"), N.c.active)
    .values(active=False, sealed=None)
    .returning(N.c.id)
)
INSTALLATIONS = Statement(
    select(N.c.id, N.c.tenant_id, N.c.channel, N.c.name, N.c.sealed)
    .join(tables.tenants, tables.tenants.c.id == N.c.tenant_id)
    .where(N.c.channel == param("channel"), N.c.active, tables.tenants.c.status != "deleted")
    .order_by(N.c.id)
)
"""Every active one of a channel, of tenants that are not deleted."""
INSTALLATIONS_OF = Statement(
    select(N).where(N.c.tenant_id == param("tenant"), N.c.active, N.c.channel != "console").order_by(N.c.id)
)
RESEAL_INSTALLATION = Statement(
    update(N)
    .where(N.c.id == param("id"), N.c.sealed == param("old", N.c.sealed.type))
    .values(sealed=param("new", N.c.sealed.type))
)
INSTALLATION = Statement(select(N).where(N.c.id == param("id"), N.c.active))


def _token_table(table: Any, key: str) -> tuple[Statement, Statement, Statement]:
    """Return what adds a token, uses it up, and voids all that a user has not used."""
    hash_column = table.c[key]
    add = Statement(
        upsert(table).values(
            {
                hash_column: param("token_hash", hash_column.type),
                table.c.tenant_id: param("tenant"),
                table.c.user_id: param("user_id"),
                table.c.expires_at: param("expires_at", MOMENT),
            }
        )
    )
    use = Statement(
        update(table)
        .where(
            and_(
                hash_column == param("token_hash", hash_column.type),
                table.c.used_at.is_(None),
                table.c.expires_at > param("now", MOMENT),
            )
        )
        .values(used_at=param("now", MOMENT))
        .returning(table.c.tenant_id, table.c.user_id)
    )
    void = Statement(
        update(table)
        .where(
            table.c.tenant_id == param("tenant"),
            table.c.user_id == param("user_id"),
            table.c.used_at.is_(None),
        )
        .values(used_at=param("now", MOMENT))
    )
    return add, use, void


def _purge(table: Any, *over: Any) -> Statement:
    """Return what removes the rows of a table of which any of ``over`` was before ``before``."""
    return Statement(delete(table).where(or_(*(column < param("before", MOMENT) for column in over))))


ADD_LINK, USE_LINK, VOID_LINKS = _token_table(L, "token_hash")
ADD_CODE, USE_CODE, VOID_CODES = _token_table(C, "code_hash")
LINK = Statement(
    select(L.c.tenant_id, L.c.user_id).where(L.c.token_hash == param("token_hash", L.c.token_hash.type))
)
"""For whom a link is or was."""
CODE = Statement(
    select(C.c.tenant_id, C.c.user_id).where(
        C.c.code_hash == param("token_hash", C.c.code_hash.type),
        C.c.used_at.is_(None),
        C.c.expires_at > param("now", MOMENT),
    )
)
"""Whom a code pairs, while it holds; looking does not use it up."""
PURGES = (
    _purge(L, L.c.expires_at),
    _purge(C, C.c.expires_at),
    _purge(S, S.c.ended_at, S.c.seen_at),
    _purge(ST, ST.c.told_at),
)
"""Remove what has been over since ``before``, from the shared tables; FORMS_PURGE from a tenant's."""
FORMS_PURGE = Statement(delete(F).where(of_tenant(F), F.c.expires_at < param("before", MOMENT)))
ADD_SESSION = Statement(
    upsert(S).values(
        {
            S.c.token_hash: param("token_hash", S.c.token_hash.type),
            S.c.id: param("id"),
            S.c.tenant_id: param("tenant"),
            S.c.user_id: param("user_id"),
            S.c.csrf: param("csrf"),
            S.c.created_at: param("now", MOMENT),
            S.c.seen_at: param("now", MOMENT),
        }
    )
)
SESSION = Statement(
    select(S.c.id, S.c.tenant_id, S.c.user_id, S.c.csrf, S.c.seen_at).where(
        S.c.token_hash == param("token_hash", S.c.token_hash.type),
        S.c.ended_at.is_(None),
        S.c.seen_at > param("oldest", MOMENT),
    )
)
STANDS = Statement(
    select(S.c.id)
    .join(U, and_(U.c.id == S.c.user_id, U.c.active))
    .where(
        of_tenant(U),
        S.c.id == param("session"),
        S.c.tenant_id == U.c.tenant_id,
        S.c.ended_at.is_(None),
        S.c.seen_at > param("oldest", MOMENT),
    )
)
"""Whether a session still holds, and its user is let in: asked before each act of an open socket."""
SEE_SESSION = Statement(update(S).where(S.c.id == param("session")).values(seen_at=param("now", MOMENT)))
END_SESSION = Statement(
    update(S).where(S.c.id == param("session"), S.c.ended_at.is_(None)).values(ended_at=param("now", MOMENT))
)
END_SESSIONS_OF = Statement(
    update(S)
    .where(S.c.tenant_id == param("tenant"), S.c.user_id == param("user_id"), S.c.ended_at.is_(None))
    .values(ended_at=param("now", MOMENT))
    .returning(S.c.id)
)
TENANT_STATUS = Statement(select(tables.tenants.c.status).where(tables.tenants.c.id == param("tenant")))
SIGN_INS = Statement(select(S.c.id).where(S.c.tenant_id == param("tenant")).limit(1))


def token_hash(token: str) -> bytes:
    """Return how a token is stored; bytes that are no text come as halves of pairs, and match nothing."""
    return hashlib.sha256(b"it0 token" + token.encode("utf-8", "surrogatepass")).digest()


def code_hash(code: str) -> bytes:
    """Return how a pairing code is stored: without regard to case, spaces and dashes."""
    return token_hash("".join(code.upper().split()).replace("-", ""))


def user_of(row: Row) -> User:
    """Return a stored user."""
    return User(
        row["id"], row["name"], Role(row["role"]), as_language(row["language"]), row["active"], row["is_key"]
    )


async def user(tx: Transaction, user_id: str) -> User | None:
    """Return a user by id."""
    row = await tx.one(USER, id=user_id)
    return user_of(row) if row else None


async def user_named(tx: Transaction, name: str) -> User | None:
    """Return a user by name."""
    row = await tx.one(USER_NAMED, name=name)
    return user_of(row) if row else None


async def users(tx: Transaction) -> list[User]:
    """Return every user by name, keys too: whoever reads a log meets their names."""
    return [user_of(row) for row in await tx.all(USERS)]


async def persons(tx: Transaction) -> list[User]:
    """Return every user who is a person, by name."""
    return [user for user in await users(tx) if not user.is_key]


async def add_identity(
    tx: Transaction,
    tenant_id: str,
    installation_id: str,
    external_id: str,
    user_id: str,
    at: datetime,
    home: str = "",
) -> bool:
    """Link a platform's user to ours; return False if it is linked already.

    home: the thread of their private chat, "" while it is not known.
    """
    linked = await tx.one(
        ADD_IDENTITY,
        tenant=tenant_id,
        installation_id=installation_id,
        external_id=external_id,
        user_id=user_id,
        created_at=at,
        home=home or None,
    )
    return linked is not None


async def homes(tx: Transaction, tenant_id: str, user_ids: Sequence[str]) -> list[tuple[str, Address]]:
    """Return (user id, address) of every private chat of ``user_ids`` on a platform."""
    rows = await tx.all(HOMES, tenant=tenant_id, users=list(user_ids))
    return [(row["user_id"], Address(row["channel"], row["installation_id"], row["home"])) for row in rows]
