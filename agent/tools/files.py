"""Files on servers: a range of lines, a search below a path, and changes that people approve."""

import shlex
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.context import Call
from agent.engine import Answer
from agent.files.changes import checked, patched
from agent.gate.gate import Gate

USUAL_LINES = 200
MAX_LINES = 5_000
LAST_LINE = 1_000_000_000
USUAL_HITS = 100
MAX_HITS = 1_000

ServerNames = Annotated[list[str], Field(description="Names of the servers.", min_length=1)]
FilePath = Annotated[str, Field(pattern=r"^/[^\x00\n\r]*$", max_length=4096)]


class ReadArguments(BaseModel):
    """What ``read_file`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    path: FilePath = Field(description="Absolute path of the file.")
    servers: ServerNames
    first: int = Field(default=1, ge=1, le=LAST_LINE, description="Number of the first line, from 1.")
    last: int | None = Field(
        default=None,
        ge=1,
        le=LAST_LINE + MAX_LINES,
        description=f"Number of the last line; {USUAL_LINES} lines if not given, {MAX_LINES} at most.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not 0 <= self.end - self.first < MAX_LINES:
            raise ValueError(f"last must be from first to first + {MAX_LINES - 1}")
        return self

    @property
    def end(self) -> int:
        """Return the number of the last line that is shown."""
        return self.first + USUAL_LINES - 1 if self.last is None else self.last


class ReadFile:
    """Shows a range of a file's lines."""

    name = "read_file"
    description = (
        "Show a range of lines of a text file on one or many servers, the beginning if no range is given."
        " For the newest lines of a log use tail_file."
    )
    arguments = ReadArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: ReadArguments) -> Answer:
        """Answer with the lines; past the file's end there are none."""
        lines = f"{arguments.first},{arguments.end}p;{arguments.end}q"
        command = f"sed -n {shlex.quote(lines)} {shlex.quote(arguments.path)}"
        return await self._gate.command(call, command, arguments.servers)


class SearchArguments(BaseModel):
    """What ``search_files`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    pattern: str = Field(
        description="The text to find, in one line.", pattern=r"^[^\x00\n\r]+$", max_length=1000
    )
    path: FilePath = Field(description="Absolute path of a file, or of a folder to search with all below it.")
    servers: ServerNames
    regex: bool = Field(default=False, description="Whether the text is an extended regular expression.")
    limit: int = Field(default=USUAL_HITS, ge=1, le=MAX_HITS, description="The most lines shown of a server.")


class SearchFiles:
    """Finds lines in files."""

    name = "search_files"
    description = (
        "Search a file, or all text files below a folder, for a text on one or many servers; answers lines"
        " with path and line number. Prefer a narrow path such as /var/log/nginx: searching widely must be"
        " approved."
    )
    arguments = SearchArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: SearchArguments) -> Answer:
        """Answer with the lines that were found; none is an empty answer, not a failure."""
        kind, limit = "E" if arguments.regex else "F", arguments.limit
        what = f"{shlex.quote(arguments.pattern)} {shlex.quote(arguments.path)}"
        # grep counts its hits for each file, head over all of them
        command = f"grep -rnI{kind} -m {limit} -- {what} | head -n {limit}"
        return await self._gate.command(call, command, arguments.servers)


ServerName = Annotated[str, Field(description="Name of the one server.", min_length=1)]


class WriteArguments(BaseModel):
    """What ``write_file`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    server: ServerName
    path: FilePath = Field(description="Absolute path of the file.")
    content: str = Field(description="The whole new text of the file, as it shall stand there.")
    mode: str = Field(
        default="", pattern=r"^(0?[0-7]{3})?$", description="Mode of a new file, octal; 0644 if not given."
    )


class WriteFile:
    """Writes a whole file."""

    name = "write_file"
    description = (
        "Write a text file on one server: a new one, or all of one that is there. People approve the diff"
        " first; owner and mode are kept, a backup too. To change a part, use patch_file."
    )
    arguments = WriteArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: WriteArguments) -> Answer:
        """Answer with the card that asks for it, or why it cannot be asked for."""
        return await self._gate.writing.write(call, **arguments.model_dump())


class PatchArguments(BaseModel):
    """What ``patch_file`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    server: ServerName
    path: FilePath = Field(description="Absolute path of the file.")
    old: str = Field(min_length=1, description="Text that stands in the file exactly once, as it is.")
    new: str = Field(description="What takes its place.")


class PatchFile:
    """Changes a part of a file."""

    name = "patch_file"
    description = (
        "Change a part of a text file on one server: one exact text, which has to occur exactly once, becomes"
        " another. People approve the diff first; owner and mode are kept, a backup too."
    )
    arguments = PatchArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: PatchArguments) -> Answer:
        """Answer with the card that asks for it, or why it cannot be asked for."""

        def make(text: str, path: str) -> str:
            return patched(text, checked(arguments.old, path), arguments.new, path)

        return await self._gate.writing.patch(call, arguments.server, arguments.path, make)


class SendArguments(BaseModel):
    """What ``send_file`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    server: ServerName
    path: FilePath = Field(description="Absolute path of the file.")


class SendFile:
    """Sends a file from a server to the chat."""

    name = "send_file"
    description = (
        "Send a file from one server to the people in this chat, as a document. You do not see what is in it;"
        " to read it yourself use read_file. Configuration waits for approval, secrets are refused."
    )
    arguments = SendArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: SendArguments) -> Answer:
        """Answer that it is sent, or what it waits for."""
        return await self._gate.sending.send(call, arguments.server, arguments.path)


class UndoArguments(BaseModel):
    """What ``undo_write`` takes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    code: str = Field(description="Code of the approval by which the file was written, such as A7-493.")


class UndoWrite:
    """Takes a change of a file back."""

    name = "undo_write"
    description = (
        "Take a change by write_file or patch_file back, known by its approval's code. People approve that"
        " too; it is refused if the file has changed since."
    )
    arguments = UndoArguments

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, call: Call, arguments: UndoArguments) -> Answer:
        """Answer with the card that asks for it, or why it cannot be asked for."""
        return await self._gate.writing.undo(call, arguments.code.strip().upper())
