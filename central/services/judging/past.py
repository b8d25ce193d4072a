"""Past taps in the order of time, slice by slice, with what their gates held: for a replay of millions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.entry_history import rows_of
from central.services.judging.public_parts import opened
from central.services.judging.reading import mark_of
from central.services.judging.replay import Different, PastTap, Replay
from central.services.marks import EventName, MarkFate
from central.store.schema import events, gates, marks, venues
from central.store.slices import slices
from central.store.steps import Statement, one, run_steps
from protocol.allowlist import Entry
from protocol.history import Mark
from protocol.messages import Clock, Event, Kind, Personal, decode
from protocol.wire import LAST_MS

TAPS_AT_ONCE = 20_000
LEAST_MS = 60_000
CARDS_KEPT = 300_000
"""Histories of cards that are kept at hand; beyond it they are read again."""

Advance = Callable[[int, int], Any]
"""`(done, total)`, awaited after each slice."""
Before = Callable[[bytes], Iterable[Mark]]
Take = Callable[[Sequence[Different]], None]


class Scene(NamedTuple):
    """Which taps are replayed: those at `replayed`; the others of the same domains are as they were."""

    replayed: frozenset[str]
    venue_of: dict[str, str]
    domain_of: dict[str, str]
    since_ms: int
    until_ms: int
    corrected: Mapping[EventName, tuple[int, int]] = {}
    """Points and dues by which the charge of an event was corrected since."""


async def scene_of(connection: AsyncConnection, policy: str, since_ms: int, until_ms: int) -> Scene:
    """The gates that go by a policy now, and every other gate of their domains."""
    query = select(gates.c.id, gates.c.policy, gates.c.venue, venues.c.domain)
    rows = (await connection.execute(query.join(venues, venues.c.id == gates.c.venue))).all()
    replayed = frozenset(row.id for row in rows if row.policy == policy)
    domains = {row.domain for row in rows if row.id in replayed}
    near = [row for row in rows if row.domain in domains]
    last = select(func.max(events.c.at_ms)).where(events.c.gate.in_(sorted(replayed)))
    newest_ms = (await connection.execute(last)).scalar() or 0
    return Scene(
        replayed,
        {row.id: row.venue for row in near},
        {row.id: row.domain for row in near},
        since_ms,
        min(until_ms, newest_ms + 1),
    )


async def play(
    connection: AsyncConnection, scene: Scene, make: Callable[[Before], Replay], take: Take, advance: Advance
) -> Replay:
    """Every tap of the scene through a replay, in order. `make` is given what tells a member's marks before it."""
    earlier: dict[bytes, list[Mark]] = {}
    replay = make(lambda subject: earlier.pop(subject, ()))
    known, asked, done = _Cards(), set[bytes](), 0
    horizon_ms, total = replay.horizon_ms(scene.since_ms), await _count(connection, scene)
    slices_ = _slices(connection, scene, total, replay.looks_back)
    rows = await anext(slices_, None)
    while rows is not None:
        replay.new_day(rows[0][_AT])
        personals = [_personal(row[_PERSONAL]) for row in rows]
        by_domain = _subjects(scene, rows, personals)
        if replay.looks_back:
            for domain, subjects in by_domain.items():
                earlier.update(await _before(connection, domain, subjects - asked, horizon_ms, scene.since_ms))
                asked |= subjects
        taps = [(row[0], row[1], row[2]) for row in rows if row[_GATE] in scene.replayed and row[_KIND] == Kind.TAP]
        parts = await _events(connection, taps)
        await known.read(connection, by_domain)
        playing = asyncio.to_thread(_play, replay, scene, rows, personals, parts, known)
        found, rows = await asyncio.gather(playing, anext(slices_, None))  # the next ones are read meanwhile
        take(found)
        done += len(taps)
        await advance(done, total)
    return replay


# --- reading ----------------------------------------------------------------------------------------------------

_TAKEN = "e.device, e.epoch, e.sequence, e.at_ms, e.gate, e.direction, e.decision, e.reason, e.rule, e.repeat_of"
_COLUMNS = f"{_TAKEN}, e.personal, e.kind"
_OF_MARK = ", m.fate, m.subject, m.direction, m.rule, m.points, m.due, m.at_ms"
_JOIN = " LEFT JOIN marks m ON m.device = e.device AND m.epoch = e.epoch AND m.sequence = e.sequence"
_AT, _GATE, _PERSONAL, _KIND, _FATE, _SUBJECT = 3, 4, 10, 11, 12, 13
Row = Sequence[Any]


async def _count(connection: AsyncConnection, scene: Scene) -> int:
    e = events.c
    query = select(func.count()).where(
        *(e.gate.in_(sorted(scene.replayed)), e.at_ms >= scene.since_ms, e.at_ms < scene.until_ms),
        *(e.kind == Kind.TAP, e.outcome == "accepted"),
    )
    return int((await connection.execute(query)).scalar_one())


async def _slices(
    connection: AsyncConnection, scene: Scene, total: int, with_others: bool
) -> AsyncIterator[Sequence[Row]]:
    """A stretch of time at once, about as many taps in each; never empty."""
    at_gates = sorted(scene.venue_of) if with_others else sorted(scene.replayed)
    span_ms = max(0, scene.until_ms - scene.since_ms)
    step_ms = max(LEAST_MS, span_ms * TAPS_AT_ONCE // max(total, TAPS_AT_ONCE))
    sql = (
        f"SELECT {_COLUMNS}{_OF_MARK if with_others else ''} FROM events e{_JOIN if with_others else ''}"
        f" WHERE e.gate IN ({', '.join('?' * len(at_gates))}) AND e.at_ms >= ? AND e.at_ms < ?"
        " AND e.kind IN ('tap', 'admit') AND e.outcome = 'accepted' ORDER BY e.at_ms, e.epoch, e.sequence"
    )
    for from_ms in range(scene.since_ms, scene.until_ms, step_ms):
        values = (*at_gates, from_ms, min(from_ms + step_ms, scene.until_ms))
        rows = await run_steps(connection, one(Statement(sql, values)))
        if rows:
            yield rows


_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_personal = msgspec.msgpack.Decoder(Personal).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


async def _events(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, Event]:
    """The public parts alone, decoded as they lie in their batches."""
    found: dict[EventName, Event] = {}
    async for batch in opened(connection, names):
        device, epoch = batch.device, batch.epoch
        for sequence, data in batch.events:
            try:
                found[device, epoch, sequence] = _decode_event(data)
            except _UNREADABLE:
                continue
    return found


def _personal(data: bytes | None) -> Personal | None:
    if data is None:
        return None
    try:
        return _decode_personal(data)
    except _UNREADABLE:
        return None


def _subjects(scene: Scene, rows: Iterable[Row], personals: Iterable[Personal | None]) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for row, personal in zip(rows, personals, strict=True):
        subject = personal.subject if personal is not None else row[_SUBJECT] if len(row) > _SUBJECT else b""
        if subject:
            found.setdefault(scene.domain_of[row[_GATE]], set()).add(subject)
    return found


async def _before(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes], horizon_ms: int, until_ms: int
) -> dict[bytes, list[Mark]]:
    """Marks from before the scene: as they were, under the policy of then."""
    m, found = marks.c, dict[bytes, list[Mark]]()
    for some in slices(sorted(subjects)):
        query = select(marks).where(m.domain == domain, m.subject.in_(some), m.fate == MarkFate.COUNTS)
        rows = await connection.execute(query.where(m.at_ms >= horizon_ms, m.at_ms < until_ms).order_by(m.at_ms))
        for row in rows:
            found.setdefault(row.subject, []).append(mark_of(row))
    return found


Said = tuple[int, int, bytes]
"""From which version of the list, until which other one, what it said of a card; empty: nothing."""


class _Cards:
    """What lists said of cards, read once for each member, in as few objects as can be: there may be a million."""

    def __init__(self) -> None:
        self._said: dict[tuple[bytes, int], tuple[Said, ...]] = {}
        self._asked: set[bytes] = set()
        self._entries: dict[tuple[bytes, int], tuple[int, int, Entry | None]] = {}

    async def read(self, connection: AsyncConnection, by_domain: dict[str, set[bytes]]) -> None:
        if len(self._said) > CARDS_KEPT:
            self._said, self._asked, self._entries = {}, set(), {}
        for domain, subjects in by_domain.items():
            rows = await rows_of(connection, domain, subjects - self._asked)
            self._asked |= subjects
            for subject, card, version, _token, body in reversed(rows):
                later = self._said.get((subject, card), ())
                until = later[0][0] if later else LAST_MS
                self._said[subject, card] = (version, until, body), *later

    def entry(self, subject: bytes, card: int, version: int) -> Entry | None:
        """What the list of this version said of a card; None = nothing, or nothing is known."""
        known = self._entries.get((subject, card))
        if known is None or not known[0] <= version < known[1]:
            said = self._said.get((subject, card), ())
            from_, until, body = next((each for each in said if each[0] <= version < each[1]), _NOTHING)
            known = from_, until, decode(Entry, body) if body else None
            if until:
                self._entries[subject, card] = known
        return known[2]


_NOTHING: Said = 0, 0, b""


# --- playing, away from the event loop ----------------------------------------------------------------------------


def _play(
    replay: Replay,
    scene: Scene,
    rows: Sequence[Row],
    personals: Sequence[Personal | None],
    parts: dict[EventName, Event],
    known: _Cards,
) -> list[Different]:
    found = []
    for row, personal in zip(rows, personals, strict=True):
        if row[_GATE] in scene.replayed and row[_KIND] == Kind.TAP:
            different = replay.tap(_past(scene, row, personal, parts.get((row[0], row[1], row[2])), known))
            if different is not None:
                found.append(different)
        elif len(row) > _FATE and row[_FATE] == MarkFate.COUNTS and row[_SUBJECT]:
            direction, rule, points, due, at_ms = row[_SUBJECT + 1 :]
            place = scene.venue_of[row[_GATE]], row[_GATE]
            replay.other(row[_SUBJECT], Mark(at_ms, *place, direction, rule, points, due, row[1], row[2]))
    return found


def _past(scene: Scene, row: Row, personal: Personal | None, part: Event | None, known: _Cards) -> PastTap:
    device, epoch, sequence, at_ms, gate, direction, decision, reason, rule, repeat_of = row[:_PERSONAL]
    fate = row[_FATE] if len(row) > _FATE else None
    subject, points, due, entry = b"", 0, 0, None
    if personal is not None:
        corrected = scene.corrected.get((device, epoch, sequence), _AS_IT_WAS)
        subject, points, due = personal.subject, personal.points + corrected[0], personal.due + corrected[1]
        if part is not None and subject:
            entry = known.entry(subject, personal.card, part.held.allowlist)
    return PastTap(
        *(device, epoch, sequence, at_ms, gate, scene.venue_of[gate], direction, decision, reason, rule, repeat_of),
        *(subject, points, due, part.clock if part is not None else Clock.UNCONFIRMED, entry),
        *(fate in _GIVEN_BACK, bool(repeat_of) and fate == MarkFate.COUNTS),
    )


_AS_IT_WAS = 0, 0
_GIVEN_BACK = (MarkFate.NOT_TAKEN, MarkFate.UNDONE)
