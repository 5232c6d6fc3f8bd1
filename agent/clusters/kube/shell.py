"""The hands for a Kubernetes API: a kubectl command as calls, once, with the kubeconfig in memory."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from agent.clusters.kube.api import Api, ApiError, Lost, Unreached
from agent.clusters.kube.argv import Ask
from agent.clusters.kube.kubeconfig import Kubeconfig, read_kubeconfig
from agent.clusters.kube.resources import NoSuchType
from agent.clusters.kube.session import Session
from agent.clusters.kube.verbs import changes, describe, get, load, logs, looks, rights, rollouts
from agent.shell.output import Output
from core.errors import It0Error, Refused, ServerUnreachable
from core.ports import OnOutput, Order, Target
from core.texts import Say, say
from core.work import RunTarget

VERBS: Mapping[str, Callable[[Session], Awaitable[None]]] = {
    "get": get.get,
    "describe": describe.describe,
    "logs": logs.logs,
    "top pods": load.top_pods,
    "top nodes": load.top_nodes,
    "version": looks.version,
    "api-versions": looks.api_versions,
    "api-resources": looks.api_resources,
    "events": looks.events,
    "auth can-i": rights.can_i,
    "rollout status": rollouts.status,
    "rollout history": rollouts.history,
    "rollout restart": rollouts.restart,
    "rollout pause": rollouts.pause,
    "rollout resume": rollouts.resume,
    "rollout undo": rollouts.undo,
    "scale": changes.scale,
    "delete": changes.delete,
    "cordon": changes.cordon,
    "uncordon": changes.uncordon,
    "set image": changes.set_image,
    "label": changes.label,
    "annotate": changes.annotate,
    "patch": changes.patch,
}
log = structlog.get_logger(__name__)

KEPT = 1000
"""So many runs are remembered that are over, for whoever asks what became of them."""

REFUSAL_LETTERS = 300
"""A server may write what it likes into its refusal."""

State = Literal["done", "failed", "stopped", "timeout", "unknown"]


@dataclass(frozen=True, slots=True)
class Went:
    """How a run ended."""

    state: State
    exit_code: int | None = None
    error: Say | None = None


class KubeShell:
    """Runs kubectl commands by the API. Only ``ClusterShell`` calls it.

    understand: returns what a command asks of the cluster that is named, or why it is refused.
    connect_timeout_s: for each connection; output_cap_bytes: kept of each stream.
    """

    def __init__(
        self,
        understand: Callable[[str, str], Ask | Say],
        connect_timeout_s: float = 10.0,
        output_cap_bytes: int = 65_536,
    ) -> None:
        self._understand = understand
        self._connect_timeout_s = connect_timeout_s
        self._cap = output_cap_bytes
        self._running: set[tuple[str, str, str]] = set()
        self._over: OrderedDict[tuple[str, str, str], Went] = OrderedDict()

    async def run(self, target: Target, order: Order, on_output: OnOutput | None = None) -> RunTarget:
        """Run ``order`` once; nothing is sent for a command that is not understood to its last word."""
        began, key, name = time.monotonic(), _key(target, order.run_id), target.server.name
        ask = self._understand(order.command, name)
        if isinstance(ask, Say):
            return _result(target, Went("failed", error=ask))
        if key in self._running or key in self._over:
            return _result(target, Went("failed", error=say("shell.run_twice", server=name)))
        self._running.add(key)
        output, api = Output(self._cap, on_output), self._api(target)
        try:
            went = await self._run(api, ask, output, order.timeout_s, name)
        except asyncio.CancelledError:
            self._remember(key, _cut_off(api, name))
            raise
        else:
            self._remember(key, went)
        finally:
            self._running.discard(key)
            output.close()
        return replace(
            _result(target, went),
            duration_ms=round((time.monotonic() - began) * 1000),
            stdout=output.text("stdout"),
            stderr=output.text("stderr"),
            dropped=output.dropped,
        )

    async def _run(self, api: Api, ask: Ask, output: Output, limit_s: float, name: str) -> Went:
        try:
            async with asyncio.timeout(limit_s), api:
                session = Session(api, ask, output)
                await _act(session)
                return Went("done", int(session.failed))
        except TimeoutError:
            if api.changing:
                return Went("unknown", error=say("cluster.api_lost", cluster=name))
            return Went("timeout", error=say("cluster.api_timeout", cluster=name))
        except Lost:
            if api.changing:
                return Went("unknown", error=say("cluster.api_lost", cluster=name))
            return _broken_off(api, _unreached(name, say("cluster.api_broke")))
        except Unreached as error:
            return _broken_off(api, _unreached(name, error.reason))
        except It0Error as error:
            return _broken_off(api, error)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            # Not its words: what the server sent stands in them.
            log.warning("kube.answer_not_understood", error=type(error).__name__, verb=ask.verb)
            return Went("done", 1, say("cluster.api_strange", cluster=name))

    async def outcome(self, target: Target, run_id: str) -> RunTarget:
        """Return what became of a run: an API keeps no record of it, so only who called it knows."""
        key = _key(target, run_id)
        if key in self._running:
            return RunTarget(target.server.id, target.server.name, "running")
        unknown = Went("unknown", error=say("cluster.api_no_record", cluster=target.server.name))
        return _result(target, self._over.get(key, unknown))

    async def stop(self, target: Target, run_id: str) -> bool:
        """Return whether a run that was cancelled is known to have ended: then nothing is under way."""
        went = self._over.get(_key(target, run_id))
        return went is not None and went.state == "stopped"

    async def reach(self, target: Target) -> None:
        """Call the API; raises It0Error when it does not answer, or does not know us."""
        name = target.server.name
        try:
            async with asyncio.timeout(3 * self._connect_timeout_s), self._api(target) as api:
                await api.get("/version")
        except (Lost, TimeoutError):
            raise _unreached(name, say("cluster.api_silent")) from None
        except Unreached as error:
            raise _unreached(name, error.reason) from None
        except ApiError as error:
            raise Refused("cluster.api_said", cluster=name, text=_words(error)) from None

    def _api(self, target: Target) -> Api:
        async def opened() -> Kubeconfig:
            assert target.login is not None
            found = read_kubeconfig((await target.login()).secret)
            # Another one may have taken its place after it was last looked at.
            if found.fingerprint != target.server.host_key:
                raise Refused("cluster.api_moved", cluster=target.server.name)
            return found

        return Api(opened, self._connect_timeout_s)

    def _remember(self, key: tuple[str, str, str], went: Went) -> None:
        self._over[key] = went
        while len(self._over) > KEPT:
            self._over.popitem(last=False)


async def _act(session: Session) -> None:
    """Do what was asked for; what the API refuses is printed as kubectl does."""
    try:
        await VERBS[session.ask.verb](session)
    except NoSuchType as error:
        session.fail(f'error: the server doesn\'t have a resource type "{error}"')
    except ApiError as error:
        session.fail(error.words)


def _words(error: ApiError) -> str:
    """Return the API's refusal, no longer than a person reads; it may be of any shape."""
    try:
        return error.words[:REFUSAL_LETTERS]
    except (AttributeError, TypeError):
        return f"HTTP {error.status}"


def _broken_off(api: Api, error: It0Error) -> Went:
    """Return how a run went that ``error`` ended: what was answered before it was begun."""
    return Went("done", 1, error.say) if api.answered else Went("failed", error=error.say)


def _cut_off(api: Api, name: str) -> Went:
    if api.changing:
        return Went("unknown", error=say("cluster.api_lost", cluster=name))
    return Went("stopped", error=say("cluster.api_stopped", cluster=name))


def _unreached(name: str, reason: Say) -> ServerUnreachable:
    return ServerUnreachable(server=name, reason=reason)


def _key(target: Target, run_id: str) -> tuple[str, str, str]:
    return target.tenant_id, target.server.id, run_id


def _result(target: Target, went: Went) -> RunTarget:
    error = went.error.as_json() if went.error else None
    return RunTarget(target.server.id, target.server.name, went.state, went.exit_code, error=error)
