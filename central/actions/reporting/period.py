"""The days and venues that a report is about."""

import datetime as dt
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context
from central.actions.dates import parse_date
from central.store.schema import venues
from protocol.time_zones import CITY_ZONE

DAYS = 28
"""Of a report for which no days are stated: up to today."""
YEARS = (1990, 2999)
"""Where no venue says its own."""

Name = Annotated[str, Meta(max_length=64)]
Date = Annotated[str, Meta(max_length=32)]
"""A local date; empty: up to today, or four weeks before the last day."""


class Place(NamedTuple):
    """A venue."""

    id: str
    title_zh: str
    title_en: str
    time_zone: str
    domain: str


class Period(NamedTuple):
    """From the first local day through the last one, ISO dates."""

    since: str
    until: str

    @property
    def days(self) -> int:
        return (dt.date.fromisoformat(self.until) - dt.date.fromisoformat(self.since)).days + 1


async def places_of(connection: AsyncConnection, context: Context, venue: str = "") -> list[Place]:
    """The venue, or all that the caller may see. Raises ActionFailed where there is no such one."""
    v = venues.c
    query = select(v.id, v.title_zh, v.title_en, v.time_zone, v.domain).order_by(v.id)
    if venue:
        query = query.where(v.id == venue)
    mine = context.scope.venues
    found = [Place(*row) for row in await connection.execute(query)]
    found = [place for place in found if mine is None or place.id in mine]
    if venue and not found:
        raise ActionFailed(f"there is no venue {venue!r}: see `venue list`")
    return found


def period_of(
    since: str,
    until: str,
    places: list[Place],
    now_ms: int,
    *,
    most_days: int,
    days: int = DAYS,
    whole_months: bool = False,
) -> Period:
    """Raises ActionFailed for what is no date, for days in the wrong order, and for more than `most_days`.
    `whole_months`: made wider to whole ones, so that nobody can subtract one period from another."""
    zone = ZoneInfo(places[0].time_zone if places else CITY_ZONE)
    today = dt.datetime.fromtimestamp(now_ms / 1_000, zone).date()
    try:
        last = parse_date(until) if until else today
        first = parse_date(since) if since else last - dt.timedelta(days=days - 1)
        if whole_months:
            first = first.replace(day=1)
            last = (last.replace(day=1) + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    except OverflowError:
        raise ActionFailed("such a day is in no calendar") from None
    if not YEARS[0] <= first.year <= last.year <= YEARS[1] and first <= last:
        raise ActionFailed(f"no gate was there then: state days of the years {YEARS[0]} to {YEARS[1]}")
    if first > last:
        raise ActionFailed("the last day is before the first one")
    found = Period(first.isoformat(), last.isoformat())
    if found.days > most_days:
        raise ActionFailed(f"these are {found.days} days: ask for {most_days} at most")
    return found
