"""it0 as a benchmark measures it: ``python -m benchmarks.served``.

The limits that protect it from one person's flood, and Telegram from ours, are out of the way: here a person
speaks for many, and one bot says more than Telegram would take.
With IT0_BENCH_STATEMENTS=file every statement is written there as well, one line a transaction.
"""

import os
from pathlib import Path

from benchmarks.lag import probed
from benchmarks.recorder import recording
from bot.commands.terminal import run_process
from bot.process.up import up
from bot.wiring import Parts
from channels.telegram import pacer


async def main(parts: Parts) -> None:
    """Run it, with a probe beside it if one is asked for."""
    async with probed():
        await up(parts)


if __name__ == "__main__":
    os.environ["CONSOLE_MESSAGES_PER_MINUTE"] = str(10**9)
    for limit in ("CHATTER_HZ", "URGENT_HZ", "CHAT_HZ", "GROUP_HZ"):
        setattr(pacer, limit, 1e9)
    statements = os.environ.get("IT0_BENCH_STATEMENTS")
    parts = Parts(database=recording(Path(statements))) if statements else Parts()
    run_process(lambda: main(parts))
