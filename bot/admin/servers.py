"""Servers and clusters, from the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.fleet.clusters import NewCluster
from agent.fleet.forms import NewServer
from agent.shell.hostkeys import fingerprint
from bot.admin.beside import OWNER, at
from core.store import clusters as cluster_store
from core.store import fleet
from core.texts import Say
from core.work import Server


async def servers(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each server; others that it leans on are named."""
    async with at(slug) as (_, tenant), tenant.reading() as db:
        found = await fleet.servers(db)
        credentials = {row["id"]: row["name"] for row in await db.all(fleet.CREDENTIALS)}
        clusters = {each.id: each.name for each in await cluster_store.all_of(db)}
    names = {server.id: server.name for server in found}
    return [
        {
            "name": server.name,
            "connection": server.connection,
            "host": server.host,
            "port": server.port,
            "user": server.ssh_user,
            "environment": server.environment,
            "role": server.role,
            "tags": dict(server.tags),
            "credential": credentials.get(server.credential_id or ""),
            "jump": names.get(server.jump_server_id or ""),
            "status": server.status,
            "fingerprint": fingerprint(server.host_key) if server.host_key else None,
            "description": server.description,
            "restricted": server.restricted,
            "shell": server.shell,
            "ssh_options": dict(server.ssh_options),
            "cluster": clusters.get(server.cluster_id or ""),
            "read_user": server.read_user,
            "read_credential": credentials.get(server.read_credential_id or ""),
            "accounts": dict(server.accounts),
        }
        for server in found
    ]


async def add_server(slug: str, new: NewServer, trust: str) -> tuple[Server, str, Sequence[Say]]:
    """Add a server; pin its key if it has the fingerprint ``trust``, and tell what it0 can do there."""
    async with at(slug) as (app, tenant):
        server, shown = await app.fleet.add_server(tenant, OWNER, new, trust)
        can = await app.probing.learn(tenant, OWNER, server) if server.host_key else ()
        return server, shown, can


async def change_server(slug: str, name: str, changes: Mapping[str, Any]) -> str:
    """Change some of a server's fields; return its status after it."""
    async with at(slug) as (app, tenant):
        server = await app.fleet.server(tenant, name)
        return (await app.fleet.change_server(tenant, OWNER, server, changes)).status


async def trust_server(slug: str, name: str, fingerprint: str) -> Sequence[Say]:
    """Pin the key that a server shows; return what it0 can do there."""
    async with at(slug) as (app, tenant):
        await app.fleet.trust(tenant, OWNER, await app.fleet.server(tenant, name), fingerprint)
        return await app.probing.learn(tenant, OWNER, await app.fleet.server(tenant, name))


async def distrust_server(slug: str, name: str) -> str:
    """Drop a pinned key; return the fingerprint of the one that is shown now, "" where none is."""
    async with at(slug) as (app, tenant):
        return await app.fleet.distrust(tenant, OWNER, await app.fleet.server(tenant, name))


async def check_server(slug: str, name: str) -> tuple[bool, Sequence[Say], str]:
    """Connect, log in, and ask what the accounts can do."""
    async with at(slug) as (app, tenant):
        return await app.probing.check(tenant, OWNER, await app.fleet.server(tenant, name))


async def harden_server(slug: str, name: str, kinds: Sequence[str]) -> str:
    """Return the script that narrows what it0 can do on a server."""
    async with at(slug) as (app, tenant):
        return await app.fleet.hardening(tenant, OWNER, await app.fleet.server(tenant, name), kinds)


async def remove_server(slug: str, name: str) -> None:
    """Remove a server."""
    async with at(slug) as (app, tenant):
        await app.fleet.remove_server(tenant, OWNER, await app.fleet.server(tenant, name))


async def add_cluster(slug: str, new: NewCluster) -> None:
    """Add a cluster."""
    async with at(slug) as (app, tenant):
        await app.fleet.clusters.add(tenant, OWNER, new)


async def clusters(slug: str) -> list[dict[str, Any]]:
    """Return what is known of each cluster."""
    async with at(slug) as (app, tenant):
        known = await app.fleet.clusters.known(tenant)
    return [
        {
            "name": each.cluster.name,
            "type": each.cluster.kind,
            "environment": each.cluster.environment,
            "entry": each.entry or None,
            "kubeconfig": each.kubeconfig or None,
            "servers": list(each.servers),
            "description": each.cluster.description,
        }
        for each in known
    ]


async def check_cluster(slug: str, name: str) -> Sequence[tuple[str, bool, Sequence[Say]]]:
    """Check what a cluster is reached by; return for each its name, whether it can be used, and words."""
    async with at(slug) as (app, tenant):
        return await app.probing.check_cluster(tenant, OWNER, name)


async def remove_cluster(slug: str, name: str) -> Sequence[str]:
    """Remove a cluster; return the servers that were in it."""
    async with at(slug) as (app, tenant):
        return await app.fleet.clusters.remove(tenant, OWNER, name)
