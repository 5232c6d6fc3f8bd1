"""One command under way: the API, what it prints, and how objects are found."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.clusters.kube.api import JSON, Api, ApiError
from agent.clusters.kube.argv import Ask
from agent.clusters.kube.resources import Resource, Resources
from agent.clusters.kube.verbs.printing import columns
from agent.shell.output import Output

PAGE = 500


_OPERATORS = {"In": "{key} in ({values})", "NotIn": "{key} notin ({values})", "Exists": "{key}"}


def selecting(selector: Mapping[str, Any]) -> str:
    """Return an object's selector in one line, as a list takes it."""
    wanted = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        form = _OPERATORS.get(each["operator"], "!{key}")
        wanted.append(form.format(key=each["key"], values=",".join(each.get("values") or ())))
    return ",".join(wanted)


@dataclass(slots=True)
class Session:
    """What a verb works with. failed: whether anything went wrong so far."""

    api: Api
    ask: Ask
    output: Output
    resources: Resources = field(init=False)
    failed: bool = False

    def __post_init__(self) -> None:
        """Make the types."""
        self.resources = Resources(self.api)

    @property
    def namespace(self) -> str:
        """Return the namespace that the command is about."""
        return self.ask.flags.get("--namespace", self.api.namespace)

    @property
    def scope(self) -> str | None:
        """Return the namespace that is listed, None for all."""
        return None if self.ask.on("--all-namespaces") else self.namespace

    def print(self, text: str) -> None:
        """Print a line."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Print text as it is."""
        self.output.add("stdout", text.encode("utf-8", "replace"))

    def table(self, rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
        """Print rows in columns, nothing for none."""
        if rows:
            self.write(columns(rows, None if self.ask.on("--no-headers") else header))

    def warn(self, text: str) -> None:
        """Print a line beside the output."""
        self.output.add("stderr", f"{text}\n".encode("utf-8", "replace"))

    def fail(self, text: str) -> None:
        """Print what went wrong; the command ends with exit code 1."""
        self.failed = True
        self.warn(text)

    async def each(self) -> AsyncIterator[tuple[Resource, str]]:
        """Yield each object that is named, with its type; every type is known before the first."""
        found = [(await self.resources.named(thing.type), thing.names) for thing in self.ask.things]
        for resource, names in found:
            for name in names:
                yield resource, name

    async def one(self, resource: Resource, name: str) -> Mapping[str, Any]:
        """Return an object; raises ApiError."""
        found: Mapping[str, Any] = await self.api.get(resource.path(self.namespace, name))
        return found

    async def pages(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = JSON
    ) -> AsyncIterator[Any]:
        """Yield what a list holds, page by page; one that has expired meanwhile is begun anew, once."""
        wanted = {**(query or {}), "limit": str(PAGE)}
        while True:
            try:
                page = await self.api.get(path, wanted, accept)
            except ApiError as error:
                if error.status != 410 or "continue" not in wanted:
                    raise
                again = error.told.get("metadata", {}).get("continue")
                if not again:
                    raise
                wanted = {**wanted, "continue": again}
                continue
            yield page
            more = page.get("metadata", {}).get("continue")
            if not more:
                return
            wanted = {**wanted, "continue": more}

    async def items(self, path: str, query: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        """Return what a list holds."""
        return [item async for page in self.pages(path, query) for item in page.get("items") or ()]
