"""An API server that lies, floods and echoes: it0 stands, and says no more than a person may read."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from fakes.tools import server as a_server
from support.bench import Bench, make_bench
from support.kube_double import ADMIN, DEPLOYER, KubeDouble
from support.store import Store

from agent.clusters.kube.kubeconfig import read_kubeconfig
from agent.clusters.kube.shell import KubeShell
from agent.clusters.kube.verbs.printing import MOST_PADDED, columns
from agent.clusters.shell import ClusterShell
from agent.clusters.words import asked
from agent.fleet.clusters import NewCluster
from core.ports import Login, Order, Target
from core.work import RunTarget

PODS = "/api/v1/namespaces/shop/pods"
SCALE = "/apis/apps/v1/namespaces/shop/deployments/web/scale"
LARGE = "x" * 1_000_000


@pytest.fixture
async def api(tmp_path: Any) -> AsyncIterator[KubeDouble]:
    """Yield an API."""
    async with KubeDouble(tmp_path).running() as running:
        yield running


def target(api: KubeDouble, *configs: bytes) -> Target:
    """Return the way to it. configs: what the credential holds, one time after the other; the last stays."""
    left = [*configs] or [api.kubeconfig()]
    place = a_server("shop", connection="k8s", host_key=read_kubeconfig(left[0]).fingerprint)

    async def login() -> Login:
        return Login("kc", "kubeconfig", left.pop(0) if len(left) > 1 else left[0], "c", 1)

    return Target("t", place, login, "1")


async def run(api: KubeDouble, command: str, run_id: str = "r-1") -> RunTarget:
    """Run a command."""
    return await KubeShell(asked).run(target(api), Order(run_id, f"kubectl {command}", 20))


def text(body: str, status: int = 200) -> Callable[[web.Request], web.Response]:
    """Return a lie: always this JSON."""
    return lambda request: web.Response(text=body, status=status, content_type="application/json")


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
async def test_answer_nested_beyond_measure_ends_the_command_and_nothing_else(
    api: KubeDouble, depth: int
) -> None:
    nested = "[" * depth + "]" * depth
    api.lies[PODS] = text(f'{{"items":[{{"metadata":{{"name":"x"}},"a":{nested}}}]}}')
    result = await run(api, "get pods -o yaml")
    assert (result.state, result.exit_code) == ("done", 1)


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1", '{"items":{}}', '{"items":[1]}', '{"rows":1}'])
@pytest.mark.parametrize("command", ["get pods", "get pods -o json", "describe pod web-0", "logs web-0"])
async def test_answer_of_any_shape_is_no_crash(api: KubeDouble, command: str, body: str) -> None:
    api.lies[PODS] = api.lies[f"{PODS}/web-0"] = text(body)
    assert (await run(api, command)).state == "done"


async def test_list_without_end_is_not_taken(api: KubeDouble) -> None:
    page = f'{{"items":[{{"metadata":{{"name":"{LARGE}"}}}}],"metadata":{{"continue":"more"}}}}'
    api.lies[PODS] = text(page)
    result = await run(api, "get pods -o name")
    assert (result.exit_code, "ask for less" in result.stderr) == (1, True)
    assert len(api.asked) < 40


async def test_change_whose_answer_makes_no_sense_is_unknown_and_not_refused(api: KubeDouble) -> None:
    api.lies[SCALE] = text("it is done")
    result = await run(api, "scale deploy/web --replicas=3")
    assert (result.state, [method for method, _ in api.asked]) == ("unknown", ["PATCH"])


async def test_redirect_is_not_followed_and_its_target_hears_no_token(api: KubeDouble) -> None:
    api.lies[PODS] = lambda request: web.Response(status=307, headers={"Location": f"{api.url}/elsewhere"})
    result = await run(api, "get pods")
    assert (result.exit_code, [path.partition("?")[0] for _, path in api.asked]) == (1, [PODS])


async def test_many_groups_are_not_asked_one_by_one(api: KubeDouble) -> None:
    both = {"groupVersion": "a/v1", "version": "v1"}
    groups = [{"name": "a", "versions": [both], "preferredVersion": both}] * 5_000
    api.lies["/apis"] = lambda request: web.json_response({"groups": groups})
    result = await run(api, "get whatever")
    assert (result.exit_code, len(api.asked)) == (1, 1)


def test_one_wide_cell_does_not_widen_every_row() -> None:
    table = columns([[LARGE, "a"], *[["b", "c"]] * 10_000], ["NAME", "X"])
    assert len(table) < MOST_PADDED
    assert table.endswith("b     c\n")


async def test_kubeconfig_that_leads_elsewhere_by_now_is_not_used(api: KubeDouble) -> None:
    other = api.kubeconfig(cluster={"server": f"https://localhost:{api.port}"})
    way = target(api, api.kubeconfig(), other)
    assert way.login is not None
    await way.login()  # what was looked at when the run was begun
    result = await KubeShell(asked).run(way, Order("r-2", "kubectl cordon node-1", 20))
    assert (result.error and result.error["say"], api.asked) == ("cluster.api_moved", [])


async def test_renewed_token_of_the_same_api_goes_on(api: KubeDouble) -> None:
    way = target(api, api.kubeconfig(), api.kubeconfig(DEPLOYER))
    assert way.login is not None
    await way.login()
    assert (await KubeShell(asked).run(way, Order("r-3", "kubectl get pods", 20))).exit_code == 0


async def checked(store: Store, api: KubeDouble) -> tuple[Bench, str]:
    """Return a bench with the cluster ``shop``, and what its check says."""
    bench = await make_bench(store, ClusterShell(KubeShell(asked), KubeShell(asked)))  # type: ignore[arg-type]
    tenant, ann = bench.work.tenant, bench.work.user
    await bench.fleet.credentials.add(tenant, ann, "kc", "kubeconfig", api.kubeconfig())
    await bench.fleet.clusters.add(tenant, ann, NewCluster("shop", "k8s", kubeconfig="kc"))
    ((_, ok, words),) = await bench.gate.probing.check_cluster(tenant, ann, "shop")
    assert not ok
    return bench, str(words)


@pytest.mark.parametrize("details", ["null", "1", '"x"', '{"causes":[1]}'])
async def test_refusal_that_echoes_the_token_shows_neither_it_nor_its_flood(
    store: Store, api: KubeDouble, details: str
) -> None:
    told = f'"message":"{ADMIN} {LARGE}","reason":"Invalid","details":{details}'
    api.lies["/version"] = text(f'{{"kind":"Status",{told}}}', 403)
    _, words = await checked(store, api)
    assert (ADMIN in words, len(words) < 2_000) == (False, True)
