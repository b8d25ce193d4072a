"""What coordinators state about sessions of their own teams: who was there, from when to when, and what it was."""

from typing import Annotated, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.access.caller import Caller
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import (
    OfSession,
    find_member,
    find_session,
    find_team,
    instant_of,
    references,
    require_coordinator,
)
from central.actions.attendance.sessions import Shown, shown
from central.services import projector
from central.services.attendance.stated import Reassigned, Row, Served, SessionSettled, SignedByHand
from central.services.attendance.store import read_rows
from central.services.service import Touched
from central.store.schema import attendance_sessions

LONGEST_HOURS = 24
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Number = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class SignParams(Params, frozen=True):
    """Signs a member in, out, or both, at times as people write them (`now`, or 2026-02-03T09:00 of the venue)."""

    member: str
    team: str
    why: Why
    who: str
    signed_in: str = ""
    signed_out: str = ""
    activity: str = ""


class SettleParams(Params, frozen=True):
    """What a session was: void, or hours from and until. `team`, `activity`: where they were others."""

    session: str
    why: Why
    who: str
    outcome: Literal["hours", "void"]
    from_: str = msgspec.field(default="", name="from")
    until: str = ""
    team: str = ""
    activity: str = ""


class ReassignParams(Params, frozen=True):
    """The team that it was for."""

    session: str
    team: str
    why: Why
    who: str
    activity: str = ""


class ServedParams(Params, frozen=True):
    """What the ministry's sheet asks of a session; what is not stated stays."""

    session: str
    who: str
    people: Number | None = None
    transport: Number | None = None
    meal: Number | None = None
    people_abroad: Number | None = None
    people_home: Number | None = None
    remark: str | None = None


class Stated(Result, frozen=True):
    """The rows that it changed, as they are now."""

    sessions: list[Shown]


@action("volunteer.sign", SignParams, writes=True)
async def sign(context: Context, params: SignParams) -> Stated:
    """Sign somebody in or out by hand, for a team of one's own."""
    async with context.database.write() as connection:
        found = await find_team(connection, params.team)
        require_coordinator(context.caller, found.teams, params.who, params.team)
        subject = await find_member(connection, found.domain, params.member)
        told = [("in", params.signed_in), ("out", params.signed_out)]
        times = [(way, instant_of(text, found.zone, context.now_ms)) for way, text in told if text]
        if not times:
            raise ActionFailed("state when: --in, --out, or both")
        if len(times) == 2 and times[0][1] >= times[1][1]:
            raise ActionFailed("the sign-out is not after the sign-in")
        statements: list[tuple[facts.FactBody, int]] = [
            (SignedByHand(way=way, team=params.team, why=params.why, activity=params.activity), at_ms)  # type: ignore[arg-type]
            for way, at_ms in times
        ]
        return await _state(context, connection, params.who, found.domain, subject, found.team.body.venue, statements)


@action("volunteer.settle", SettleParams, writes=True)
async def settle(context: Context, params: SettleParams) -> Stated:
    """Say what a session was. This is the only way in which a forgotten sign-out becomes hours."""
    async with context.database.write() as connection:
        found = await find_session(connection, params.session)
        row = found.newest
        team = params.team or row.team
        _require_both(context.caller, found, params.who, row.team, team)
        from_ms = until_ms = 0
        if params.outcome == "hours":
            from_ms, until_ms = await _times(connection, context, params, row, team)
        elif params.from_ or params.until:
            raise ActionFailed("a void session has no time: leave --from and --until out")
        body = SessionSettled(
            key=found.key,
            outcome=params.outcome,
            why=params.why,
            taps=tuple(row.taps[at : at + 16] for at in range(0, len(row.taps), 16)),
            team=team,
            activity=params.activity or row.activity,
            from_ms=from_ms,
            until_ms=until_ms,
        )
        return await _about(context, connection, params.who, found, body)


async def _times(
    connection: AsyncConnection, context: Context, params: SettleParams, row: Row, team: str
) -> tuple[int, int]:
    """What is not stated is as it was tapped."""
    if not team:
        raise ActionFailed("this session is of no team: state --team")
    zone = (await find_team(connection, team)).zone
    from_ms = instant_of(params.from_, zone, context.now_ms) if params.from_ else row.in_ms
    until_ms = instant_of(params.until, zone, context.now_ms) if params.until else row.out_ms
    if from_ms is None or until_ms is None:
        raise ActionFailed(f"nobody tapped {'in: state --from' if from_ms is None else 'out: state --until'}")
    if not 0 < until_ms - from_ms <= LONGEST_HOURS * 3_600_000:
        raise ActionFailed(f"a session ends after it begins, and within {LONGEST_HOURS} hours")
    return from_ms, until_ms


@action("volunteer.reassign", ReassignParams, writes=True)
async def reassign(context: Context, params: ReassignParams) -> Stated:
    """Book a session for the team that it was for. Who states it coordinates both."""
    async with context.database.write() as connection:
        found = await find_session(connection, params.session)
        _require_both(context.caller, found, params.who, found.newest.team, params.team)
        body = Reassigned(key=found.key, team=params.team, why=params.why, activity=params.activity)
        return await _about(context, connection, params.who, found, body)


@action("volunteer.served", ServedParams, writes=True)
async def served(context: Context, params: ServedParams) -> Stated:
    """People served and allowances of a session."""
    names = ("people", "transport", "meal", "people_abroad", "people_home", "remark")
    values = {name: value for name in names if (value := getattr(params, name)) is not None}
    if not values:
        raise ActionFailed("state at least one number")
    async with context.database.write() as connection:
        found = await find_session(connection, params.session)
        require_coordinator(context.caller, found.teams, params.who, found.newest.team)
        return await _about(context, connection, params.who, found, Served(key=found.key, **values))


def _require_both(caller: Caller, found: OfSession, who: str, before: str, after: str) -> None:
    for team in {before, after} if before else {after}:
        if team and found.teams.newest(team) is None:
            raise ActionFailed(f"there is no team {team!r} in this domain: see `volunteer team list`")
        require_coordinator(caller, found.teams, who, team)


async def _about(
    context: Context, connection: AsyncConnection, who: str, found: OfSession, body: facts.FactBody
) -> Stated:
    venue = found.newest.venue
    statements = [(body, found.newest.at_ms)]
    return await _state(context, connection, who, found.domain, found.subject, venue, statements)


async def _state(
    context: Context,
    connection: AsyncConnection,
    who: str,
    domain: str,
    subject: bytes,
    venue: str,
    statements: list[tuple[facts.FactBody, int]],
) -> Stated:
    """Write it down and settle the member. Refused, with nothing changed, where another session came into doubt."""
    before = await _rows(connection, domain, subject)
    for body, at_ms in statements:
        about = facts.About(who, at_ms, domain, subject, venue)
        await facts.append(connection, about, body, context.now_ms)
    since_ms = min(at_ms for _, at_ms in statements)
    await projector.settle(connection, [Touched(domain, subject, since_ms)], context.now_ms)
    after = await _rows(connection, domain, subject)
    doubted = {row.key for row in before if shown(row, "", context.now_ms).state == "review"}
    for row in after:
        if row.state == "review" and row.key not in doubted:
            why = "overlap" if len(statements) > 1 else row.why  # both ends were stated: another session is in the way
            raise ActionFailed(_IN_DOUBT.get(why, _DOUBT).format(session=row.key.hex(), why=why))
    member = (await references(connection, domain, [subject])).get(subject, subject.hex())
    return Stated(sessions=[shown(row, member, context.now_ms) for row in after if row not in before])


_DOUBT = "nothing was changed: the session {session} would be in doubt then ({why}); settle that one first"
_IN_DOUBT = {
    "overlap": "nothing was changed: it overlaps the session {session} of this member; settle that one first",
    "no-sign-out": "nothing was changed: there would be a sign-in without an end; state --out as well",
    "no-sign-in": "nothing was changed: there would be a sign-out without a sign-in; state --in as well",
}


async def _rows(connection: AsyncConnection, domain: str, subject: bytes) -> list[Row]:
    held = await read_rows(connection, attendance_sessions.c.domain == domain, subjects=[subject])
    return held.get(subject, [])
