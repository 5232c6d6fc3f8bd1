"""Looking after clusters: adding, removing, what a name means as a target, and the way there."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agent.fleet.changes import Granted, admins_only, end_grants, note, record
from agent.fleet.credentials import Credentials, usable_one
from agent.fleet.forms import NAME
from core.clock import Clock
from core.errors import BadInput, HostKeyUnknown, NotFound, Refused
from core.ids import new_id
from core.ports import Login, Target
from core.store import clusters as store
from core.store import fleet
from core.store.database import Transaction
from core.store.statements import LOCK
from core.tenant import Tenant
from core.work import CLUSTER_KINDS, ENVIRONMENTS, Cluster, Credential, Server, User


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster as a person describes it. entry: a server's name; kubeconfig: a credential's."""

    name: str
    kind: str
    environment: str = "dev"
    entry: str = ""
    description: str = ""
    kubeconfig: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A cluster with the names of what belongs to it. entry, kubeconfig: "" for none."""

    cluster: Cluster
    entry: str
    servers: tuple[str, ...]
    kubeconfig: str = ""


class Clusters:
    """The clusters of tenants.

    way: gives the way to a server; credentials: hold the kubeconfigs; granted: as ``Fleet`` has it.
    """

    def __init__(
        self,
        way: Callable[[Tenant, Server], Awaitable[Target]],
        credentials: Credentials,
        clock: Clock,
        granted: Granted | None,
    ) -> None:
        self._way = way
        self._granted = granted
        self._credentials = credentials
        self._clock = clock

    async def add(self, tenant: Tenant, by: User, new: NewCluster) -> Cluster:
        """Add a cluster.

        Raises BadInput naming what is wrong, NotFound for an unknown entry server or kubeconfig, and Refused
        for a kubeconfig that cannot be used.
        """
        admins_only(by)
        _check(new)
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            if await store.named(tx, new.name) or await fleet.server_named(tx, new.name):
                raise BadInput("cluster.name_taken", cluster=new.name)
            entry = await fleet.server_named(tx, new.entry) if new.entry else None
            if new.entry and entry is None:
                raise NotFound("error.no_such_server", server=new.entry)
            kubeconfig = await self._kubeconfig(tx, new.kubeconfig) if new.kubeconfig else None
            cluster = Cluster(
                id=new_id(),
                name=new.name,
                kind=new.kind,  # type: ignore[arg-type]
                environment=new.environment,  # type: ignore[arg-type]
                entry_server_id=entry.id if entry else None,
                description=new.description,
                credential_id=kubeconfig.id if kubeconfig else None,
            )
            await tx.run(store.ADD, **store.cluster_row(cluster, self._clock()))
            way = {"kubeconfig": new.kubeconfig} if kubeconfig else {"entry": new.entry}
            detail = {"name": new.name, "kind": new.kind, "environment": new.environment, **way}
            await note(tx, tenant, self._clock(), "cluster.add", by, "cluster", cluster.id, detail)
        return cluster

    async def _kubeconfig(self, tx: Transaction, name: str) -> Credential:
        found = await usable_one(tx, name, self._clock())
        if found.kind != "kubeconfig" or not found.fingerprint:
            raise BadInput("cluster.no_kubeconfig", credential=name)
        return found

    async def remove(self, tenant: Tenant, by: User, name: str) -> Sequence[str]:
        """Remove a cluster; return the names of its servers, which stay, in no cluster."""
        admins_only(by)
        async with tenant.transaction() as tx:
            await tx.run(LOCK, lock=f"fleet {tenant.id}")
            cluster = await _named(tx, name)
            ended = await end_grants(self._granted, tx, tenant, cluster)
            await tx.run(store.REMOVE, cluster=cluster.id)
            left = sorted(row["name"] for row in await tx.all(store.LEAVE, cluster=cluster.id))
            detail = {"name": name, **({"left": ", ".join(left)} if left else {})}
            await note(tx, tenant, self._clock(), "cluster.remove", by, "cluster", cluster.id, detail)
            await record(tx, tenant, self._clock(), ended)
        return left

    async def known(self, tenant: Tenant) -> list[Known]:
        """Return every cluster with the names of its entry or its kubeconfig, and of its servers."""
        async with tenant.reading() as db:
            servers, found = await fleet.servers(db), await store.all_of(db)
            opened = {row["id"]: row["name"] for row in await db.all(fleet.CREDENTIALS)}
        names = {server.id: server.name for server in servers}
        return [
            Known(
                cluster,
                names.get(cluster.entry_server_id or "", ""),
                tuple(server.name for server in servers if server.cluster_id == cluster.id),
                opened.get(cluster.credential_id or "", ""),
            )
            for cluster in found
        ]

    async def targets(self, tenant: Tenant) -> list[Server]:
        """Return every cluster as the target of a command."""
        async with tenant.reading() as db:
            return await store.places(db, await store.all_of(db))

    async def checked_by(self, tenant: Tenant, name: str) -> list[Server]:
        """Return what a cluster is reached by: its entry, its own servers, or its API; raises NotFound."""
        async with tenant.reading() as db:
            cluster = await _named(db, name)
            if cluster.credential_id:
                return await store.places(db, [cluster])
            if cluster.kind == "bare_metal":
                return await store.members(db, cluster.id)
            return list((await fleet.servers_by_id(db, [cluster.entry_server_id or ""])).values())

    async def meant(self, tenant: Tenant, names: Sequence[str]) -> list[Server]:
        """Return what ``names`` mean as targets, each once: a bare-metal cluster means its servers.

        Raises NotFound for an unknown name, and Refused for a cluster without servers.
        """
        async with tenant.reading() as db:
            if len(names) == 1:
                one = await fleet.server_named(db, names[0])
                servers = {one.name: one} if one else {}
            else:
                servers = {server.name: server for server in await fleet.servers(db)}
            found: list[Server] = []
            for name in names:
                found += [servers[name]] if name in servers else await _of_cluster(db, name)
        return list({each.id: each for each in found}.values())

    async def target(self, tenant: Tenant, place: Server) -> Target:
        """Return the way to a cluster; raises It0Error when its entry server or kubeconfig cannot be used."""
        if place.by_api:
            return await self._by_api(tenant, place)
        async with tenant.reading() as db:
            found = (await db.all(store.BY_IDS, ids=[place.id]))[:1]
            entry_id = found[0]["entry_server_id"] if found else None
            entries = await fleet.servers_by_id(db, [entry_id]) if entry_id else {}
        if entry_id not in entries:
            raise Refused("cluster.no_entry", cluster=place.name)
        entry = entries[entry_id]
        if entry.connection == "ssh" and entry.host_key is None:
            raise HostKeyUnknown(server=entry.name)
        if (place.ssh_user, place.credential_id) == (entry.read_user, entry.read_credential_id):
            entry = entry.for_reading
        way = await self._way(tenant, entry)
        return Target(tenant.id, place, None, way.credential_version, entry=way)

    async def _by_api(self, tenant: Tenant, place: Server) -> Target:
        """Return the way to a cluster's API; the kubeconfig is opened only when it is called."""
        async with tenant.reading() as db:
            row = await db.one(fleet.CREDENTIAL, id=place.credential_id)
        if row is None or not fleet.credential_of(row).usable(self._clock()):
            raise Refused("credential.expired", credential=place.ssh_user)

        async def login() -> Login:
            return await self._credentials.login(tenant, place.ssh_user, row["id"])

        return Target(tenant.id, place, login, f"{row['id']}.{row['version']}")


async def cluster_joined(db: Transaction, name: str, environment: str) -> str | None:
    """Return the id of the cluster that a server of ``environment`` joins, None for the name "".

    Raises NotFound, and BadInput where the environments differ: the server would count less by its own name
    than by its cluster's.
    """
    if not name:
        return None
    cluster = await _named(db, name)
    if cluster.environment != environment:
        raise BadInput("cluster.other_environment", cluster=name, environment=cluster.environment)
    return cluster.id


async def _named(db: Transaction, name: str) -> Cluster:
    cluster = await store.named(db, name)
    if cluster is None:
        raise NotFound("error.no_such_cluster", cluster=name)
    return cluster


async def _of_cluster(db: Transaction, name: str) -> list[Server]:
    """Return what the name of a cluster means as a target."""
    cluster = await store.named(db, name)
    if cluster is None:
        raise NotFound("error.no_such_server", server=name)
    if cluster.kind != "bare_metal":
        return await store.places(db, [cluster])
    members = await store.members(db, cluster.id)
    if not members:
        raise Refused("cluster.no_servers", cluster=name)
    return members


def _check(new: NewCluster) -> None:
    """Raise BadInput naming the field that is not of its form."""
    wrong = [
        ("name", not NAME.fullmatch(new.name)),
        ("kind", new.kind not in CLUSTER_KINDS),
        ("environment", new.environment not in ENVIRONMENTS),
        ("description", len(new.description) > 1000),
        ("kubeconfig", bool(new.kubeconfig) and (new.kind != "k8s" or bool(new.entry))),
        ("entry", (new.kind == "bare_metal") == bool(new.entry or new.kubeconfig)),
    ]
    for name, is_wrong in wrong:
        if is_wrong:
            raise BadInput(f"cluster.bad_{name}")
