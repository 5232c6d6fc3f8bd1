"""Servers and credentials."""

from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union,
    update,
)

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import JSON, MOMENT, TEXTS, insert_row, of_tenant, param
from core.work import Credential, Server

S = tables.servers
C = tables.credentials
F = tables.secret_forms
K = tables.clusters

ADD_SERVER = insert_row(S)
FleetState = tuple[object, ...]
_live = S.alias("live")
_version: ColumnElement[int] = func.hashtextextended(
    _live.c.id.op("||")(literal_column("live.xmin::text")), literal_column("0")
)
_is_live = and_(of_tenant(_live), _live.c.status != "removed")
FLEET_STATE = (
    select(
        func.count().label("servers"),
        func.coalesce(func.bit_xor(_version), literal_column("0")).label("servers_version"),
    )
    .select_from(_live)
    .where(_is_live)
)
"""What changes with every server that is added, changed or removed, by any process: their rows' versions."""
LIVE = Statement(select(_live, _version.label("version")).where(_is_live).order_by(_live.c.name))
BY_IDS = Statement(
    select(S).where(of_tenant(S), S.c.id == func.any(bindparam("ids", type_=TEXTS)), S.c.status != "removed")
)
HOLD_BY_IDS = Statement(
    select(S)
    .where(of_tenant(S), S.c.id == func.any(bindparam("ids", type_=TEXTS)), S.c.status != "removed")
    .order_by(S.c.id)
    .with_for_update(read=True)
)
NAMED = Statement(select(S).where(of_tenant(S), S.c.name == param("name"), S.c.status != "removed"))
IDS_NAMED = Statement(select(S.c.id).where(of_tenant(S), S.c.name == param("name")))
NAMES = Statement(select(S.c.id, S.c.name).where(of_tenant(S), S.c.id == func.any(param("ids", TEXTS))))
TRUST = Statement(
    update(S)
    .where(
        of_tenant(S),
        S.c.id == param("server"),
        S.c.status != "removed",
        or_(S.c.host_key.is_(None), S.c.host_key == param("host_key")),
    )
    .values(host_key=param("host_key"), status="active")
    .returning(S.c.id)
)
FORGET_KEY = Statement(
    update(S)
    .where(of_tenant(S), S.c.id == param("server"))
    .values(host_key=None, status="untrusted")
    .returning(S.c.id)
)
REMOVE = Statement(
    update(S).where(of_tenant(S), S.c.id == param("server"), S.c.status != "removed").values(status="removed")
)
_CHANGED = [c for c in S.c if c.name not in ("tenant_id", "id", "name", "connection", "created_at")]
CHANGE_SERVER = Statement(
    update(S)
    .where(of_tenant(S), S.c.id == param("server"), S.c.status != "removed")
    .values({column: param(f"new_{column.name}", column.type) for column in _CHANGED})
)
COUNT_SERVERS = Statement(select(func.count()).select_from(S).where(of_tenant(S), S.c.status != "removed"))
BEHIND = Statement(
    select(S.c.name).where(of_tenant(S), S.c.jump_server_id == param("server"), S.c.status != "removed")
)

ADD_CREDENTIAL = insert_row(C, leave_out=["version"])
CREDENTIALS = Statement(select(C).where(of_tenant(C)).order_by(C.c.name))
VaultState = tuple[object, ...]
VAULT_STATE = (
    func.count(C.c.id).label("stored"),
    func.max(C.c.created_at).label("newest"),
    func.max(C.c.revoked_at).label("last_revoked"),
)
"""What together changes with every credential that is added or revoked, by any process."""
CREDENTIALS_STATE = Statement(select(*VAULT_STATE).where(of_tenant(C)))
CREDENTIAL = Statement(select(C).where(of_tenant(C), C.c.id == param("id")))
_by_ids = select(C).where(of_tenant(C), C.c.id == func.any(bindparam("ids", type_=TEXTS)))
CREDENTIALS_BY_IDS = Statement(_by_ids)
HOLD_CREDENTIALS_BY_IDS = Statement(_by_ids.order_by(C.c.id).with_for_update(read=True))
CREDENTIAL_NAMED = Statement(
    select(C).where(of_tenant(C), C.c.name == param("name"), C.c.revoked_at.is_(None))
)
USED = Statement(
    update(C).where(of_tenant(C), C.c.id == param("credential")).values(used_at=param("now", MOMENT))
)
REVOKE = Statement(
    update(C)
    .where(of_tenant(C), C.c.id == param("credential"), C.c.revoked_at.is_(None))
    .values(revoked_at=param("now", MOMENT), version=C.c.version + 1, sealed=b"")
)
RESEAL = Statement(
    update(C)
    .where(of_tenant(C), C.c.id == param("credential"), C.c.sealed == bindparam("old", type_=C.c.sealed.type))
    .values(sealed=bindparam("new", type_=C.c.sealed.type))
)
_servers_using = select(S.c.name).where(
    of_tenant(S),
    or_(S.c.credential_id == param("credential"), S.c.read_credential_id == param("credential")),
    S.c.status != "removed",
)
_clusters_using = select(K.c.name).where(
    of_tenant(K), K.c.credential_id == param("credential"), K.c.status != "removed"
)
USING = Statement(union(_servers_using, _clusters_using).order_by("name"))
"""The names of the servers and clusters that a credential opens."""

_revoked = select(C.c.id).where(of_tenant(C), C.c.name == param("name"), C.c.revoked_at.is_not(None))
REBIND = Statement(
    update(S)
    .where(
        of_tenant(S),
        S.c.status != "removed",
        or_(S.c.credential_id.in_(_revoked), S.c.read_credential_id.in_(_revoked)),
    )
    .values(
        credential_id=case((S.c.credential_id.in_(_revoked), param("credential")), else_=S.c.credential_id),
        read_credential_id=case(
            (S.c.read_credential_id.in_(_revoked), param("credential")), else_=S.c.read_credential_id
        ),
    )
    .returning(S.c.id, S.c.name)
)
REBIND_CLUSTERS = Statement(
    update(K)
    .where(of_tenant(K), K.c.status != "removed", K.c.credential_id.in_(_revoked))
    .values(credential_id=param("credential"))
    .returning(K.c.id, K.c.name)
)
SEEN_ACCOUNT = Statement(
    update(S)
    .where(
        of_tenant(S),
        S.c.id == param("server"),
        S.c.status != "removed",
        S.c.ssh_user == param("ssh_user"),
        S.c.read_user == param("read_user"),
    )
    .values(accounts=param("accounts", JSON))
)
"""What was seen of a server's accounts, unless they have become others meanwhile."""

ADD_FORM = insert_row(F, leave_out=["used_at"])
FORM = Statement(
    select(F).where(
        of_tenant(F),
        F.c.token_hash == bindparam("token_hash", type_=F.c.token_hash.type),
        F.c.used_at.is_(None),
        F.c.expires_at > param("now", MOMENT),
    )
)
USE_FORM = Statement(
    update(F)
    .where(
        of_tenant(F),
        F.c.token_hash == bindparam("hash", type_=F.c.token_hash.type),
        F.c.used_at.is_(None),
        F.c.expires_at > param("now", MOMENT),
    )
    .values(used_at=param("now", MOMENT))
    .returning(F.c.name, F.c.kind, F.c.user_id, F.c.secret_expires_at)
)


def server_of(row: Row) -> Server:
    """Return a stored server."""
    return Server(**{name: row[name] for name in Server.__slots__})


def credential_of(row: Row) -> Credential:
    """Return a stored credential, without its secret."""
    return Credential(**{name: row[name] for name in Credential.__slots__})


async def servers(tx: Transaction) -> Sequence[Server]:
    """Return every server by name."""
    return (await servers_and_state(tx))[1]


async def servers_and_state(tx: Transaction) -> tuple[FleetState, Sequence[Server]]:
    """Return every server by name, and the state at which they were read."""
    rows = await tx.all(LIVE)
    version = reduce(xor, (row["version"] for row in rows), 0)
    return (len(rows), version), tuple(server_of(row) for row in rows)


async def servers_by_id(tx: Transaction, ids: list[str], hold: bool = False) -> dict[str, Server]:
    """Return those of ``ids`` that exist. hold: nobody changes them until the transaction's end."""
    return {row["id"]: server_of(row) for row in await tx.all(HOLD_BY_IDS if hold else BY_IDS, ids=ids)}


async def server_named(tx: Transaction, name: str) -> Server | None:
    """Return a server by name."""
    row = await tx.one(NAMED, name=name)
    return server_of(row) if row else None


async def ids_named(tx: Transaction, name: str) -> list[str]:
    """Return the ids of all servers that are or were called ``name``."""
    return [row["id"] for row in await tx.all(IDS_NAMED, name=name)]


def change_row(server: Server) -> dict[str, Any]:
    """Return the parameters that store a server as it is now."""
    values = server_row(server, None)
    return {"server": server.id, **{f"new_{column.name}": values[column.name] for column in _CHANGED}}


def server_row(server: Server, created_at: Any) -> dict[str, Any]:
    """Return the parameters that store a new server."""
    values = {name: getattr(server, name) for name in Server.__slots__}
    return {
        **values,
        "ssh_options": dict(server.ssh_options),
        "tags": dict(server.tags),
        "accounts": dict(server.accounts),
        "created_at": created_at,
    }
