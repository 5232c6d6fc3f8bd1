"""A tenant's policy, and the names by which its servers are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import literal, select, union_all

from core.store import tables
from core.store.database import Statement, Transaction
from core.store.statements import insert_row, of_tenant
from core.work import ENVIRONMENTS, Environment, strictest

P = tables.policies
S = tables.servers
K = tables.clusters
C = tables.credentials

CURRENT = Statement(
    select(P.c.version, P.c.document, P.c.changed_at, P.c.changed_by)
    .where(of_tenant(P))
    .order_by(P.c.version.desc())
    .limit(1)
)
ADD = insert_row(P)
_API = K.join(C, C.c.id == K.c.credential_id)
KNOWN = Statement(
    union_all(
        select(S.c.name, S.c.host, S.c.environment).where(of_tenant(S), S.c.status != "removed"),
        select(K.c.name, literal("").label("host"), K.c.environment).where(
            of_tenant(K), K.c.status != "removed"
        ),
        select(K.c.name, C.c.server.label("host"), K.c.environment)
        .select_from(_API)
        .where(of_tenant(K), of_tenant(C), K.c.status != "removed"),
    )
)
PLACES = Statement(
    union_all(
        select(S.c.id, S.c.name, S.c.environment, S.c.status).where(of_tenant(S)),
        select(K.c.id, K.c.name, K.c.environment, K.c.status).where(of_tenant(K)),
    )
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A version of a policy; 0 while there is none. changed_by: a user's id, None for the command line."""

    version: int
    document: Mapping[str, Any]
    changed_at: datetime | None = None
    changed_by: str | None = None


async def current(tx: Transaction) -> Stored:
    """Return the policy that holds."""
    row = await tx.one(CURRENT)
    if row is None:
        return Stored(0, {"tighten": {}, "program": {}})
    return Stored(row["version"], row["document"], row["changed_at"], row["changed_by"])


async def add(tx: Transaction, stored: Stored) -> None:
    """Store the next version."""
    await tx.run(
        ADD,
        version=stored.version,
        document=dict(stored.document),
        changed_at=stored.changed_at,
        changed_by=stored.changed_by,
    )


async def known_hosts(tx: Transaction) -> dict[str, Environment]:
    """Return what the tenant's servers and clusters are called and reached by, in lower case.

    With the environment of each: the strictest, where several share a name or an address.
    """
    found: dict[str, Environment] = {}
    for row in await tx.all(KNOWN):
        host = row["host"]
        address = (urlsplit(host).hostname or "") if "://" in host else host
        for name in {row["name"].lower(), address.lower().rstrip(".").strip("[]")} - {""}:
            found[name] = strictest(row["environment"], found.get(name, ENVIRONMENTS[0]))
    return found


async def environments(tx: Transaction) -> tuple[dict[str, str], dict[str, str]]:
    """Return environments by id and by name, and names by id, of removed servers and clusters as well."""
    rows = sorted(await tx.all(PLACES), key=lambda row: bool(row["status"] != "removed"))
    return (
        {row[key]: row["environment"] for row in rows for key in ("id", "name")},
        {row["id"]: row["name"] for row in rows},
    )
