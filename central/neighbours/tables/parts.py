"""History in parts, a month and a venue each: which there are, and how one is read.

A month is the venue's local one. Months are hopped to by an index, so nothing is read through to find them.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.attendance.local import end_of, month_of, start_of
from central.store.schema import venues
from protocol.wire import LAST_MS

NOWHERE = ""
"""The venue of what belongs to none, such as points that the city gave."""
UTC = ZoneInfo("UTC")


class Span(NamedTuple):
    """Whole months, both included; empty = open."""

    since: str = ""
    until: str = ""

    def start_ms(self, zone: ZoneInfo) -> int:
        return start_of(self.since, zone) if self.since else 0

    def end_ms(self, zone: ZoneInfo) -> int:
        return end_of(self.until, zone) if self.until else LAST_MS + 1

    def has(self, month: str) -> bool:
        return (not self.since or self.since <= month) and (not self.until or month <= self.until)


class Part(NamedTuple):
    """One file: its place, and the queries whose rows it holds, one after the other; made when they are wanted, since
    there may be thousands of files."""

    month: str
    venue: str
    queries: Callable[[], list[Select[Any]]]


class Place(NamedTuple):
    """A venue, its domain and its time zone."""

    id: str
    domain: str
    zone: ZoneInfo


Parts = AsyncIterator[Part]
Find = Callable[[AsyncConnection, Sequence[Place], Span], Parts]


async def read_places(connection: AsyncConnection, wanted: Collection[str]) -> list[Place]:
    """These venues; none named = all, and nowhere. Unknown ones are left out."""
    v = venues.c
    rows = await connection.execute(select(v.id, v.domain, v.time_zone).order_by(v.id))
    found = [Place(row.id, row.domain, ZoneInfo(row.time_zone)) for row in rows]
    return [each for each in found if each.id in wanted] if wanted else [*found, Place(NOWHERE, "", UTC)]


async def months(
    connection: AsyncConnection,
    columns: Sequence[tuple[ColumnElement[int], ColumnElement[bool]]],
    zone: ZoneInfo,
    span: Span,
) -> AsyncIterator[str]:
    """The months that have any of these instants; `columns`: pairs of a column and what its rows must meet."""
    at_ms, end_ms = span.start_ms(zone), span.end_ms(zone)
    while True:
        found = []
        for column, mine in columns:
            query = select(column).where(mine, column >= at_ms, column < end_ms).order_by(column).limit(1)
            first = (await connection.execute(query)).scalar()
            if first is not None:
                found.append(first)
        if not found:
            return
        month = month_of(min(found), zone)
        yield month
        at_ms = end_of(month, zone)


def span_of(month: str, place: Place) -> tuple[int, int]:
    """When a month begins at a place, and when it is over."""
    return start_of(month, place.zone), end_of(month, place.zone)


def without_people(query: Select[Any]) -> Select[Any]:
    """The same without its last column, which says who it was: it is not even read."""
    *columns, _ = query.selected_columns
    return query.with_only_columns(*columns, null().label("subject"), maintain_column_froms=True)
