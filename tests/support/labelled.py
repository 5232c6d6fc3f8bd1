"""The labelled commands of tests/data: what they are, and which levels are right."""

from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[1] / "data"
_SYMBOLS = str.maketrans("␤␍␉", "\n\r\t")


class Labelled(NamedTuple):
    """A command with the lowest and the highest level that is right, and its class."""

    command: str
    low: int
    high: int
    group: str


def labelled(name: str) -> list[Labelled]:
    """Return the rows of ``tests/data/NAME.tsv``; the file is split on LF only."""
    lines = (DATA / f"{name}.tsv").read_bytes().decode().split("\n")[1:]
    rows = [line.split("\t") for line in lines if line]
    return [Labelled(row[0].translate(_SYMBOLS), int(row[1]), int(row[2]), row[3]) for row in rows]
