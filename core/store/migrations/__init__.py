"""Alembic's scripts, one chain for the shared schema and one for every tenant's."""
