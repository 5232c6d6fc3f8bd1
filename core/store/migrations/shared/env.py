"""Alembic's entry: runs on the connection that ``core.store.schema`` hands over, in its transaction."""

from core.store.schema import run_chain

run_chain()
