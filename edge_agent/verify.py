"""Is everything on this disk what was once written? Reads only; names every fault."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_agent import identity as identity_file
from edge_agent import lists
from edge_agent.files import unchecked
from edge_agent.identity import IdentityDamaged
from edge_agent.mark import Mark, read_mark
from edge_agent.store import DATABASE
from edge_agent.sync import newest_keys, open_one
from edge_agent.transaction import event_id
from protocol.envelope import Keyring
from protocol.errors import Refused
from protocol.journal import extend, genesis, personal_digest
from protocol.messages import Event, Receipt, decode


def verify(directory: Path) -> list[str]:
    """Everything that is wrong, one line each; empty when all is whole."""
    try:
        identity = identity_file.load(directory)
    except IdentityDamaged as error:
        return [str(error)]
    path = directory / DATABASE
    if not path.exists():
        return [f"{path}: there is no journal"]
    mark = read_mark(directory)  # before the database is looked at: taps go on meanwhile
    device, root = (identity.device, Keyring.of(identity.root_public)) if identity else ("", None)
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")  # one view of everything, while taps go on
            return [*_database(connection, device, root), *_mark(mark, connection), *_list(directory, connection)]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return [f"{path.name}: {error}"]


def _database(connection: sqlite3.Connection, device: str, root: Keyring | None) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"{DATABASE}: {line}"
    for number, epoch, delivered in connection.execute("SELECT number, epoch, delivered FROM epochs").fetchall():
        yield from _chain(connection, number, epoch, device)
        if unchecked(epoch, delivered) is None:
            yield f"epoch {epoch.hex()}: its delivered mark is not what was stored"
    for key, record in connection.execute("SELECT key, record FROM history"):
        if unchecked(key, record) is None:
            yield f"history {key.hex()[:8]}…: not what was stored"
    for name, value in connection.execute("SELECT name, value FROM facts"):
        if unchecked(str(name).encode(), value) is None:
            yield f"fact {name!r}: not what was stored"
    if root is not None:
        yield from _signed(connection, root)


def _chain(connection: sqlite3.Connection, number: int, epoch: bytes, device: str) -> Iterator[str]:
    """Form, place, link and personal digest of every event of an epoch; gaps are damage unless pruned in front."""
    low, high = event_id(number, 0), event_id(number + 1, 0)
    expected: int | None = None
    head = b""
    for id_, public, personal, previous in connection.execute(
        "SELECT id, public, personal, previous FROM events WHERE id >= ? AND id < ? ORDER BY id", (low, high)
    ):
        sequence = id_ - low
        where = f"epoch {epoch.hex()}, event {sequence}"
        if expected is None:
            if sequence == 0 and device and previous != genesis(device, epoch):
                yield f"{where}: the chain does not begin at this device and epoch"
        elif sequence != expected:
            yield f"{where}: {sequence - expected} events before it are missing"
        elif previous != head:
            yield f"{where}: it does not follow from the event before it"
        try:
            event = decode(Event, public)
            if event.sequence != sequence:
                yield f"{where}: it says that it is event {event.sequence}"
            if personal and personal_digest(personal) != event.personal_digest:
                yield f"{where}: its personal part is not what was stored"
        except Refused as error:
            yield f"{where}: {error}"
        expected, head = sequence + 1, extend(previous, public)


def _signed(connection: sqlite3.Connection, root: Keyring) -> Iterator[str]:
    rows = dict(connection.execute("SELECT name, envelope FROM parts WHERE envelope != x''").fetchall())
    ring = Keyring()
    try:
        keys = newest_keys([rows.pop("keys")], root) if "keys" in rows else None
        ring = Keyring.stated(keys.message, keys.message.at_ms) if keys else ring
    except Refused as error:
        yield f"part 'keys': {error}"
    for name, envelope in rows.items():
        try:
            open_one(envelope, ring)
        except Refused as error:
            yield f"part {name!r}: {error}"
    for number, first, through, envelope in connection.execute("SELECT epoch, first, through, envelope FROM receipts"):
        try:
            receipt = open_one(envelope, ring).message
            if not isinstance(receipt, Receipt) or (receipt.first, receipt.through) != (first, through):
                yield f"receipt {number}/{first}: it is for other events"
        except Refused as error:
            yield f"receipt {number}/{first}: {error}"


def _mark(mark: Mark | None, connection: sqlite3.Connection) -> Iterator[str]:
    if mark is None:
        return
    row = connection.execute("SELECT number FROM epochs WHERE epoch = ?", (mark.epoch,)).fetchone()
    last = (
        row
        and connection.execute(
            "SELECT max(id) FROM events WHERE id < ? AND id >= ?", (event_id(row[0] + 1, 0), event_id(row[0], 0))
        ).fetchone()[0]
    )
    if last is None or last < event_id(row[0], mark.sequence):
        yield f"epoch {mark.epoch.hex()}: events up to {mark.sequence} were written, the journal ends before"


def _list(directory: Path, connection: sqlite3.Connection) -> Iterator[str]:
    row = connection.execute("SELECT value FROM facts WHERE name = 'list_file'").fetchone()
    name = unchecked(b"list_file", row[0]) if row else None
    if name is None:
        return
    path = directory / name.decode()
    if not path.exists():
        yield f"{path.name}: the allowlist in use is gone"
        return
    yield from lists.verify(path)
