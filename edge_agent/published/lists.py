"""The allowlist on disk: one SQLite file a snapshot, deltas laid over it, lookups through both.

A delta never touches the snapshot's rows: 30,000 changes scattered over three million rows would rewrite the
whole file, hold up the taps' own syncs and wear out the card. They stand in a small table that a lookup asks
first, until the next snapshot takes them in. The live file is named by a fact in the agent's database, so that
a new snapshot replaces the old one by one transaction there. Each file carries its own version, count and sum,
written with the rows they speak of.
"""

import contextlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from edge_agent.files import checked, read_only, unchecked
from edge_agent.journal.database import JournalUnwritable, judged
from protocol.allowlist import Entry, accept_applied, changed_total, list_digest, total
from protocol.chunks import rows_of
from protocol.errors import Failure, Refused
from protocol.messages import Delta, Part, PartName, encode

LOOKUP = "SELECT entry, crc FROM changes WHERE token = ?1 UNION ALL SELECT entry, crc FROM entries WHERE token = ?1"
"""The first row counts: a change laid over a row hides it; an entry of NULL is a card that was taken off the list."""

ROWS = (
    "SELECT token, entry FROM entries WHERE token NOT IN (SELECT token FROM changes)"
    " UNION ALL SELECT token, entry FROM changes WHERE entry IS NOT NULL"
)

Changes = Sequence[tuple[bytes, bytes | None]]

BLOCK_ROWS = 500
"""Worked on at a time: a tap beside it never waits long for the interpreter."""

_entry = msgspec.msgpack.Decoder(Entry)


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What a list file is. `deltas`: how many were applied since the snapshot."""

    domain: str
    version: int
    key_number: int
    count: int
    sum: bytes
    deltas: int = 0

    def part(self) -> Part:
        """As a manifest names it: the content, whatever way it was reached."""
        digest = list_digest(self.domain, self.key_number, self.count, int.from_bytes(self.sum))
        return Part(PartName.ALLOWLIST, self.version, digest)


class ListDamaged(Exception):
    """The list file is not what was written; it is set aside and fetched again."""


def crc(token: bytes, entry: bytes | None) -> int:
    """Stands beside each row: one flipped bit could turn `blocked` into `active`, and SQLite would not notice.
    Cheap, since three million are made; against a forger the list's sum stands."""
    return zlib.crc32(entry or b"", zlib.crc32(token))


def with_crc(rows: Changes) -> list[tuple[bytes, bytes | None, int]]:
    """Rows as they are stored."""
    return [(token, entry, crc(token, entry)) for token, entry in rows]


def _entry_at(connection: sqlite3.Connection, token: bytes) -> bytes | None:
    """The stored entry of a token, None where there is none. Raises ValueError when it is not what was stored."""
    row = connection.execute(LOOKUP, (token,)).fetchone()
    if row is None:
        return None
    if crc(token, row[0]) != row[1]:
        raise ValueError("a row is not what was stored")
    entry: bytes | None = row[0]
    return entry


def failed(path: Path, error: Exception) -> Refused | ListDamaged:
    """What finds no room or no permission is refused and tried again; anything else is damage."""
    if isinstance(error, OSError) or isinstance(judged(path, error), JournalUnwritable):
        return Refused(Failure.NOT_SATISFIABLE, f"{path.name} cannot be stored or opened: {error}")
    return ListDamaged(f"{path}: {error}")


class ListFile:
    """The live list: one writing connection for deltas, one reading connection for taps."""

    def __init__(self, path: Path) -> None:
        """Raises ListDamaged, and Refused where it cannot be opened just now (a full disk)."""
        self.path = path
        self._lock = threading.Lock()
        with contextlib.ExitStack() as opened:
            try:
                self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                opened.callback(self._writer.close)
                self._writer.execute("PRAGMA synchronous = FULL")
                self._writer.execute("PRAGMA journal_size_limit = 33554432")
                self._writer.execute("PRAGMA secure_delete = FAST").fetchall()
                self._reader = sqlite3.connect(read_only(path), uri=True, isolation_level=None, check_same_thread=False)
                opened.callback(self._reader.close)
                self._reader.execute("PRAGMA cache_size = -8192")
                self.header = _read_header(self._writer)
            except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError) as error:
                raise failed(path, error) from error
            opened.pop_all()

    def lookup(self, token: bytes) -> Entry | None:
        """The entry of a token. Never waits for a delta. Raises ListDamaged."""
        try:
            with self._lock:
                found = _entry_at(self._reader, token)
            return None if found is None else _entry.decode(found)
        except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError) as error:
            raise ListDamaged(f"{self.path}: {error}") from error

    def apply(self, delta: Delta) -> None:
        """All of an accepted delta or nothing of it. Raises Refused when the result is not what was meant or there is
        no room for it, and ListDamaged."""
        connection, header = self._writer, self.header
        with self._whole():
            count, sum_ = header.count, int.from_bytes(header.sum)
            dropped: Changes = [(token, None) for token in delta.drop]
            for put in (*map(rows_of, delta.put), dropped):
                for at in range(0, len(put), BLOCK_ROWS):
                    count, sum_ = self._lay_over(put[at : at + BLOCK_ROWS], count, sum_)
            accept_applied(delta, count, sum_)
            header = Header(header.domain, delta.version, header.key_number, count, delta.sum, header.deltas + 1)
            write_header(connection, header)
        self.header = header

    def _lay_over(self, put: Changes, count: int, sum_: int) -> tuple[int, int]:
        """A few changed rows; count and sum as they are with them."""
        removed = []
        for token, _ in put:
            entry = _entry_at(self._writer, token)
            if entry is not None:
                removed.append((token, entry))
        added = [(token, entry) for token, entry in put if entry is not None]
        self._writer.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?, ?)", with_crc(put))
        return count - len(removed) + len(added), changed_total(sum_, removed, added)

    def let_go(self) -> None:
        """Rows that were taken off leave the file: hidden ones are deleted, with what hides them. Looking up and the
        sum are as before. Raises Refused where there is no room, ListDamaged."""
        connection, gone = self._writer, "SELECT token FROM changes WHERE entry IS NULL"
        with self._whole():
            connection.execute(f"DELETE FROM entries WHERE token IN ({gone})")
            connection.execute("DELETE FROM changes WHERE entry IS NULL")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.DatabaseError as error:
            raise failed(self.path, error) from None

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """All of what is written within, or nothing of it. Raises Refused, also that of the block, and ListDamaged."""
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except (sqlite3.DatabaseError, ValueError, TypeError, Refused) as error:
            with contextlib.suppress(sqlite3.DatabaseError):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise error if isinstance(error, Refused) else failed(self.path, error) from None

    def close(self) -> None:
        with self._lock:
            self._reader.close()
            self._writer.close()


def lookup_once(path: Path, token_under: Callable[[int], bytes]) -> tuple[Header, Entry | None]:
    """Header and one entry, reading only, for another process. `token_under` makes the token for a key number."""
    try:
        connection = sqlite3.connect(read_only(path), uri=True)
        try:
            header = _read_header(connection)
            token = token_under(header.key_number)
            found = _entry_at(connection, token)
            return header, None if found is None else _entry.decode(found)
        finally:
            connection.close()
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError) as error:
        raise ListDamaged(f"{path}: {error}") from error


def read_header(path: Path) -> Header:
    """For another process. Raises ListDamaged."""
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            return _read_header(connection)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError) as error:
        raise ListDamaged(f"{path}: {error}") from error


def verify(path: Path) -> list[str]:
    """What is wrong with a list file, row by row; empty when it is what was published. Reads only."""
    try:
        return damage(path)
    except Refused as refused:
        return [f"{path.name}: {refused}"]


def damage(path: Path) -> list[str]:
    """The same, but Refused where the file cannot be looked at just now: that is no damage."""
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            header = _read_header(connection)
            rows: Iterable[tuple[bytes, bytes]] = connection.execute(ROWS)
            sum_ = total(rows)
            count = connection.execute(f"SELECT count(*) FROM ({ROWS})").fetchone()[0]
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError) as error:
        what = failed(path, error)
        if isinstance(what, Refused):
            raise what from error
        return [f"{path.name}: {error}"]
    if count != header.count:
        found.append(f"{path.name}: {count} rows where {header.count} belong")
    if sum_ != int.from_bytes(header.sum):
        found.append(f"{path.name}: a row is not what was published")
    return found


def remove(path: Path) -> None:
    """A list file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Out of use; the newest of them is kept: somebody may want to know what happened to it."""
    remove_others(path.parent, None, "damaged-list-*.db")
    path.rename(path.with_name("damaged-" + path.name))
    remove(path)


def remove_others(directory: Path, live: Path | None, pattern: str = "list-*.db") -> None:
    """Whatever lists an earlier run left behind."""
    for path in directory.glob(pattern):
        if path != live:
            remove(path)


def _read_header(connection: sqlite3.Connection) -> Header:
    row = connection.execute("SELECT record FROM header WHERE id = 1").fetchone()
    record = None if row is None else unchecked(b"list", row[0])
    if record is None:
        raise ValueError("the header is not what was stored")
    return msgspec.msgpack.decode(record, type=Header)


def write_header(connection: sqlite3.Connection, header: Header) -> None:
    """In the transaction of the rows that it speaks of."""
    connection.execute("INSERT OR REPLACE INTO header VALUES (1, ?)", (checked(b"list", encode(header)),))
