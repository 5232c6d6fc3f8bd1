"""it0 as a benchmark measures it: ``python -m benchmarks.served``.

The limit that protects it from one person's flood is out of the way, because here a person speaks for many.
With IT0_BENCH_STATEMENTS=file every statement is written there as well, one line a transaction.
"""

import os
from pathlib import Path

from benchmarks.recorder import recording
from bot.cli import run
from bot.up import up
from bot.wiring import Parts

if __name__ == "__main__":
    os.environ["CONSOLE_MESSAGES_PER_MINUTE"] = str(10**9)
    statements = os.environ.get("IT0_BENCH_STATEMENTS")
    parts = Parts(database=recording(Path(statements))) if statements else Parts()
    run(lambda: up(parts))
