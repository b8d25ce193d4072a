"""Note the days of which visits changed, so that they are counted again (`central.reporting.visit_counts`)."""

import datetime as dt
from collections.abc import Collection, Iterable
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.reporting.counting import local_hour
from central.store.schema import venues

_NOTE = text(
    "INSERT INTO visit_days_due (venue, day, number) VALUES (:venue, :day, 1)"
    " ON CONFLICT (venue, day) DO UPDATE SET number = visit_days_due.number + 1"
)

Span = tuple[str, int, int]
"""A venue, and from when until when somebody was inside."""


async def note_due(connection: AsyncConnection, spans: Collection[Span]) -> None:
    """Every local day that these reach into."""
    if not spans:
        return
    query = select(venues.c.id, venues.c.time_zone).where(venues.c.id.in_({venue for venue, *_ in spans}))
    zones = {venue: ZoneInfo(zone) for venue, zone in await connection.execute(query)}
    await note_days(
        connection,
        {(venue, day) for venue, since_ms, until_ms in spans for day in _days(since_ms, until_ms, zones[venue])},
    )


async def note_days(connection: AsyncConnection, days: Collection[tuple[str, str]]) -> None:
    """Venues and local days, in one order so that nobody waits in a ring."""
    if days:
        await connection.execute(_NOTE, [{"venue": venue, "day": day} for venue, day in sorted(days)])


def _days(since_ms: int, until_ms: int, zone: ZoneInfo) -> Iterable[str]:
    day, last = local_hour(since_ms, zone)[0], local_hour(max(since_ms, until_ms - 1), zone)[0]
    while day <= last:
        yield day
        day = (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()
