"""A damaged store: noticed, set aside whole, and what can still be read carried over (never erased)."""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from edge_agent.files import checked, sync_directory, unchecked
from edge_agent.store import DATABASE, Store
from edge_agent.transaction import SEQUENCE_BITS, Transaction
from protocol.decision import History
from protocol.errors import Refused
from protocol.journal import extend, personal_digest
from protocol.messages import Event, decode

log = structlog.get_logger(__name__)

BLOCK_ROWS = 1_000


class Salvaged(NamedTuple):
    """What was carried over. `missing`: (epoch, first, through) of undelivered events that are gone."""

    events: int
    missing: tuple[tuple[bytes, int, int], ...]


def set_aside(directory: Path, wall_ms: int) -> Path:
    """Move the database and its companions into a folder of their own. Returns the folder."""
    stamp = dt.datetime.fromtimestamp(wall_ms / 1_000, dt.UTC).strftime("%Y%m%dT%H%M%S")
    aside = directory / f"damaged-{stamp}"
    number = 1
    while aside.exists():
        number += 1
        aside = directory / f"damaged-{stamp}-{number}"
    aside.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm"):
        path = directory / (DATABASE + suffix)
        if path.exists():
            path.rename(aside / path.name)
    sync_directory(aside)
    sync_directory(directory)
    log.error("store-set-aside", folder=aside.name)
    return aside


def salvage(aside: Path, store: Store) -> Salvaged:
    """Carry every row that still proves itself into a fresh store, before its first epoch."""
    copy = aside / "reading"
    copy.mkdir()
    try:
        for path in aside.glob(DATABASE + "*"):
            if not path.name.endswith("-shm"):
                shutil.copy2(path, copy / path.name)
        connection = sqlite3.connect(copy / DATABASE, isolation_level=None)
        connection.execute("PRAGMA journal_mode").fetchall()
        try:
            return _carry_over(connection, store)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        log.error("nothing-salvaged", error=str(error))
        return Salvaged(0, ())
    finally:
        shutil.rmtree(copy)


def _carry_over(old: sqlite3.Connection, store: Store) -> Salvaged:
    epochs = {number: (epoch, stored) for number, epoch, stored in _rows(old, "epochs", "number, epoch, delivered")}
    for number, (epoch, stored) in epochs.items():
        if unchecked(epoch, stored) is None:  # nobody knows what was delivered: central will say
            epochs[number] = (epoch, checked(epoch, (-1).to_bytes(8, signed=True)))
    _put(store, "epochs", [(number, *row) for number, row in epochs.items()])
    _put(store, "receipts", _rows(old, "receipts", "epoch, first, through, stored_ms, envelope"))
    _put(store, "dead_letters", _rows(old, "dead_letters", "id, custody, reason"))
    _put(store, "parts", _rows(old, "parts", "name, version, envelope"))
    _put(store, "facts", [row for row in _rows(old, "facts", "name, value") if _fact_holds(row)])
    _put(store, "history", [row for row in _rows(old, "history", "key, record, at_ms") if _history_holds(row)])
    good = _good_events(list(_rows(old, "events", "id, public, personal, previous")), set(epochs))
    _put(store, "events", good)
    return Salvaged(len(good), _missing(good, epochs))


def _rows(old: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """From the front until the damage, then from the back until the damage."""
    key = columns.split(",", 1)[0]
    seen: list[tuple[Any, ...]] = []
    try:
        for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {key}"):
            seen.append(row)
        yield from seen
        return
    except sqlite3.DatabaseError as error:
        log.warning("table-damaged", table=table, read=len(seen), error=str(error))
    yield from seen
    last = seen[-1][0] if seen else None
    back: list[tuple[Any, ...]] = []
    try:
        for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {key} DESC"):
            if last is not None and row[0] <= last:
                break
            back.append(row)
    except sqlite3.DatabaseError as error:
        log.warning("table-damaged", table=table, read_from_the_end=len(back), error=str(error))
    yield from reversed(back)


def _good_events(rows: list[tuple[Any, ...]], epochs: set[int]) -> list[tuple[Any, ...]]:
    """Events whose bytes are vouched for by the next one's link; the last of a run by its own form."""
    good: list[tuple[Any, ...]] = []
    following: tuple[Any, ...] | None = None
    for row in reversed(rows):
        id_, public, personal, previous = row
        linked = following is not None and following[0] == id_ + 1
        try:
            event = decode(Event, public)
            holds = (
                event.sequence == id_ & ((1 << SEQUENCE_BITS) - 1)
                and id_ >> SEQUENCE_BITS in epochs
                and len(previous) == 32
                and (not linked or extend(previous, public) == following[3])  # type: ignore[index]
            )
        except (Refused, TypeError):
            holds = False
        if holds:
            intact = personal_digest(personal or b"") == event.personal_digest
            good.append((id_, public, personal if intact else None, previous))
            following = row
        elif linked and following is not None:
            log.warning("event-not-salvaged", id=id_)
            following = None
    return good[::-1]


def _missing(good: list[tuple[Any, ...]], epochs: dict[int, tuple[bytes, bytes]]) -> tuple[tuple[bytes, int, int], ...]:
    missing = []
    expected: dict[int, int] = {}
    for number, (epoch, stored) in epochs.items():
        value = unchecked(epoch, stored)
        expected[number] = (int.from_bytes(value, signed=True) if value else -1) + 1
    for id_, *_ in good:
        number, sequence = id_ >> SEQUENCE_BITS, id_ & ((1 << SEQUENCE_BITS) - 1)
        if sequence > expected[number]:
            missing.append((epochs[number][0], expected[number], sequence - 1))
        expected[number] = max(expected[number], sequence + 1)
    return tuple(missing)


def _put(store: Store, table: str, rows: Any) -> None:
    rows = list(rows)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]

        def work(transaction: Transaction, block: list[tuple[Any, ...]] = block) -> None:
            marks = ", ".join("?" * len(block[0]))
            for row in block:
                try:
                    transaction.connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
                except (sqlite3.IntegrityError, sqlite3.InterfaceError) as error:
                    log.warning("row-not-salvaged", table=table, error=str(error))

        store.commit(work)


def _fact_holds(row: tuple[Any, ...]) -> bool:
    name, value = row
    return isinstance(name, str) and isinstance(value, bytes) and unchecked(name.encode(), value) is not None


def _history_holds(row: tuple[Any, ...]) -> bool:
    key, record, _ = row
    if not isinstance(key, bytes) or not isinstance(record, bytes):
        return False
    value = unchecked(key, record)
    try:
        return value is not None and msgspec.msgpack.decode(value, type=History) is not None
    except msgspec.MsgspecError:
        return False
