"""Who may be inside, as far as this gate's own journal tells: for whoever stands outside with a fire alarm ringing.

Somebody who came in counts until a way out is seen here. Where nothing tells whether they went through, or it was not
seen, they count too: who is not on the list is not looked for.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from edge_agent.files import read_only
from edge_agent.journal.database import ERRORS
from edge_agent.journal.store import DATABASE
from edge_agent.journal.transaction import SEQUENCE_BITS, SEQUENCES
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import (
    Direction,
    Event,
    GateConfig,
    Kind,
    Outcome,
    PartName,
    Passage,
    PassageDetail,
    Personal,
    UndoDetail,
    decode,
)
from protocol.presence import counted_from_ms
from protocol.time_zones import CITY

DAY_MS = 86_400_000
GIVEN_BACK = ("undone", Passage.NOT_TAKEN)

Name = tuple[bytes, int]
"""Epoch and sequence."""


class Inside(msgspec.Struct, frozen=True):
    """Somebody who came in."""

    at_ms: int
    """Wall clock of the gate."""
    who: str
    """The first eight hex digits of the pseudonym; empty = let in by staff, or erased."""
    card: int
    """Which of the member's cards; 0 = unknown."""
    passage: str
    """`taken`, `unknown` where it was not seen; empty = not told yet, or nothing here could tell."""
    staff: bool = False
    """Let in by staff."""


class _Way(msgspec.Struct):
    """A granted tap or admission."""

    event: Event
    personal: Personal | None
    became: str = ""


def inside(directory: Path, now_ms: int) -> list[Inside]:
    """The earliest first. `now_ms`: wall clock. Raises FileNotFoundError, and OSError where it cannot be read."""
    path = directory / DATABASE
    if not path.exists():
        raise FileNotFoundError(f"{path}: the agent has not run yet")
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            since_ms = counted_from_ms(now_ms, _time_zone(connection))
            ways = _ways(connection, since_ms)
    except ERRORS as error:
        raise OSError(f"{path}: {error}") from error
    return _still_in(way for way in ways if way.event.at_ms >= since_ms)


def _time_zone(connection: sqlite3.Connection) -> ZoneInfo:
    row = connection.execute("SELECT envelope FROM parts WHERE name = ?", (PartName.CONFIG.value,)).fetchone()
    with contextlib.suppress(Refused, OSError, ValueError):
        return ZoneInfo(decode(GateConfig, unwrap(row[0]).payload).time_zone) if row else CITY
    return CITY


def _ways(connection: sqlite3.Connection, since_ms: int) -> list[_Way]:
    """In the order of the journal. Read from its end; a day more than asked for, since clocks are set back."""
    epochs = dict(connection.execute("SELECT number, epoch FROM epochs").fetchall())
    found: list[tuple[Name, Event, bytes | None]] = []
    for id_, public, personal in connection.execute("SELECT id, public, personal FROM events ORDER BY id DESC"):
        try:
            event = decode(Event, public)
        except Refused:  # damaged, or another version's
            continue
        if event.at_ms < since_ms - DAY_MS:
            break
        found.append(((epochs.get(id_ >> SEQUENCE_BITS, b""), id_ & SEQUENCES), event, personal))
    ways: dict[Name, _Way] = {}
    for name, event, personal in reversed(found):
        with contextlib.suppress(Refused):
            if event.kind in (Kind.TAP, Kind.ADMIT) and event.decision == Outcome.GRANTED:
                ways[name] = _Way(event, decode(Personal, personal) if personal else None)
            elif event.kind == Kind.PASSAGE:
                detail = decode(PassageDetail, event.detail)
                _became(ways, (detail.epoch or name[0], detail.sequence), detail.passage)
            elif event.kind == Kind.UNDO:
                _became(ways, (name[0], decode(UndoDetail, event.detail).sequence), "undone")
    return list(ways.values())


def _became(ways: dict[Name, _Way], name: Name, what: str) -> None:
    if name in ways:
        ways[name].became = what


def _still_in(ways: Iterable[_Way]) -> list[Inside]:
    known: dict[bytes, Inside] = {}
    unnamed: list[Inside] = []
    for way in ways:
        event, personal = way.event, way.personal
        if way.became in GIVEN_BACK:
            continue
        key = (personal.subject or personal.token) if personal else b""
        if event.direction == Direction.OUT:
            if way.became != Passage.UNKNOWN:
                known.pop(key, None)
            continue
        who = Inside(event.at_ms, key[:4].hex(), personal.card if personal else 0, way.became, event.kind == Kind.ADMIT)
        if key:
            known[key] = who
        else:
            unnamed.append(who)
    return sorted([*known.values(), *unnamed], key=lambda each: each.at_ms)
