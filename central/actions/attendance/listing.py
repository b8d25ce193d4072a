"""Pages of volunteers' sessions out of the database, by member and time, within the caller's teams."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context
from central.actions.attendance.access import find_team, month_span, session_key
from central.actions.list_keys import key_of, parts_of
from central.services.attendance.stated import Row
from central.services.attendance.store import read_teams
from central.store.schema import attendance_sessions, attendance_teams, members, subjects
from protocol.wire import Millis

UTC = ZoneInfo("UTC")
_c = attendance_sessions.c
_REFERENCE = func.coalesce(members.c.reference, "")
_ORDER = (_REFERENCE, _c.at_ms, _c.key, _c.team, _c.month)
_KEY = tuple[str, Millis, Annotated[bytes, msgspec.Meta(max_length=16)], str, str]
_QUERY = (
    select(attendance_sessions, _REFERENCE.label("reference"))
    .outerjoin(subjects, (subjects.c.domain == _c.domain) & (subjects.c.subject == _c.subject))
    .outerjoin(members, members.c.id == subjects.c.member)
)


class Listed(NamedTuple):
    """A session and whose it is."""

    row: Row
    member: str
    key: str


class Wanted(NamedTuple):
    """Filters; empty = any."""

    member: str
    team: str
    domain: str
    month: str
    session: str
    after: str
    limit: int
    review: bool
    """What a person must settle, or has forgotten to end by now."""


async def page(context: Context, connection: AsyncConnection, wanted: Wanted) -> list[Listed]:
    """One more than the limit, where there are more."""
    conditions: list[ColumnElement[bool]] = []
    domain = wanted.domain
    if wanted.team:
        domain = (await find_team(connection, wanted.team)).domain
        conditions.append(_c.team == wanted.team)
    if domain:
        conditions.append(_c.domain == domain)
    if wanted.member:
        conditions.append(members.c.reference == wanted.member)
    if wanted.session:
        conditions.append(_c.key == session_key(wanted.session))
    if context.scope.teams is not None:
        conditions.append(_c.team.in_(sorted(context.scope.teams)))
    if wanted.review:
        conditions.append(or_(_c.state == "review", and_(_c.state == "open", _c.ends_by_ms <= context.now_ms)))
    if wanted.month:
        conditions.append(or_(_c.month == wanted.month, and_(_c.month == "", await _began(connection, domain, wanted))))
    if wanted.after:
        conditions.append(tuple_(*_ORDER) > parts_of(wanted.after, _KEY))
    rows = await connection.execute(_QUERY.where(*conditions).order_by(*_ORDER).limit(wanted.limit + 1))
    return [_listed(row) for row in rows.mappings()]


def _listed(found: Any) -> Listed:
    row = Row(**{name: found[name] for name in Row.__struct_fields__})
    reference = found["reference"]
    key = key_of(reference, row.at_ms, row.key, row.team, row.month)
    return Listed(row, reference or found["subject"].hex(), key)


async def _began(connection: AsyncConnection, domain: str, wanted: Wanted) -> ColumnElement[bool]:
    """Sessions that are booked in no month belong to the local month of their team in which they began."""
    month_span(wanted.month, UTC)
    alternatives: list[ColumnElement[bool]] = []
    for each in [domain] if domain else await _domains(connection):
        zones: dict[ZoneInfo, list[str]] = {}
        for team in (await read_teams(connection, each)).every():
            zones.setdefault(team.zone, []).append(team.id)
        known = [name for names in zones.values() for name in names]
        of_domain = _c.domain == each
        alternatives += [of_domain & _c.team.in_(names) & _within(wanted.month, zone) for zone, names in zones.items()]
        alternatives.append(of_domain & _c.team.not_in(known) & _within(wanted.month, UTC))
    return or_(False, *alternatives)


def _within(month: str, zone: ZoneInfo) -> ColumnElement[bool]:
    from_ms, until_ms = month_span(month, zone)
    return and_(_c.at_ms >= from_ms, _c.at_ms < until_ms)


async def _domains(connection: AsyncConnection) -> Sequence[str]:
    query = select(attendance_teams.c.domain).distinct().order_by(attendance_teams.c.domain)
    return (await connection.execute(query)).scalars().all()
