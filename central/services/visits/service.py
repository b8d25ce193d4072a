"""The service of visits: its rows follow from the marks around what was touched and from the venues' closing times."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.service import Touched
from central.services.visits.closing import LONGEST_MS, Closings
from central.services.visits.due import note_due
from central.services.visits.stated import ClosingChanged
from central.services.visits.stays import SESSIONS, Passed, Visit, visits_of
from central.store.put_rows import put_rows
from central.store.schema import gates, marks, venues, visits
from central.store.slices import named

ALIKE_MS = 30 * 86_400_000
_COUNTERS = select(gates.c.id).where(gates.c.kind == "counter")
THROUGH_A_DOOR = (marks.c.fate == "counts", marks.c.reason.not_in(SESSIONS), marks.c.gate.not_in(_COUNTERS))
"""Of a mark. Who pays, asks or checks in at a counter walks through no door there."""


class Stay(NamedTuple):
    """A row of `visits`: whose, and where."""

    venue: str
    subject: bytes
    visit: Visit

    @property
    def key(self) -> tuple[str, bytes, bytes, int]:
        return self.venue, self.subject, self.visit.epoch, self.visit.sequence


class Visits:
    """See `central.services.service.Service`."""

    name = "visits"
    tables: Sequence[Table] = (visits,)

    async def settle(self, connection: AsyncConnection, touched: Sequence[Touched]) -> set[tuple[str, bytes]]:
        """A visit depends on its entry and the next mark, so only those near what was touched are computed again."""
        for domain, some in groupby(sorted(touched), key=lambda each: each.domain):
            closings = await closings_of(connection, domain)
            for windows in _alike(_merged(some)):
                after = _within(windows, await _computed(connection, domain, windows, closings))
                before = _within(windows, await _held(connection, list(closings), windows))
                await _replace(connection, {stay.key: stay for stay in before}, {stay.key: stay for stay in after})
        return set()


def _merged(touched: Iterable[Touched]) -> list[Touched]:
    """One for each member."""
    found: dict[bytes, Touched] = {}
    for each in touched:
        other = found.get(each.subject, each)
        since_ms, until_ms = min(each.since_ms, other.since_ms), max(each.until_ms, other.until_ms)
        found[each.subject] = Touched(each.domain, each.subject, since_ms, until_ms)
    return list(found.values())


Windows = dict[bytes, tuple[int, int]]
"""By subject: visits that began from one instant through another are computed again."""


def _alike(touched: Iterable[Touched]) -> Iterable[Windows]:
    """Those of about the same time together, since of all that are read together as much is read: a clock that is years
    behind shall make nobody else's years be read."""
    found: dict[tuple[int, int], Windows] = {}
    for each in touched:
        windows = found.setdefault((each.since_ms // ALIKE_MS, each.until_ms // ALIKE_MS), {})
        windows[each.subject] = each.since_ms - LONGEST_MS, each.until_ms
    return found.values()


def _within(windows: Windows, found: Iterable[Stay]) -> list[Stay]:
    return [stay for stay in found if windows[stay.subject][0] <= stay.visit.in_ms <= windows[stay.subject][1]]


async def closings_of(connection: AsyncConnection, domain: str | None = None) -> dict[str, Closings]:
    """When each venue of a domain, or of all of them, closes."""
    query = select(venues.c.id, venues.c.time_zone, venues.c.closes_at)
    if domain is not None:
        query = query.where(venues.c.domain == domain)
    rows = (await connection.execute(query)).all()
    stated: dict[str, list[facts.Fact]] = {}
    for fact in await facts.read(connection, [ClosingChanged], domain=domain):
        stated.setdefault(fact.venue, []).append(fact)
    return {id_: _closings(zone, closes_at, stated.get(id_, [])) for id_, zone, closes_at in rows}


def _closings(zone: str, closes_at: str, stated: list[facts.Fact]) -> Closings:
    ordered = sorted(stated, key=lambda fact: fact.at_ms)
    first = ordered[0].body.before if ordered else closes_at
    return Closings(ZoneInfo(zone), first, [(fact.at_ms, fact.body.closes_at) for fact in ordered])


async def _computed(
    connection: AsyncConnection, domain: str, windows: Windows, closings: dict[str, Closings]
) -> list[Stay]:
    m = marks.c
    query = select(m.venue, m.subject, m.at_ms, m.epoch, m.sequence, m.direction, m.rule).where(
        m.domain == domain,
        m.subject.in_(list(windows)),
        m.at_ms >= min(since_ms for since_ms, _ in windows.values()),
        m.at_ms <= max(until_ms for _, until_ms in windows.values()) + LONGEST_MS,
        m.direction.in_(("in", "out")),
        *THROUGH_A_DOOR,
    )
    passed: dict[tuple[str, bytes], list[Passed]] = {}
    for venue, subject, *fields in await connection.execute(query):
        passed.setdefault((venue, subject), []).append(Passed(*fields))
    return [
        Stay(venue, subject, visit)
        for (venue, subject), found in passed.items()
        for visit in visits_of(found, closings[venue], is_known=bool(subject))
    ]


async def _held(connection: AsyncConnection, of: Sequence[str], windows: Windows) -> list[Stay]:
    v = visits.c
    query = select(v.venue, v.subject, v.epoch, v.sequence, v.in_ms, v.out_ms, v.ended, v.ends_by_ms, v.rule).where(
        v.subject.in_(list(windows)),
        v.in_ms >= min(since_ms for since_ms, _ in windows.values()),
        v.in_ms <= max(until_ms for _, until_ms in windows.values()),
        v.venue.in_(of),
    )
    return [Stay(venue, subject, Visit(*row)) for venue, subject, *row in await connection.execute(query)]


async def _replace(connection: AsyncConnection, before: dict[Any, Stay], after: dict[Any, Stay]) -> None:
    gone = [key for key in before if key not in after]
    key = (visits.c.venue, visits.c.subject, visits.c.epoch, visits.c.sequence)
    for these in named(key, gone):
        await connection.execute(delete(visits).where(these))
    changed = [stay for key, stay in after.items() if before.get(key) != stay]
    await put_rows(connection, visits, [_row(stay) for stay in changed])
    was = [before[stay.key] for stay in changed if stay.key in before]
    await note_due(connection, [_span(stay) for stay in (*changed, *was, *map(before.__getitem__, gone))])


def _span(stay: Stay) -> tuple[str, int, int]:
    visit = stay.visit
    return stay.venue, visit.in_ms, visit.ends_by_ms if visit.out_ms is None else visit.out_ms


def _row(stay: Stay) -> dict[str, Any]:
    return {"venue": stay.venue, "subject": stay.subject, **stay.visit._asdict()}
