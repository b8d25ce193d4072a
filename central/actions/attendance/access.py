"""Which team, session or member an action on volunteers' hours is about, and who may do it."""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Caller, Role
from central.actions.action import ActionFailed
from central.actions.cards.named import members_by_reference
from central.services.attendance.local import end_of, instant_ms, start_of
from central.services.attendance.months import WITHDRAWN
from central.services.attendance.stated import Row
from central.services.attendance.store import read_rows, read_teams
from central.services.attendance.teams import Teams, Version
from central.store.schema import attendance_sessions, attendance_teams, members, subjects

KEY_DIGITS = 32


class OfTeam(NamedTuple):
    """A team as it was stated last, among all of its domain."""

    domain: str
    team: Version
    teams: Teams

    @property
    def zone(self) -> ZoneInfo:
        return self.team.zone


async def find_team(connection: AsyncConnection, name: str) -> OfTeam:
    """Raises ActionFailed where there is none of this name."""
    query = select(attendance_teams.c.domain).where(attendance_teams.c.id == name).limit(1)
    domain = (await connection.execute(query)).scalar()
    if domain is None:
        raise ActionFailed(f"there is no team {name!r}: see `volunteer team list`")
    teams = await read_teams(connection, domain)
    team = teams.newest(name)
    if team is None:
        raise ActionFailed(f"there is no team {name!r}: see `volunteer team list`")
    return OfTeam(domain, team, teams)


def require_coordinator(caller: Caller, teams: Teams, who: str, team: str) -> None:
    """Raises ActionFailed for who is neither coordinator of this team nor an admin of its domain, by what the teams
    say or by their own account."""
    if teams.may_act(who, team) or coordinates(caller, team):
        return
    if not team:
        raise ActionFailed(f"this session is of no team yet: only an admin may decide on it, and {who!r} is none")
    raise ActionFailed(f"{who!r} is no coordinator of the team {team!r}: see `volunteer team show {team}`")


def coordinates(caller: Caller, team: str) -> bool:
    """By their account: an admin every team and what is of none, a coordinator their own. At this machine's command
    line people act under the name that they state, and the teams say who that is."""
    if caller.local:
        return False
    return Role.ADMIN in caller.roles or (Role.COORDINATOR in caller.roles and team in caller.teams)


class OfSession(NamedTuple):
    """One session with all its rows: what is booked and what was adjusted since."""

    domain: str
    subject: bytes
    key: bytes
    rows: list[Row]
    teams: Teams

    @property
    def newest(self) -> Row:
        """As it is known now: what is in no month, or else what was booked last and not taken back by it."""
        return max(self.rows, key=lambda row: (not row.month, row.why not in WITHDRAWN, row.month))


async def find_session(connection: AsyncConnection, name: str) -> OfSession:
    """By the name that lists show. Raises ActionFailed where there is none."""
    key, c = session_key(name), attendance_sessions.c
    found = (await connection.execute(select(c.domain, c.subject).where(c.key == key).limit(1))).first()
    if found is None:
        raise _no_session(name)
    held = await read_rows(connection, c.domain == found.domain, c.key == key, subjects=[found.subject])
    teams = await read_teams(connection, found.domain)
    return OfSession(found.domain, found.subject, key, held[found.subject], teams)


def session_key(name: str) -> bytes:
    """Out of the name that lists show. Raises ActionFailed."""
    try:
        key = bytes.fromhex(name)
    except ValueError:
        key = b""
    if len(name) != KEY_DIGITS or len(key) != KEY_DIGITS // 2:
        raise _no_session(name)
    return key


def _no_session(name: str) -> ActionFailed:
    return ActionFailed(f"there is no session {name[:80]!r}: see `volunteer sessions` and `volunteer review`")


async def find_member(connection: AsyncConnection, domain: str, reference: str) -> bytes:
    """Who a member is in a domain. Raises ActionFailed for who is not known there."""
    member = (await members_by_reference(connection, [reference])).get(reference)
    query = select(subjects.c.subject).where(subjects.c.domain == domain, subjects.c.member == member)
    subject = (await connection.execute(query)).scalar() if member is not None else None
    if subject is None:
        raise ActionFailed(f"there is no member {reference!r} in the domain {domain!r}: import their card first")
    return bytes(subject)


async def references(connection: AsyncConnection, domain: str, who: Collection[bytes]) -> dict[bytes, str]:
    """The city's own numbers of members, by who they are in a domain."""
    found: dict[bytes, str] = {}
    every = sorted(who)
    for at in range(0, len(every), 1_000):
        query = select(subjects.c.subject, members.c.reference).join(members, members.c.id == subjects.c.member)
        query = query.where(subjects.c.domain == domain, subjects.c.subject.in_(every[at : at + 1_000]))
        found.update((subject, reference) for subject, reference in await connection.execute(query))
    return found


def instant_of(text: str, zone: ZoneInfo, now_ms: int) -> int:
    """`now`, or a time as people write it, local where it names no offset. Raises ActionFailed; also for what is to
    come: nobody can state that."""
    try:
        at_ms = now_ms if text == "now" else _instant_in(text, zone)
    except ValueError:
        raise ActionFailed(f"{text!r} is no time: write 2026-02-03T09:00, or now") from None
    if at_ms > now_ms:
        raise ActionFailed(f"{text} is still to come")
    return at_ms


def _instant_in(text: str, zone: ZoneInfo) -> int:
    found = dt.datetime.fromisoformat(text)
    if len(text) <= len("2026-02-03"):
        raise ValueError("a day is no time of it")
    if found.tzinfo is not None:
        return int(found.timestamp() * 1_000)
    return instant_ms(found.date(), found.hour * 60 + found.minute, zone) + found.second * 1_000


def month_start(month: str, zone: ZoneInfo) -> int:
    """Raises ActionFailed for what is no month."""
    return month_span(month, zone)[0]


def month_span(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """When it begins and when it is over. Raises ActionFailed for what is no month."""
    try:
        return start_of(month, zone), end_of(month, zone)
    except (ValueError, OverflowError):
        raise ActionFailed(f"{month[:20]!r} is not a month: write 2026-02") from None
