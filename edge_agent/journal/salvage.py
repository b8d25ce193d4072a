"""Reads a damaged database row by row and keeps what proves itself."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from edge_agent.files import checked, read_only, unchecked
from edge_agent.journal.database import ERRORS
from edge_agent.journal.mark import read_mark
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import SEQUENCE_BITS, SEQUENCES, STATES, Transaction, event_id
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.history import History
from protocol.journal import extend, personal_digest
from protocol.messages import EpochStart, Event, Kind, decode

log = structlog.get_logger(__name__)

BLOCK_ROWS = 500
NOTHING_DELIVERED = (-1).to_bytes(8, signed=True)

Row = tuple[Any, ...]


class Salvaged(NamedTuple):
    """What was carried over. `missing`: (epoch, first, through) of undelivered events that are gone."""

    events: int
    missing: list[tuple[bytes, int, int]]


def carry_over(path: Path, store: Store) -> Salvaged:
    """From the database at `path`, which is only read, into a store that has no epoch yet. May be done again."""
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True, isolation_level=None)) as old:
            return _carry_over(old, store)
    except ERRORS as error:
        log.error("nothing-salvaged", error=str(error))
        return Salvaged(0, [])


def _carry_over(old: sqlite3.Connection, store: Store) -> Salvaged:
    epochs, ends = _stated(old)
    mark = read_mark(store.directory)
    if mark is not None and mark.head:
        ends[mark.epoch] = (mark.sequence, mark.head)
    for number, epoch, stored in _rows(old, "epochs", "number, epoch, delivered"):
        if isinstance(epoch, bytes):
            epochs[number] = (epoch, _delivered(epoch, stored))
    _put(store, "epochs", ((number, *row) for number, row in epochs.items()))
    _put(store, "receipts", _rows(old, "receipts", "epoch, first, through, stored_ms, envelope"))
    _put(store, "dead_letters", _rows(old, "dead_letters", "id, custody, reason"))
    _put(store, "parts", _rows(old, "parts", "name, version, envelope"))
    _put(store, "facts", filter(_fact_holds, _rows(old, "facts", "name, value")))
    _put(store, "history", filter(_history_holds, _rows(old, "history", "key, record, at_ms")))
    last = {event_id(number, ends[name][0]): ends[name][1] for number, (name, _) in epochs.items() if name in ends}
    good = _good_events(_rows(old, "events", "id, public, personal, previous"), set(epochs), last)
    return Salvaged(_put(store, "events", good), _missing(store))


def _delivered(epoch: bytes, stored: Any) -> bytes:
    """An epoch whose delivered mark nobody can tell is sent again: central says what it holds."""
    return stored if unchecked(epoch, stored) is not None else checked(epoch, NOTHING_DELIVERED)


def _stated(old: sqlite3.Connection) -> tuple[dict[int, tuple[bytes, bytes]], dict[bytes, tuple[int, bytes]]]:
    """What first events state: the names of epochs, for rows that cannot be read any more, and how the one before
    each ended: (sequence, head)."""
    epochs: dict[int, tuple[bytes, bytes]] = {}
    ends: dict[bytes, tuple[int, bytes]] = {}
    with contextlib.suppress(*ERRORS):
        for id_, public in old.execute("SELECT id, public FROM events WHERE id & ? = 0", (SEQUENCES,)):
            with contextlib.suppress(Refused, TypeError):
                event = decode(Event, public)
                if event.kind == Kind.START:
                    start = decode(EpochStart, unwrap(event.detail).payload)
                    epochs[id_ >> SEQUENCE_BITS] = (start.epoch, checked(start.epoch, NOTHING_DELIVERED))
                    ends[start.previous_epoch] = (start.previous_sequence, start.previous_head)
    return epochs, ends


def _rows(old: sqlite3.Connection, table: str, columns: str) -> Iterator[Row]:
    """From the front until the damage, then what lies behind it from the back."""
    key = columns.split(",", 1)[0]
    last = None
    try:
        for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {key}"):
            last = row[0]
            yield row
        return
    except ERRORS as error:
        log.warning("table-damaged", table=table, error=str(error))
    with contextlib.suppress(*ERRORS):
        for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {key} DESC"):
            if last is not None and row[0] <= last:
                return
            yield row


def _good_events(rows: Iterable[Row], epochs: set[int], last: dict[int, bytes]) -> Iterator[Row]:
    """Events of sound form whose bytes are vouched for: by the next one's link, or by their head in `last`. Rows
    rise, and behind damage they fall."""
    held: Row | None = None
    for row in rows:
        if not _is_sound(row, epochs, last):
            log.warning("event-not-salvaged", id=row[0])
            continue
        if held is None:
            held = row
        elif row[0] == held[0] - 1 and extend(row[3], row[1]) != held[3]:
            log.warning("event-not-salvaged", id=row[0])
        else:
            if row[0] != held[0] + 1 or extend(held[3], held[1]) == row[3]:
                yield _without_broken_personal(held)
            else:
                log.warning("event-not-salvaged", id=held[0])
            held = row
    if held is not None:
        yield _without_broken_personal(held)


def _is_sound(row: Row, epochs: set[int], last: dict[int, bytes]) -> bool:
    id_, public, _, previous = row
    try:
        event = decode(Event, public)
    except (Refused, TypeError):
        return False
    return (
        event.sequence == id_ & SEQUENCES
        and id_ >> SEQUENCE_BITS in epochs
        and isinstance(previous, bytes)
        and len(previous) == 32
        and last.get(id_) in (None, extend(previous, public))
    )


def _without_broken_personal(row: Row) -> Row:
    id_, public, personal, previous = row
    intact = not isinstance(personal, str) and personal_digest(personal or b"") == decode(Event, public).personal_digest
    return id_, public, personal if intact else None, previous


def _missing(store: Store) -> list[tuple[bytes, int, int]]:
    """Gaps behind what was delivered."""
    missing = []
    with store.reading() as connection:
        for number, epoch, stored in connection.execute("SELECT number, epoch, delivered FROM epochs").fetchall():
            expected = int.from_bytes(unchecked(epoch, stored) or NOTHING_DELIVERED, signed=True) + 1
            low, high = (number << SEQUENCE_BITS) + expected, (number + 1) << SEQUENCE_BITS
            for (id_,) in connection.execute("SELECT id FROM events WHERE id >= ? AND id < ? ORDER BY id", (low, high)):
                sequence = id_ & SEQUENCES
                if sequence > expected:
                    missing.append((epoch, expected, sequence - 1))
                expected = sequence + 1
    return missing


def _put(store: Store, table: str, rows: Iterable[Row]) -> int:
    """Returns how many rows there were."""
    count, block = 0, []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK_ROWS:
            store.commit(_inserting(table, block))
            count, block = count + len(block), []
    if block:
        store.commit(_inserting(table, block))
    return count + len(block)


def _inserting(table: str, rows: list[Row]) -> Callable[[Transaction], None]:
    def work(transaction: Transaction) -> None:
        marks = ", ".join("?" * len(rows[0]))
        for row in rows:
            try:
                transaction.connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
            except (sqlite3.IntegrityError, sqlite3.InterfaceError) as error:
                log.warning("row-not-salvaged", table=table, error=str(error))

    return work


def _fact_holds(row: Row) -> bool:
    """Not the version of central's states: some of their rows may be gone, so all are asked for again."""
    name, value = row
    return isinstance(name, str) and name != STATES and unchecked(name.encode(), value) is not None


def _history_holds(row: Row) -> bool:
    key, record, _ = row
    value = unchecked(key, record)
    try:
        return value is not None and msgspec.msgpack.decode(value, type=History) is not None
    except msgspec.MsgspecError:
        return False
