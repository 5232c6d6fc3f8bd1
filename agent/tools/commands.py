"""Running a command on servers, and what is built on it."""

import shlex

from pydantic import BaseModel, ConfigDict, Field

from agent.context import Call
from agent.engine import Answer
from agent.gate.gate import Gate


class RunArguments(BaseModel):
    """What ``run_command`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    command: str = Field(description="The exact shell command line.", min_length=1)
    servers: list[str] = Field(description="Names of the servers to run it on.", min_length=1)
    timeout_s: int | None = Field(
        default=None, ge=1, description="Seconds until it is ended, the usual if not given."
    )


class RunCommand:
    """Runs a command line."""

    name = "run_command"
    description = (
        "Run a shell command on one or many servers. What only reads runs at once; what changes something"
        " waits for a person's approval; what is forbidden is refused. No pty, no stdin, non-interactive."
    )
    arguments = RunArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: RunArguments) -> Answer:
        """Answer with each server's exit code and output."""
        return await self._gate.command(call, arguments.command, arguments.servers, arguments.timeout_s)


class TailArguments(BaseModel):
    """What ``tail_file`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    path: str = Field(description="Absolute path of the file.", pattern=r"^/[^\x00\n\r]*$", max_length=4096)
    servers: list[str] = Field(description="Names of the servers.", min_length=1)
    lines: int = Field(default=50, ge=1, le=5000)


class TailFile:
    """Shows the end of a file."""

    name = "tail_file"
    description = "Show the last lines of a file on one or many servers."
    arguments = TailArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: TailArguments) -> Answer:
        """Answer with the lines."""
        command = f"tail -n {arguments.lines} {shlex.quote(arguments.path)}"
        return await self._gate.command(call, command, arguments.servers)
