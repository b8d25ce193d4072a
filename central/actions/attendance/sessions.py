"""Volunteers' sessions as lists: what is booked, what a person must settle, and what it comes to."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import find_member, find_team, references
from central.services.attendance.hours import counted_minutes, rounded
from central.services.attendance.local import month_of
from central.services.attendance.stated import Row
from central.services.attendance.store import read_locks, read_rows, read_rules, read_teams
from central.services.attendance.teams import Teams
from central.store.schema import attendance_sessions, attendance_teams

UNSETTLED = ("open", "review")


class SessionsParams(Params, frozen=True):
    """Filters; empty = any. Of `member`, `team` and `domain` one is stated. `month`: 2026-02."""

    member: str = ""
    team: str = ""
    domain: str = ""
    month: str = ""


class TotalsParams(Params, frozen=True):
    """Whose, and of which year."""

    member: str
    domain: str
    year: int


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A session, or an adjustment of one. `minutes` of an adjustment is the difference."""

    session: str
    member: str
    team: str
    month: str
    in_ms: int | None
    out_ms: int | None
    minutes: int
    state: str
    why: str
    adjustment: bool
    shift: str
    shift_end_ms: int | None
    activity: str
    venue: str
    people: int
    transport: int
    meal: int
    people_abroad: int
    people_home: int
    remark: str


class SessionsShown(Result, frozen=True):
    """By member and time."""

    sessions: list[Shown]


class Total(msgspec.Struct, frozen=True):
    """Of one team in one month, exact and as the dated rule shows it."""

    month: str
    team: str
    minutes: int
    rounded_minutes: int


class Totals(Result, frozen=True):
    """A member's year. Its rounded total is cut off once, it is no sum of rounded months."""

    member: str
    year: int
    minutes: int
    rounded_minutes: int
    months: list[Total]


@action("volunteer.sessions", SessionsParams, writes=False)
async def sessions(context: Context, params: SessionsParams) -> SessionsShown:
    """What is booked, adjusted, open, in review or void."""
    async with context.database.read() as connection:
        return SessionsShown(sessions=await _shown(connection, params, context.now_ms))


@action("volunteer.review", SessionsParams, writes=False)
async def review(context: Context, params: SessionsParams) -> SessionsShown:
    """What a coordinator must settle: forgotten sign-outs and all that taps leave in doubt. None of it counts."""
    async with context.database.read() as connection:
        found = await _shown(connection, params, context.now_ms)
    return SessionsShown(sessions=[each for each in found if each.state == "review"])


async def _shown(connection: AsyncConnection, params: SessionsParams, now_ms: int) -> list[Shown]:
    c = attendance_sessions.c
    conditions: list[Any] = []
    domain = params.domain
    if params.team:
        domain = (await find_team(connection, params.team)).domain
        conditions.append(c.team == params.team)
    teamed = [domain] if domain else list((await connection.execute(_DOMAINS)).scalars())
    found: list[Shown] = []
    for each in teamed:
        teams = await read_teams(connection, each)
        subjects = None
        if params.member:
            try:
                subjects = [await find_member(connection, each, params.member)]
            except ActionFailed:
                if len(teamed) == 1:
                    raise
                continue
        of_month = [or_(c.month == params.month, c.month == "")] if params.month else []
        held = await read_rows(connection, c.domain == each, *conditions, *of_month, subjects=subjects)
        names = await references(connection, each, held)
        for subject, rows in held.items():
            for row in rows:
                if not params.month or row.month or _month(row, teams) == params.month:
                    found.append(shown(row, names.get(subject, subject.hex()), now_ms))
    return sorted(found, key=lambda one: (one.member, one.in_ms or one.out_ms or 0, one.session, one.month))


_DOMAINS = select(attendance_teams.c.domain).distinct().order_by(attendance_teams.c.domain)


def _month(row: Row, teams: Teams) -> str:
    team = teams.newest(row.team)
    return month_of(row.at_ms, team.zone if team is not None else ZoneInfo("UTC"))


def shown(row: Row, member: str, now_ms: int) -> Shown:
    """A session that has been open for too long was forgotten: only who looks can tell that by the clock."""
    state, why = row.state, row.why
    if state == "open" and now_ms >= row.ends_by_ms:
        state, why = "review", why or "no-sign-out"
    values = {name: getattr(row, name) for name in _SAME}
    return Shown(
        session=row.key.hex(), member=member, state=state, why=why, adjustment=bool(row.adjustment_of), **values
    )


_SAME = {field.name for field in msgspec.structs.fields(Shown)} & {field.name for field in msgspec.structs.fields(Row)}
_SAME -= {"state", "why"}


@action("volunteer.totals", TotalsParams, writes=False)
async def totals(context: Context, params: TotalsParams) -> Totals:
    """A member's hours of a year: exact, and as they are shown."""
    c = attendance_sessions.c
    async with context.database.read() as connection:
        subject = await find_member(connection, params.domain, params.member)
        of_year = c.month.between(f"{params.year:04}-01", f"{params.year:04}-12")
        held = await read_rows(connection, c.domain == params.domain, of_year, subjects=[subject])
        rules = await read_rules(connection)
        rows = held.get(subject, [])
        locks = await read_locks(connection, params.domain, {row.team for row in rows})
    of_month: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        of_month.setdefault((row.month, row.team), []).append(row)
    months = []
    for (month, team), some in sorted(of_month.items()):
        exact = counted_minutes(some)
        unit = locks[team, month].unit_minutes if (team, month) in locks else rules.unit_of(month)
        months.append(Total(month, team, exact, rounded(exact, unit)))
    exact = counted_minutes(rows)
    return Totals(
        member=params.member,
        year=params.year,
        minutes=exact,
        rounded_minutes=rounded(exact, rules.unit_of_year(params.year)),
        months=months,
    )
