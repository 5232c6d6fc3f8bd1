"""A cluster that is reached by its API: judged, approved, called once, and honest about what is unknown."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.tools import server as a_server
from support.bench import Bench, Showing, key_of, make_bench
from support.kube_authority import Authority
from support.kube_double import ADMIN, DEPLOYER, VIEWER, KubeDouble
from support.store import Store, actions

from agent.clusters.kube import argv
from agent.clusters.kube.shell import VERBS, KubeShell
from agent.clusters.shell import ClusterShell
from agent.clusters.words import asked, refusal
from agent.fleet.clusters import NewCluster
from agent.shell.output import GAP
from core.errors import It0Error
from core.ports import Order, Target
from core.store import runs
from core.work import RunTarget

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
PODS = "/api/v1/namespaces/shop/pods"
BY_API = replace(a_server("shop", connection="k8s"), host_key="SHA256:x")


@pytest.fixture
async def api(tmp_path: Any) -> AsyncIterator[KubeDouble]:
    """Yield an API."""
    async with KubeDouble(tmp_path).running() as running:
        yield running


class Yard(Bench):
    """A bench with the cluster ``shop`` behind an API."""

    async def credential(self, secret: bytes, name: str = "kc", **more: Any) -> None:
        """Store a kubeconfig."""
        door = self.fleet.credentials
        await door.add(self.work.tenant, self.work.user, name, "kubeconfig", secret, **more)

    async def cluster(self, name: str = "shop", **fields: Any) -> None:
        """Add a cluster."""
        new = NewCluster(name, "k8s", **{"kubeconfig": "kc", **fields})
        await self.fleet.clusters.add(self.work.tenant, self.work.user, new)

    async def run(self, command: str, name: str = "shop") -> Any:
        """Ask for a command."""
        return await self("run_command", command=command, servers=[name])

    async def act(self, command: str) -> RunTarget:
        """Ask for a change, let it be approved and run, and return what became of it."""
        answer = await self.run(command)
        assert answer.status == "waiting", answer
        approval = await self.asked(answer)
        assert await self.gate.perform(self.work, approval) is None
        return await self.result(approval.id)

    async def result(self, run_id: str) -> RunTarget:
        """Return what is stored of a run."""
        async with self.work.tenant.reading() as db:
            found = await runs.get(db, run_id)
        assert found is not None
        return found[1][0]

    async def target(self) -> Target:
        """Return the way to the cluster."""
        (place,) = await self.fleet.clusters.meant(self.work.tenant, ["shop"])
        return await self.fleet.target(self.work.tenant, place)


@pytest.fixture
async def yard(store: Store, api: KubeDouble) -> Yard:
    """Return a yard whose ``shop`` is in prod."""
    bench = await make_bench(store, ClusterShell(Showing(), KubeShell(asked, connect_timeout_s=2)))
    yard = Yard(store, bench.work, bench.desk, bench.fleet, bench.gate, bench.shell)
    await yard.credential(api.kubeconfig())
    await yard.cluster(environment="prod")
    return yard


def changes(api: KubeDouble) -> list[str]:
    """Return the paths of the calls that change something."""
    return [
        f"{method} {path.partition('?')[0]}" for method, path in api.asked if method not in ("GET", "POST")
    ]


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("kubectl exec web-0 -- ls", "api_exec"),
        ("kubectl cp a web-0:/b", "api_exec"),
        ("kubectl apply -f x.yaml", "api_files"),
        ("kubectl delete -f x.yaml", "api_files"),
        ("kubectl logs -f web-0", "api_follow"),
        ("kubectl get pods --watch", "api_follow"),
        ("kubectl drain node-1", "api_verb"),
        ("kubectl", "api_verb"),
        ("kubectl rollout", "api_verb"),
        ("kubectl top all", "api_verb"),
        ("kubectl get pods -o 'jsonpath={.items}'", "api_value"),
        ("kubectl get pods --raw /api", "api_flag"),
        ("kubectl get --raw=/api/v1/secrets", "api_flag"),
        ("kubectl get pods -n a -n b", "api_value"),
        ("kubectl get pods -n ../x", "api_value"),
        ("kubectl get", "api_usage"),
        ("kubectl get pods ../../secrets", "api_usage"),
        ("kubectl get pods/web-0/log", "api_usage"),
        ("kubectl get pods .", "api_usage"),
        ("kubectl get Pods", "api_usage"),
        ("kubectl get pods web-0 -A", "api_names_or_all"),
        ("kubectl delete pods --all", "api_flag"),
        ("kubectl delete pods -l app=web", "api_flag"),
        ("kubectl delete pods", "api_named"),
        ("kubectl scale deploy/web", "api_needs"),
        ("kubectl scale pod/web-0 --replicas=2", "api_type"),
        ("kubectl scale deployments.evil.example/web --replicas=2", "api_type"),
        ("kubectl auth can-i --list=false", "api_usage"),
        ("kubectl --since 5s logs web-0", "api_flag"),
        ("kubectl scale deploy/web --replicas=-1", "api_value"),
        ("kubectl rollout undo deploy/a deploy/b", "api_one"),
        ("kubectl logs web-0 web-1", "api_pod"),
        ("kubectl logs svc/front", "api_pod"),
        ("kubectl logs web/0/1", "api_usage"),
        ("kubectl set image deploy/web app", "api_usage"),
        ("kubectl label pod web-0", "api_usage"),
        ("kubectl cordon", "api_usage"),
        ("kubectl version now", "api_usage"),
        ("kubectl --token=x get pods", "own_connection"),
        ("kubectl get pods --kubeconfig /x", "own_connection"),
        ("kubectl get pods --as admin", "own_connection"),
        ("kubectl get pods; kubectl get nodes", "only_kubectl"),
    ],
)
def test_what_is_not_known_is_refused_before_anybody_is_asked(command: str, key: str) -> None:
    assert getattr(refusal(command, BY_API), "key", None) == f"cluster.{key}"


def test_every_verb_that_is_understood_is_done() -> None:
    assert argv.VERBS.keys() == VERBS.keys()


async def test_refused_command_calls_nothing_and_is_on_record(yard: Yard, api: KubeDouble) -> None:
    answer = await yard.run("kubectl exec web-0 -- sh")
    assert (answer.status, key_of(answer), api.asked) == ("refused", "cluster.api_exec", [])
    assert (await actions(yard.work.tenant))[-1] == "command.refused"


async def test_look_runs_at_once_with_the_token_in_the_header_only(yard: Yard, api: KubeDouble) -> None:
    answer = await yard.run("kubectl get pods -n shop")
    assert (answer.status, "web-0" in str(answer.parts)) == ("done", True)
    assert not any(ADMIN in path for _, path in api.asked)
    assert (await actions(yard.work.tenant))[-2:] == ["command.intent", "command.result"]
    stored = await yard.store.as_owner(f"SELECT * FROM {yard.work.tenant.schema}.run_target")
    assert ADMIN not in str([dict(row) for row in stored])


@pytest.mark.parametrize("words", ["secrets", "secret/db -o yaml", "secrets.v1. db", "sec"])
async def test_secret_waits_for_an_admin_by_whatever_name(yard: Yard, api: KubeDouble, words: str) -> None:
    answer = await yard.run(f"kubectl get {words}")
    done = answer.status == "waiting" or "resource type" in str(answer.parts)
    assert (done, any("secrets" in path for _, path in api.asked)) == (True, False)


async def test_approved_change_is_made_once_however_often_it_is_performed(
    yard: Yard, api: KubeDouble
) -> None:
    answer = await yard.run("kubectl scale deploy/web --replicas=3 -n shop")
    approval = await yard.asked(answer)
    assert (approval.level, changes(api)) == (2, [])
    assert approval.action.host_keys[0].startswith("SHA256:")
    for _ in range(2):
        assert await yard.gate.perform(yard.work, approval) is None
    assert changes(api) == [f"PATCH {WEB}/scale"]
    result = await yard.result(approval.id)
    assert (result.stdout, result.exit_code, result.os_user) == ("deployment.apps/web scaled\n", 0, "kc")


async def test_change_whose_answer_was_lost_is_unknown_and_not_sent_again(
    yard: Yard, api: KubeDouble
) -> None:
    api.cut.add(WEB + "/scale")
    result = await yard.act("kubectl scale deploy/web --replicas=3")
    assert (result.state, result.error and result.error["say"]) == ("unknown", "cluster.api_lost")
    assert changes(api) == [f"PATCH {WEB}/scale"]


async def test_change_on_which_somebody_gave_up_on_the_way_is_unknown(yard: Yard, api: KubeDouble) -> None:
    api.refuse[f"{WEB}/scale"] = [504]
    assert (await yard.act("kubectl scale deploy/web --replicas=3")).state == "unknown"


async def test_first_of_two_changes_is_told_when_the_second_is_not_reached(
    yard: Yard, api: KubeDouble
) -> None:
    api.cut.add(f"{PODS}/web-1")
    result = await yard.act("kubectl delete pod web-0 web-1 --wait=false")
    assert (result.state, result.stdout) == ("unknown", 'pod "web-0" deleted\n')


async def test_answer_that_is_not_understood_is_no_crash(yard: Yard, api: KubeDouble) -> None:
    del api.objects["v1", "pods", "shop", "web-0"]["spec"]
    result = await yard.run("kubectl logs web-0")
    assert (result.status, "api_strange" in str(result.parts)) == ("done", True)


async def test_change_that_outlives_its_time_is_unknown(yard: Yard, api: KubeDouble) -> None:
    api.slow_changes.add(f"{PODS}/web-0")
    answer = await yard("run_command", command="kubectl delete pod web-0", servers=["shop"], timeout_s=1)
    approval = await yard.asked(answer)
    await yard.gate.perform(yard.work, approval)
    assert (await yard.result(approval.id)).state == "unknown"
    assert changes(api) == [f"DELETE {PODS}/web-0"]


async def test_conflict_is_told_and_the_change_not_sent_again(yard: Yard, api: KubeDouble) -> None:
    result = await yard.act("kubectl scale deploy/web --replicas=13")
    assert (result.state, result.exit_code, "(Conflict)" in result.stderr) == ("done", 1, True)
    assert changes(api) == [f"PATCH {WEB}/scale"]


async def test_another_process_calls_an_open_change_unknown(yard: Yard, api: KubeDouble) -> None:
    api.slow_changes.add(f"{WEB}/scale")
    hands, target = KubeShell(asked), await yard.target()
    call = asyncio.create_task(hands.run(target, Order("r-1", "kubectl scale deploy/web --replicas=3", 30)))
    while not changes(api):
        await asyncio.sleep(0.01)
    assert (await hands.outcome(target, "r-1")).state == "running"
    assert (await KubeShell(asked).outcome(target, "r-1")).state == "unknown"
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await hands.stop(target, "r-1"), (await hands.outcome(target, "r-1")).state) == (False, "unknown")
    again = await hands.run(target, Order("r-1", "kubectl scale deploy/web --replicas=3", 30))
    assert (again.state, len(changes(api))) == ("failed", 1)


async def test_stop_ends_the_wait_and_keeps_what_was_printed(yard: Yard, api: KubeDouble) -> None:
    api.objects["apps/v1", "deployments", "shop", "web"]["status"]["availableReplicas"] = 1
    hands, target, seen = KubeShell(asked), await yard.target(), asyncio.Event()
    order = Order("r-2", "kubectl rollout status deploy/web", 60)
    call = asyncio.create_task(hands.run(target, order, lambda stream, text: seen.set()))
    await asyncio.wait_for(seen.wait(), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await hands.stop(target, "r-2"), (await hands.outcome(target, "r-2")).state) == (True, "stopped")
    short = await hands.run(target, replace(order, run_id="r-3", timeout_s=1))
    assert (short.state, "1 of 2 updated replicas" in short.stdout) == ("timeout", True)


async def test_reads_are_tried_again_and_changes_are_not(yard: Yard, api: KubeDouble) -> None:
    api.refuse[PODS] = [503, 429]
    assert (await yard.run("kubectl get pods")).status == "done"
    assert [path.partition("?")[0] for _, path in api.asked] == [PODS] * 3
    api.refuse[f"{WEB}/scale"] = [503, 503]
    result = await yard.act("kubectl scale deploy/web --replicas=3")
    assert (result.exit_code, changes(api)) == (1, [f"PATCH {WEB}/scale"])


async def test_flood_of_output_is_capped_with_its_end_kept(yard: Yard, api: KubeDouble) -> None:
    for number in range(700):
        meta = {"name": f"x-{number:04}", "namespace": "shop"}
        api.put("pods", "v1", {**api.objects["v1", "pods", "shop", "web-0"], "metadata": meta})
    hands, target = KubeShell(asked, output_cap_bytes=4096), await yard.target()
    result = await hands.run(target, Order("r-4", "kubectl get pods", 30))
    assert (result.exit_code, len(result.stdout) < 5000, result.dropped > 0) == (0, True, True)
    assert (GAP.search(result.stdout.encode()) is not None, "x-0699" in result.stdout[-200:]) == (True, True)


@pytest.mark.parametrize("way", ["expired", "revoked"])
async def test_kubeconfig_that_may_not_be_used_calls_nothing(yard: Yard, api: KubeDouble, way: str) -> None:
    await yard.credential(api.kubeconfig(), "short", expires_at=yard.store.clock() + timedelta(hours=1))
    await yard.cluster("other", kubeconfig="short")
    answer = await yard.run("kubectl scale deploy/web --replicas=3", "other")
    if way == "expired":
        yard.store.clock.forward(hours=2)
    else:
        used_by = await yard.fleet.credentials.revoke(yard.work.tenant, yard.work.user, "short")
        assert used_by == ["other"]
    looked = await yard.run("kubectl get pods", "other")
    assert (looked.status, key_of(looked), api.asked) == ("refused", "credential.expired", [])
    with pytest.raises(It0Error):
        await yard.gate.perform(yard.work, await yard.asked(answer))
    assert api.asked == []


async def test_renewed_token_is_used_for_what_was_approved(yard: Yard, api: KubeDouble) -> None:
    tenant, ann = yard.work.tenant, yard.work.user
    answer = await yard.run("kubectl cordon node-1")
    await yard.fleet.credentials.rotate(tenant, ann, "kc", api.kubeconfig(DEPLOYER))
    assert await yard.gate.perform(yard.work, await yard.asked(answer)) is None
    assert changes(api) == ["PATCH /api/v1/nodes/node-1"]


async def test_approval_does_not_hold_for_another_api(yard: Yard, api: KubeDouble) -> None:
    tenant, ann = yard.work.tenant, yard.work.user
    answer = await yard.run("kubectl uncordon node-1")
    elsewhere = api.kubeconfig(cluster={"server": f"https://localhost:{api.port}"})
    await yard.fleet.credentials.rotate(tenant, ann, "kc", elsewhere)
    refused = await yard.gate.perform(yard.work, await yard.asked(answer))
    assert (refused and refused.key, api.asked) == ("gate.changed", [])


async def test_removed_cluster_takes_no_approved_act(yard: Yard, api: KubeDouble) -> None:
    answer = await yard.run("kubectl cordon node-1")
    await yard.fleet.clusters.remove(yard.work.tenant, yard.work.user, "shop")
    refused = await yard.gate.perform(yard.work, await yard.asked(answer))
    assert (refused and refused.key, api.asked) == ("gate.server_gone", [])


async def test_server_with_another_authoritys_certificate_hears_no_token(
    yard: Yard, api: KubeDouble, tmp_path: Any
) -> None:
    other = KubeDouble(tmp_path)
    other.port, other.authority = api.port, Authority("impostor")
    await yard.credential(other.kubeconfig(), "wrong")
    await yard.cluster("wrong", kubeconfig="wrong")
    answer = await yard.run("kubectl get pods", "wrong")
    assert (answer.status, "api_other_certificate" in str(answer.parts), api.asked) == ("failed", True, [])


async def test_api_that_is_not_there_is_told_and_its_change_was_not_made(yard: Yard, api: KubeDouble) -> None:
    await yard.credential(api.kubeconfig(cluster={"server": "https://127.0.0.1:9"}), "gone")
    await yard.cluster("gone", kubeconfig="gone")
    answer = await yard.run("kubectl cordon node-1", "gone")
    approval = await yard.asked(answer)
    await yard.gate.perform(yard.work, approval)
    assert (await yard.result(approval.id)).state == "failed"


@pytest.mark.parametrize(
    ("token", "key"),
    [(ADMIN, "api_everything"), (VIEWER, "api_views"), (DEPLOYER, "api_changes")],
)
async def test_check_tells_the_version_and_what_the_account_may_do(
    yard: Yard, api: KubeDouble, token: str, key: str
) -> None:
    await yard.credential(api.kubeconfig(token), "its")
    await yard.cluster("its", kubeconfig="its")
    ((name, ok, words),) = await yard.gate.probing.check_cluster(yard.work.tenant, yard.work.user, "its")
    assert (name, ok, [each.key for each in words]) == (
        "its",
        True,
        ["server.reachable", "cluster.api_version", f"cluster.{key}"],
    )
    assert words[1].params["version"] == "v1.32.4"
    if token == DEPLOYER:
        assert words[2].params["rights"] == "deployments.apps (patch); secrets (get)"


async def test_check_of_a_token_that_is_unknown_there_says_so(yard: Yard, api: KubeDouble) -> None:
    await yard.credential(api.kubeconfig("nobody-knows-this-one"), "bad")
    await yard.cluster("bad", kubeconfig="bad")
    ((_, ok, words),) = await yard.gate.probing.check_cluster(yard.work.tenant, yard.work.user, "bad")
    assert (ok, "Unauthorized" in str(words), "nobody-knows" in str(words)) == (False, True, False)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"entry": "gate-1"}, "cluster.bad_kubeconfig"),
        ({"kubeconfig": ""}, "cluster.bad_entry"),
        ({"kubeconfig": "nobody"}, "error.no_such_credential"),
        ({"kubeconfig": "token"}, "cluster.no_kubeconfig"),
    ],
)
async def test_cluster_has_exactly_one_way(yard: Yard, fields: Any, key: str) -> None:
    await yard.fleet.credentials.add(yard.work.tenant, yard.work.user, "token", "token", b"a token it is")
    with pytest.raises(It0Error) as caught:
        await yard.cluster("new", **fields)
    assert caught.value.say.key == key


async def test_model_is_told_of_the_cluster_and_file_tools_refuse_it(yard: Yard, api: KubeDouble) -> None:
    assert "API" in str((await yard("list_clusters")).parts)
    answer = await yard("read_file", path="/var/log/syslog", server="shop")
    assert (answer.status, api.asked) == ("refused", [])
