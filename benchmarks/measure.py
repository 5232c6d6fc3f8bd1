"""What is measured, and how a table of it is printed."""

import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table.

    ours, baseline: medians in ``unit``; ratio: the median of the rounds' own ratios, None where nothing is
    compared; most: the target for ``ratio``, or for ``ours`` where there is no ratio; None: only reported.
    """

    name: str
    ours: float | None
    baseline: float | None = None
    ratio: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether the target is met, None where there is none."""
        value = self.ours if self.ratio is None else self.ratio
        return None if self.most is None or value is None else value <= self.most

    def cells(self) -> tuple[str, ...]:
        """Return the line's cells."""
        target = ""
        if self.most is not None:
            target = f"<= {shown(self.most)}" + (f" {self.unit}" if self.ratio is None else "x")
        met = {None: "", True: "yes", False: "NO"}[self.met]
        ratio = f"{self.ratio:.2f}x" if self.ratio is not None else ""
        unit = f" {self.unit}" if self.unit else ""
        ours, baseline = (f"{shown(v)}{unit}" if v is not None else "" for v in (self.ours, self.baseline))
        return self.name, ours, baseline, ratio, target, met


def shown(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def compared(
    name: str, ours: Sequence[float], baseline: Sequence[float], most: float | None = None, unit: str = ""
) -> Figure:
    """Return the figure of two series whose n-th values were measured side by side."""
    ratio = statistics.median(a / b for a, b in zip(ours, baseline, strict=True))
    return Figure(name, statistics.median(ours), statistics.median(baseline), ratio, most, unit)


def alone(name: str, ours: Sequence[float], most: float | None = None, unit: str = "") -> Figure:
    """Return the figure of a series that is compared with nothing."""
    return Figure(name, statistics.median(ours), most=most, unit=unit)


def table(title: str, notes: Sequence[str], figures: Sequence[Figure]) -> str:
    """Return a table in Markdown."""
    head = ("figure", "it0", "baseline", "ratio", "target", "met?")
    lines = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rows = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([f"## {title}", "", *rows, *([""] if notes else []), *(f"- {note}" for note in notes)])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def alternated(rounds: int, *sides: Callable[[], Awaitable[None]]) -> None:
    """Measure all sides so often, in turns, forwards and backwards: none is always the first."""
    for number in range(rounds):
        for measure in sides if number % 2 == 0 else reversed(sides):
            await measure()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family_cpu_s(pid: int) -> float:
    """Return the same of a process and its children together, those that ended included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / TICKS
    return cpu_s(pid) + ended + sum(cpu_s(int(child)) for child in children)


def rss_mb(pid: int) -> float:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine() -> str:
    """Return what the figures were measured on, without its name."""
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    python = f"{platform.python_implementation()} {sys.version.split()[0]}"
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}, load {load}"
