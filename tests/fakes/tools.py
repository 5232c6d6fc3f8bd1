"""The toolbox as an engine sees it, without a gate: calls get the answers that a test wrote for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.engine import Answer
from core.messages import Progress
from core.work import Environment, Server


def server(
    name: str, environment: Environment = "dev", role: str | None = None, trusted: bool = True, **more: Any
) -> Server:
    """Return a server with sensible fields."""
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "connection": "ssh",
        "host": f"{name}.example.net",
        "port": 22,
        "environment": environment,
        "role": role,
        "ssh_user": "ops",
        "credential_id": "key",
        "jump_server_id": None,
        "ssh_options": {},
        "tags": {},
        "status": "active",
        "description": "",
        "host_key": "ssh-ed25519 AAAA" if trusted else None,
    }
    return Server(**{**fields, **more})


class ScriptedTools:
    """An ``agent.engine.Tools``.

    calls: (no, tool, arguments) in order. answers: by the step's number, else ``answer``.
    typed: what steering returns, once.
    """

    def __init__(
        self,
        servers: Sequence[Server] = (),
        answer: Answer | None = None,
        answers: Mapping[int, Answer] | None = None,
        typed: Sequence[str] = (),
    ) -> None:
        self.calls: list[tuple[int, str, dict[str, Any]]] = []
        self.shown: list[Progress] = []
        self._servers = list(servers)
        self._answer = answer or Answer("done", ("ok",))
        self._answers = dict(answers or {})
        self._typed = list(typed)

    async def call(self, no: int, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Note the call and return its answer."""
        self.calls.append((no, tool, dict(arguments)))
        return self._answers.get(no, self._answer)

    async def steering(self) -> Sequence[str]:
        """Return what was typed meanwhile, once."""
        typed, self._typed = self._typed, []
        return typed

    async def servers(self) -> Sequence[Server]:
        """Return the servers."""
        return self._servers

    async def show(self, progress: Progress) -> None:
        """Note what was shown."""
        self.shown.append(progress)

    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """Return no schemas: the engines that want them get the real ones."""
        return []
