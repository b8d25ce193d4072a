"""What the re-check goes by that only people know: by how much a clock was off, how long the way between venues is."""

from typing import Annotated

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.in_scope import gates_within, since_here
from central.services.judging.clock_facts import clocks_of
from central.services.judging.clocks import Clocks, Offset
from central.services.judging.stated import ClockOffset, TravelTime
from central.services.projector import settle
from central.services.service import Touched
from central.store.schema import devices, gates, marks, venues
from protocol.messages import Millis

MEMBERS_AT_ONCE = 200
"""Settled in one transaction: nothing waits for longer than that."""
MOST_MS = 10 * 366 * 86_400_000


class ClockParams(Params, frozen=True):
    """The device's clock was `ms` ahead (below 0: behind) from `from_ms` until `until_ms`, by that clock itself."""

    device: str
    from_ms: Millis
    until_ms: Millis
    ms: Annotated[int, Meta(ge=-MOST_MS, le=MOST_MS)]
    why: str
    who: str


class ClockStated(Result, frozen=True):
    """The members whose taps are judged by it from now on."""

    device: str
    domain: str
    members: int


class TravelParams(Params, frozen=True):
    """Nobody gets from one venue to the other in fewer minutes; 0 = nothing is known any more."""

    venue: str
    other: str
    minutes: Annotated[int, Meta(ge=0, le=1_440)]
    who: str


class TravelStated(Result, frozen=True):
    """It holds for taps from now on, in both directions."""

    venue: str
    other: str
    minutes: int


@action("clock.offset", ClockParams, writes=True)
async def clock_offset(context: Context, params: ClockParams) -> ClockStated:
    """One appended fact for a whole range. Events stay as they are; whoever judges and explains goes by it."""
    if params.from_ms >= params.until_ms:
        raise ActionFailed("the range ends before it begins")
    if not params.why.strip() or not params.who.strip():
        raise ActionFailed("state who says so and why")
    async with context.database.read() as connection:
        domain = await _domain_of(connection, params.device)
        within = await gates_within(connection, context.scope)
        if params.from_ms < (await since_here(connection, within, [params.device])).get(params.device, 0):
            raise Forbidden(f"{params.device} stood at a venue of others then: an admin states it for that time")
        clocks = await clocks_of(connection, domain)
        touched = await _touched(connection, domain, params, clocks)
    body = ClockOffset(
        device=params.device, from_ms=params.from_ms, until_ms=params.until_ms, ms=params.ms, why=params.why
    )
    for at in range(0, max(1, len(touched)), MEMBERS_AT_ONCE):
        async with context.database.write() as connection:
            if at == 0:
                await facts.append(connection, facts.About(params.who, params.from_ms, domain), body, context.now_ms)
            await settle(connection, touched[at : at + MEMBERS_AT_ONCE], context.now_ms)
        await context.progress("members judged again", min(at + MEMBERS_AT_ONCE, len(touched)), len(touched))
    return ClockStated(device=params.device, domain=domain, members=len(touched))


async def _domain_of(connection: AsyncConnection, device: str) -> str:
    query = select(venues.c.domain).join(gates, gates.c.venue == venues.c.id)
    query = query.join(devices, devices.c.gate == gates.c.id).where(devices.c.id == device)
    domain = (await connection.execute(query)).scalar()
    if domain is None:
        raise ActionFailed(f"there is no device {device!r}: see `device list`")
    return str(domain)


async def _touched(connection: AsyncConnection, domain: str, params: ClockParams, clocks: Clocks) -> list[Touched]:
    """Each member with a tap in the range, since the earliest moment that it was or is now taken for."""
    m = marks.c
    query = select(m.subject, m.at_ms).where(
        *(m.domain == domain, m.device == params.device, m.subject != b""),
        *(m.at_ms >= params.from_ms, m.at_ms < params.until_ms),
    )
    stated = Clocks([Offset(params.device, params.from_ms, params.until_ms, params.ms)])
    found: dict[bytes, int] = {}
    for subject, at_ms in await connection.execute(query):
        said = (at_ms, clocks.corrected_ms(params.device, at_ms), stated.corrected_ms(params.device, at_ms))
        found[subject] = min(found.get(subject, at_ms), *said)
    return [Touched(domain, subject, since_ms) for subject, since_ms in sorted(found.items())]


@action("conflict.travel", TravelParams, writes=True)
async def conflict_travel(context: Context, params: TravelParams) -> TravelStated:
    """State how long the way between two venues of a domain is at least. None is stated: nothing is looked for."""
    async with context.database.write() as connection:
        query = select(venues.c.id, venues.c.domain).where(venues.c.id.in_([params.venue, params.other]))
        domains = {row.id: row.domain for row in await connection.execute(query)}
        for venue in (params.venue, params.other):
            if venue not in domains:
                raise ActionFailed(f"there is no venue {venue!r}: see `venue list`")
        if params.venue == params.other or domains[params.venue] != domains[params.other]:
            raise ActionFailed("state two venues of one domain: elsewhere nobody is recognisable")
        domain = domains[params.venue]
        body = TravelTime(venue=params.venue, other=params.other, minutes=params.minutes)
        await facts.append(connection, facts.About(params.who, context.now_ms, domain), body, context.now_ms)
        await _judge_those_ahead(connection, domain, context.now_ms)
    return TravelStated(venue=params.venue, other=params.other, minutes=params.minutes)


async def _judge_those_ahead(connection: AsyncConnection, domain: str, now_ms: int) -> None:
    """Taps that their gates dated after this moment are here already, and it holds for them."""
    since_ms = now_ms - (await clocks_of(connection, domain)).widest_ms
    query = select(marks.c.subject).where(marks.c.domain == domain, marks.c.at_ms >= since_ms, marks.c.subject != b"")
    ahead = (await connection.execute(query.distinct())).scalars()
    await settle(connection, [Touched(domain, subject, since_ms) for subject in ahead], now_ms)
