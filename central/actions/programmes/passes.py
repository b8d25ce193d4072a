"""Passes: classes of members that end on a day, such as three months of the pool. Which end soon, whose, how many."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, case, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.list_keys import After, key_of, parts_of
from central.store.schema import ENDING, member_classes, members, subjects, venues
from protocol.wire import Millis

MOST = 10_000
DAY_MS = 86_400_000
Days = Annotated[int, Meta(ge=0, le=3_660)]
Class = Annotated[str, Meta(max_length=64)]


class PassesParams(Params, frozen=True):
    """Which end between `past_days` ago and `days` ahead; of one member, all, whenever they end. `after`: `next` of the
    page before."""

    class_name: Class = ""
    member: Annotated[str, Meta(max_length=128)] = ""
    days: Days = 30
    past_days: Days = 0
    after: After = ""
    limit: Annotated[int, Meta(ge=1, le=MOST)] = MOST


class PassCountsParams(Params, frozen=True):
    """Which end between `past_days` ago and `days` ahead."""

    days: Days = 30
    past_days: Days = 30


class Pass(msgspec.Struct, frozen=True):
    """A class of a member. `from_ms`, `until_ms` 0 = open."""

    member: str
    class_name: str
    from_ms: int
    until_ms: int


class Passes(Result, frozen=True):
    """By the day on which they end, open ones first. `more`: others are behind `next`."""

    passes: list[Pass]
    more: bool = False
    next: str = ""


class PassCount(msgspec.Struct, frozen=True):
    """How many of a class end within the days, and how many have ended within the days before."""

    class_name: str
    ending: int
    ended: int


class PassCounts(Result, frozen=True):
    """By class; a class of which none ends is left out."""

    classes: list[PassCount]


_c = member_classes.c
_KEY = tuple[Millis, Annotated[bytes, Meta(max_length=16)], str, Millis]


@action("pass.list", PassesParams, writes=False)
async def pass_list(context: Context, params: PassesParams) -> Passes:
    """What is known now; a class that was renewed ends with its renewal."""
    order = (_c.until_ms, _c.member, _c.name, _c.from_ms)
    query = select(*order, members.c.reference).join(members, members.c.id == _c.member).where(*_whose(context))
    if params.class_name:
        query = query.where(_c.name == params.class_name)
    if params.after:
        query = query.where(tuple_(*order) > parts_of(params.after, _KEY))
    async with context.database.read() as connection:
        if params.member:
            query = query.where(_c.member == await _member(connection, params.member))
        else:
            query = query.where(*_ending(context.now_ms, params.past_days, params.days))
        rows = (await connection.execute(query.order_by(*order).limit(params.limit + 1))).all()
    more, rows = len(rows) > params.limit, rows[: params.limit]
    found = [Pass(row.reference, row.name, row.from_ms, row.until_ms) for row in rows]
    return Passes(passes=found, more=more, next=key_of(*rows[-1][:4]) if more else "")


@action("pass.counts", PassCountsParams, writes=False)
async def pass_counts(context: Context, params: PassCountsParams) -> PassCounts:
    """By class."""
    now_ms = context.now_ms
    ended = func.sum(case((_c.until_ms <= now_ms, 1), else_=0))
    query: Any = select(_c.name, func.count(), ended).group_by(_c.name).order_by(_c.name)
    query = query.where(*_ending(now_ms, params.past_days, params.days), *_whose(context))
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return PassCounts(classes=[PassCount(name, every - int(past), int(past)) for name, every, past in rows])


def _ending(now_ms: int, past_days: int, days: int) -> tuple[Any, ...]:
    """The first condition lets the index of those that end answer."""
    return ENDING, _c.until_ms > now_ms - past_days * DAY_MS, _c.until_ms <= now_ms + days * DAY_MS


def _whose(context: Context) -> tuple[ColumnElement[bool], ...]:
    """Of members in the domains of the caller's venues."""
    if context.scope.venues is None:
        return ()
    domains = select(venues.c.domain).where(venues.c.id.in_(sorted(context.scope.venues)))
    return (exists().where(subjects.c.member == _c.member, subjects.c.domain.in_(domains)),)


async def _member(connection: AsyncConnection, reference: str) -> bytes:
    found = (await connection.execute(select(members.c.id).where(members.c.reference == reference))).scalar()
    if found is None:
        raise ActionFailed(f"member: {reference!r} is not known here; import the member's card first")
    return bytes(found)
