"""One action closes a venue or the whole city (typhoon, early closing); another ends it."""

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import closures, facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.closure_effects import (
    Ending,
    GateClosedShown,
    ShiftClosed,
    Span,
    at_gate,
    ending_within,
    extend,
    shifts_within,
)
from central.actions.places.places import must_exist
from central.closures import Closed, ClosureEnded, Stated
from central.configs import renew_closures
from central.gate_closures import read_closings
from central.store.schema import venues
from protocol.configuration import MAX_CLOSURES
from protocol.wire import Name

Why = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
NOT_MOVED = "Limits are per local day, week or month and are not extended. Exits and sign-outs are not affected."


class ClosureAddParams(Params, frozen=True, kw_only=True):
    """A venue, or with `city` all of them; from when until when as local times (`2026-09-01T12:00`, or a date: its
    beginning, of `until` its end). `extend_days`: classes and cards that end within it end so much later."""

    venue: str = ""
    city: bool = False
    since: str
    until: str
    why_zh: Why
    why_en: Why
    admit: Annotated[list[Name], msgspec.Meta(max_length=16)] = []
    extend_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    who: str = ""


class ClosureEndParams(Params, frozen=True, kw_only=True):
    """Which closure, by the id that `closure list` shows; it ends now, or never was where it has not begun."""

    id: str
    why: str = ""
    who: str = ""


class ClosuresParams(Params, frozen=True):
    """Which ones: those that are not over, or all."""

    all: bool = False


class ClosureShown(msgspec.Struct, frozen=True):
    """One closure. `venue` empty: the city."""

    id: str
    venue: str
    from_ms: int
    until_ms: int
    why_zh: str
    why_en: str
    admits: list[str]
    who: str
    ended_early: bool


class ClosuresListed(Result, frozen=True):
    """By their beginnings: those of venues and the city, and those of single gates by their own staff."""

    closures: list[ClosureShown]
    gates: list[GateClosedShown]
    note: str = NOT_MOVED


class ClosureDone(Result, frozen=True):
    """A closure as it stands, the gates that are told of it, and what falls into it. `classes_ending`, `cards_ending`:
    of members of the domains concerned; `extended`: how many members' were moved."""

    closure: ClosureShown
    gates: list[str]
    shifts: list[ShiftClosed]
    classes_ending: int
    cards_ending: int
    points_expiring: int
    extended: int
    note: str


@action("closure.add", ClosureAddParams, writes=True)
async def closure_add(context: Context, params: ClosureAddParams) -> ClosureDone:
    """Every connected gate concerned hears of it at once; others close when they are told, and say so by their age."""
    if bool(params.venue) == params.city:
        raise ActionFailed("name the venue, or state --city: one of the two")
    if params.extend_days and context.scope.venues is not None:
        raise ActionFailed("classes and cards are the whole city's: an admin extends them")
    async with context.database.read() as connection:
        zone = await _zone(connection, params.venue)
    closed = _span(params, zone)
    if closed.until_ms <= context.now_ms:
        raise ActionFailed(f"until: {params.until} is over already")
    said = Closed(
        from_ms=closed.from_ms,
        until_ms=closed.until_ms,
        why_zh=params.why_zh,
        why_en=params.why_en,
        admits=tuple(sorted(set(params.admit))),
        extended_days=params.extend_days,
    )
    async with context.database.write() as connection:
        domain = await _domain(connection, params.venue)
        coming = closures.at_venue(await closures.read_closures(connection), params.venue, context.now_ms)
        if len(coming) == MAX_CLOSURES:
            raise ActionFailed(f"{MAX_CLOSURES} closures are coming already, more are not sent: end some first")
        about = facts.About(params.who, closed.from_ms, domain, b"", params.venue)
        id_ = await facts.append(connection, about, said, context.now_ms)
        gates = await renew_closures(connection, context.keys, context.now_ms, params.venue)
        within, of_venues = await _concerned(connection, params.venue)
        shifts = await shifts_within(connection, within, of_venues, closed)
        ending = await ending_within(connection, within, closed)
    extended = 0
    if params.extend_days:
        extended = await extend(context, within, closed, params.extend_days, params.who, f"closed: {params.why_en}")
    return await _done(context, id_, gates, shifts, ending, extended)


@action("closure.end", ClosureEndParams, writes=True)
async def closure_end(context: Context, params: ClosureEndParams) -> ClosureDone:
    """Open again; what was extended for it stays extended."""
    async with context.database.write() as connection:
        standing = {each.id.hex(): each for each in await closures.read_closures(connection)}
        held = standing.get(params.id.lower())
        if held is None or held.closure.until_ms <= context.now_ms:
            raise ActionFailed(f"no closure {params.id!r} holds or is coming: see `closure list`")
        about = facts.About(params.who, context.now_ms, await _domain(connection, held.venue), b"", held.venue)
        said = ClosureEnded(closure=held.id, ended_ms=context.now_ms, why=params.why)
        await facts.append(connection, about, said, context.now_ms)
        gates = await renew_closures(connection, context.keys, context.now_ms, held.venue)
    return ClosureDone(
        closure=_shown(held),
        gates=gates,
        shifts=[],
        classes_ending=0,
        cards_ending=0,
        points_expiring=0,
        extended=0,
        note="Ended; what was extended for it stays extended.",
    )


@action("closure.list", ClosuresParams, writes=False)
async def closure_list(context: Context, params: ClosuresParams) -> ClosuresListed:
    """Those that hold or are coming, and gates that their staff closed by PIN."""
    async with context.database.read() as connection:
        every = await closures.read_closures(connection)
        by_staff = await read_closings(connection, context.now_ms, params.all)
        of_gates = [await at_gate(connection, each) for each in by_staff]
    own = context.scope.venues
    listed = [_shown(each) for each in every if params.all or each.closure.until_ms > context.now_ms]
    return ClosuresListed(
        closures=[each for each in listed if own is None or not each.venue or each.venue in own],
        gates=[each for each in of_gates if own is None or each.venue in own],
    )


async def _done(
    context: Context, id_: bytes, gates: list[str], shifts: list[ShiftClosed], ending: Ending, extended: int
) -> ClosureDone:
    async with context.database.read() as connection:
        held = next(each for each in await closures.read_closures(connection) if each.id == id_)
    moved = "" if extended else " Nothing that expires is moved: state --extend-days for that."
    return ClosureDone(
        closure=_shown(held),
        gates=gates,
        shifts=shifts,
        classes_ending=ending.classes,
        cards_ending=ending.cards,
        points_expiring=ending.points,
        extended=extended,
        note=NOT_MOVED + moved,
    )


def _shown(each: Stated) -> ClosureShown:
    said = each.closure
    return ClosureShown(
        id=each.id.hex(),
        venue=each.venue,
        from_ms=said.from_ms,
        until_ms=said.until_ms,
        why_zh=said.why_zh,
        why_en=said.why_en,
        admits=list(said.admits),
        who=each.who,
        ended_early=each.is_ended,
    )


def _span(params: ClosureAddParams, zone: ZoneInfo) -> Span:
    from_ms, until_ms = _at_ms("from", params.since, zone, 0), _at_ms("until", params.until, zone, 1)
    if until_ms <= from_ms:
        raise ActionFailed(f"until: {params.until} is not after {params.since}")
    return Span(from_ms, until_ms)


def _at_ms(column: str, text: str, zone: ZoneInfo, days: int) -> int:
    """A local time, or a date: its beginning, so many days later."""
    try:
        if len(text) == len("2026-01-31"):
            moment = dt.datetime.combine(dt.date.fromisoformat(text) + dt.timedelta(days=days), dt.time())
        else:
            moment = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ActionFailed(f"{column}: {text!r} is not a time such as 2026-09-01T12:00 or 2026-09-01") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    at_ms = int(aware.timestamp() * 1_000)
    if at_ms <= 0:
        raise ActionFailed(f"{column}: {text} is before 1970")
    return at_ms


async def _zone(connection: AsyncConnection, venue: str) -> ZoneInfo:
    query = select(venues.c.time_zone).distinct()
    if venue:
        await must_exist(connection, venues, venue, "venue")
        query = query.where(venues.c.id == venue)
    zones = (await connection.execute(query)).scalars().all()
    if len(zones) != 1:
        raise ActionFailed("the city's venues are not in one time zone: close them one by one")
    return ZoneInfo(zones[0])


async def _domain(connection: AsyncConnection, venue: str) -> str:
    if not venue:
        return ""
    return str((await connection.execute(select(venues.c.domain).where(venues.c.id == venue))).scalar_one())


async def _concerned(connection: AsyncConnection, venue: str) -> tuple[list[str], list[str]]:
    """Domains and venues."""
    query = select(venues.c.id, venues.c.domain).order_by(venues.c.id)
    rows = (await connection.execute(query.where(venues.c.id == venue) if venue else query)).all()
    return sorted({row.domain for row in rows}), [row.id for row in rows]
