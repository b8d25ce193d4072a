"""The agent's one database: journal, local state, floors. One writing connection, one transaction a tap.

What is in custody here is lost neither by a crash nor by a power cut: SQLite in WAL mode with
`synchronous=FULL` syncs every commit, and a transaction either is on disk when `commit` returns or never was.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from edge_agent.files import checked, sync_directory, unchecked
from edge_agent.moments import Moment
from edge_agent.schema import migrate
from protocol.decision import History
from protocol.envelope import Signer
from protocol.journal import extend, genesis
from protocol.messages import Clock, EpochStart, Event, Kind, decode, encode

log = structlog.get_logger(__name__)

DATABASE = "agent.db"
MARK = "journal.mark"
RESERVE = "journal.reserve"
SEQUENCE_BITS = 40
PAGE_BYTES = 4096

T = TypeVar("T")


class JournalUnwritable(Exception):
    """Nothing can be written down, so nobody may enter (leaving stays free)."""


class StoreDamaged(Exception):
    """The database is not what was written; it has to be set aside (see `recovery`)."""


class Limits(NamedTuple):
    """Ceilings in bytes."""

    journal_bytes: int = 2 * 1024**3
    reserve_bytes: int = 8 * 1024**2
    wal_bytes: int = 32 * 1024**2


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered beside the database, so that a database set back is noticed."""

    epoch: bytes
    sequence: int
    manifest: int
    signed_ms: int


class Epoch(NamedTuple):
    """`number` is local and rises; `epoch` is the random name on the wire."""

    number: int
    epoch: bytes


def event_id(epoch_number: int, sequence: int) -> int:
    """The journal's key of an event."""
    return epoch_number << SEQUENCE_BITS | sequence


class Transaction:
    """What may be read and written together. Made by `Store.commit` only."""

    def __init__(self, store: "Store", connection: sqlite3.Connection) -> None:
        self._store = store
        self.connection = connection
        self.sequence, self.head = store.next_sequence, store.head
        self.epoch = store.epoch

    def append(self, public: bytes, personal: bytes) -> int:
        """Writes one event of the current epoch; its sequence is this transaction's `sequence` before the call."""
        self.connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            (event_id(self.epoch.number, self.sequence), public, personal or None, self.head),
        )
        self.head = extend(self.head, public)
        self.sequence += 1
        return self.sequence - 1

    def history(self, key: bytes) -> History | None:
        """The last tap under this key. A record that is not what was stored counts as none."""
        row = self.connection.execute("SELECT record FROM history WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        record = unchecked(key, row[0])
        return None if record is None else decode(History, record)

    def remember(self, key: bytes, history: History) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?)", (key, checked(key, encode(history)), history.at_ms)
        )

    def set_fact(self, name: str, value: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, checked(name.encode(), value)))


class Store:
    """Open once a process (a lock file keeps a second one out). Thread-safe."""

    def __init__(self, directory: Path, limits: Limits = Limits()) -> None:
        self.directory, self.limits = directory, limits
        self.lock = threading.RLock()
        self.path = directory / DATABASE
        self.epoch = Epoch(0, b"")
        self.next_sequence, self.head = 0, b""
        self.manifest_floor = 0
        self.signed_ms = 0
        self.lost_tail: Mark | None = None
        self.on_append: Callable[[], None] = lambda: None
        self._mark_file = -1
        self._unmarked = False
        self._open()

    # --- opening and closing ----------------------------------------------------------------------------

    def _open(self) -> None:
        """Raises StoreDamaged or schema.NewerSchema."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.connection = self._connect()
            migrate(self.connection, self.path)
            self._load()
        except sqlite3.DatabaseError as error:
            if is_full(error):
                raise JournalUnwritable(f"{self.path}: {error}") from error
            raise StoreDamaged(f"{self.path}: {error}") from error
        self._mark_file = os.open(self.directory / MARK, os.O_RDWR | os.O_CREAT, 0o600)
        self.restore_reserve()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA max_page_count = {self.limits.journal_bytes // PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_size_limit = {self.limits.wal_bytes}")
        connection.execute("PRAGMA cache_size = -4096")
        return connection

    def _load(self) -> None:
        self.signed_ms = int.from_bytes(self.fact("signed_ms") or b"")
        row = self.connection.execute("SELECT max(version) FROM parts WHERE name = 'manifest'").fetchone()
        self.manifest_floor = row[0] or 0
        mark = read_mark(self.directory)
        if mark is not None:
            self.signed_ms = max(self.signed_ms, mark.signed_ms)
            self.manifest_floor = max(self.manifest_floor, mark.manifest)
            last = self.last_of(mark.epoch)
            self.lost_tail = mark if last is None or last < mark.sequence else None

    def reload(self) -> None:
        """Read floors again, after rows were carried over from a damaged store."""
        with self.lock:
            self._load()

    def close(self) -> None:
        """Leaves a checkpointed database behind."""
        with self.lock:
            with contextlib.suppress(sqlite3.DatabaseError):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.close()
            if self._mark_file >= 0:
                os.close(self._mark_file)
                self._mark_file = -1

    # --- epochs -----------------------------------------------------------------------------------------

    def begin_epoch(self, device: str, gate: str, signer: Signer, moment: Moment, clock: Clock, why: str) -> None:
        """A new epoch with its signed event 0, which names the last epoch and head that this disk knows."""
        previous = self.connection.execute("SELECT number, epoch FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        number, previous_epoch = previous or (0, b"")
        last = None if previous is None else self.last_row(number)
        epoch = Epoch(number + 1, os.urandom(8))
        start = EpochStart(
            device=device,
            epoch=epoch.epoch,
            previous_epoch=previous_epoch if last else b"",
            previous_sequence=last[0] if last else -1,
            previous_head=last[1] if last else b"",
            at_ms=moment.wall_ms,
            why=why,
        )
        event = Event(
            0, moment.wall_ms, moment.boot_id, moment.monotonic_ms, clock, gate, Kind.START, detail=signer.seal(start)
        )

        def work(transaction: Transaction) -> None:
            delivered = checked(epoch.epoch, _signed(-1))
            transaction.connection.execute(
                "INSERT INTO epochs VALUES (?, ?, ?)", (epoch.number, epoch.epoch, delivered)
            )
            transaction.epoch, transaction.sequence = epoch, 0
            transaction.head = genesis(device, epoch.epoch)
            transaction.append(encode(event), b"")

        self.commit(work)
        self.settle()

    def last_row(self, number: int) -> tuple[int, bytes] | None:
        """(last sequence, head after it) of an epoch of this journal."""
        row = self.connection.execute(
            "SELECT id, previous, public FROM events WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
            (event_id(number, 0), event_id(number + 1, 0) - 1),
        ).fetchone()
        return None if row is None else (row[0] - event_id(number, 0), extend(row[1], row[2]))

    def last_of(self, epoch: bytes) -> int | None:
        row = self.connection.execute("SELECT number FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
        last = None if row is None else self.last_row(row[0])
        return None if last is None else last[0]

    # --- writing ----------------------------------------------------------------------------------------

    def commit(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction; when this returns, everything it wrote is on disk.

        Raises JournalUnwritable when the disk is full (the reserve is spent first) and StoreDamaged.
        """
        with self.lock:
            try:
                return self._commit(work)
            except JournalUnwritable:
                if not self.spend_reserve():
                    raise
                return self._commit(work)

    def _commit(self, work: Callable[[Transaction], T]) -> T:
        transaction = Transaction(self, self.connection)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            result = work(transaction)
            self.connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._roll_back()
            raise self._judged(error) from error
        except BaseException:
            self._roll_back()
            raise
        appended = transaction.sequence != self.next_sequence or transaction.epoch != self.epoch
        self.epoch, self.next_sequence, self.head = transaction.epoch, transaction.sequence, transaction.head
        self._unmarked = self._unmarked or appended
        return result

    def settle(self) -> None:
        """What may come after the citizen has an answer: the mark, and waking the delivery."""
        if self._unmarked:
            self._unmarked = False
            self.write_mark()
            self.on_append()

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.DatabaseError):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _judged(self, error: sqlite3.DatabaseError) -> Exception:
        if is_full(error) or isinstance(error, sqlite3.OperationalError):
            self._reload_after(error)
            return JournalUnwritable(f"{self.path}: {error}")
        return StoreDamaged(f"{self.path}: {error}")

    def _reload_after(self, error: sqlite3.DatabaseError) -> None:
        """After a failed commit only the disk knows whether the event is on it: look, and go on from there."""
        log.error("journal-unwritable", error=str(error), code=getattr(error, "sqlite_errorname", ""))
        with contextlib.suppress(sqlite3.DatabaseError):
            last = self.last_row(self.epoch.number) if self.epoch.number else None
            if last is not None and last[0] >= self.next_sequence:
                self.next_sequence, self.head = last[0] + 1, last[1]

    def write_mark(self) -> None:
        """Not synced: it costs a tap nothing, outlives a crash of the process, and is never ahead of the disk
        by more than what a power cut takes from both."""
        mark = Mark(self.epoch.epoch, self.next_sequence - 1, self.manifest_floor, self.signed_ms)
        data = checked(b"mark", encode(mark))
        with contextlib.suppress(OSError):  # a full disk must not stop a tap that is already durable
            os.pwrite(self._mark_file, len(data).to_bytes(2) + data, 0)

    # --- facts ------------------------------------------------------------------------------------------

    def fact(self, name: str) -> bytes | None:
        """A small value of the agent's own; None when it was never set. Raises StoreDamaged."""
        with self.lock:
            row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        value = unchecked(name.encode(), row[0])
        if value is None:
            raise StoreDamaged(f"{self.path}: the fact {name!r} is not what was stored")
        return value

    # --- the reserve ------------------------------------------------------------------------------------

    def restore_reserve(self) -> bool:
        """Preallocate the space that keeps the journal going when the disk is full. True when it had to be."""
        path = self.directory / RESERVE
        if path.exists() and path.stat().st_size >= self.limits.reserve_bytes:
            return False
        try:
            free = os.statvfs(self.directory)
            if free.f_bavail * free.f_frsize < 3 * self.limits.reserve_bytes:
                return False
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.limits.reserve_bytes)
                os.fsync(file.fileno())
            sync_directory(self.directory)
        except OSError as error:
            log.warning("no-journal-reserve", error=str(error))
            path.unlink(missing_ok=True)
            return False
        return True

    def spend_reserve(self) -> bool:
        """Give the reserve's space to the journal. False when there is none left."""
        path = self.directory / RESERVE
        try:
            path.unlink()
        except OSError:
            return False
        log.error("journal-reserve-used", free_bytes=self.limits.reserve_bytes)
        return True

    @property
    def reserve_is_spent(self) -> bool:
        return not (self.directory / RESERVE).exists()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for a short read."""
        with self.lock:
            try:
                yield self.connection
            except sqlite3.OperationalError as error:
                raise JournalUnwritable(f"{self.path}: {error}") from error
            except sqlite3.DatabaseError as error:
                raise StoreDamaged(f"{self.path}: {error}") from error


def is_full(error: sqlite3.DatabaseError) -> bool:
    """True for SQLITE_FULL: no space on the disk, or the journal's own ceiling."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def read_mark(directory: Path) -> Mark | None:
    """The mark file, or None when it is missing or torn (it is not synced)."""
    try:
        data = (directory / MARK).read_bytes()
    except FileNotFoundError:
        return None
    stored = unchecked(b"mark", data[2 : 2 + int.from_bytes(data[:2])])
    return None if stored is None else msgspec.msgpack.decode(stored, type=Mark)


def _signed(number: int) -> bytes:
    return number.to_bytes(8, signed=True)
