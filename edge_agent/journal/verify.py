"""Is everything on this disk what was once written? Reads only; names every fault."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from edge_agent import identity as identity_file
from edge_agent.files import read_only, unchecked
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import ERRORS
from edge_agent.journal.mark import Mark, read_mark
from edge_agent.journal.store import DATABASE
from edge_agent.journal.transaction import SEQUENCES, event_id
from edge_agent.published import lists, masked_names
from edge_agent.published.parts import ENVELOPES, KEYS, MANIFEST, NEWEST_CONFIG, AtRest, good
from edge_agent.sync import open_one
from protocol.envelope import Keyring, unwrap
from protocol.errors import Refused
from protocol.journal import extend, genesis, personal_digest
from protocol.messages import EpochStart, Event, PartName, Receipt, decode


class Fault(NamedTuple):
    """`where`: journal, gap, list, identity, mark, receipt, or the name of a published part."""

    where: str
    text: str


def verify(directory: Path) -> list[str]:
    """Everything that is wrong, one line each; empty when all is whole."""
    return [fault.text for fault in faults(directory)]


def faults(directory: Path) -> list[Fault]:
    """The same, for the agent itself, which mends each kind in its own way."""
    try:
        identity = identity_file.load(directory)
    except IdentityDamaged as error:
        return [Fault("identity", str(error))]
    path = directory / DATABASE
    if not path.exists():
        return [Fault("mark", f"{path}: there is no journal")]
    mark = read_mark(directory)  # before the database is looked at: taps go on meanwhile
    device, root = (identity.device, Keyring.of(identity.root_public)) if identity else ("", None)
    try:
        with closing(sqlite3.connect(read_only(path), uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")  # one view of everything, while taps go on
            found = list(_database(connection, device))
            found += _signed(connection, root, directory) if root else ()
            found += _ends(mark, connection)
            listed, floor = _list_file(connection)
    except (*ERRORS, TypeError, ValueError, AttributeError) as error:
        return [Fault("journal", f"{path.name}: {error}")]
    if identity is None:
        return found  # revoked: its lists were destroyed with its keys
    return [*found, *(Fault("list", text) for text in _list(directory, listed, floor))]


RECENT = 1_000
"""How many `doctor` looks at."""


def recent_faults(directory: Path, newest: int) -> list[Fault]:
    """Of the newest events and the mark alone: told at once, however long the journal is. Raises IdentityDamaged."""
    identity = identity_file.load(directory)
    path, mark = directory / DATABASE, read_mark(directory)
    try:
        with closing(sqlite3.connect(read_only(path), uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            epochs = connection.execute("SELECT number, epoch FROM epochs ORDER BY number DESC LIMIT 1").fetchall()
            found: list[Fault] = []
            for number, epoch in epochs:
                last = connection.execute("SELECT max(id) FROM events WHERE id >= ?", (event_id(number, 0),)).fetchone()
                first = max(0, (last[0] or 0) - event_id(number, newest - 1))
                found += _chain(connection, number, epoch, identity.device if identity else "", first)
            named = mark.epoch if mark else b""
            held = connection.execute("SELECT number, epoch FROM epochs WHERE epoch = ?", (named,)).fetchall()
            return [*found, *_behind(mark, _last(connection, held))]
    except (*ERRORS, TypeError, ValueError, AttributeError) as error:
        return [Fault("journal", f"{path.name}: {error}")]


def _database(connection: sqlite3.Connection, device: str) -> Iterator[Fault]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield Fault("journal", f"{DATABASE}: {line}")
    for number, epoch, delivered in connection.execute("SELECT number, epoch, delivered FROM epochs").fetchall():
        yield from _chain(connection, number, epoch, device)
        if unchecked(epoch, delivered) is None:
            yield Fault("journal", f"epoch {epoch.hex()}: its delivered mark is not what was stored")
    orphans = "SELECT count(*) FROM events WHERE id >> 40 NOT IN (SELECT number FROM epochs)"
    if lost := connection.execute(orphans).fetchone()[0]:
        yield Fault("journal", f"{lost} events belong to no epoch")
    for key, record in connection.execute("SELECT key, record FROM history"):
        if unchecked(key, record) is None:
            yield Fault("journal", "a record of the history is not what was stored")
    for name, value in connection.execute("SELECT name, value FROM facts"):
        if unchecked(str(name).encode(), value) is None:
            yield Fault("journal", f"fact {name!r}: not what was stored")


def _chain(connection: sqlite3.Connection, number: int, epoch: bytes, device: str, first: int = 0) -> Iterator[Fault]:
    """Form, place, link and personal digest of an epoch's events; gaps are damage unless pruned in front."""
    low, high = event_id(number, 0), event_id(number + 1, 0)
    expected: int | None = None
    head = b""
    for id_, public, personal, previous in connection.execute(
        "SELECT id, public, personal, previous FROM events WHERE id >= ? AND id < ? ORDER BY id", (low + first, high)
    ):
        sequence = id_ - low
        where = f"epoch {epoch.hex()}, event {sequence}"
        if expected is None:
            if sequence == 0 and device and previous != genesis(device, epoch):
                yield Fault("journal", f"{where}: the chain does not begin at this device and epoch")
        elif sequence != expected:
            yield Fault("gap", f"{where}: {sequence - expected} events before it are missing")
        elif previous != head:
            yield Fault("journal", f"{where}: it does not follow from the event before it")
        try:
            event = decode(Event, public)
            if event.sequence != sequence:
                yield Fault("journal", f"{where}: it says that it is event {event.sequence}")
            if personal and personal_digest(personal) != event.personal_digest:
                yield Fault("journal", f"{where}: its personal part is not what was stored")
        except Refused as error:
            yield Fault("journal", f"{where}: {error}")
        expected, head = sequence + 1, extend(previous, public)


KNOWN = {MANIFEST, NEWEST_CONFIG, *PartName, good(PartName.CONFIG), good(PartName.PROFILES)} - {PartName.DOMAIN_KEY}
"""Parts that have a row; key statements have one each beside."""


def _signed(connection: sqlite3.Connection, root: Keyring, directory: Path) -> Iterator[Fault]:
    rows = dict(connection.execute(ENVELOPES).fetchall())
    versions = dict(connection.execute("SELECT name, version FROM parts").fetchall())
    for name in versions.keys() - KNOWN:
        if not name.startswith(KEYS):
            yield Fault("journal", f"there is no part {name!r}")
    found = AtRest(rows, root)
    for name in rows.keys() & KNOWN:
        opened = found.opened(name)
        if opened and versions[name] != getattr(opened.message, "version", getattr(opened.message, "number", 0)):
            yield Fault(name, f"part {name!r}: its floor is not its version")
    if PartName.NAMES in versions:
        _names(directory, versions[PartName.NAMES], found)
    for name, refused in found.refused.items():
        yield Fault(name, f"part {name!r}: {refused}")
    for number, first, through, envelope in connection.execute("SELECT epoch, first, through, envelope FROM receipts"):
        try:
            receipt = open_one(envelope, found.ring).message
            if not isinstance(receipt, Receipt) or (receipt.first, receipt.through) != (first, through):
                yield Fault("receipt", f"receipt {number}/{first}: it is for other events")
        except Refused as error:
            yield Fault("receipt", f"receipt {number}/{first}: {error}")


def _names(directory: Path, version: int, found: AtRest) -> None:
    """They stand in a file of their own, or nowhere: a running agent may replace or destroy them at any moment."""
    path = masked_names.path_of(directory, version)
    try:
        if path.exists():
            masked_names.read(directory, version, found.ring)
    except Refused as error:
        if path.exists():
            found.refused[PartName.NAMES] = error


def _ends(mark: Mark | None, connection: sqlite3.Connection) -> Iterator[Fault]:
    """The last event of an epoch has none behind it: the next epoch's statement names its head, or the mark does."""
    last = _last(connection, connection.execute("SELECT number, epoch FROM epochs").fetchall())
    for (detail,) in connection.execute("SELECT public FROM events WHERE id & ? = 0", (SEQUENCES,)).fetchall():
        with contextlib.suppress(Refused):
            start = decode(EpochStart, unwrap(decode(Event, detail).detail).payload)
            named = (start.previous_sequence, start.previous_head)
            found = last.get(start.previous_epoch, named)
            if found[0] < named[0]:
                yield Fault("gap", f"epoch {start.previous_epoch.hex()}: its events after {found[0]} are missing")
            elif found[0] == named[0] and found != named:
                yield Fault("journal", f"epoch {start.previous_epoch.hex()}: its last event is not the one of then")
    yield from _behind(mark, last)


Last = dict[bytes, tuple[int, bytes]]
"""Sequence and head of the last event of each epoch that has one."""


def _last(connection: sqlite3.Connection, epochs: list[tuple[int, bytes]]) -> Last:
    found = {}
    query = "SELECT id, public, previous FROM events WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1"
    for number, epoch in epochs:
        low, high = event_id(number, 0), event_id(number + 1, 0)
        for id_, public, previous in connection.execute(query, (low, high)).fetchall():
            found[epoch] = (id_ - low, extend(previous, public))
    return found


def _behind(mark: Mark | None, last: Last) -> Iterator[Fault]:
    """The journal ends before what was once written, or otherwise."""
    if mark is None:
        return
    sequence, head = last.get(mark.epoch, (-1, b""))
    if sequence < mark.sequence:
        yield Fault(
            "mark", f"epoch {mark.epoch.hex()}: events up to {mark.sequence} were written, the journal ends before"
        )
    elif sequence == mark.sequence and mark.head not in (b"", head):
        yield Fault("journal", f"epoch {mark.epoch.hex()}, event {sequence}: it is not what was written")


def _list_file(connection: sqlite3.Connection) -> tuple[str, int]:
    row = connection.execute("SELECT value FROM facts WHERE name = 'list_file'").fetchone()
    name = unchecked(b"list_file", row[0]) if row else None
    floor = connection.execute("SELECT version FROM parts WHERE name = 'allowlist'").fetchone()
    return name.decode() if name else "", floor[0] if floor else 0


def _list(directory: Path, name: str, floor: int) -> list[str]:
    """The list in use; one that the agent replaced in the meantime is nobody's concern."""
    if not name:
        return []
    if (directory / name).exists():
        found = lists.verify(directory / name)
        if not found and lists.read_header(directory / name).version < floor:
            found = [f"{name}: it is older than the floor {floor}"]
        return found if (directory / name).exists() else []
    return [] if any(directory.glob("list-*.db")) else [f"{name}: the allowlist in use is gone"]
