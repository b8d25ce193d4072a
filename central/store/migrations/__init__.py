"""Alembic's environment and one file a schema change; run by `central.store.migrate`."""
