"""The agent's database: which migrations it has had, and the way from an older version to this one."""

import shutil
import sqlite3
from pathlib import Path

from edge_agent.files import sync_directory, sync_file

SET = "tapgate-edge"
NAMES = ("m001_journal",)
"""Every migration there is, in order; they stand in `migrations`, which is loaded only when one is due."""


class NewerSchema(Exception):
    """The database was written by a newer version of the agent; this one must not touch it."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date. An existing file is copied aside first. Raises NewerSchema."""
    applied = _applied(connection)
    unknown = sorted(applied - set(NAMES))
    if unknown:
        raise NewerSchema(f"{path} has the migration {unknown[-1]}, which this version does not know")
    if applied == set(NAMES):
        return
    if applied:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        copy = path.with_name(f"{path.name}.before-{len(applied) + 1:03d}")
        shutil.copy2(path, copy)
        sync_file(copy)
        sync_directory(path.parent)
    from edge_agent.journal.migrations import apply

    apply(connection)


def _applied(connection: sqlite3.Connection) -> set[str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchall():
        return set()
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (SET,)).fetchall()
    return {name for (name,) in rows}
