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
from typing import TypeVar

import structlog

from edge_agent.files import checked, unchecked
from edge_agent.journal.database import (
    ERRORS,
    JournalUnwritable,
    Limits,
    StoreDamaged,
    connect,
    connect_read_only,
    judged,
    wants_space,
)
from edge_agent.journal.mark import Mark, MarkFile, read_mark
from edge_agent.journal.reserve import Reserve
from edge_agent.journal.schema import NewerSchema
from edge_agent.journal.transaction import SEQUENCE_BITS, Epoch, Transaction, event_id
from edge_agent.moments import Moment
from protocol.envelope import Signer
from protocol.journal import extend, genesis
from protocol.messages import Clock, EpochStart, Event, Kind, encode

log = structlog.get_logger(__name__)

DATABASE = "agent.db"

T = TypeVar("T")


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
        self.reserve = Reserve(directory, limits.reserve_bytes)
        self.is_writable = True
        self._unmarked = False
        self._open()
        self._mark = MarkFile(directory)

    # --- opening and closing ----------------------------------------------------------------------------

    def _open(self) -> None:
        """Raises StoreDamaged, schema.NewerSchema, and JournalUnwritable where not even reading is possible.

        A statement left in mid-row keeps a closed connection alive, which would remove the write-ahead file of its
        successor when it goes: so everything is read to the end here.
        """
        with contextlib.suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.is_writable = True
        try:
            self._use(lambda: connect(self.path, self.limits))
            self.reserve.restore()
        except JournalUnwritable as error:
            log.error("journal-unwritable", error=str(error))
            if self.reserve.spend():
                with contextlib.suppress(JournalUnwritable):
                    return self._use(lambda: connect(self.path, self.limits))
            self.is_writable = False
            self._use(lambda: connect_read_only(self.path))

    def _use(self, open_: Callable[[], sqlite3.Connection]) -> None:
        try:
            self.connection = open_()
            try:
                self._load()
            except BaseException:
                self.connection.close()
                raise
        except (StoreDamaged, JournalUnwritable, NewerSchema):
            raise
        except Exception as error:  # a flipped bit in the schema can raise anything
            raise judged(self.path, error) from error

    def _load(self) -> None:
        for name, value in self.connection.execute("SELECT name, value FROM facts").fetchall():
            if unchecked(str(name).encode(), value) is None:
                raise StoreDamaged(f"{self.path}: the fact {name!r} is not what was stored")
        for epoch, delivered in self.connection.execute("SELECT epoch, delivered FROM epochs").fetchall():
            if unchecked(epoch, delivered) is None:
                raise StoreDamaged(f"{self.path}: the delivered mark of an epoch is not what was stored")
        newest = "SELECT id >> ? AS number FROM events ORDER BY id DESC LIMIT 1"
        orphan = f"SELECT 1 FROM ({newest}) WHERE number NOT IN (SELECT number FROM epochs)"
        if self.connection.execute(orphan, (SEQUENCE_BITS,)).fetchall():
            raise StoreDamaged(f"{self.path}: the newest events belong to no epoch")
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

    def reopen(self) -> None:
        """Try again to write, where only reading was possible. Raises as opening does."""
        with self.lock:
            self.connection.close()
            self._open()

    def empty_log(self) -> bool:
        """What was written over is in the write-ahead file no more. False: that is being read just now."""
        with self.lock, contextlib.suppress(*ERRORS):
            (patience_ms,) = self.connection.execute("PRAGMA busy_timeout").fetchone()
            self.connection.execute("PRAGMA busy_timeout = 0").fetchall()  # a tap waits for the lock meanwhile
            try:
                is_busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {patience_ms}").fetchall()
            return not is_busy
        return False

    def close(self) -> None:
        """Leaves a checkpointed database behind."""
        with self.lock:
            with contextlib.suppress(*ERRORS):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.close()
            self._mark.close()

    # --- epochs -----------------------------------------------------------------------------------------

    def begin_epoch(self, device: str, gate: str, signer: Signer, moment: Moment, clock: Clock, why: str) -> None:
        """A new epoch with its signed event 0, which names the last epoch and head that this disk knows."""

        def work(transaction: Transaction) -> None:
            connection = transaction.connection
            number = (connection.execute("SELECT max(number) FROM epochs").fetchone()[0] or 0) + 1
            previous_epoch, sequence, head = self._newest()
            epoch = Epoch(number, os.urandom(8))
            start = EpochStart(device, epoch.epoch, previous_epoch, sequence, head, moment.wall_ms, why)
            wall_ms, monotonic_ms, boot_id = moment
            event = Event(0, wall_ms, boot_id, monotonic_ms, clock, gate, Kind.START, detail=signer.seal(start))
            delivered = checked(epoch.epoch, (-1).to_bytes(8, signed=True))
            connection.execute("INSERT INTO epochs VALUES (?, ?, ?)", (epoch.number, epoch.epoch, delivered))
            transaction.epoch, transaction.sequence = epoch, 0
            transaction.head = genesis(device, epoch.epoch)
            transaction.append(encode(event), b"")

        self.commit(work)
        self.settle()

    def _newest(self) -> tuple[bytes, int, bytes]:
        """Epoch, sequence and head of the newest event; empty, −1 and empty where there is none."""
        row = self.connection.execute(
            "SELECT number, epoch FROM epochs WHERE number = (SELECT max(id) >> ? FROM events)", (SEQUENCE_BITS,)
        ).fetchone()
        last = None if row is None else self.last_row(row[0])
        return (b"", -1, b"") if last is None else (row[1], *last)

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

        Raises JournalUnwritable when the disk takes nothing (the reserve is spent first) and StoreDamaged.
        """
        with self.lock:
            try:
                return self._commit(work)
            except JournalUnwritable as error:
                if not wants_space(error.__cause__) or not self.reserve.spend():
                    raise
                return self._commit(work)

    def _commit(self, work: Callable[[Transaction], T]) -> T:
        transaction = Transaction(self.connection, self.epoch, self.next_sequence, self.head)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            result = work(transaction)
            self.connection.execute("COMMIT")
        except ERRORS as error:
            self._roll_back()
            self._look_again(error)
            raise judged(self.path, error) from error
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
        with contextlib.suppress(*ERRORS):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _look_again(self, error: Exception) -> None:
        """After a failed commit only the disk knows whether the event is on it: look, and go on from there."""
        log.error("commit-failed", error=str(error), code=getattr(error, "sqlite_errorname", ""))
        with contextlib.suppress(*ERRORS):
            last = self.last_row(self.epoch.number) if self.epoch.number else None
            if last is not None and last[0] >= self.next_sequence:
                self.next_sequence, self.head = last[0] + 1, last[1]

    def write_mark(self) -> None:
        """Remember beside the database how far it goes."""
        with self.lock:
            if self.epoch.number:
                sequence = self.next_sequence - 1
                self._mark.write(Mark(self.epoch.epoch, sequence, self.manifest_floor, self.signed_ms, self.head))

    # --- reading ----------------------------------------------------------------------------------------

    def fact(self, name: str) -> bytes | None:
        """A small value of the agent's own; None when it was never set. Raises StoreDamaged, JournalUnwritable."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        value = unchecked(name.encode(), row[0])
        if value is None:
            raise StoreDamaged(f"{self.path}: the fact {name!r} is not what was stored")
        return value

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for a short read. Raises StoreDamaged, JournalUnwritable."""
        with self.lock:
            try:
                yield self.connection
            except ERRORS as error:
                raise judged(self.path, error) from error
