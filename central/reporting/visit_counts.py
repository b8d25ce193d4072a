"""Count the visits of days that changed: rows of `visit_counts`. A task of the server; reports read what it wrote.

What a member's classes are is known as of when the day is counted. A day is counted again within half a minute of a
change, so reports of today are so old at most.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.reporting.counting import WHOLE_DAY, Cell, Held, count_day, day_span
from central.services.turns import one_at_a_time
from central.services.visits.closing import LONGEST_MS
from central.services.visits.report import Counted
from central.services.visits.stated import VisitCorrected
from central.store import faults
from central.store.database import Database
from central.store.schema import (
    kept_visits,
    member_classes,
    subjects,
    venues,
    visit_counts,
    visit_days_due,
    visits,
)
from central.store.slices import slices

EVERY_S = 10.0
_HOURS = (WHOLE_DAY, *range(24))
AT_ONCE = 50
"""Days looked for in one query."""


class Due(NamedTuple):
    """A day to be counted, and how many changes were noted until it was looked at."""

    venue: str
    day: str
    number: int


async def count_for_ever(database: Database) -> None:
    """Until cancelled. What fails is tried again the next time."""
    while True:
        try:
            await count_due(database)
        except Exception as error:
            faults.say("visits-not-counted", error)
        await asyncio.sleep(EVERY_S)


Progress = Callable[[str, int, int], Awaitable[None]]


async def _silent(_what: str, _done: int, _total: int) -> None:
    pass


async def count_due(database: Database, progress: Progress = _silent) -> int:
    """Every day that is due now; returns how many. One that changes meanwhile stays due, and one for which it fails
    keeps no other waiting."""
    async with database.read() as connection:
        total = (await connection.execute(select(func.count()).select_from(visit_days_due))).scalar_one()
    done, after = 0, ("", "")
    while found := await _due(database, after):
        for each in found:
            try:
                await _count(database, each)
                done += 1
            except Exception as error:
                faults.say("visits-of-a-day-not-counted", error, venue=each.venue, day=each.day)
        after = found[-1].venue, found[-1].day
        await progress("days", done, max(done, total))
    return done


async def _due(database: Database, after: tuple[str, str]) -> list[Due]:
    d = visit_days_due.c
    query = select(d.venue, d.day, d.number).order_by(d.venue, d.day).limit(AT_ONCE)
    query = query.where(or_(d.venue > after[0], (d.venue == after[0]) & (d.day > after[1])))
    async with database.read() as connection:
        return [Due(*row) for row in await connection.execute(query)]


async def _count(database: Database, due: Due) -> None:
    async with database.read() as connection:
        number, cells = await _cells(connection, due)
    v, d = visit_counts.c, visit_days_due.c
    async with database.write() as connection:
        await one_at_a_time(connection)
        cells = await _with_kept(connection, due, cells)
        await connection.execute(delete(visit_counts).where(v.venue == due.venue, v.day == due.day, v.hour.in_(_HOURS)))
        if cells:
            rows = [{"venue": due.venue, "day": due.day, **cell._asdict()} for cell in cells]
            await connection.execute(insert(visit_counts), rows)
        done = (d.venue == due.venue) & (d.day == due.day) & (d.number == number)
        await connection.execute(delete(visit_days_due).where(done))


async def _cells(connection: AsyncConnection, due: Due) -> tuple[int, list[Cell]]:
    """And how many changes were noted, in the same view."""
    d, v = visit_days_due.c, visits.c
    number = (
        await connection.execute(select(d.number).where(d.venue == due.venue, d.day == due.day))
    ).scalar() or due.number
    place = select(venues.c.domain, venues.c.time_zone).where(venues.c.id == due.venue)
    domain, zone = (await connection.execute(place)).one()
    since_ms, until_ms = day_span(due.day, ZoneInfo(zone))
    end_ms = func.coalesce(v.out_ms, v.ends_by_ms)
    query = (
        select(v.subject, v.in_ms, end_ms, v.ended, v.epoch, v.sequence)
        .where(v.venue == due.venue, v.in_ms >= since_ms - LONGEST_MS, v.in_ms < until_ms)
        .where(or_(v.in_ms >= since_ms, end_ms > since_ms))
        .order_by(v.in_ms, v.subject)
    )
    rows = (await connection.execute(query)).all()
    corrected = await _corrected(connection, domain, due.venue) if rows else Counter()
    found = [Counted(*row[:4], corrected[row.epoch, row.sequence]) for row in rows]
    classes = await classes_of(connection, domain, sorted({row.subject for row in rows}))
    return number, count_day(due.day, ZoneInfo(zone), found, classes)


async def _with_kept(connection: AsyncConnection, due: Due, cells: Sequence[Cell]) -> list[Cell]:
    """What is kept of visits of nobody any more is added; with them the most who were inside is what it was."""
    k, v = kept_visits.c, visit_counts.c
    kept = (await connection.execute(select(kept_visits).where(k.venue == due.venue, k.day == due.day))).all()
    if not kept:
        return list(cells)
    found = {(cell.hour, cell.class_name): cell for cell in cells}
    query = select(v.hour, v.class_name, v.peak, v.peak_ms).where(v.venue == due.venue, v.day == due.day)
    before = {(row.hour, row.class_name): row for row in await connection.execute(query)}
    for row in kept:
        key = row.hour, row.class_name
        cell, was = found.get(key) or Cell(*key, 0, 0, 0, 0, 0, 0, 0), before.get(key)
        peak, peak_ms = max(
            (cell.peak, cell.peak_ms), (was.peak, was.peak_ms) if was else (0, 0), key=lambda one: one[0]
        )
        counts = (cell.visits + row.visits, cell.members + row.members, cell.by_hand, cell.corrected + row.corrected)
        found[key] = Cell(*key, *counts, cell.without_exit + row.without_exit, peak, peak_ms)
    return [cell for _, cell in sorted(found.items())]


async def _corrected(connection: AsyncConnection, domain: str, venue: str) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for fact in await facts.read(connection, [VisitCorrected], domain=domain, venue=venue):
        found[fact.body.epoch, fact.body.sequence] += fact.body.visits
    return found


async def classes_of(connection: AsyncConnection, domain: str, of: Sequence[bytes]) -> dict[bytes, list[Held]]:
    """What members are, by who they are in a domain."""
    c, found = member_classes.c, dict[bytes, list[Held]]()
    query = select(subjects.c.subject, c.name, c.from_ms, c.until_ms).join(subjects, subjects.c.member == c.member)
    for some in slices(of):
        rows = await connection.execute(query.where(subjects.c.domain == domain, subjects.c.subject.in_(some)))
        for subject, *held in rows:
            found.setdefault(bytes(subject), []).append(Held(*held))
    return found
