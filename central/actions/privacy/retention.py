"""How long what is personal is kept: stated by purpose, of admission by venue, and how far it has come."""

from typing import Annotated, Any, get_args

import msgspec
from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.privacy.holds import held_venues
from central.privacy.purposes import purposes
from central.privacy.retention.rules import (
    ADMISSION,
    HEALTH_CHECK,
    LEAST_DAYS,
    NOTICES,
    POINTS,
    VOLUNTEERING,
    Ruled,
    cutoffs,
    due_before,
    rules_of,
)
from central.store.schema import (
    activities,
    attendance_sessions,
    consents,
    events,
    gates,
    kept_attendance,
    notices,
    point_books,
    retention_rules,
    venues,
)


class RetentionPutParams(Params, frozen=True, kw_only=True):
    """`venue` empty: every venue without a rule of its own; others have one of `admission` alone. `days` 0: no rule
    (any more)."""

    purpose: Ruled = "admission"
    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    days: Annotated[int, msgspec.Meta(ge=0, le=36_500)]
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class RetentionParams(Params, frozen=True):
    """All of it."""


class RetentionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A venue, of the purpose `admission`. `days` 0: kept without end. `own`: the rule is the venue's. `held`: a legal
    hold keeps everything. `before_ms`: what is older goes, or would but for what other purposes need; 0 = nothing does.
    `oldest_ms`: of the events that still have a personal part; 0 = none has."""

    venue: str
    days: int
    own: bool
    held: bool
    before_ms: int
    oldest_ms: int


class PurposeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A purpose. `days` 0: kept without end. `before_ms`: what is older goes, once nothing counts on it; 0 = nothing
    does. `oldest_ms`: of what is kept for it beside events; 0 = there is nothing."""

    purpose: str
    title_zh: str
    title_en: str
    days: int
    before_ms: int
    oldest_ms: int


class RetentionListed(Result, frozen=True):
    """By venue, and by purpose. `least_days`: no rule may say less."""

    venues: list[RetentionRow]
    purposes: list[PurposeRow]
    least_days: int


@action("retention.put", RetentionPutParams, writes=True)
async def retention_put(context: Context, params: RetentionPutParams) -> RetentionListed:
    """From now on what is older is destroyed, in the background. It does not come back."""
    if 0 < params.days < LEAST_DAYS:
        raise ActionFailed(f"days: at least {LEAST_DAYS}, so that a month can still be explained and put right")
    if params.venue and params.purpose != ADMISSION:
        raise ActionFailed(f"venue: {params.purpose} has one rule for the whole city")
    async with context.database.write() as connection:
        if params.venue:
            await must_exist(connection, venues, params.venue, "venue")
        r = retention_rules.c
        await connection.execute(delete(retention_rules).where(r.purpose == params.purpose, r.venue == params.venue))
        if params.days:
            values = {"purpose": params.purpose, "venue": params.venue, "days": params.days}
            values |= {"why": params.why, "who": params.who}
            await connection.execute(insert(retention_rules).values(values | {"at_ms": context.now_ms}))
    return await retention_list(context, RetentionParams())  # type: ignore[no-any-return]


@action("retention.list", RetentionParams, writes=False)
async def retention_list(context: Context, _params: RetentionParams) -> RetentionListed:
    """What is kept how long, and what of it is left."""
    async with context.database.read() as connection:
        rules = await rules_of(connection, ADMISSION)
        before = await cutoffs(connection, context.now_ms)
        held, everything = await held_venues(connection)
        e = events.c
        query = select(gates.c.venue, func.min(e.at_ms)).join(gates, gates.c.id == e.gate)
        left = query.where(e.personal.is_not(None)).group_by(gates.c.venue)
        oldest = {row[0]: row[1] for row in await connection.execute(left)}
        every = (await connection.execute(select(venues.c.id).order_by(venues.c.id))).scalars().all()
        by_purpose = await _by_purpose(connection, context.now_ms)
    rows = [
        RetentionRow(
            venue=venue,
            days=rules.get(venue, rules.get("", 0)),
            own=venue in rules,
            held=everything or venue in held,
            before_ms=max(0, before.get(venue, 0)),
            oldest_ms=oldest.get(venue, 0),
        )
        for venue in every
    ]
    return RetentionListed(venues=rows, purposes=by_purpose, least_days=LEAST_DAYS)


async def _by_purpose(connection: AsyncConnection, now_ms: int) -> list[PurposeRow]:
    found = []
    for purpose in purposes().values():
        if purpose.id not in get_args(Ruled):
            continue
        row = PurposeRow(
            purpose=purpose.id,
            title_zh=purpose.title_zh,
            title_en=purpose.title_en,
            days=(await rules_of(connection, purpose.id)).get("", 0),
            before_ms=await due_before(connection, purpose.id, now_ms),
            oldest_ms=await _oldest_ms(connection, purpose.id),
        )
        found.append(row)
    return found


async def _oldest_ms(connection: AsyncConnection, purpose: str) -> int:
    return int((await connection.execute(_oldest(purpose))).scalar() or 0)


def _oldest(purpose: str) -> Select[Any]:
    """The moment of the oldest that is kept for a purpose beside personal parts of events."""
    if purpose == VOLUNTEERING:
        return select(func.min(attendance_sessions.c.at_ms))
    if purpose == POINTS:
        return select(func.min(point_books.c.at_ms)).where(point_books.c.subject != b"")
    if purpose == HEALTH_CHECK:
        counted = select(kept_attendance.c.activity)
        return select(func.min(activities.c.until_ms)).where(activities.c.id.not_in(counted))
    if purpose == NOTICES:
        return select(func.min(notices.c.made_ms))
    if purpose == ADMISSION:
        return select(func.min(events.c.at_ms)).where(events.c.personal.is_not(None))
    return select(func.min(consents.c.known_ms)).where(consents.c.purpose == purpose)
