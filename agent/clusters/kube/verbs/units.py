"""Kubernetes' units: quantities, and lengths of time as flags give them."""

import re
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE]))?")
_LENGTH = re.compile(r"([0-9]+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_TIMES = {
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1000) ** -power for power, unit in enumerate(("m", "u", "n"), 1)},
}


def seconds_of(length: str) -> float:
    """Return the seconds of ``1h30m``."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _LENGTH.findall(length))


def quantity(text: str) -> Decimal:
    """Return the number that ``100m``, ``128Mi`` or ``1e3`` stands for, 0 for none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return Decimal(0)
    number, exponent, unit = found.groups()
    return Decimal(f"{number}{exponent or ''}") * _TIMES.get(unit or "", Decimal(1))


def millicores(text: str) -> int:
    """Return an amount of CPU in thousandths, rounded up."""
    return int((quantity(text) * 1000).to_integral_value(ROUND_CEILING))


def mebibytes(text: str) -> int:
    """Return an amount of memory in MiB, rounded down."""
    return int(quantity(text) // (1024 * 1024))
