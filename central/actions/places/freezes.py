"""Times in which neither policies nor configurations are published. Blocks, closures and revocations never wait."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import Id, must_exist, require_zone
from central.rollouts.freezing import Freeze, end_ms, minutes
from central.rollouts.frozen import read_freezes
from central.store.put_rows import put_rows
from central.store.schema import freezes, venues
from protocol.hours import WEEKDAYS
from protocol.policy import Span
from protocol.time_zones import CITY_ZONE
from protocol.wire import Millis

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MOST = 500


class FreezeParams(Params, frozen=True):
    """At a venue, or where it is empty in the whole city: weekly on `days` in `span` (`HH:MM-HH:MM`, past `24:00` into
    the next day), or dated from one instant to another. Without a time zone it is the venue's."""

    id: Id
    why: Annotated[str, Meta(min_length=1, max_length=200)]
    venue: Annotated[str, Meta(max_length=64)] = ""
    days: Annotated[list[Weekday], Meta(max_length=7)] = []
    span: Span = "00:00-24:00"
    time_zone: Annotated[str, Meta(max_length=64)] = ""
    from_ms: Millis = 0
    until_ms: Millis = 0
    who: str = ""


class FreezesParams(Params, frozen=True):
    """Which ones: one by its name, those that bear on a venue; all of them, or without those that are over."""

    id: str = ""
    venue: str = ""
    all: bool = False


class FreezeRemoveParams(Params, frozen=True):
    """Which one."""

    id: str
    who: str = ""


class FreezeShown(msgspec.Struct, frozen=True):
    """One freeze. `venue` empty: the city. `frozen_until_ms`: it holds now, until then; 0 = it does not."""

    id: str
    venue: str
    why: str
    days: list[str]
    span: str
    time_zone: str
    from_ms: int
    until_ms: int
    frozen_until_ms: int


class Freezes(Result, frozen=True):
    """By name."""

    freezes: list[FreezeShown]


class FreezeRemoved(Result, frozen=True):
    """It keeps nothing back any more."""

    id: str


@action("freeze.put", FreezeParams, writes=True)
async def freeze_put(context: Context, params: FreezeParams) -> Freezes:
    """State a freeze, or another time of one. What is published already stays as it is."""
    if bool(params.days) == bool(params.until_ms):
        raise ActionFailed("state weekdays, or from when until when: one of the two")
    if params.days and minutes(params.span) is None:
        raise ActionFailed(f"span: {params.span!r} is no span of hours; one is 22:00-26:00")
    if not params.days and params.until_ms <= params.from_ms:
        raise ActionFailed("until_ms: a freeze ends after it begins")
    async with context.database.write() as connection:
        zone = params.time_zone or await _zone(connection, params.venue)
        require_zone(zone)
        await _must_have_room(connection, params)
        row = {
            "id": params.id,
            "venue": params.venue,
            "why": params.why,
            "days": msgspec.json.encode([day for day in WEEKDAYS if day in params.days]).decode(),
            "span": params.span if params.days else "",
            "time_zone": zone,
            "from_ms": 0 if params.days else params.from_ms,
            "until_ms": params.until_ms,
            "who": params.who,
            "at_ms": context.now_ms,
        }
        await put_rows(connection, freezes, [row])
    return await _listed(context, FreezesParams(id=params.id))


@action("freeze.list", FreezesParams, writes=False)
async def freeze_list(context: Context, params: FreezesParams) -> Freezes:
    """Those of venues and of the city."""
    return await _listed(context, params)


async def _listed(context: Context, params: FreezesParams) -> Freezes:
    async with context.database.read() as connection:
        every = await read_freezes(connection)
    shown = [
        _shown(each, context.now_ms)
        for each in every
        if (not params.id or each.id == params.id)
        and (not params.venue or each.venue in ("", params.venue))
        and (params.all or params.id or each.days or each.until_ms > context.now_ms)
    ]
    return Freezes(freezes=shown)


@action("freeze.remove", FreezeRemoveParams, writes=True)
async def freeze_remove(context: Context, params: FreezeRemoveParams) -> FreezeRemoved:
    """What waited for its end goes on within seconds."""
    async with context.database.write() as connection:
        done = await connection.execute(delete(freezes).where(freezes.c.id == params.id))
        if not done.rowcount:
            raise ActionFailed(f"there is no freeze {params.id!r}: see `freeze list`")
    return FreezeRemoved(id=params.id)


async def _zone(connection: AsyncConnection, venue: str) -> str:
    if not venue:
        return CITY_ZONE
    await must_exist(connection, venues, venue, "venue")
    return str((await connection.execute(select(venues.c.time_zone).where(venues.c.id == venue))).scalar_one())


async def _must_have_room(connection: AsyncConnection, params: FreezeParams) -> None:
    """Also: one of a venue does not become another's by being put under its name."""
    every = {each.id: each for each in await read_freezes(connection)}
    held = every.get(params.id)
    if held is not None and held.venue != params.venue:
        raise ActionFailed(f"freeze {params.id!r} is of {held.venue or 'the whole city'}: choose another name")
    if held is None and len(every) >= MOST:
        raise ActionFailed(f"there are {MOST} freezes already: remove those that are over")
    if params.venue:
        await must_exist(connection, venues, params.venue, "venue")


def _shown(each: Freeze, now_ms: int) -> FreezeShown:
    return FreezeShown(
        id=each.id,
        venue=each.venue,
        why=each.why,
        days=list(each.days),
        span=each.span,
        time_zone=each.time_zone,
        from_ms=each.from_ms,
        until_ms=each.until_ms,
        frozen_until_ms=end_ms(each, now_ms) or 0,
    )
