"""Clusters, and where they stand among servers as the target of a command."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import bindparam, func, select, update

from core.store import fleet, tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import TEXTS, insert_row, of_tenant, param
from core.work import ENVIRONMENTS, Cluster, Server

K = tables.clusters
S = tables.servers

ADD = insert_row(K, leave_out=["status"])
LIVE = Statement(select(K).where(of_tenant(K), K.c.status != "removed").order_by(K.c.name))
NAMED = Statement(select(K).where(of_tenant(K), K.c.name == param("name"), K.c.status != "removed"))
_by_ids = select(K).where(
    of_tenant(K), K.c.id == func.any(bindparam("ids", type_=TEXTS)), K.c.status != "removed"
)
BY_IDS = Statement(_by_ids)
HOLD_BY_IDS = Statement(_by_ids.order_by(K.c.id).with_for_update(read=True))
REMOVE = Statement(
    update(K)
    .where(of_tenant(K), K.c.id == param("cluster"), K.c.status != "removed")
    .values(status="removed")
)
IDS_NAMED = Statement(select(K.c.id).where(of_tenant(K), K.c.name == param("name")))
NAMES = Statement(select(K.c.id, K.c.name).where(of_tenant(K), K.c.id == func.any(param("ids", TEXTS))))
LEAVE = Statement(
    update(S)
    .where(of_tenant(S), S.c.cluster_id == param("cluster"), S.c.status != "removed")
    .values(cluster_id=None)
    .returning(S.c.name)
)
MEMBERS = Statement(
    select(S)
    .where(of_tenant(S), S.c.cluster_id == param("cluster"), S.c.status != "removed")
    .order_by(S.c.name)
)
ENTERED = Statement(
    select(K.c.name).where(of_tenant(K), K.c.status != "removed", K.c.entry_server_id == param("server"))
)


def cluster_of(row: Row) -> Cluster:
    """Return a stored cluster."""
    return Cluster(**{name: row[name] for name in Cluster.__slots__})


async def all_of(tx: Transaction) -> list[Cluster]:
    """Return every cluster by name."""
    return [cluster_of(row) for row in await tx.all(LIVE)]


async def named(tx: Transaction, name: str) -> Cluster | None:
    """Return a cluster by name."""
    row = await tx.one(NAMED, name=name)
    return cluster_of(row) if row else None


async def ids_named(tx: Transaction, name: str) -> list[str]:
    """Return the ids of all clusters that are or were called ``name``."""
    return [row["id"] for row in await tx.all(IDS_NAMED, name=name)]


async def names_by_id(tx: Transaction, ids: list[str]) -> dict[str, str]:
    """Return the names of those of ``ids`` that are or were clusters."""
    return {row["id"]: row["name"] for row in await tx.all(NAMES, ids=ids)}


async def names_in(tx: Transaction, rows: Iterable[Row]) -> dict[str, str]:
    """Return the names of servers and clusters that audit rows speak of, also of those that were removed."""
    ids = sorted({each for row in rows for each in targets_in(row)})
    if not ids:
        return {}
    servers = {row["id"]: row["name"] for row in await tx.all(fleet.NAMES, ids=ids)}
    left = [each for each in ids if each not in servers]
    return {**servers, **(await names_by_id(tx, left) if left else {})}


def targets_in(row: Row) -> list[str]:
    """Return the targets that a row of the audit log speaks of, by id or, as it was written, by name."""
    named = [row["resource_id"]] if row["resource_type"] in ("server", "cluster") else []
    return [*named, *(each for each in row["detail"].get("servers") or () if isinstance(each, str))]


async def members(tx: Transaction, cluster_id: str) -> list[Server]:
    """Return the servers of a cluster by name."""
    return [fleet.server_of(row) for row in await tx.all(MEMBERS, cluster=cluster_id)]


async def entered_by(tx: Transaction, server_id: str) -> list[str]:
    """Return the names of the clusters whose entry a server is."""
    return [row["name"] for row in await tx.all(ENTERED, server=server_id)]


async def places(tx: Transaction, clusters: Sequence[Cluster], hold: bool = False) -> list[Server]:
    """Return clusters as targets of commands. hold: nobody changes what leads there until the end."""
    ids = sorted({cluster.entry_server_id for cluster in clusters if cluster.entry_server_id})
    entries = await fleet.servers_by_id(tx, ids, hold=hold) if ids else {}
    ids = sorted({cluster.credential_id for cluster in clusters if cluster.credential_id})
    statement = fleet.HOLD_CREDENTIALS_BY_IDS if hold else fleet.CREDENTIALS_BY_IDS
    opened = {row["id"]: row for row in await tx.all(statement, ids=ids)} if ids else {}
    return [
        by_api(cluster, opened[cluster.credential_id])
        if cluster.credential_id in opened
        else place(cluster, entries.get(cluster.entry_server_id or ""))
        for cluster in clusters
    ]


async def places_by_id(tx: Transaction, ids: list[str], hold: bool = False) -> dict[str, Server]:
    """Return those of ``ids`` that exist, servers and clusters; as ``fleet.servers_by_id``."""
    found = await fleet.servers_by_id(tx, ids, hold=hold)
    left = [each for each in ids if each not in found]
    if left:
        rows = await tx.all(HOLD_BY_IDS if hold else BY_IDS, ids=left)
        found |= {each.id: each for each in await places(tx, [cluster_of(row) for row in rows], hold)}
    return found


def place(cluster: Cluster, entry: Server | None) -> Server:
    """Return a cluster as the target of a command: its entry server under its own name, if it has one.

    The stricter environment of the two counts.
    """
    if entry is None:
        return Server(
            id=cluster.id,
            name=cluster.name,
            connection=cluster.kind,
            host=cluster.name,
            port=0,
            environment=cluster.environment,
            role=None,
            ssh_user="",
            credential_id=None,
            jump_server_id=None,
            ssh_options={},
            tags={},
            status="active",
            description=cluster.description,
            host_key=None,
        )
    return replace(
        entry,
        id=cluster.id,
        name=cluster.name,
        connection=cluster.kind,
        environment=max(cluster.environment, entry.environment, key=ENVIRONMENTS.index),
        role=None,
        tags={},
        description=cluster.description,
        cluster_id=None,
    )


def by_api(cluster: Cluster, kubeconfig: Row) -> Server:
    """Return a cluster that is reached by its API as the target of a command.

    Its account is the credential's name, its host key its API's fingerprint: an approval holds for those.
    """
    address = urlsplit(kubeconfig["server"])
    return replace(
        place(cluster, None),
        host=address.hostname or "",
        port=address.port or 443,
        ssh_user=kubeconfig["name"],
        credential_id=kubeconfig["id"],
        host_key=kubeconfig["fingerprint"],
    )


def cluster_row(cluster: Cluster, created_at: Any) -> dict[str, Any]:
    """Return the parameters that store a new cluster."""
    return {**{name: getattr(cluster, name) for name in Cluster.__slots__}, "created_at": created_at}
