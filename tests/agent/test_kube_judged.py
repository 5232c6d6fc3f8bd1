"""What it0 prints for kubectl's commands, and what it changes, held against the real one at the same API."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from fakes.tools import server as a_server
from support.kube_double import ADMIN, DEPLOYER, VIEWER, KubeDouble

from agent.clusters.kube.kubeconfig import read_kubeconfig
from agent.clusters.kube.shell import KubeShell
from agent.clusters.words import asked
from core.ports import Login, Order, Target
from core.work import RunTarget

KUBECTL = shutil.which("kubectl")
PLACE = a_server("shop", connection="k8s")
NEW = 32
"""kubectl's minor version from which it prints as it0 does; older ones print some verbs otherwise."""

ALWAYS = [
    "get pods",
    "get pods -A",
    "get po,deploy",
    "get pods -o wide",
    "get pods --show-labels",
    "get pods -l app=web,tier=front --no-headers",
    "get pod web-0 web-1",
    "get pod/web-0 deploy/web",
    "get pod nope",
    "get pod web-0 nope",
    "get pods -n empty",
    "get nodes",
    "get all",
    "get foos",
    "get crt",
    "get carts.shop.example -o name",
    "get deploy,po -o name",
    "get pods --field-selector metadata.name=web-0",
    "get cm nasty -o yaml",
    "get cm nasty -o json",
    "get pod nope --ignore-not-found",
    "get ns",
    "get deployments.apps",
    "get deployments.v1.apps web",
    "logs pod/web-1 -c side --tail=2 --timestamps",
    "logs web-0 --previous",
    "top pods",
    "top pods -A --no-headers",
    "top pods --sort-by=memory",
    "top pod web-0",
    "top pod nope",
    "top pods -n empty",
    "api-versions",
    "api-resources",
    "api-resources -o name --namespaced=false",
    "api-resources --api-group=apps --no-headers",
    "auth can-i get pods",
    "auth can-i delete deploy/web",
    "auth can-i create pods -A -q",
    "rollout status deploy/web",
    "rollout status sts/db",
    "rollout status deploy/nope",
    "rollout history deploy/web",
    "rollout undo deploy/web",
    "rollout undo deploy/paused",
    "rollout restart deploy/paused",
    "rollout pause deploy/web",
    "rollout pause deploy/paused",
    "rollout resume deploy/paused",
    "rollout resume deploy/web",
    "scale deploy/web --replicas=5",
    "scale deploy web db --replicas=5",
    "scale sts/db --replicas=0",
    "delete pod web-0",
    "delete pod web-0 nope",
    "delete deploy/web pod/web-1 --wait=false",
    "delete pod nope --ignore-not-found",
    "delete pod web-0 --grace-period=5",
    "cordon node-1",
    "cordon node-2",
    "uncordon node-2 node-1",
    "cordon nope",
    "set image deploy/web app=app:3",
    "set image deploy/web app=app:2",
    "set image deploy/web nope=app:3",
    "label pod web-0 color=blue",
    "label pod web-0 app=other",
    "label pod web-0 app=other --overwrite",
    "label pod web-0 nope-",
    "label nodes node-1 node-2 rack=a",
    """patch deploy web -p '{"spec":{"replicas":4}}'""",
    """patch deploy/web --type=merge -p '{"spec":{"replicas":2}}'""",
    """patch deploy web -p '{"spec":{"replicas":-1}}'""",
    """patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":7}]'""",
    "get secrets",
    "get events",
    "get pods,secrets,crt -A",
    "rollout status deploy/paused --watch=false",
    "get pods web-0 --show-labels -o wide",
    "top nodes --no-headers",
    "top nodes node-1",
    "set image sts/db app=db:9 side=s:2",
    "label deploy,sts -n shop web db x=y",
]
SINCE_NEW = [
    "logs deploy/web",
    "logs deploy/web -c side",
    "logs deployment.apps/web -c app --tail=1",
    "logs sts/nope",
    "logs web-0 -c nope",
    "get pod web-0 -o json",
    "get pods -o yaml",
    "get pods,deploy -o yaml",
    "get pods -A -o json",
    "get svc -n empty -o yaml",
    "logs web-0",
    "logs web-1",
    "logs nope",
    "logs web-0 --tail=-1",
    "top nodes",
    "top node --sort-by=cpu",
    "events",
    "events -A",
    "events --for pod/web-1",
    "events --types=Warning --no-headers",
    "events -n empty",
    "auth can-i --list",
    "auth can-i --list --no-headers",
    "rollout undo deploy/web --to-revision=2",
    "rollout undo deploy/web --to-revision=9",
    "rollout restart deploy/web sts/db",
    "label pod web-0 app-",
    "label pod web-0 app=web",
    "annotate deploy/web note=hello",
    "annotate deploy/web note-",
    "annotate pod web-0 a=b c=d",
    "annotate pod web-0 app=b",
    "annotate deploy/web note=hi --overwrite",
]
REFUSED_BY_THE_API = [
    ("get pods", "nobody-knows-this-token"),
    ("delete pod web-0", VIEWER),
    ("scale deploy/web --replicas=3", VIEWER),
    ("set image deploy/web app=app:3", ADMIN + "-no"),
    ("label pod web-0 a=b", VIEWER),
    ("auth can-i --list", DEPLOYER),
    ("auth can-i delete pods", VIEWER),
]


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubeDouble]:
    """Yield an API."""
    async with KubeDouble(tmp_path_factory.mktemp("api")).running() as running:
        yield running


@cache
def minor() -> int:
    """Return the minor version of the kubectl that is here."""
    if KUBECTL is None:
        return 0
    found = subprocess.run([KUBECTL, "version", "--client"], capture_output=True, text=True, check=False)
    version = re.search(r'v1\.(\d+)|Minor:"(\d+)', found.stdout)
    return int(version[1] or version[2]) if version else 0


async def kubectl(api: KubeDouble, command: str, kubeconfig: bytes) -> tuple[str, str, int | None]:
    """Return what the real one prints, and its exit code."""
    if KUBECTL is None:
        pytest.skip("NO kubectl HERE: nothing judges what it0 prints")
    file = api.folder / "kubeconfig"
    file.write_bytes(kubeconfig)
    home = {"KUBECONFIG": str(file), "HOME": str(api.folder), "PATH": "/usr/bin:/bin"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        KUBECTL, *shlex.split(command), env=home, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return out.decode(), err.decode(), process.returncode


async def ours(command: str, kubeconfig: bytes) -> RunTarget:
    """Return how it0 runs a command."""

    async def login() -> Login:
        return Login("it0", "kubeconfig", kubeconfig, "c", 1)

    place = replace(PLACE, host_key=read_kubeconfig(kubeconfig).fingerprint)
    return await KubeShell(asked).run(Target("t", place, login, "1"), Order("run", f"kubectl {command}", 20))


def changed(api: KubeDouble) -> Any:
    """Return every object as it is now, but for moments and for what is empty."""
    text = json.dumps(sorted(api.objects.items()), default=str)
    return json.loads(
        re.sub(r'"kubectl.kubernetes.io/restartedAt": "[^"]*"', '"restarted": "now"', text), object_hook=_bare
    )


def _bare(of: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in of.items() if value not in (None, {})}


async def judged(api: KubeDouble, command: str, kubeconfig: bytes) -> None:
    """Fail unless both print the same, end alike, and leave the same behind."""
    api.reset()
    judge = await kubectl(api, command, kubeconfig)
    wanted = changed(api)
    api.reset()
    result = await ours(command, kubeconfig)
    assert (result.stdout, result.stderr, result.exit_code) == judge
    assert changed(api) == wanted


@pytest.mark.parametrize("command", ALWAYS)
async def test_printed_and_changed_as_by_kubectl(api: KubeDouble, command: str) -> None:
    await judged(api, command, api.kubeconfig())


@pytest.mark.parametrize("command", SINCE_NEW)
async def test_printed_and_changed_as_by_a_newer_kubectl(api: KubeDouble, command: str) -> None:
    if 0 < minor() < NEW:
        pytest.skip(f"kubectl 1.{minor()} IS TOO OLD HERE: it prints this otherwise than 1.{NEW}")
    await judged(api, command, api.kubeconfig())


@pytest.mark.parametrize(("command", "token"), REFUSED_BY_THE_API)
async def test_refusals_of_the_api_are_told_as_kubectl_tells_them(
    api: KubeDouble, command: str, token: str
) -> None:
    if 0 < minor() < NEW:
        pytest.skip(f"kubectl 1.{minor()} IS TOO OLD HERE: it prints this otherwise than 1.{NEW}")
    await judged(api, command, api.kubeconfig(token))


async def test_client_certificate_opens_it_as_for_kubectl(api: KubeDouble) -> None:
    await judged(api, "get pods -o wide", api.with_certificate())


async def test_long_list_comes_in_pages_and_is_one_table(api: KubeDouble) -> None:
    api.reset()
    pods = [f"many-{number:04}" for number in range(1201)]
    for name in pods:
        api.put("pods", "v1", {**PLAIN, "metadata": {"name": name, "namespace": "batch"}})
    result = await ours("get pods -n batch", api.kubeconfig())
    assert [line.split()[0] for line in result.stdout.splitlines()][1:3] == ["job-x", "many-0000"]
    assert (result.exit_code, result.dropped > 0, len(api.asked)) == (0, False, 3)
    assert "many-1200" in result.stdout.splitlines()[-1]


PLAIN: dict[str, Any] = {
    "spec": {"containers": [{"name": "app"}]},
    "status": {"phase": "Running", "containerStatuses": []},
}


async def test_description_tells_state_and_events_and_no_secret_value(api: KubeDouble) -> None:
    api.reset()
    pod = (await ours("describe pod web-1", api.kubeconfig())).stdout
    assert all(part in pod for part in ("app:2", "side:1", "Running", "node-1", "BackOff", "x7 over"))
    secret = (await ours("describe secret db", api.kubeconfig())).stdout
    assert ("password" in secret, "c2VjcmV0" in secret, "secret\n" in secret) == (True, False, False)
    template = api.objects["apps/v1", "deployments", "shop", "web"]["spec"]["template"]["spec"]
    template["containers"][0]["env"] = [{"name": "DB_PASSWORD", "value": "hunter2-of-the-shop"}]
    deployment = (await ours("describe deploy web", api.kubeconfig())).stdout
    assert ("DB_PASSWORD" in deployment, "hunter2" in deployment) == (True, False)
    cart = next(each for (_, plural, *_), each in api.objects.items() if plural == "carts")
    cart["spec"] = {"runner": {"env": [{"name": "KEY", "value": "hunter2"}], "x": 1}}
    custom = (await ours(f"describe crt {cart['metadata']['name']}", api.kubeconfig())).stdout
    assert ("KEY" in custom, "hunter2" in custom) == (True, False)
    nobody = await ours("describe deploy/nobody", api.kubeconfig())
    assert (nobody.exit_code, "NotFound" in nobody.stderr) == (1, True)


async def test_version_is_the_servers(api: KubeDouble) -> None:
    api.reset()
    assert (await ours("version", api.kubeconfig())).stdout == "Server Version: v1.32.4\n"
