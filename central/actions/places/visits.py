"""Visits of a venue, counted; how many are inside it; and what staff counted themselves.

By class they are counted by `report.visits` alone, which hides small counts and knows whole months only: two counts
beside each other could be subtracted from one another.
"""

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.dates import end_ms, start_ms
from central.actions.places.places import must_exist
from central.facts import About
from central.services.projector import tell
from central.services.visits.closing import LONGEST_MS
from central.services.visits.inside import occupancy
from central.services.visits.report import Counted, Line, Sweep
from central.services.visits.service import closings_of
from central.services.visits.stated import OccupancyCorrection, VisitCorrected
from central.store.schema import venues, visits

MOST = 1_000_000


class VisitsParams(Params, frozen=True):
    """Of a venue, from the first day through the last one, local dates; empty: today."""

    venue: str
    since: str = ""
    until: str = ""
    by: Literal["hour", "day", "all"] = "all"


class VisitLine(msgspec.Struct, frozen=True):
    """`corrected`: below 0, how many of the visits a corrected policy would have denied, as was booked since (`policy
    correct`); they were inside all the same. `by_hand`: let in by staff, nobody knows who; `exits_unknown`: ended by
    another entry or by closing; `open`: not ended yet; `peak`: how many were inside at once, and when."""

    label: str
    visits: int
    corrected: int
    members: int
    by_hand: int
    exits_unknown: int
    open: int
    peak: int
    peak_ms: int


class VisitsResult(Result, frozen=True):
    """What is settled until now: a gate that is cut off may know more."""

    venue: str
    since_ms: int
    until_ms: int
    rows: list[VisitLine]


class OccupancyParams(Params, frozen=True):
    """Which venue."""

    venue: str


class CorrectionParams(Params, frozen=True):
    """What staff counted: so many inside (`count`), or so many more or fewer (`change`). One of them."""

    venue: str
    who: str
    why: str
    change: int = 0
    count: int | None = None


class OccupancyResult(Result, frozen=True):
    """How many are inside now, as far as is known here. `closed_ms`: it closed last then, and nobody was inside;
    `corrected`: how many corrections were stated since."""

    venue: str
    inside: int
    closed_ms: int
    closes_ms: int
    corrected: int


@action("visits", VisitsParams, writes=False)
async def visits_report(context: Context, params: VisitsParams) -> VisitsResult:
    """Counts and peaks. Peaks are of known and unknown people alike, without corrections."""
    async with context.database.read() as connection:
        domain, zone = await _place(connection, params.venue)
        since_ms, until_ms = _days(params, zone, context.now_ms)
        rows = _visits(connection, domain, params.venue, since_ms, until_ms)
        sweep = Sweep(params.by, ZoneInfo(zone), since_ms, context.now_ms, "all" if params.by == "all" else "")
        async for visit in rows:
            sweep.add(visit)
    return VisitsResult(
        venue=params.venue,
        since_ms=since_ms,
        until_ms=until_ms,
        rows=[_told(line) for line in sorted(sweep.lines(), key=lambda line: line.label)],
    )


@action("occupancy", OccupancyParams, writes=False)
async def occupancy_now(context: Context, params: OccupancyParams) -> OccupancyResult:
    """Open visits, people let in by hand, and corrections by staff since it last closed."""
    async with context.database.read() as connection:
        return await _occupancy(connection, params.venue, context.now_ms)


@action("occupancy.correct", CorrectionParams, writes=True)
async def occupancy_correct(context: Context, params: CorrectionParams) -> OccupancyResult:
    """A fact, so it can be seen who stated it and why. Gates of the venue are told at once."""
    if (params.count is None) == (params.change == 0):
        raise ActionFailed("state either how many are inside, or how many more or fewer")
    if abs(params.change) > MOST or not 0 <= (params.count or 0) <= MOST:
        raise ActionFailed("that is more people than any venue holds")
    if not params.who or not params.why:
        raise ActionFailed("state who counted, and why it is corrected")
    async with context.database.write() as connection:
        domain, _ = await _place(connection, params.venue)
        body = OccupancyCorrection(change=params.change, count=params.count, why=params.why)
        about = About(params.who, context.now_ms, domain, venue=params.venue)
        await facts.append(connection, about, body, context.now_ms)
        await tell(connection, [(domain, b"")], context.now_ms)
        return await _occupancy(connection, params.venue, context.now_ms)


async def _occupancy(connection: AsyncConnection, venue: str, now_ms: int) -> OccupancyResult:
    domain, _ = await _place(connection, venue)
    closings = (await closings_of(connection, domain))[venue]
    closed_ms = closings.before(now_ms)
    stated = await facts.read(connection, [OccupancyCorrection], domain=domain, venue=venue)
    return OccupancyResult(
        venue=venue,
        inside=(await occupancy(connection, domain, [venue], now_ms))[venue],
        closed_ms=closed_ms,
        closes_ms=closings.after(now_ms),
        corrected=sum(closed_ms < fact.at_ms <= now_ms for fact in stated),
    )


async def _place(connection: AsyncConnection, venue: str) -> tuple[str, str]:
    """Domain and time zone. Raises ActionFailed."""
    await must_exist(connection, venues, venue, "venue")
    query = select(venues.c.domain, venues.c.time_zone).where(venues.c.id == venue)
    domain, zone = (await connection.execute(query)).one()
    return domain, zone


def _days(params: VisitsParams, zone: str, now_ms: int) -> tuple[int, int]:
    where = ZoneInfo(zone)
    today = dt.datetime.fromtimestamp(now_ms / 1_000, where).date().isoformat()
    try:
        since_ms = start_ms(params.since or params.until or today, where)
        until_ms = end_ms(params.until or params.since or today, where)
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    if since_ms >= until_ms:
        raise ActionFailed("the last day is before the first one")
    return since_ms, until_ms


async def _visits(
    connection: AsyncConnection, domain: str, venue: str, since_ms: int, until_ms: int
) -> AsyncIterator[Counted]:
    corrected: Counter[tuple[bytes, int]] = Counter()
    for fact in await facts.read(connection, [VisitCorrected], domain=domain, venue=venue):
        corrected[fact.body.epoch, fact.body.sequence] += fact.body.visits
    v = visits.c
    query = select(v.subject, v.in_ms, func.coalesce(v.out_ms, v.ends_by_ms), v.ended, v.epoch, v.sequence)
    query = query.where(v.venue == venue, v.in_ms >= since_ms - LONGEST_MS, v.in_ms < until_ms)
    async for row in await connection.stream(query.order_by(v.in_ms, v.subject)):
        yield Counted(*row[:4], corrected[row.epoch, row.sequence])


def _told(line: Line) -> VisitLine:
    return VisitLine(
        *(line.label, line.visits, line.corrected, len(line.members), line.by_hand),
        *(line.exits_unknown, line.open, line.peak, line.peak_ms),
    )
