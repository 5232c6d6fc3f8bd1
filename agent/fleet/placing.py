"""A server's place among the others: what its description names becomes ids, and back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent.fleet.clusters import cluster_joined
from agent.fleet.credentials import usable_one
from agent.fleet.forms import MAX_JUMPS, NewServer
from core.errors import BadInput, NotFound, Refused
from core.ids import new_id
from core.store import clusters as cluster_store
from core.store import fleet as store
from core.store.database import Transaction
from core.tenant import Tenant
from core.work import PLANS, Server

ACCOUNT = {"user", "credential", "read_user", "read_credential", "restricted"}
"""Fields that say as whom one is there: what was seen of an account does not hold for another."""


async def placed(db: Transaction, new: NewServer, at: datetime) -> Server:
    """Return a new server with the ids of what it leans on.

    Raises NotFound and Refused for a credential that cannot be used, or a jump server that is not there.
    """
    credential = await usable_one(db, new.credential, at) if new.connection == "ssh" else None
    reading = await usable_one(db, new.read_credential, at) if new.read_credential else None
    jump = await jump_named(db, new.jump) if new.jump else None
    cluster_id = await cluster_joined(db, new.cluster, new.environment)
    return Server(
        id=new_id(),
        name=new.name,
        connection="local" if new.connection == "local" else "ssh",
        host=new.host or "localhost",
        port=new.port,
        environment=new.environment,  # type: ignore[arg-type]
        role=new.role,
        ssh_user=new.user,
        credential_id=credential.id if credential else None,
        jump_server_id=jump.id if jump else None,
        ssh_options=new.ssh_options,
        tags=new.tags,
        status="active" if new.connection == "local" else "untrusted",
        description=new.description,
        host_key=None,
        restricted=new.restricted,
        shell="sh" if new.shell == "sh" else "bash",
        cluster_id=cluster_id,
        read_user=new.read_user,
        read_credential_id=reading.id if reading else None,
    )


async def check_quota(db: Transaction, tenant: Tenant) -> None:
    """Raise Refused if the tenant's plan has no room for another server."""
    limit = PLANS[tenant.row.plan].servers
    if limit is not None and await db.value(store.COUNT_SERVERS) >= limit:
        raise Refused("quota.servers", limit=limit, plan=tenant.row.plan)


async def check_name(tx: Transaction, name: str) -> None:
    """Raise BadInput if a server or a cluster is called ``name``: a name means one target."""
    if await store.server_named(tx, name) or await cluster_store.named(tx, name):
        raise BadInput("server.name_taken", server=name)


async def jump_named(tx: Transaction, name: str) -> Server:
    """Return the server that is to be a jump server; raises NotFound."""
    jump = await store.server_named(tx, name)
    if jump is None:
        raise NotFound("error.no_such_server", server=name)
    return jump


async def check_way(tx: Transaction, server: Server, jump_id: str | None) -> None:
    """Raise Refused if the way by ``jump_id`` leads back to ``server``, or has too many jumps."""
    by_id = {each.id: each for each in await store.servers(tx)}
    for _ in range(MAX_JUMPS):
        if jump_id is None:
            return
        if jump_id == server.id:
            break
        jump_id = by_id[jump_id].jump_server_id if jump_id in by_id else None
    raise Refused("server.jump_circle", server=server.name)


async def changed_to(
    tx: Transaction, now: Server, after: NewServer, detail: Mapping[str, Any], at: datetime
) -> Server:
    """Return ``now`` as ``after`` describes it; only names that are other are looked up."""
    credential_id, jump_id, reading_id = now.credential_id, now.jump_server_id, now.read_credential_id
    if "credential" in detail:
        credential_id = (await usable_one(tx, after.credential, at)).id
    if "read_credential" in detail:
        found = await usable_one(tx, after.read_credential, at) if after.read_credential else None
        reading_id = found.id if found else None
    if "jump" in detail:
        jump_id = (await jump_named(tx, after.jump)).id if after.jump else None
        await check_way(tx, now, jump_id)
    cluster_id = await cluster_joined(tx, after.cluster, after.environment)
    moved = "host" in detail or "port" in detail
    return replace(
        now,
        host=after.host,
        port=after.port,
        ssh_user=after.user,
        credential_id=credential_id,
        jump_server_id=jump_id,
        environment=after.environment,  # type: ignore[arg-type]
        role=after.role,
        description=after.description,
        restricted=after.restricted,
        shell="sh" if after.shell == "sh" else "bash",
        tags=after.tags,
        ssh_options=after.ssh_options,
        host_key=None if moved else now.host_key,
        read_user=after.read_user,
        read_credential_id=reading_id,
        accounts={} if moved or detail.keys() & ACCOUNT else now.accounts,
        status="untrusted" if moved else now.status,
        cluster_id=cluster_id,
    )


async def described(tx: Transaction, server: Server) -> NewServer:
    """Return a server as a person would describe it now."""
    credential = await _credential_name(tx, server.credential_id)
    jump_id = server.jump_server_id
    jump = (await store.servers_by_id(tx, [jump_id])).get(jump_id) if jump_id else None
    clusters = await cluster_store.names_by_id(tx, [server.cluster_id]) if server.cluster_id else {}
    return NewServer(
        name=server.name,
        host=server.host,
        port=server.port,
        user=server.ssh_user,
        credential=credential,
        environment=server.environment,
        role=server.role,
        jump=jump.name if jump else "",
        connection=server.connection,
        description=server.description,
        restricted=server.restricted,
        shell=server.shell,
        tags=dict(server.tags),
        ssh_options=dict(server.ssh_options),
        cluster=clusters.get(server.cluster_id or "", ""),
        read_user=server.read_user,
        read_credential=await _credential_name(tx, server.read_credential_id),
    )


async def _credential_name(tx: Transaction, credential_id: str | None) -> str:
    """Return the name of a credential, "" if there is none or it is revoked."""
    row = await tx.one(store.CREDENTIAL, id=credential_id) if credential_id else None
    return row["name"] if row and row["revoked_at"] is None else ""
