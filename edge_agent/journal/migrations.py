"""The agent's tables, as steps from nothing to now. A step that was released is never changed."""

import sqlite3
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from edge_agent.journal.schema import SET

migrations = Migrations(SET)


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


def apply(connection: sqlite3.Connection) -> None:
    """All that have not been applied yet."""
    migrations.apply(Database(connection))
