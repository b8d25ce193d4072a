"""A snapshot on its way in: a list file that grows beside the live one."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Self

from edge_agent.files import sync_directory, sync_file
from edge_agent.published.lists import Header, ListFile, failed, remove, with_crc, write_header
from protocol.allowlist import accept_applied
from protocol.chunks import rows_of
from protocol.errors import Failure, Refused
from protocol.messages import Snapshot

ROOM_BYTES = 32 * 1024**2
"""What a growing snapshot leaves free: it can be fetched again, a tap that was not written down cannot."""


class SnapshotWriter:
    """A list growing beside the live one. Unfinished files are worth nothing and removed at the next start."""

    def __init__(self, directory: Path, head: Snapshot, head_digest: bytes) -> None:
        self.head, self.head_digest = head, head_digest
        self.path = directory / f"list-{head.version}-{os.urandom(4).hex()}.db"
        self._next = 0
        self._count = 0
        self._file = -1
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except sqlite3.DatabaseError as error:
            raise failed(self.path, error) from error
        try:
            self._begin()
        except (sqlite3.DatabaseError, OSError) as error:
            self.abandon()
            raise failed(self.path, error) from error

    def _begin(self) -> None:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -1024"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE header (id INTEGER PRIMARY KEY, record BLOB NOT NULL)")
        self._connection.execute(
            "CREATE TABLE entries (token BLOB PRIMARY KEY, entry BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID"
        )
        self._connection.execute(
            "CREATE TABLE changes (token BLOB PRIMARY KEY, entry BLOB, crc INTEGER NOT NULL) WITHOUT ROWID"
        )
        self._connection.execute("BEGIN")
        # Synced piece by piece: one great sync at the end would hold up the taps' own.
        self._file = os.open(self.path, os.O_RDWR)

    @property
    def next_chunk(self) -> int:
        """Where to go on from after a broken download."""
        return self._next

    def add(self, chunk: bytes) -> None:
        """The next chunk as it was received and checked against its digest. Raises Refused: malformed, and
        not-satisfiable where the journal would be left without room."""
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
            raise Refused(Failure.NOT_SATISFIABLE, f"no room for snapshot {self.head.version}")
        rows = rows_of(chunk)
        try:
            self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", with_crc(rows))
            os.fdatasync(self._file)
        except sqlite3.IntegrityError as error:
            raise Refused(Failure.MALFORMED, f"snapshot {self.head.version}, chunk {self._next}: {error}") from None
        except (sqlite3.DatabaseError, OSError) as error:
            raise failed(self.path, error) from error
        self._count += len(rows)
        self._next += 1

    def finish(self) -> ListFile:
        """Checked, synced and open, not yet live. Raises Refused `wrong-count`, ListDamaged.

        The sum is central's signed word here (each chunk matched its digest); `verify` counts it again.
        """
        head = self.head
        accept_applied(head, self._count, int.from_bytes(head.sum))
        try:
            write_header(self._connection, Header(head.domain, head.version, head.key_number, self._count, head.sum))
            self._connection.execute("COMMIT")
            self._close()
            with contextlib.closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            sync_file(self.path)
            sync_directory(self.path.parent)
        except (sqlite3.DatabaseError, OSError) as error:
            raise failed(self.path, error) from error
        return ListFile(self.path)

    def abandon(self) -> None:
        """Nothing of it is kept."""
        self._close()
        remove(self.path)

    def _close(self) -> None:
        self._connection.close()  # first: closing any other descriptor of the file would drop SQLite's locks
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self.abandon()
