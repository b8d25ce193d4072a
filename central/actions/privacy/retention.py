"""How long the personal parts of events are kept: stated by venue, and how far it has come."""

from typing import Annotated

import msgspec
from sqlalchemy import delete, func, insert, select

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.privacy.holds import held_venues
from central.privacy.retaining import LEAST_DAYS, cutoffs
from central.store.schema import events, gates, retention_rules, venues


class RetentionPutParams(Params, frozen=True, kw_only=True):
    """`venue` empty: every venue without a rule of its own. `days` 0: no rule (any more)."""

    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    days: Annotated[int, msgspec.Meta(ge=0, le=36_500)]
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class RetentionParams(Params, frozen=True):
    """All of it."""


class RetentionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A venue. `days` 0: kept without end. `own`: the rule is the venue's. `held`: a legal hold keeps everything.
    `before_ms`: what is older goes, or would but for what other purposes need; 0 = nothing does. `oldest_ms`: of the
    events that still have a personal part; 0 = none has."""

    venue: str
    days: int
    own: bool
    held: bool
    before_ms: int
    oldest_ms: int


class RetentionListed(Result, frozen=True):
    """By venue. `least_days`: no rule may say less."""

    venues: list[RetentionRow]
    least_days: int


@action("retention.put", RetentionPutParams, writes=True)
async def retention_put(context: Context, params: RetentionPutParams) -> RetentionListed:
    """From now on what is older is destroyed, in the background. It does not come back."""
    if 0 < params.days < LEAST_DAYS:
        raise ActionFailed(f"days: at least {LEAST_DAYS}, so that a month can still be explained and put right")
    async with context.database.write() as connection:
        if params.venue:
            await must_exist(connection, venues, params.venue, "venue")
        await connection.execute(delete(retention_rules).where(retention_rules.c.venue == params.venue))
        if params.days:
            values = {"venue": params.venue, "days": params.days, "why": params.why, "who": params.who}
            await connection.execute(insert(retention_rules).values(values | {"at_ms": context.now_ms}))
    return await retention_list(context, RetentionParams())  # type: ignore[no-any-return]


@action("retention.list", RetentionParams, writes=False)
async def retention_list(context: Context, _params: RetentionParams) -> RetentionListed:
    """What is kept how long, and what of it is left."""
    async with context.database.read() as connection:
        rules = {row.venue: row.days for row in await connection.execute(select(retention_rules))}
        before = await cutoffs(connection, context.now_ms)
        held, everything = await held_venues(connection)
        e = events.c
        query = select(gates.c.venue, func.min(e.at_ms)).join(gates, gates.c.id == e.gate)
        left = query.where(e.personal.is_not(None)).group_by(gates.c.venue)
        oldest = {row[0]: row[1] for row in await connection.execute(left)}
        every = (await connection.execute(select(venues.c.id).order_by(venues.c.id))).scalars().all()
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
    return RetentionListed(venues=rows, least_days=LEAST_DAYS)
