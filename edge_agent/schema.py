"""The agent's database: its tables, and the way from an older version to this one."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from edge_agent.files import sync_directory, sync_file

migrations = Migrations("tapgate-edge")


class NewerSchema(Exception):
    """The database was written by a newer version of the agent; this one must not touch it."""


@migrations()  # type: ignore[untyped-decorator]
def m001_journal(db: Any) -> None:
    """Journal, receipts, history, published parts, small facts."""
    # An event's id is its epoch's number in the upper bits and its sequence below, so that appending is
    # appending to one B-tree. `previous` is the head *before* the event: a row lost to damage then takes
    # nothing with it but itself.
    db.execute(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, public BLOB NOT NULL, personal BLOB, previous BLOB NOT NULL)"
    )
    db.execute("CREATE TABLE epochs (number INTEGER PRIMARY KEY, epoch BLOB NOT NULL UNIQUE, delivered BLOB NOT NULL)")
    db.execute(
        "CREATE TABLE receipts (epoch INTEGER NOT NULL, first INTEGER NOT NULL, through INTEGER NOT NULL,"
        " stored_ms INTEGER NOT NULL, envelope BLOB NOT NULL, PRIMARY KEY (epoch, first, through))"
    )
    db.execute("CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, custody TEXT NOT NULL, reason TEXT NOT NULL)")
    db.execute(
        "CREATE TABLE history (key BLOB PRIMARY KEY, record BLOB NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE parts (name TEXT PRIMARY KEY, version INTEGER NOT NULL, envelope BLOB NOT NULL) WITHOUT ROWID"
    )
    db.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")


_OURS = frozenset(name for name in globals() if name.startswith("m0"))


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date. An existing file is copied aside first. Raises NewerSchema."""
    db = Database(connection)
    applied = {migration.name for migration in migrations.applied(db)}
    unknown = sorted(applied - _OURS)
    if unknown:
        raise NewerSchema(f"{path} has the migration {unknown[-1]}, which this version does not know")
    if applied and migrations.pending(db):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = path.with_name(f"{path.name}.before-{len(applied) + 1:03d}")
        shutil.copy2(path, copy)
        sync_file(copy)
        sync_directory(path.parent)
    migrations.apply(db)
