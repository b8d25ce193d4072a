"""A team's month: its sheet, its approval, and its lock, which is for ever."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import (
    OfTeam,
    find_team,
    month_span,
    month_start,
    references,
    require_coordinator,
)
from central.services import projector
from central.services.attendance.hours import COUNTED
from central.services.attendance.local import month_of
from central.services.attendance.months import digest
from central.services.attendance.sheet import Line, lines
from central.services.attendance.stated import MemberMonthLocked, MonthApproved, MonthLocked, Row
from central.services.attendance.store import read_locks, read_rows, read_rules, take_up_locks
from central.services.service import Touched
from central.store.schema import attendance_months, attendance_sessions, kept_hours


class MonthParams(Params, frozen=True):
    """Which team's, and which: 2026-02."""

    team: str
    month: str


class ApproveParams(MonthParams, frozen=True):
    """Who found it right. `leave_review`: what is in review stays there; settled later, it becomes an adjustment of a
    later month where this one is locked by then."""

    who: str
    leave_review: bool = False


class LockParams(MonthParams, frozen=True):
    """Who locks it."""

    who: str


class MonthsParams(Params, frozen=True):
    """`before`: `next` of the page before, a month."""

    team: Annotated[str, Meta(max_length=64)]
    before: Annotated[str, Meta(max_length=7)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_200)] = 24


class MonthListed(msgspec.Struct, frozen=True):
    """A month that something is booked in. `state`: as of its sheet."""

    month: str
    state: str
    members: int
    sessions: int
    minutes: int


class Months(Result, frozen=True):
    """The newest first. `more`: earlier ones are behind `next`."""

    team: str
    months: list[MonthListed]
    more: bool = False
    next: str = ""


class Sheet(Result, frozen=True):
    """`state`: open, approved, changed (since it was approved), locked. `unsettled`: sessions of the month that are in
    review and count for nothing."""

    team: str
    month: str
    state: str
    by: str
    unit_minutes: int
    minutes: int
    rounded_minutes: int
    unsettled: int
    lines: list[Line]
    erased_people: int = 0
    """People of this month, once it was locked, of whom nothing is known any more: their minutes stand in no line."""
    erased_minutes: int = 0


@action("volunteer.month", MonthParams, writes=False)
async def month(context: Context, params: MonthParams) -> Sheet:
    """The sheet of a team's month."""
    async with context.database.read() as connection:
        found = await find_team(connection, params.team)
        return await _sheet(connection, found, params.month)


@action("volunteer.months", MonthsParams, writes=False)
async def months(context: Context, params: MonthsParams) -> Months:
    """Which months a team has sheets of, and which of them are still to be approved or locked."""
    c, a = attendance_sessions.c, attendance_months.c
    async with context.database.read() as connection:
        found = await find_team(connection, params.team)
        minutes = func.sum(case((c.state == COUNTED, c.minutes), else_=0))
        query = select(c.month, func.count(c.subject.distinct()), func.count(), minutes).group_by(c.month)
        query = query.where(c.domain == found.domain, c.team == params.team, c.month != "")
        if params.before:
            query = query.where(c.month < params.before)
        rows = (await connection.execute(query.order_by(c.month.desc()).limit(params.limit + 1))).all()
        more, rows = len(rows) > params.limit, rows[: params.limit]
        locks = select(a.month).where(a.domain == found.domain, a.team == params.team)
        locked = set((await connection.execute(locks)).scalars())
        said = await facts.read(connection, [MonthApproved], domain=found.domain, subjects=[b""])
        approved = {fact.body.month for fact in said if fact.body.team == params.team}
        listed = []
        for of_month, members, sessions, total in rows:
            state = "locked" if of_month in locked else "open"
            if state == "open" and of_month in approved:
                state, _ = await state_of(connection, found, of_month, await rows_of(connection, found, of_month))
            listed.append(MonthListed(of_month, state, members, sessions, int(total)))
    return Months(team=params.team, months=listed, more=more, next=listed[-1].month if more else "")


@action("volunteer.approve", ApproveParams, writes=True)
async def approve(context: Context, params: ApproveParams) -> Sheet:
    """State that a month that is over is right as it is. What changes afterwards wants another approval."""
    async with context.database.write() as connection:
        found, sheet = await _own_month(context, connection, params, params.who)
        if sheet.unsettled and not params.leave_review:
            raise ActionFailed(
                f"{sheet.unsettled} sessions of {params.month} are in review: settle them (`volunteer review"
                f" --team {params.team} --month {params.month}`), or state --leave-review"
            )
        held = await rows_of(connection, found, params.month)
        body = MonthApproved(team=params.team, month=params.month, digest=digest(held))
        await facts.append(connection, _about(found, params, params.who), body, context.now_ms)
        return await _sheet(connection, found, params.month)


@action("volunteer.lock", LockParams, writes=True)
async def lock(context: Context, params: LockParams) -> Sheet:
    """Close an approved month for ever: whatever becomes known later is booked as an adjustment of a later month."""
    async with context.database.write() as connection:
        found, sheet = await _own_month(context, connection, params, params.who)
        if sheet.state != "approved":
            raise ActionFailed(f"{params.month} is {_NOT_APPROVED[sheet.state]}: look at it and approve it first")
        held = await rows_of(connection, found, params.month)
        if not held:
            raise ActionFailed(f"nothing is booked in {params.month}: there is nothing to lock")
        about = _about(found, params, params.who)
        body = MonthLocked(team=params.team, month=params.month, digest=digest(held), unit_minutes=sheet.unit_minutes)
        await facts.append(connection, about, body, context.now_ms)
        for subject, rows in held.items():
            of_member = MemberMonthLocked(team=params.team, month=params.month, rows=tuple(rows))
            await facts.append(connection, about._replace(subject=subject), of_member, context.now_ms)
        await take_up_locks(connection, found.domain)
        touched = [Touched(found.domain, subject, about.at_ms) for subject in held]
        await projector.settle(connection, touched, context.now_ms)
        return await _sheet(connection, found, params.month)


_NOT_APPROVED = {"open": "not approved", "changed": "not as it was when it was approved"}


async def _own_month(
    context: Context, connection: AsyncConnection, params: MonthParams, who: str
) -> tuple[OfTeam, Sheet]:
    """Of one's own team, over and not locked. Raises ActionFailed."""
    found = await find_team(connection, params.team)
    require_coordinator(context.caller, found.teams, who, params.team)
    if context.now_ms < month_span(params.month, found.zone)[1]:
        raise ActionFailed(f"{params.month} is not over yet")
    sheet = await _sheet(connection, found, params.month)
    if sheet.state == "locked":
        raise ActionFailed(f"{params.month} of {params.team} was locked by {sheet.by}, and stays as it is")
    return found, sheet


def _about(found: OfTeam, params: MonthParams, who: str) -> facts.About:
    return facts.About(who, month_start(params.month, found.zone), found.domain, venue=found.team.body.venue)


async def rows_of(connection: AsyncConnection, found: OfTeam, of_month: str) -> dict[bytes, list[Row]]:
    """What is booked for the team in a month, by subject."""
    c = attendance_sessions.c
    return await read_rows(connection, c.domain == found.domain, c.team == found.team.id, c.month == of_month)


async def _sheet(connection: AsyncConnection, found: OfTeam, of_month: str) -> Sheet:
    month_start(of_month, found.zone)
    team, domain = found.team.id, found.domain
    held = await rows_of(connection, found, of_month)
    locks = await read_locks(connection, domain, [team])
    state, by = await state_of(connection, found, of_month, held)
    if (team, of_month) in locks:
        unit = locks[team, of_month].unit_minutes
    else:
        unit = (await read_rules(connection)).unit_of(of_month)
    every = lines(held, await references(connection, domain, held), unit, found.zone)
    k = kept_hours.c
    kept = select(k.people, k.minutes).where(k.domain == domain, k.team == team, k.month == of_month)
    erased = (await connection.execute(kept)).one_or_none()
    return Sheet(
        team=team,
        month=of_month,
        state=state,
        by=by,
        unit_minutes=unit,
        minutes=sum(each.minutes for each in every),
        rounded_minutes=sum(each.rounded_minutes for each in every),
        unsettled=await _unsettled(connection, found, of_month),
        lines=every,
        erased_people=erased.people if erased else 0,
        erased_minutes=erased.minutes if erased else 0,
    )


async def state_of(
    connection: AsyncConnection, found: OfTeam, of_month: str, held: dict[bytes, list[Row]]
) -> tuple[str, str]:
    """As of its sheet: open, approved, changed (since then) or locked; and by whom. `held`: its rows."""
    kinds = (MonthApproved, MonthLocked)
    said = [
        fact
        for fact in await facts.read(connection, kinds, domain=found.domain, subjects=[b""])
        if fact.body.team == found.team.id and fact.body.month == of_month
    ]
    for fact in said:
        if isinstance(fact.body, MonthLocked):
            return "locked", fact.who
    if not said:
        return "open", ""
    return ("approved" if said[-1].body.digest == digest(held) else "changed"), said[-1].who


async def _unsettled(connection: AsyncConnection, found: OfTeam, of_month: str) -> int:
    c = attendance_sessions.c
    doubtful = c.state.in_(("open", "review"))
    held = await read_rows(connection, c.domain == found.domain, c.team == found.team.id, doubtful)
    return sum(month_of(row.at_ms, found.zone) == of_month for rows in held.values() for row in rows)
