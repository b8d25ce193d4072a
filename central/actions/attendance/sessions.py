"""Volunteers' sessions as lists: what is booked, what a person must settle, and what it comes to."""

from typing import Annotated

import msgspec
from msgspec import Meta

from central.actions.action import Context, Params, Result, action
from central.actions.attendance.access import find_member, find_team
from central.actions.attendance.listing import Wanted, page
from central.actions.list_keys import After
from central.services.attendance.hours import counted_minutes, rounded
from central.services.attendance.stated import Row
from central.services.attendance.store import read_locks, read_rows, read_rules
from central.store.schema import attendance_sessions

MOST = 10_000


class SessionsParams(Params, frozen=True):
    """Filters; empty = any. `session`: one, with its adjustments. `month`: 2026-02. `after`: `next` of the page
    before."""

    member: Annotated[str, Meta(max_length=128)] = ""
    team: Annotated[str, Meta(max_length=64)] = ""
    domain: Annotated[str, Meta(max_length=64)] = ""
    month: Annotated[str, Meta(max_length=7)] = ""
    session: Annotated[str, Meta(max_length=32)] = ""
    after: After = ""
    limit: Annotated[int, Meta(ge=1, le=MOST)] = MOST


class TotalsParams(Params, frozen=True):
    """Whose, and of which year."""

    member: str
    domain: str
    year: Annotated[int, Meta(ge=1970, le=9998)]


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
    """By member and time. `more`: others are behind `next`."""

    sessions: list[Shown]
    more: bool = False
    next: str = ""


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
    return await _listed(context, params, review=False)


@action("volunteer.review", SessionsParams, writes=False)
async def review(context: Context, params: SessionsParams) -> SessionsShown:
    """What a coordinator must settle: forgotten sign-outs and all that taps leave in doubt. None of it counts."""
    return await _listed(context, params, review=True)


async def _listed(context: Context, params: SessionsParams, *, review: bool) -> SessionsShown:
    wanted = Wanted(**msgspec.structs.asdict(params), review=review)
    async with context.database.read() as connection:
        if params.member and (params.domain or params.team):
            domain = (await find_team(connection, params.team)).domain if params.team else params.domain
            await find_member(connection, domain, params.member)
        found = await page(context, connection, wanted)
    more, found = len(found) > params.limit, found[: params.limit]
    listed = [shown(each.row, each.member, context.now_ms) for each in found]
    return SessionsShown(sessions=listed, more=more, next=found[-1].key if more else "")


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
