"""What waits to be delivered, and what central signed for it: batches out, receipts in, pruning behind them.

An event is delivered when its receipt has been verified and stored, not before (SPEC §6.5).
"""

import sqlite3
from typing import NamedTuple

from edge_agent.files import checked, unchecked
from edge_agent.journal.database import StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction, event_id
from protocol.errors import Failure, Refused
from protocol.journal import extend, heads
from protocol.messages import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    Batch,
    EpochHeld,
    Holdings,
    Receipt,
    Resume,
)

FRAME_BYTES = 512
"""What a batch needs besides its events, rounded up."""


Row = tuple[int, bytes, bytes | None, bytes]
"""id, public, personal, previous head."""


class Run(NamedTuple):
    """Consecutive events of one epoch that are next to be delivered."""

    epoch_number: int
    epoch: bytes
    first: int
    previous_head: bytes
    publics: list[bytes]
    personals: list[bytes]
    lost: int
    head: bytes

    @property
    def last(self) -> int:
        """The sequence of its last event."""
        return self.first + len(self.publics) - 1

    def batch(self, device: str) -> Batch:
        """Signed by the caller."""
        return Batch(device, self.epoch, self.first, self.previous_head, tuple(self.publics), self.head, self.lost)


def delivered(store: Store, number: int) -> int:
    """The last receipted sequence of an epoch, −1 for none. Raises StoreDamaged."""
    with store.reading() as connection:
        row = connection.execute("SELECT epoch, delivered FROM epochs WHERE number = ?", (number,)).fetchone()
    return -1 if row is None else _delivered(*row)


def next_run(store: Store, most: int = MAX_BATCH_EVENTS) -> Run | None:
    """The oldest undelivered events, epoch by epoch: as many as fit, up to a gap. None: all is delivered."""
    return next_run_after(store, None, everything=False, most=most)


def next_run_after(
    store: Store, after: tuple[int, int] | None, everything: bool, most: int = MAX_BATCH_EVENTS
) -> Run | None:
    """The run behind (epoch number, sequence); `everything` counts delivered events too."""
    with store.reading() as connection:
        epochs = connection.execute("SELECT number, epoch, delivered FROM epochs ORDER BY number").fetchall()
        for number, epoch, stored in epochs:
            through = -1 if everything else _delivered(epoch, stored)
            if after is not None and number <= after[0]:
                if number < after[0]:
                    continue
                through = max(through, after[1])
            rows = connection.execute(
                "SELECT id, public, personal, previous FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                (event_id(number, 0) + through, event_id(number + 1, 0), most + 1),
            ).fetchall()
            if rows:
                run = _run(number, epoch, through, rows, most)
                newest = number == store.epoch.number and run.last == store.next_sequence - 1
                if newest and run.head != store.head:
                    raise StoreDamaged(f"event {run.last} of epoch {epoch.hex()} is not what was stored")
                return run
    return None


def _run(number: int, epoch: bytes, through: int, rows: list[Row], most: int) -> Run:
    """Raises StoreDamaged for an event that the next one does not vouch for: central must never see it."""
    first = rows[0][0] - event_id(number, 0)
    publics: list[bytes] = []
    personals: list[bytes] = []
    room = MAX_BATCH_BYTES - FRAME_BYTES
    following: Row | None = None
    for following in rows:
        id_, public, personal, previous = following
        if not (isinstance(public, bytes) and isinstance(previous, bytes) and isinstance(personal, bytes | None)):
            raise StoreDamaged(f"event {id_ - event_id(number, 0)} of epoch {epoch.hex()} is not what was stored")
        room -= len(public) + 5
        if publics and (len(publics) == most or room < 0 or id_ != rows[0][0] + len(publics)):
            break
        publics.append(public)
        personals.append(personal or b"")
    else:
        following = None
    chain = [rows[0][3], *heads(rows[0][3], publics)]
    stored = [row[3] for row in rows[: len(publics)]]
    if following is not None and following[0] == rows[0][0] + len(publics):
        stored.append(following[3])
    broken = next((at for at, head in enumerate(stored) if head != chain[at]), None)
    if broken is not None:
        raise StoreDamaged(f"event {first + broken - 1} of epoch {epoch.hex()} is not what was stored")
    return Run(number, epoch, first, chain[0], publics, personals, first - through - 1, chain[-1])


def backlog(store: Store) -> int:
    """How many events wait for a receipt, told from the ends: cheap whatever there is, lost ones count too."""
    total = 0
    with store.reading() as connection:
        for number, epoch, stored in connection.execute("SELECT number, epoch, delivered FROM epochs").fetchall():
            last = store.last_row(number)
            total += max(0, last[0] - _delivered(epoch, stored)) if last else 0
    return total


# --- what central signed ------------------------------------------------------------------------------------


def accept_receipt(store: Store, device: str, receipt: Receipt, envelope: bytes, now_ms: int) -> None:
    """Store a verified receipt and count its events as delivered, in one transaction.

    Raises Refused when it is not for this journal: other-device, other-epoch, broken-chain.
    """
    if receipt.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"receipt for {receipt.device}")
    number = _number_of(store, receipt.epoch)

    def work(transaction: Transaction) -> None:
        connection = transaction.connection
        if _head_at(connection, number, receipt.through) != receipt.head:
            raise Refused(Failure.BROKEN_CHAIN, f"the receipt's head at {receipt.through} is not this journal's")
        connection.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)",
            (number, receipt.first, receipt.through, max(now_ms, receipt.at_ms), envelope),
        )
        for exempt in receipt.exceptions:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?)",
                (event_id(number, exempt.sequence), exempt.custody.value, exempt.reason),
            )
        if receipt.through > read_delivered(connection, number):
            _set_delivered(connection, number, receipt.epoch, receipt.through)

    store.commit(work)


def accept_resume(store: Store, device: str, resume: Resume) -> bool:
    """Go back to where central stands, in whatever epoch it names, even below what was receipted. False when that
    is not back: only a receipt leads forward."""
    if resume.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"resume for {resume.device}")
    number = _number_of(store, resume.epoch)

    def work(transaction: Transaction) -> bool:
        if resume.next > read_delivered(transaction.connection, number):
            return False
        _set_delivered(transaction.connection, number, resume.epoch, resume.next - 1)
        return True

    return store.commit(work)


def inventory(store: Store) -> tuple[EpochHeld, ...]:
    """What this journal can still send."""
    with store.reading() as connection:
        epochs = connection.execute("SELECT number, epoch FROM epochs ORDER BY number").fetchall()
        lasts = [(epoch, store.last_row(number)) for number, epoch in epochs]
    return tuple(EpochHeld(epoch, last[0]) for epoch, last in lasts if last is not None)


def accept_holdings(store: Store, device: str, holdings: Holdings) -> int:
    """A restored central says what it holds: the rest is to be sent again. Returns how many epochs went back."""
    if holdings.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"holdings for {holdings.device}")

    def work(transaction: Transaction) -> int:
        connection, back = transaction.connection, 0
        for held in holdings.epochs:
            number = _number_of(store, held.epoch)
            if held.through < read_delivered(connection, number):
                _set_delivered(connection, number, held.epoch, held.through)
                back += 1
        transaction.set_fact("generation", holdings.generation.to_bytes(8))
        return back

    return store.commit(work)


# --- small reads --------------------------------------------------------------------------------------------


def _number_of(store: Store, epoch: bytes) -> int:
    with store.reading() as connection:
        row = connection.execute("SELECT number FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
    if row is None:
        raise Refused(Failure.OTHER_EPOCH, f"epoch {epoch.hex()} is not in this journal")
    return int(row[0])


def _head_at(connection: sqlite3.Connection, number: int, sequence: int) -> bytes | None:
    """The head after an event, from the event itself or from the one behind it."""
    rows = connection.execute(
        "SELECT id, public, previous FROM events WHERE id IN (?, ?) ORDER BY id",
        (event_id(number, sequence), event_id(number, sequence + 1)),
    ).fetchall()
    if not rows:
        return None
    id_, public, previous = rows[0]
    return extend(previous, public) if id_ == event_id(number, sequence) else previous


def read_delivered(connection: sqlite3.Connection, number: int) -> int:
    """As `delivered`, inside a transaction."""
    return _delivered(*connection.execute("SELECT epoch, delivered FROM epochs WHERE number = ?", (number,)).fetchone())


def _set_delivered(connection: sqlite3.Connection, number: int, epoch: bytes, through: int) -> None:
    stored = checked(epoch, through.to_bytes(8, signed=True))
    connection.execute("UPDATE epochs SET delivered = ? WHERE number = ?", (stored, number))


def _delivered(epoch: bytes, stored: bytes) -> int:
    value = unchecked(epoch, stored)
    if value is None:
        raise StoreDamaged(f"the delivered mark of epoch {epoch!r} is not what was stored")
    return int.from_bytes(value, signed=True)
