"""Opens the agent's database, and tells damage apart from a disk that takes nothing just now."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from edge_agent.files import read_only
from edge_agent.journal.schema import migrate

PAGE_BYTES = 4096


ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged database raises: its own error texts may be bytes that are no text."""


class JournalUnwritable(Exception):
    """Nothing can be written down, so nobody may enter (leaving stays free)."""


class StoreDamaged(Exception):
    """The database is not what was written; it has to be set aside (see `recovery`)."""


class Limits(NamedTuple):
    """Ceilings in bytes."""

    journal_bytes: int = 2 * 1024**3
    reserve_bytes: int = 8 * 1024**2
    wal_bytes: int = 32 * 1024**2


def connect(path: Path, limits: Limits) -> sqlite3.Connection:
    """The one writing connection, its schema up to date. Raises sqlite3.DatabaseError, schema.NewerSchema."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA max_page_count = {limits.journal_bytes // PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_size_limit = {limits.wal_bytes}")
        connection.execute("PRAGMA cache_size = -4096")
        # what is destroyed or pruned is written over, also in whole pages that become free
        connection.execute("PRAGMA secure_delete = ON").fetchall()
        migrate(connection, path)
    except BaseException:
        connection.close()  # left open, it would remove a successor's write-ahead file when it is collected
        raise
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """What was last checkpointed, so that a gate whose disk takes nothing still knows which way it faces."""
    return sqlite3.connect(read_only(path, immutable=True), uri=True, isolation_level=None, check_same_thread=False)


_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_UNREADABLE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})


def judged(path: Path, error: Exception) -> JournalUnwritable | StoreDamaged:
    """What an error of SQLite means: no space, no permission and a closed connection say nothing of the content."""
    code = getattr(error, "sqlite_errorcode", 0)
    passing = code & 0xFF in _PASSING and code not in _UNREADABLE
    if passing or isinstance(error, sqlite3.ProgrammingError | OSError):
        return JournalUnwritable(f"{path}: {error}")
    return StoreDamaged(f"{path}: {error}")


def wants_space(error: BaseException | None) -> bool:
    """True where freeing space may help: the disk is full, or a quota is (which SQLite calls an I/O error)."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
