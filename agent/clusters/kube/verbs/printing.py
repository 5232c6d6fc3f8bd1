"""Printing as kubectl prints: aligned columns, JSON, YAML, ages."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

MIN_WIDTH, PADDING = 6, 3
MOST_PADDED = 16_000_000
"""Characters that a table may take; of one that would take more, nothing is aligned."""

_BREAK = re.compile(r"[\f\n\r].*", re.DOTALL)
_AMBIGUOUS = ("y", "Y", "n", "N")
_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?0(o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+)"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
)


def columns(
    rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, padding: int = PADDING
) -> str:
    """Return rows in columns, each as wide as its widest cell but for the last."""
    lines = [list(header), *rows] if header else list(rows)
    if not lines:
        return ""
    count = len(lines[0])
    widths = [max(MIN_WIDTH, *(len(line[at]) + padding for line in lines)) for at in range(count - 1)]
    if sum(widths) * len(lines) > MOST_PADDED:
        widths = [MIN_WIDTH] * len(widths)
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[-1] + "\n"
        for line in lines
    )


def cell(value: Any) -> str:
    """Return a table's cell: its first line, without what a terminal obeys."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    first = _BREAK.sub("", text)
    return f"{first}{'...' if first != text else ''}".replace("\x1b", "^[")


def as_json(value: Any) -> str:
    """Return JSON with sorted keys, indented by four, with HTML's characters escaped."""
    text = json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"{text}\n"


def as_yaml(value: Any) -> str:
    """Return YAML with sorted keys."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, default_flow_style=False)
    return text


_Fast: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fast):  # type: ignore[misc]
    """Quotes as kubectl's library does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True

    def text(self, value: str) -> yaml.ScalarNode:
        """Return a string's node: literal with line breaks, quoted where it could be read as no string."""
        style = None
        tag = self.resolve(yaml.ScalarNode, value, (True, False))
        if "\n" in value:
            style = "|"
        elif tag != "tag:yaml.org,2002:str" or value in _AMBIGUOUS or _NUMBER.fullmatch(value):
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _Dumper.text)


def moment(text: str | None) -> datetime | None:
    """Return a moment as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def age(since: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, in one or two units."""
    if since is None:
        return "<unknown>"
    return span((now or datetime.now(UTC)) - since)


def span(length: timedelta) -> str:
    """Return a length of time in one or two units, as ``5m30s`` or ``3d4h``."""
    seconds = int(length.total_seconds())
    if seconds < -1:
        return "<invalid>"
    seconds = max(0, seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(first: int, unit: str, second: int, other: str) -> str:
    return f"{first}{unit}{second}{other}" if second else f"{first}{unit}"


def labels(of: Mapping[str, Any]) -> str:
    """Return an object's labels in one line."""
    found = of.get("metadata", {}).get("labels") or {}
    return ",".join(f"{key}={found[key]}" for key in sorted(found)) or "<none>"
