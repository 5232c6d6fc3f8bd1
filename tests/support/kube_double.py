"""A Kubernetes API at its HTTPS edge, with an authority of its own. It holds objects, and no pods run."""

import asyncio
import base64
import copy
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from support.kube_authority import Authority
from support.kube_objects import TYPES, Object, ago, seed, table_of

ADMIN, VIEWER = "admin-token-4Zp7Qx2LmN8s", "viewer-token-9Rt3Wk6YvB1d"
DEPLOYER = "deployer-token-6Hn2Jq9WcX5t"
OTHER = {
    "metrics.k8s.io/v1beta1": [
        ("pods", "", "PodMetrics", True, ""),
        ("nodes", "", "NodeMetrics", False, ""),
    ],
    "authorization.k8s.io/v1": [("selfsubjectaccessreviews", "", "SelfSubjectAccessReview", False, "")],
}
"""Types of which nothing is stored."""

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
READING = ("GET", "HEAD")
METRICS = {"apiVersion": "metrics.k8s.io/v1beta1"}


class KubeDouble:
    """An API server. asked: (method, path with its query) of each request, as it came.

    slow, slow_changes: paths of which reads, or changes, are not answered until ``go``. cut: paths whose
    connection breaks after the act; refuse: statuses with which a path answers first. lies: what is
    answered in place of what a path holds, made of the request.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.asked: list[tuple[str, str]] = []
        self.slow: set[str] = set()
        self.slow_changes: set[str] = set()
        self.cut: set[str] = set()
        self.refuse: dict[str, list[int]] = {}
        self.lies: dict[str, Callable[[web.Request], web.Response]] = {}
        self.go = asyncio.Event()
        self.port = 0
        self.reset()

    def reset(self) -> None:
        """Put every object back, and forget what was asked."""
        self.asked.clear()
        self.objects: dict[tuple[str, str, str, str], Object] = {}
        for plural, version, each in seed():
            self.put(plural, version, each)

    def put(self, plural: str, version: str, each: Object) -> None:
        """Store an object."""
        kind = next(kind for name, _, kind, _, _ in TYPES[version] if name == plural)
        meta = each["metadata"]
        meta.setdefault("creationTimestamp", ago(days=3, hours=2))
        meta.setdefault("resourceVersion", "100")
        meta.setdefault("uid", f"uid-{plural}-{meta['name']}")
        whole = {"apiVersion": version, "kind": kind, **each}
        self.objects[version, plural, meta.get("namespace", ""), meta["name"]] = whole

    def get(self, plural: str, name: str, namespace: str = "shop") -> Object | None:
        """Return a stored object."""
        found = (
            o
            for (_, p, ns, n), o in self.objects.items()
            if (p, n) == (plural, name) and ns in ("", namespace)
        )
        return next(found, None)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig(self, token: str = ADMIN, **other: Any) -> bytes:
        """Return a kubeconfig for it. other: ``user`` and ``cluster`` fields to be added, ``None`` to go."""
        data = base64.b64encode(self.authority.pem).decode()
        user = {"token": token, **other.get("user", {})}
        cluster = {"server": self.url, "certificate-authority-data": data, **other.get("cluster", {})}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {k: v for k, v in cluster.items() if v is not None}}],
            "users": [{"name": "u", "user": {k: v for k, v in user.items() if v is not None}}],
        }
        return yaml.safe_dump(whole).encode()

    def with_certificate(self, name: str = "admin") -> bytes:
        """Return a kubeconfig that shows a client's certificate instead of a token."""
        certificate, key = (base64.b64encode(each).decode() for each in self.authority.leaf(name))
        pair = {"client-certificate-data": certificate, "client-key-data": key}
        return self.kubeconfig(user={"token": None, **pair})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["KubeDouble"]:
        """Yield it while it listens."""
        files = {}
        for name, pem in zip(("crt", "key"), self.authority.leaf("api", "127.0.0.1"), strict=True):
            files[name] = self.folder / f"api.{name}"
            files[name].write_bytes(pem)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.authority.pem.decode())
        context.load_cert_chain(files["crt"], files["key"])
        context.verify_mode = ssl.CERT_OPTIONAL
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.go.set()
            await runner.cleanup()

    @contextmanager
    def in_a_thread(self) -> Iterator["KubeDouble"]:
        """Yield it while it listens on a loop of its own, so that a blocked test blocks no answer."""
        loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def serve() -> None:
            async with self.running():
                ready.set()
                await over.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        if request.path in self.lies:
            return self.lies[request.path](request)
        statuses = self.refuse.get(request.path)
        if statuses:
            return _status(statuses.pop(0), "ServiceUnavailable", "it is busy")
        who = self._who(request)
        if who is None:
            return _status(401, "Unauthorized", "Unauthorized")
        reviews = request.path.startswith("/apis/authorization.k8s.io/v1/")
        if request.path in self.slow and request.method in READING:
            await self.go.wait()
        if who == "viewer" and request.method not in READING and not reviews:
            what = "/".join(request.path.split("/")[-2:])
            return _status(403, "Forbidden", f'{what} is forbidden: User "viewer" cannot do that')
        answer = await self._do(request, who)
        if request.path in self.slow_changes and request.method not in READING:
            await self.go.wait()
        if request.path in self.cut:
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _who(self, request: web.Request) -> str | None:
        shown = request.get_extra_info("peercert")
        if shown:
            return dict(pair[0] for pair in shown["subject"])["commonName"]
        known = {f"Bearer {ADMIN}": "admin", f"Bearer {VIEWER}": "viewer", f"Bearer {DEPLOYER}": "deployer"}
        return known.get(request.headers.get("Authorization", ""))

    async def _do(self, request: web.Request, who: str) -> web.StreamResponse:
        fixed = self._fixed(request.path)
        if fixed is not None:
            return web.json_response(fixed)
        if request.path.startswith("/apis/authorization.k8s.io/v1/"):
            return web.json_response(_review(request.path, await _asked(request), who), status=201)
        if request.path.startswith("/apis/metrics.k8s.io/v1beta1/"):
            return _metrics(request.path, request.query.get("labelSelector", ""))
        parts = request.path.strip("/").split("/")
        version, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if version not in TYPES or not rest or rest[0] not in {each[0] for each in TYPES[version]}:
            return _status(404, "NotFound", "the server could not find the requested resource")
        if len(rest) == 1:
            return await self._list(request, version, rest[0], namespace)
        return await self._one(request, version, rest[0], namespace, rest[1], rest[2:])

    def _fixed(self, path: str) -> Object | None:
        """Return what the API says of itself."""
        if path == "/version":
            return {"major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "linux/amd64"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            names = [
                *(each for each in TYPES if "/" in each),
                "metrics.k8s.io/v1beta1",
                "authorization.k8s.io/v1",
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in names]}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version == "metrics.k8s.io/v1beta1":
            return _types(
                version, [("pods", "", "PodMetrics", True, ""), ("nodes", "", "NodeMetrics", False, "")]
            )
        if version == "authorization.k8s.io/v1":
            return _types(version, [("selfsubjectaccessreviews", "", "SelfSubjectAccessReview", False, "")])
        return _types(version, TYPES[version]) if version in TYPES else None

    async def _list(
        self, request: web.Request, version: str, plural: str, namespace: str
    ) -> web.StreamResponse:
        if request.query.get("watch") in ("true", "1"):
            stream = web.StreamResponse(headers={"Content-Type": "application/json"})
            await stream.prepare(request)
            await asyncio.sleep(5)
            return stream
        found = [
            each
            for (v, p, ns, _), each in sorted(self.objects.items())
            if (v, p) == (version, plural) and namespace in ("", ns) and _fits(each, request.query)
        ]
        limit, start = int(request.query.get("limit", "0") or 0), int(request.query.get("continue", "0") or 0)
        page = found[start : start + limit] if limit else found
        meta: Object = {"resourceVersion": "1000"}
        if limit and start + limit < len(found):
            meta["continue"] = str(start + limit)
        if "as=Table" in request.headers.get("Accept", ""):
            return web.json_response({**table_of(plural, page), "metadata": meta})
        kind = next(kind for name, _, kind, _, _ in TYPES[version] if name == plural)
        items = [{k: v for k, v in each.items() if k not in ("apiVersion", "kind")} for each in page]
        return web.json_response(
            {"kind": f"{kind}List", "apiVersion": version, "metadata": meta, "items": items}
        )

    async def _one(
        self, request: web.Request, version: str, plural: str, namespace: str, name: str, sub: list[str]
    ) -> web.StreamResponse:
        found = self.objects.get((version, plural, namespace, name))
        group = version.rpartition("/")[0]
        if found is None:
            details = {"name": name, "kind": plural, **({"group": group} if group else {})}
            text = f'{".".join(filter(None, (plural, group)))} "{name}" not found'
            return _status(404, "NotFound", text, details)
        if sub == ["log"]:
            return web.Response(text=_log(found, request.query))
        if sub == ["scale"]:
            return await self._scale(request, found)
        if request.method == "DELETE":
            del self.objects[version, plural, namespace, name]
            uid = found["metadata"]["uid"]
            return _status(200, "", "", {"name": name, "kind": plural, "group": group, "uid": uid}, "Success")
        if request.method == "PATCH":
            body = await request.json()
            if isinstance(body, dict) and body.get("spec", {}).get("replicas", 0) == -1:
                causes = [
                    {
                        "reason": "FieldValueInvalid",
                        "message": "Invalid value: -1: no",
                        "field": "spec.replicas",
                    }
                ]
                details = {"name": name, "kind": found["kind"], "causes": causes}
                return _status(422, "Invalid", f'{found["kind"]} "{name}" is invalid', details)
            _patch(found, body)
        if "as=Table" in request.headers.get("Accept", ""):
            return web.json_response({**table_of(plural, [found]), "metadata": {"resourceVersion": "1000"}})
        return web.json_response(found)

    async def _scale(self, request: web.Request, found: Object) -> web.Response:
        if request.method in ("PATCH", "PUT"):
            body = await request.json()
            if body["spec"]["replicas"] == 13:
                return _status(
                    409, "Conflict", "the object has been modified; please apply your changes to the latest"
                )
            _patch(found, {"spec": {"replicas": body["spec"]["replicas"]}})
        meta = {k: found["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
        scale = {
            "spec": {"replicas": found["spec"]["replicas"]},
            "status": {"replicas": 2, "selector": "app=web"},
        }
        return web.json_response({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, **scale})


def _group(version: str) -> Object:
    both = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.rpartition("/")[0], "versions": [both], "preferredVersion": both}


def _types(version: str, types: list[tuple[str, str, str, bool, str]]) -> Object:
    found = []
    for plural, short, kind, namespaced, category in types:
        each: Object = {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind}
        each["verbs"] = VERBS if version in TYPES else ["get", "list"]
        if short:
            each["shortNames"] = [short]
        if category:
            each["categories"] = [category]
        found.append(each)
        if plural in ("deployments", "statefulsets", "replicasets"):
            scale = {
                "group": "autoscaling",
                "version": "v1",
                "kind": "Scale",
                "verbs": ["get", "patch", "update"],
            }
            found.append({"name": f"{plural}/scale", "singularName": "", "namespaced": True, **scale})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _status(
    status: int, reason: str, message: str, details: Object | None = None, word: str = "Failure"
) -> web.Response:
    whole = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": word, "code": status}
    more = {"message": message, "reason": reason, "details": details}
    return web.json_response({**whole, **{k: v for k, v in more.items() if v}}, status=status)


def _review(path: str, body: Object, who: str) -> Object:
    reading = ["get", "list", "watch"]
    if path.endswith("selfsubjectaccessreviews"):
        allowed = who == "admin" or body["spec"]["resourceAttributes"]["verb"] in reading
        return {**body, "status": {"allowed": allowed, **({} if allowed else {"reason": "no rule"})}}
    reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    own = {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": reviews}
    looks = {"verbs": reading, "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}
    rules = {
        "admin": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, own],
        "viewer": [own, looks],
        "deployer": [
            own,
            looks,
            {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]},
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["b", "a"]},
        ],
    }[who]
    urls = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/version"]}]
    return {**body, "status": {"resourceRules": rules, "nonResourceRules": urls, "incomplete": False}}


async def _asked(request: web.Request) -> Object:
    """Return a review; of kubectl's own, in protobuf, the verb alone."""
    if request.content_type == "application/json":
        return await request.json()
    data = await request.read()
    verb = next((each for each in VERBS if each.encode() in data), "?")
    kind = "SelfSubjectRulesReview" if "rulesreviews" in request.path else "SelfSubjectAccessReview"
    return {
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": {"verb": verb}},
    }


def _metrics(path: str, selector: str) -> web.Response:
    now = {"timestamp": ago(seconds=20), "window": "15s"}
    if path.endswith("/nodes"):
        usage = (("node-1", "250000000n", "2097152Ki"), ("node-2", "1500m", "512Mi"))
        items = [{"metadata": {"name": n}, **now, "usage": {"cpu": c, "memory": m}} for n, c, m in usage]
        return web.json_response(
            {
                "kind": "NodeMetricsList",
                "apiVersion": "metrics.k8s.io/v1beta1",
                "metadata": {},
                "items": items,
            }
        )
    usage = (("web-0", "1234567n", "20480Ki"), ("web-1", "250m", "128Mi"))
    items = [
        {
            "metadata": {"name": n, "namespace": "shop"},
            **now,
            "containers": [{"name": "app", "usage": {"cpu": c, "memory": m}}],
        }
        for n, c, m in usage
        if path.count("/") < 5 or "/namespaces/shop/" in path
    ]
    name = path.rpartition("/")[2]
    if name != "pods":
        found = next((each for each in items if each["metadata"]["name"] == name), None)
        if found is None:
            return _status(404, "NotFound", f'podmetrics.metrics.k8s.io "shop/{name}" not found')
        return web.json_response({"kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", **found})
    return web.json_response(
        {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}
    )


def _log(pod: Object, query: Mapping[str, str]) -> str:
    lines = [f"{query.get('container', '')} line {number}" for number in range(1, 6)]
    if query.get("previous") == "true":
        lines = ["before the crash"]
    if "tailLines" in query:
        lines = lines[len(lines) - int(query["tailLines"]) :]
    if query.get("timestamps") == "true":
        lines = [f"2026-01-02T03:04:05.000000000Z {line}" for line in lines]
    return "".join(f"{line}\n" for line in lines)


def _fits(each: Object, query: Mapping[str, str]) -> bool:
    labels = each["metadata"].get("labels", {})
    for wish in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = wish.partition("=")
        if labels.get(key) != value.removeprefix("="):
            return False
    for wish in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = wish.partition("=")
        at: Any = each
        for part in path.split("."):
            at = at.get(part, "") if isinstance(at, dict) else ""
        if at != value.removeprefix("="):
            return False
    return True


def _patch(of: Object, body: Any) -> None:
    before = copy.deepcopy(of)
    if isinstance(body, list):
        for step in body:
            *parents, last = step["path"].strip("/").split("/")
            at = of
            for part in parents:
                at = at[part.replace("~1", "/")]
            at[last] = step["value"]
    else:
        _merge(of, body)
    if of != before:
        of["metadata"]["resourceVersion"] = str(int(of["metadata"]["resourceVersion"]) + 1)


def _merge(of: Object, body: Object) -> None:
    for key, value in body.items():
        if key.startswith("$"):
            continue
        if value is None:
            of.pop(key, None)
        elif isinstance(value, dict):
            _merge(of.setdefault(key, {}), value)
        elif isinstance(value, list) and key in ("containers", "initContainers"):
            for new in value:
                _merge(next(each for each in of[key] if each["name"] == new["name"]), new)
        else:
            of[key] = value
