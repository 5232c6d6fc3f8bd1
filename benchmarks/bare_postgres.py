"""The baseline of ``start``: initdb, postgres, and the first row over asyncpg.

``python bare_postgres.py BIN FOLDER UID INITDB_ARGUMENTS SETTINGS`` (the last two in JSON; UID -1: our own).
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg


async def main() -> None:
    """Print ``ready`` once a row was read, and leave when stdin is closed."""
    programs, folder, uid = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    arguments, settings = json.loads(sys.argv[4]), json.loads(sys.argv[5])
    data = folder / "data"
    data.mkdir(mode=0o700)
    who: dict[str, Any] = {} if uid < 0 else {"user": uid, "group": uid, "extra_groups": []}
    if uid >= 0:
        os.chown(data, uid, uid)
    subprocess.run(
        [programs / "initdb", "-D", data, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=data, **who
    )
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, *words], cwd=data, stderr=subprocess.DEVNULL, **who
    )
    while True:
        try:
            connection = await asyncpg.connect(host=str(data), user="postgres", database="postgres")
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.01)
    assert await connection.fetchval("SELECT 1") == 1
    print("ready", flush=True)
    await connection.close()
    sys.stdin.read()
    server.send_signal(signal.SIGINT)
    server.wait()


if __name__ == "__main__":
    asyncio.run(main())
