"""Teams of volunteers and the city's rules for their hours: putting them in force, and showing them."""

import datetime as dt
from typing import Any

import msgspec
from sqlalchemy import func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import find_team
from central.actions.places.places import Id, must_exist
from central.services import projector
from central.services.attendance.local import instant_ms
from central.services.attendance.rules import Rules
from central.services.attendance.store import SIGNINGS, read_rules, read_teams
from central.services.attendance.teams import Team, Teams, check
from central.services.service import Touched
from central.store.schema import attendance_rules, attendance_sessions, attendance_teams, marks, venues
from protocol.time_zones import zone_named


class TeamParams(Params, frozen=True):
    """A team's body, as in its file. `valid_from`: the local date from which it is good, so that also earlier signings
    are judged by it; empty: from now on, and a new team from ever."""

    id: Id
    body: dict[str, object]
    who: str
    valid_from: str = ""


class TeamNamed(Params, frozen=True):
    """Which team."""

    id: str


class TeamsParams(Params, frozen=True):
    """Empty: of every domain."""

    domain: str = ""


class RulesParams(Params, frozen=True):
    """The rules' body, as in their file."""

    body: dict[str, object]
    who: str


class NoParams(Params, frozen=True):
    """Nothing to say."""


class TeamPut(Result, frozen=True):
    """The version, and how many members were judged again by it."""

    id: str
    version: int
    from_ms: int
    members: int


class TeamShown(Result, frozen=True):
    """A team as it was stated last."""

    id: str
    version: int
    from_ms: int
    body: dict[str, object]


class TeamListed(msgspec.Struct, frozen=True):
    """One team."""

    id: str
    venue: str
    title_zh: str
    coordinators: list[str]
    rules: list[str]
    title_en: str = ""
    domain: str = ""
    time_zone: str = ""


class TeamsListed(Result, frozen=True):
    """By name."""

    teams: list[TeamListed]


class RulesShown(Result, frozen=True):
    """The rules in force."""

    body: dict[str, object]


@action("volunteer.team.put", TeamParams, writes=True)
async def team_put(context: Context, params: TeamParams) -> TeamPut:
    """Put a team in force. Members who signed by its rules since it is good are judged again; what locked months hold
    stays, the difference becomes adjustments."""
    team = _checked(params.body)
    async with context.database.write() as connection:
        await must_exist(connection, venues, team.venue, "venue")
        query = select(venues.c.domain, venues.c.time_zone).where(venues.c.id == team.venue)
        domain, zone = (await connection.execute(query)).one()
        t = attendance_teams.c
        elsewhere = select(t.domain).where(t.id == params.id, t.domain != domain).limit(1)
        found = (await connection.execute(elsewhere)).scalar()
        if found is not None:
            raise ActionFailed(f"the team {params.id!r} is of the domain {found!r}: choose another name")
        teams = await read_teams(connection, domain)
        _one_team_a_rule(params.id, team, teams)
        before = teams.newest(params.id)
        from_ms = context.now_ms if before is not None else 0
        if params.valid_from:
            from_ms = instant_ms(_date(params.valid_from), 0, zone_named(zone))
        version = max((before.number if before is not None else 0) + 1, context.now_ms)
        values = {"domain": domain, "id": params.id, "version": version, "at_ms": context.now_ms, "from_ms": from_ms}
        values |= {"venue": team.venue, "who": params.who, "body": msgspec.msgpack.encode(team)}
        await connection.execute(insert(attendance_teams).values(values))
        is_first = not teams.every()
        rules = {rule.id for body in (team, before.body if before else team) for rule in body.rules}
        touched = await _touched(connection, domain, params.id, None if is_first else rules, from_ms)
        await projector.settle(connection, touched, context.now_ms)
    return TeamPut(id=params.id, version=version, from_ms=from_ms, members=len(touched))


def _checked(body: dict[str, object]) -> Team:
    try:
        team = msgspec.convert(body, Team)
        check(team)
    except (msgspec.ValidationError, ValueError) as error:
        raise ActionFailed(f"team: {error}") from None
    return team


def _one_team_a_rule(name: str, team: Team, teams: Teams) -> None:
    """Raises ActionFailed where at one venue's kiosks nobody could tell two teams apart."""
    for other in teams.every():
        if other.id == name or other.body.venue != team.venue:
            continue
        both = {rule.id for rule in team.rules} & {rule.id for rule in other.body.rules}
        if both:
            raise ActionFailed(f"team: the rule {min(both)!r} is of the team {other.id!r} already, at {team.venue}")


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ActionFailed(f"{text!r} is no date: write 2026-01-31") from None


async def _touched(
    connection: AsyncConnection, domain: str, team: str, rules: set[str] | None, from_ms: int
) -> list[Touched]:
    """Who signed by these rules (None: by any) or has sessions of the team, since then."""
    m, s = marks.c, attendance_sessions.c
    signed = select(m.subject).where(m.domain == domain, m.at_ms >= from_ms, m.reason.in_(SIGNINGS))
    if rules is not None:
        signed = signed.where(m.rule.in_(sorted(rules)))
    held = select(s.subject).where(s.domain == domain, s.at_ms >= from_ms, or_(s.team == team, s.team == ""))
    found = (await connection.execute(signed.union(held))).scalars()
    return [Touched(domain, subject, from_ms) for subject in sorted(found) if subject]


@action("volunteer.team.list", TeamsParams, writes=False)
async def team_list(context: Context, params: TeamsParams) -> TeamsListed:
    """Every team."""
    found: list[TeamListed] = []
    async with context.database.read() as connection:
        query = select(attendance_teams.c.domain).distinct()
        domains = [params.domain] if params.domain else list((await connection.execute(query)).scalars())
        for domain in domains:
            for team in (await read_teams(connection, domain)).every():
                if context.scope.teams is not None and team.id not in context.scope.teams:
                    continue
                body = team.body
                rules = [rule.id for rule in body.rules]
                told = team.id, body.venue, body.title_zh, list(body.coordinators), rules, body.title_en
                found.append(TeamListed(*told, domain, team.zone.key))
    return TeamsListed(teams=sorted(found, key=lambda team: team.id))


@action("volunteer.team.show", TeamNamed, writes=False)
async def team_show(context: Context, params: TeamNamed) -> TeamShown:
    """As it was stated last, a map that `volunteer.team.put` takes back."""
    async with context.database.read() as connection:
        team = (await find_team(connection, params.id)).team
    return TeamShown(id=team.id, version=team.number, from_ms=team.from_ms, body=_map_of(team.body))


@action("volunteer.rules.put", RulesParams, writes=True)
async def rules_put(context: Context, params: RulesParams) -> RulesShown:
    """Put the city's rules in force. Totals of months that are locked stay as they were rounded then."""
    try:
        rules = msgspec.convert(params.body, Rules)
    except msgspec.ValidationError as error:
        raise ActionFailed(f"rules: {error}") from None
    days = [rule.valid_from for rule in rules.rounding]
    if len(set(days)) < len(days):
        raise ActionFailed("rules: two ways of rounding begin on one day")
    async with context.database.write() as connection:
        newest = (await connection.execute(select(func.max(attendance_rules.c.version)))).scalar() or 0
        values = {"version": max(newest + 1, context.now_ms), "at_ms": context.now_ms, "who": params.who}
        await connection.execute(insert(attendance_rules).values(values | {"body": msgspec.msgpack.encode(rules)}))
    return RulesShown(body=_map_of(rules))


@action("volunteer.rules.show", NoParams, writes=False)
async def rules_show(context: Context, _params: NoParams) -> RulesShown:
    """The rules in force, a map that `volunteer.rules.put` takes back."""
    async with context.database.read() as connection:
        return RulesShown(body=_map_of(await read_rules(connection)))


def _map_of(body: Any) -> dict[str, object]:
    return dict(msgspec.to_builtins(body))
