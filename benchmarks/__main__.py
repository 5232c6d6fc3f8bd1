"""``python -m benchmarks [NAME…] [--quick]``: prints a table for each benchmark; exit 0 unless one broke."""

import argparse
import asyncio
import importlib
import sys
import traceback

from benchmarks.measure import machine
from bot.process.logs import set_up_logs

NAMES = (
    "message",
    "telegram",
    "peers",
    "model",
    "waiting",
    "slow_neighbours",
    "start",
    "fan_out",
    "guards",
    "redaction",
)


def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="3 short rounds instead of 5")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    set_up_logs("WARNING")
    print(f"{machine()} at the start\n", flush=True)
    broken = 0
    for name in given.names or NAMES:
        try:
            print(asyncio.run(importlib.import_module(f"benchmarks.{name}").run(given.quick)))
        except Exception:
            broken += 1
            print(f"## {name}\n\nBROKEN\n\n{traceback.format_exc()}")
        print(f"- {machine()} at its end\n", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
