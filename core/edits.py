"""A change of one file, whole: what was seen, what is to stand there, and what people are shown of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of one file.

    path: the real one, no link. old, new: its whole text before and after, None for no file.
    mode: of a new file, octal; what exists keeps its own. diff: the change as a unified diff.
    undoes: the code of the change that this takes back, "" for none.
    """

    path: str
    old: str | None
    new: str | None
    diff: str
    mode: str = ""
    undoes: str = ""

    def as_json(self) -> Mapping[str, Any]:
        """Return the form in which it is stored."""
        return asdict(self)

    def back(self, diff: str, code: str) -> "Edit":
        """Return the change that takes this one, known as ``code``, back."""
        return replace(self, old=self.new, new=self.old, diff=diff, undoes=code)


def digest_of(text: str | None) -> str:
    """Return the SHA-256 of a file's text in hex, "" for no file."""
    return "" if text is None else sha256(text.encode()).hexdigest()
