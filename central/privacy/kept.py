"""Counts that stay when the people they are of are not known any more: visits by hour and class, locked hours, points
of closed months. What is kept says of how many, never of whom."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import read
from central.reporting.counting import Held, count_day, local_hour
from central.services.attendance.hours import COUNTED
from central.services.points.accounts import plans_of
from central.services.points.plans import month_of, month_span
from central.services.visits.report import Counted
from central.services.visits.stated import VisitCorrected
from central.store.schema import attendance_months, attendance_sessions, point_books, venues
from protocol.wire import LAST_MS

NOBODY = b""
ERASED = "erased"
"""In place of the cause of a posting."""

_KEEP_VISITS = text(
    "INSERT INTO kept_visits (venue, hour, class_name, day, visits, members, corrected, without_exit)"
    " VALUES (:venue, :hour, :class_name, :day, :visits, :members, :corrected, :without_exit)"
    " ON CONFLICT (venue, hour, class_name, day) DO UPDATE SET visits = kept_visits.visits + excluded.visits,"
    " members = kept_visits.members + excluded.members, corrected = kept_visits.corrected + excluded.corrected,"
    " without_exit = kept_visits.without_exit + excluded.without_exit"
)
_KEEP_HOURS = text(
    "INSERT INTO kept_hours (domain, team, month, people, minutes) VALUES (:domain, :team, :month, :people, :minutes)"
    " ON CONFLICT (domain, team, month) DO UPDATE SET people = kept_hours.people + excluded.people,"
    " minutes = kept_hours.minutes + excluded.minutes"
)


async def keep_visits(
    connection: AsyncConnection, visits: Iterable[tuple[str, Counted]], classes: Mapping[bytes, Sequence[Held]]
) -> None:
    """Add to what is kept what these visits, each with its venue, count in reports."""
    query = select(venues.c.id, venues.c.time_zone)
    zones = {row.id: row.time_zone for row in await connection.execute(query)}
    by_day: dict[tuple[str, str], list[Counted]] = {}
    for venue, visit in visits:
        by_day.setdefault((venue, local_hour(visit.in_ms, ZoneInfo(zones[venue]))[0]), []).append(visit)
    rows = [
        {"venue": venue, "day": day, "hour": cell.hour, "class_name": cell.class_name, "visits": cell.visits}
        | {"members": cell.members, "corrected": cell.corrected, "without_exit": cell.without_exit}
        for (venue, day), some in sorted(by_day.items())
        for cell in count_day(day, ZoneInfo(zones[venue]), sorted(some, key=lambda one: one.in_ms), classes)
    ]
    if rows:
        await connection.execute(_KEEP_VISITS, rows)


async def keep_hours(connection: AsyncConnection, domain: str, subject: bytes, before_ms: int = LAST_MS) -> None:
    """Add to what is kept the minutes of this member that stand in locked months, of sessions before a moment."""
    s, m = attendance_sessions.c, attendance_months.c
    locked = (m.domain == s.domain) & (m.team == s.team) & (m.month == s.month)
    query = select(s.team, s.month, s.minutes).join(attendance_months, locked).where(s.state == COUNTED)
    query = query.where(s.at_ms < before_ms)
    found: Counter[tuple[str, str]] = Counter()
    for team, month, minutes in await connection.execute(query.where(s.domain == domain, s.subject == subject)):
        found[team, month] += minutes
    rows = [
        {"domain": domain, "team": team, "month": month, "people": 1, "minutes": minutes}
        for (team, month), minutes in sorted(found.items())
    ]
    if rows:
        await connection.execute(_KEEP_HOURS, rows)


async def keep_points(connection: AsyncConnection, domain: str, subject: bytes, before_ms: int = LAST_MS) -> int:
    """Move the postings of closed months whose causes lie before a moment to nobody, added up by month and accounts.
    Returns how many there were."""
    b = point_books.c
    these = (b.domain == domain) & (b.subject == subject) & (b.at_ms < before_ms)
    mine = (await connection.execute(select(point_books).where(these))).all()
    if not mine:
        return 0
    await connection.execute(delete(point_books).where(these))
    zone = ZoneInfo((await plans_of(connection, domain)).time_zone)
    closed = sorted({row.month for row in mine})
    theirs = (b.domain == domain) & (b.subject == NOBODY) & b.month.in_(closed)
    sums: Counter[tuple[Any, ...]] = Counter()
    for row in (*mine, *(await connection.execute(select(point_books).where(theirs))).all()):
        booked_ms = month_span(month_of(row.booked_ms, zone), zone)[0]
        sums[row.month, booked_ms, row.what, row.source, row.target] += row.points
    await connection.execute(delete(point_books).where(theirs))
    lines: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for (month, at_ms, what, source, target), points in sorted(sums.items()):
        line = {"domain": domain, "subject": NOBODY, "month": month, "line": lines[month], "booked_ms": at_ms}
        line |= {"at_ms": at_ms, "what": what, "cause": ERASED, "source": source, "target": target, "points": points}
        rows.append(line)
        lines[month] += 1
    await connection.execute(insert(point_books), rows)
    return len(mine)


async def corrected_visits(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes]
) -> Counter[tuple[bytes, int]]:
    """By event: what corrected policies took off these members' visits."""
    found: Counter[tuple[bytes, int]] = Counter()
    for fact in await read(connection, [VisitCorrected], domain=domain, subjects=subjects):
        found[fact.body.epoch, fact.body.sequence] += fact.body.visits
    return found
