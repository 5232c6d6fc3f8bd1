"""Clusters: what a name means as a target, which commands one takes, and where these run, once."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.tools import server as a_server
from support.bench import KEY, Bench, Showing, key_of, make_bench
from support.sshd import SSHD, Sshd, start_sshd
from support.store import Store, actions

from agent.clusters.kube.shell import KubeShell
from agent.clusters.shell import ClusterShell
from agent.clusters.words import NOT_HERE, OWN_CONNECTION, asked, refusal
from agent.fleet.clusters import NewCluster
from agent.fleet.forms import NewServer
from agent.shell.hostkeys import fingerprint
from agent.shell.ssh import SshShell
from core.errors import BadInput, It0Error, NotAllowed, Refused
from core.ports import Order, Target
from core.store import runs
from core.work import Role, Server

K8S, SWARM = a_server("shop", connection="k8s"), a_server("swarm", connection="docker_swarm")


class Yard(Bench):
    """A bench whose entry servers are the bot's own machine."""

    async def machine(self, name: str, **fields: Any) -> Server:
        """Add a server."""
        new = NewServer(name, connection="local", **fields)
        return (await self.fleet.add_server(self.work.tenant, self.work.user, new))[0]

    async def cluster(self, name: str, kind: str = "k8s", **fields: Any) -> str:
        """Add a cluster and return its id."""
        new = NewCluster(name, kind, **fields)
        return (await self.fleet.clusters.add(self.work.tenant, self.work.user, new)).id

    async def run(self, command: str, *names: str) -> Any:
        """Ask for a command."""
        return await self("run_command", command=command, servers=list(names))


@pytest.fixture
async def yard(store: Store) -> Yard:
    """Return a yard with the entry server ``gate-1`` and the cluster ``shop`` behind it."""
    scripted = Showing()
    bench = await make_bench(store, ClusterShell(scripted, KubeShell(asked)))
    yard = Yard(store, bench.work, bench.desk, bench.fleet, bench.gate, bench.shell)
    yard.shell = scripted
    await yard.machine("gate-1")
    await yard.cluster("shop", entry="gate-1")
    return yard


@pytest.mark.parametrize(
    "command",
    [
        "kubectl get pods -A",
        "kubectl -n shop get deploy,po -o wide",
        "kubectl logs web-0 --tail=20 2>&1",
        "kubectl scale deploy/web --replicas=3",
        "kubectl exec web-0 -- ls --server /srv",
        """kubectl patch deploy web -p '{"spec":{"replicas":2}}'""",
        "kubectl -n config get pods",
        "kubectl -nshop -v=2 --request-timeout 5s get pods -ojson -lapp=shop",
        "kubectl apply -fservices.yaml",
        "kubectl exec -it web-0 -c app -- ls --context x",
        "kubectl exec web-0 -it -- ls -s",
    ],
)
def test_kubectl_is_for_kubernetes(command: str) -> None:
    assert refusal(command, K8S) is None


@pytest.mark.parametrize(
    "command",
    [
        "df -h",
        "",
        "helm list",
        "kubectl get pods | grep web",
        "kubectl get pods; id",
        "kubectl get pods && reboot",
        "kubectl get pods\nid",
        "sudo kubectl get pods",
        "KUBECONFIG=/tmp/x kubectl get pods",
        "./kubectl get pods",
        "/tmp/kubectl get pods",
        "kubectl get pods $(id)",
        "kubectl get pods > /etc/passwd",
        "docker service ls",
    ],
)
def test_anything_but_one_kubectl_command_is_refused(command: str) -> None:
    assert getattr(refusal(command, K8S), "key", None) == "cluster.only_kubectl"


@pytest.mark.parametrize("flag", [*OWN_CONNECTION, "-s"])
def test_flag_that_leads_elsewhere_is_refused_wherever_it_stands(flag: str) -> None:
    for command in (
        f"kubectl {flag} x get pods",
        f"kubectl get pods {flag}=x",
        f"kubectl get pods {flag} x",
        f"kubectl exec web-0 {flag}=x -- ls",
    ):
        assert getattr(refusal(command, K8S), "key", None) == "cluster.own_connection", command


@pytest.mark.parametrize(
    "command",
    [
        "kubectl delete pod -l -- --context=prod",
        "kubectl get pods -A -- --context prod",
        "kubectl exec web-0 -c -- --context=prod -- ls",
        "kubectl get pods -Ashttp://192.0.2.1",
        "kubectl exec -itshttp://192.0.2.1 web-0 -- ls",
        "kubectl logs -fs http://192.0.2.1 web-0",
        "kubectl get pods --kuberc=/tmp/kuberc",
    ],
)
def test_flag_that_leads_elsewhere_is_found_behind_a_flags_value_and_among_short_ones(command: str) -> None:
    assert getattr(refusal(command, K8S), "key", None) == "cluster.own_connection"


@pytest.mark.parametrize(
    "command",
    [
        "kubectl --cache-dir /tmp/x config use-context prod",
        "kubectl -n -n config use-context prod",
        "kubectl --v 2 config use-context prod",
        "kubectl -nshop config view",
    ],
)
def test_verb_is_found_behind_whatever_stands_before_it(command: str) -> None:
    assert getattr(refusal(command, K8S), "key", None) == "cluster.not_here"


@pytest.mark.parametrize("verb", NOT_HERE)
def test_verb_that_needs_a_terminal_or_changes_what_is_meant_is_refused(verb: str) -> None:
    for command in (f"kubectl {verb} x", f"kubectl -n shop {verb} x", f"kubectl --namespace=shop {verb}"):
        assert getattr(refusal(command, K8S), "key", None) == "cluster.not_here", command


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("docker service ls", None),
        ("docker service scale web=3", None),
        ("docker node ls", None),
        ("docker stack services shop", None),
        ("docker ps", "cluster.swarm_knows"),
        ("docker service create nginx", "cluster.swarm_knows"),
        ("docker swarm leave --force", "cluster.swarm_knows"),
        ("docker -H tcp://evil:2375 service ls", "cluster.swarm_knows"),
        ("docker --context x node ls", "cluster.swarm_knows"),
        ("docker service ls | sh", "cluster.only_docker"),
        ("kubectl get pods", "cluster.only_docker"),
    ],
)
def test_swarm_takes_what_is_its_own(command: str, key: str | None) -> None:
    assert getattr(refusal(command, SWARM), "key", None) == key


async def test_look_at_a_cluster_runs_on_its_entry_under_its_own_name(yard: Yard) -> None:
    yard.shell.on("kubectl get pods -n shop", stdout="web-0   1/1   Running\n")
    answer = await yard.run("kubectl get pods -n shop", "shop")
    assert answer.status == "done"
    assert answer.data["results"][0]["server"] == "shop"
    assert [server for server, _ in yard.shell.started] == ["gate-1"]
    assert (await actions(yard.work.tenant))[-2:] == ["command.intent", "command.result"]


async def test_other_command_on_a_cluster_is_refused_with_a_sentence_and_on_record(yard: Yard) -> None:
    answer = await yard.run("df -h", "shop")
    assert (answer.status, key_of(answer)) == ("refused", "cluster.only_kubectl")
    assert yard.shell.started == []
    assert (await actions(yard.work.tenant))[-1] == "command.refused"


async def test_forbidden_stays_forbidden_on_a_cluster(yard: Yard) -> None:
    answer = await yard.run("kubectl get pods; rm -rf /", "shop")
    assert (answer.status, key_of(answer)) == ("refused", "gate.forbidden")


async def test_change_of_a_cluster_waits_then_runs_once_and_never_again(yard: Yard) -> None:
    answer = await yard.run("kubectl scale deploy/web --replicas=3", "shop")
    assert answer.status == "waiting"
    assert yard.shell.started == []
    approval = await yard.asked(answer)
    assert await yard.gate.perform(yard.work, approval) is None
    assert await yard.gate.perform(yard.work, approval) is None
    assert [order.command for _, order in yard.shell.started] == ["kubectl scale deploy/web --replicas=3"]
    async with yard.work.tenant.reading() as db:
        found = await runs.get(db, approval.id)
    assert found is not None
    assert [(each.server, each.state) for each in found[1]] == [("shop", "done")]


async def test_change_whose_outcome_nobody_saw_is_unknown_and_not_repeated(yard: Yard) -> None:
    yard.shell.on("kubectl cordon node-1", lost=True)
    answer = await yard.run("kubectl cordon node-1", "shop")
    approval = await yard.asked(answer)
    for _ in range(2):
        await yard.gate.perform(yard.work, approval)
    async with yard.work.tenant.reading() as db:
        found = await runs.get(db, approval.id)
    assert found is not None
    assert (found[0]["state"], found[1][0].state) == ("unknown", "unknown")
    assert len(yard.shell.started) == 1


async def test_approval_for_another_entry_key_user_or_gone_cluster_does_not_run(yard: Yard) -> None:
    answer = await yard.run("kubectl cordon node-1", "shop")
    await yard.fleet.clusters.remove(yard.work.tenant, yard.work.user, "shop")
    refused = await yard.gate.perform(yard.work, await yard.asked(answer))
    assert refused is not None
    assert refused.key == "gate.server_gone"
    await yard.cluster("shop", entry="gate-1")
    refused = await yard.gate.perform(yard.work, await yard.asked(answer))
    assert refused is not None
    assert yard.shell.started == []


async def test_prod_cluster_raises_what_is_low_risk_elsewhere(yard: Yard) -> None:
    await yard.cluster("live", "docker_swarm", entry="gate-1", environment="prod")
    places = await yard.fleet.clusters.meant(yard.work.tenant, ["live"])
    assert places[0].environment == "prod"
    found = await yard.gate.judging.judge(yard.work.tenant, "systemctl restart nginx", places)
    assert found.level == 2


async def test_prod_entry_makes_its_cluster_prod(yard: Yard) -> None:
    await yard.machine("gate-2", environment="prod")
    await yard.cluster("quiet", entry="gate-2", environment="dev")
    assert (await yard.fleet.clusters.meant(yard.work.tenant, ["quiet"]))[0].environment == "prod"


async def test_what_only_reads_goes_by_the_entrys_read_only_account(yard: Yard) -> None:
    tenant, ann = yard.work.tenant, yard.work.user
    for name in ("main", "reading"):
        await yard.fleet.credentials.add(tenant, ann, name, "ssh_password", name.encode())
    new = NewServer("gate-9", "gate-9.example.net", user="ops", credential="main")
    both = replace(new, read_user="eyes", read_credential="reading")
    entry, _ = await yard.fleet.add_server(tenant, ann, both)
    await yard.fleet.trust(tenant, ann, entry, fingerprint(KEY))
    await yard.cluster("nine", entry="gate-9")
    place = (await yard.fleet.clusters.meant(tenant, ["nine"]))[0]
    users = [(await yard.fleet.target(tenant, each)).entry for each in (place, place.for_reading)]
    assert [way.server.ssh_user for way in users if way] == ["ops", "eyes"]


async def test_bare_metal_cluster_means_its_servers_once_each(yard: Yard) -> None:
    await yard.cluster("metal", "bare_metal")
    with pytest.raises(Refused) as caught:
        await yard.fleet.clusters.meant(yard.work.tenant, ["metal"])
    assert caught.value.say.key == "cluster.no_servers"
    for name in ("m-1", "m-2"):
        await yard.machine(name, cluster="metal")
    answer = await yard.run("uptime", "metal", "m-2")
    assert [each["server"] for each in answer.data["results"]] == ["m-1", "m-2"]


async def test_server_joins_a_cluster_of_its_own_environment_only(yard: Yard) -> None:
    await yard.cluster("metal", "bare_metal", environment="prod")
    with pytest.raises(BadInput) as caught:
        await yard.machine("m-1", cluster="metal")
    assert caught.value.say.key == "cluster.other_environment"
    server = await yard.machine("m-1", cluster="metal", environment="prod")
    with pytest.raises(BadInput):
        await yard.fleet.change_server(yard.work.tenant, yard.work.user, server, {"environment": "dev"})
    left = await yard.fleet.clusters.remove(yard.work.tenant, yard.work.user, "metal")
    assert left == ["m-1"]
    changed = await yard.fleet.server(yard.work.tenant, "m-1")
    assert changed.cluster_id is None


async def test_name_means_one_target_only(yard: Yard) -> None:
    with pytest.raises(BadInput) as taken:
        await yard.cluster("gate-1", "bare_metal")
    assert taken.value.say.key == "cluster.name_taken"
    with pytest.raises(BadInput) as also:
        await yard.machine("shop")
    assert also.value.say.key == "server.name_taken"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"name": "-x"}, "cluster.bad_name"),
        ({"kind": "nomad"}, "cluster.bad_kind"),
        ({"environment": "production"}, "cluster.bad_environment"),
        ({"entry": ""}, "cluster.bad_entry"),
        ({"kind": "bare_metal"}, "cluster.bad_entry"),
        ({"description": "x" * 1001}, "cluster.bad_description"),
        ({"entry": "nobody"}, "error.no_such_server"),
    ],
)
async def test_cluster_that_cannot_be_is_refused_by_field(yard: Yard, fields: Any, key: str) -> None:
    new = replace(NewCluster("new", "k8s", entry="gate-1"), **fields)
    with pytest.raises(It0Error) as caught:
        await yard.fleet.clusters.add(yard.work.tenant, yard.work.user, new)
    assert caught.value.say.key == key


async def test_only_admins_add_and_remove_and_both_are_on_record(yard: Yard) -> None:
    operator = replace(yard.work.user, role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await yard.fleet.clusters.add(yard.work.tenant, operator, NewCluster("x", "bare_metal"))
    with pytest.raises(NotAllowed):
        await yard.fleet.clusters.remove(yard.work.tenant, operator, "shop")
    await yard.fleet.clusters.remove(yard.work.tenant, yard.work.user, "shop")
    assert (await actions(yard.work.tenant))[-2:] == ["cluster.add", "cluster.remove"]


async def test_entry_server_is_not_removed_under_its_cluster(yard: Yard) -> None:
    entry = await yard.fleet.server(yard.work.tenant, "gate-1")
    with pytest.raises(Refused) as caught:
        await yard.fleet.remove_server(yard.work.tenant, yard.work.user, entry)
    assert caught.value.say.key == "server.is_entry"


async def test_clusters_of_another_tenant_are_unknown(yard: Yard) -> None:
    other = await yard.store.second()
    assert await yard.fleet.clusters.known(other) == []
    with pytest.raises(Refused):
        await yard.fleet.clusters.meant(other, ["shop"])


async def test_model_sees_clusters_listed_apart_and_none_of_a_group(yard: Yard) -> None:
    answer = await yard("list_clusters")
    assert answer.data["clusters"] == ["shop"]
    assert "gate-1" in str(answer.parts[1])
    assert (await yard("list_clusters", environment="prod")).data["clusters"] == []
    assert {each.name for each in await yard.box.servers()} == {"gate-1", "shop"}


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """Yield a server."""
    running = start_sshd(tmp_path / "sshd")
    yield running
    running.stop()


@pytest.fixture
async def hands() -> AsyncIterator[ClusterShell]:
    """Yield the hands on real SSH."""
    shell = ClusterShell(SshShell(), KubeShell(asked))
    yield shell
    await shell.close()


def way(sshd: Sshd) -> Target:
    """Return the way to a cluster by a real server."""
    entry = sshd.target()
    return Target(entry.tenant_id, K8S, None, entry.credential_version, entry=entry)


@pytest.mark.skipif(not SSHD, reason="there is no OpenSSH server here")
class TestOverSsh:
    """The entry server is a real one."""

    async def test_run_leaves_its_marker_and_another_process_knows_its_end(
        self, sshd: Sshd, hands: ClusterShell
    ) -> None:
        order = Order("run-1", "echo from the entry; exit 3", 10)
        first = await hands.run(way(sshd), order)
        assert (first.server_id, first.server, first.exit_code) == (K8S.id, "shop", 3)
        assert "from the entry" in first.stdout
        after = ClusterShell(SshShell(), KubeShell(asked))
        known = await after.outcome(way(sshd), "run-1")
        again = await after.run(way(sshd), order)
        await after.close()
        assert (known.server, known.state, known.exit_code) == ("shop", "done", 3)
        assert again.state == "failed"
        assert again.error is not None
        assert again.error["say"] == "shell.run_twice"

    async def test_same_run_is_one_for_the_entry_and_one_for_its_cluster(
        self, sshd: Sshd, hands: ClusterShell
    ) -> None:
        order = Order("run-2", "echo here", 10)
        own = await hands.run(sshd.target(), order)
        through = await hands.run(way(sshd), order)
        assert (own.state, through.state) == ("done", "done")

    async def test_stop_ends_what_runs_on_the_entry(self, sshd: Sshd, hands: ClusterShell) -> None:
        assert (await hands.run(way(sshd), Order("run-3", "sleep 60", 1))).state == "timeout"
        assert await hands.stop(way(sshd), "run-3")
