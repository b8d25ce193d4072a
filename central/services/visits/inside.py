"""How many are inside a venue now, out of the rows of visits and what staff counted."""

from collections.abc import Collection

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.visits.closing import LONGEST_MS
from central.services.visits.occupancy import Correction, inside_now
from central.services.visits.service import closings_of
from central.services.visits.stated import OccupancyCorrection
from central.store.schema import venues, visits

AHEAD_MS = 120_000
"""A gate's clock may be so far ahead and be trusted (SPEC §8.3): what it says of the next moments happened already."""


async def occupancy(connection: AsyncConnection, domain: str, of: Collection[str], now_ms: int) -> dict[str, int]:
    """Of these venues of a domain, now."""
    closings = await closings_of(connection, domain)
    stated = await facts.read(connection, [OccupancyCorrection], domain=domain)
    return {venue: await _inside(connection, venue, closings[venue].before(now_ms), stated, now_ms) for venue in of}


async def _inside(
    connection: AsyncConnection, venue: str, closed_ms: int, stated: Collection[facts.Fact], now_ms: int
) -> int:
    said = [fact for fact in stated if fact.venue == venue and closed_ms < fact.at_ms <= now_ms]
    corrections = [Correction(fact.at_ms, fact.body.change, fact.body.count) for fact in said]
    open_at = {each.at_ms: await _open(connection, venue, each.at_ms) for each in corrections}
    return inside_now(await _open(connection, venue, now_ms, AHEAD_MS), open_at, corrections)


async def _open(connection: AsyncConnection, venue: str, at_ms: int, ahead_ms: int = 0) -> int:
    v = visits.c
    query = select(func.count()).where(
        v.venue == venue,
        v.in_ms <= at_ms + ahead_ms,
        v.in_ms > at_ms - LONGEST_MS,
        or_(and_(v.out_ms.is_(None), v.ends_by_ms > at_ms), v.out_ms > at_ms + ahead_ms),
    )
    return int((await connection.execute(query)).scalar_one())


async def domains_that_closed(connection: AsyncConnection, after_ms: int, through_ms: int) -> set[str]:
    """Where any venue closed in that time."""
    closings = await closings_of(connection)
    rows = (await connection.execute(select(venues.c.id, venues.c.domain))).all()
    return {domain for venue, domain in rows if closings[venue].before(through_ms) > after_ms}
