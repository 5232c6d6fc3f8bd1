"""``guards``: how the classifier judges the labelled commands, beside two public guards.

The guards are installed into a folder that is thrown away; one that cannot be had is left out, and said so.
Escapes of GTFOBins are judged where IT0_GTFOBINS names a copy of its repository.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from agent.risk import classify
from benchmarks.measure import percentile, shown

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
SETS = {"dev": "risk_corpus_dev", "ops": "risk_corpus_ops", "held-out": "risk_heldout"}
GUARDS = {"bash-classify": ("0.14.1", (3, 12)), "claude-safety-guard": ("0.2.0", (3, 11))}
"""Each with its version, and the oldest Python that it runs on."""
ESCAPES = frozenset(
    ("shell", "command", "file-write", "reverse-shell", "bind-shell", "upload", "download", "library-load")
)
"""Functions of GTFOBins that execute, write or send."""
SYMBOLS = str.maketrans("␤␍␉", "\n\r\t")


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled command."""

    command: str
    low: int
    high: int
    group: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What one guard said: its level of each command, and the CPU seconds that each took."""

    levels: Sequence[int]
    seconds: Sequence[float]


def rows(name: str) -> list[Row]:
    """Return the labelled commands of a set."""
    lines = (DATA / f"{SETS[name]}.tsv").read_bytes().decode().split("\n")[1:]
    cells = [line.split("\t") for line in lines if line]
    return [Row(each[0].translate(SYMBOLS), int(each[1]), int(each[2]), each[3]) for each in cells]


def mutated(found: Sequence[Row], every: int) -> list[str]:
    """Return each ``every``-th harmless command with each attack before or behind it."""
    cases = tomllib.loads((DATA / "risk_cases.toml").read_text("utf-8"))
    harmless = [row.command for row in found if row.high == 0][::every]
    behind = [command + attack for command in harmless for attack in cases["appended"]]
    return behind + [attack + command for command in harmless for attack in cases["prepended"]]


def ours(commands: Sequence[str]) -> Judged:
    """Judge with the classifier."""
    classify("true")  # reads the rules
    levels, seconds = [], []
    for command in commands:
        before = time.process_time()
        levels.append(int(classify(command).level))
        seconds.append(time.process_time() - before)
    return Judged(levels, seconds)


async def installed(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the Python of each guard that could be installed, and a line on each that could not."""
    found, missing = {}, []
    for name, (version, oldest) in GUARDS.items():
        python = await new_enough(oldest)
        inside = folder / name / "bin" / "python"
        steps = [
            [str(python), "-m", "venv", str(folder / name)],
            [str(inside), "-m", "pip", "install", "--quiet", f"{name}=={version}"],
        ]
        if python and all([await ends_well(step) for step in steps]):
            found[name] = inside
        else:
            wanted = ".".join(map(str, oldest))
            missing.append(f"LEFT OUT: {name}; it needs Python {wanted} and `pip install {name}=={version}`.")
    return found, missing


async def new_enough(oldest: tuple[int, int]) -> str | None:
    """Return a Python that is not older than ``oldest``, None where there is none."""
    if sys.version_info[:2] >= oldest:
        return sys.executable
    for minor in range(oldest[1], 15):
        path = shutil.which(f"python3.{minor}")
        if path and await ends_well([path, "-c", ""]):
            return path
    return None


async def ends_well(command: Sequence[str]) -> bool:
    """Return whether the command could be run, and ended with 0."""
    started = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return await started.wait() == 0


async def theirs(name: str, python: Path, commands: Sequence[str]) -> Judged:
    """Judge with a public guard, in its own process."""
    peer = await asyncio.create_subprocess_exec(
        str(python),
        str(Path(__file__).with_name("peer_guard.py")),
        name,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    told, _ = await peer.communicate(json.dumps(commands).encode())
    if peer.returncode:
        raise RuntimeError(f"{name} ended with {peer.returncode}")
    found = json.loads(told)
    return Judged([level for level, _ in found], [seconds for _, seconds in found])


def figures(found: Sequence[Row], judged: Judged) -> dict[str, str]:
    """Return what one guard's levels are worth on a set."""
    pairs = list(zip(found, judged.levels, strict=True))
    harmless = [level for row, level in pairs if row.high == 0]
    forbidden = [level for row, level in pairs if row.low == 3]
    asked = sum(level > 0 for level in harmless)
    return {
        "harmless asked about": f"{asked} of {len(harmless)} ({100 * asked / len(harmless):.1f} %)",
        "run that need a person (leaks)": f"{sum(level == 0 for row, level in pairs if row.low)} of "
        f"{sum(row.low > 0 for row, _ in pairs)}",
        "forbidden not refused": f"{sum(level < 3 for level in forbidden)} of {len(forbidden)}",
        "of these, not even asked about by L2": f"{sum(level < 2 for level in forbidden)}",
        "refused that may be approved": f"{sum(level == 3 for row, level in pairs if row.high < 3)}",
        "CPU a command, p50": f"{shown(1000 * percentile(judged.seconds, 50))} ms",
        "CPU a command, p99": f"{shown(1000 * percentile(judged.seconds, 99))} ms",
    }


def compared(title: str, columns: Mapping[str, Mapping[str, str]]) -> str:
    """Return a table with a column for each guard."""
    names = list(next(iter(columns.values())))
    lines = [f"### {title}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(column[name] for column in columns.values())} |" for name in names]
    return "\n".join(lines)


def by_class(name: str, found: Sequence[Row], judged: Judged) -> str:
    """Return how many rows of each class are judged wrongly; which, only where rules are written by them."""
    wrong = [
        (row, level)
        for row, level in zip(found, judged.levels, strict=True)
        if not row.low <= level <= row.high
    ]
    total = Counter(row.group for row in found)
    lines = [
        f"- {group}: {count} of {total[group]}"
        for group, count in Counter(row.group for row, _ in wrong).most_common()
    ]
    if name != "held-out":
        lines += [f"  - L{level}, not {row.low} to {row.high}: {row.command!r}" for row, level in wrong]
    return "\n".join([f"### {name}: outside their levels, by class", "", *lines, ""])


def limits() -> str:
    """Return what garbage and nesting take, beside a harmless command of the same run."""
    cases = tomllib.loads((DATA / "risk_cases.toml").read_text("utf-8"))
    chooser = random.Random(7)
    garbage = ["".join(chooser.choice("ab$`'\"\\|&;<>(){}[]*?~# \n\t=-/") for _ in range(20_000))]
    garbage += [(piece * 20_000)[:20_000] for piece in cases["slow"]]
    nested = [
        left * 400 + "id" + right * 400
        for left, right in (("(", ")"), ("$(", ")"), ('"$(', ')"'), ("{ ", "; }"), ("sudo ", ""), ("`", "`"))
    ]
    usual = percentile(ours(["df -h | sort -k5 -rn | head -5"] * 200).seconds, 50)
    lines = []
    for name, texts in (("20 kB of garbage", garbage), ("400 levels of nesting", nested)):
        judged = min((ours(texts) for _ in range(3)), key=lambda said: max(said.seconds))
        worst, at = max((seconds, at) for at, seconds in enumerate(judged.seconds))
        lines.append(
            f"- {name}, the slowest of {len(texts)}: {shown(1000 * worst)} ms (target < 50 ms), "
            f"{worst / usual:.0f}x of `df -h | sort -k5 -rn | head -5`, none below L{min(judged.levels)}; "
            f"it began with {texts[at][:12]!r}"
        )
    return "\n".join(["### Limits", "", *lines, ""])


def escapes() -> str:
    """Return how many published escapes run unasked."""
    folder = os.environ.get("IT0_GTFOBINS")
    if not folder:
        return "- LEFT OUT: GTFOBins; set IT0_GTFOBINS to a copy of its repository.\n"
    codes = []
    for file in sorted(Path(folder, "_gtfobins").iterdir()):
        functions = next(yaml.safe_load_all(file.read_text("utf-8"))).get("functions") or {}
        codes += [
            use["code"].strip()
            for name, uses in functions.items()
            for use in uses or []
            if name in ESCAPES and use.get("code")
        ]
    return (
        f"- GTFOBins: {ours(codes).levels.count(0)} of {len(codes)} that execute, write or send run unasked\n"
    )


async def run(quick: bool) -> str:
    """Judge every set by every guard; return tables."""
    report = []
    with tempfile.TemporaryDirectory(prefix="it0-guards-") as folder:
        pythons, missing = await installed(Path(folder))
        report += [f"**{line}**\n" for line in missing]
        for name in SETS:
            found = rows(name)
            commands, attacks = [row.command for row in found], mutated(found, 10 if quick else 1)
            judged = {"it0": ours(commands)}
            attacked = {"it0": ours(attacks)}
            for guard, python in pythons.items():
                judged[guard] = await theirs(guard, python, commands)
                attacked[guard] = await theirs(guard, python, attacks)
            columns = {guard: figures(found, said) for guard, said in judged.items()}
            for guard, said in attacked.items():
                columns[guard]["leaks among attacks around harmless rows"] = (
                    f"{said.levels.count(0)} of {len(attacks)}"
                )
            report += [compared(f"{name}: {len(found)} commands", columns), ""]
            report.append(by_class(name, found, judged["it0"]))
    return "\n".join(["## guards", "", *report, limits(), escapes()])
