"""History out of the database, a month and a venue at a time: which there are, and the query of each.

Each is read on its own, oldest first, by an index: nothing is sorted as a whole and nothing is held. A month is the
venue's local one.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.tables.parts import NOWHERE, Find, Part, Parts, Place, Span, months, span_of
from central.neighbours.tables.schema import EVENTS, LEDGER, SESSIONS, VISITS, Table
from central.services.attendance.local import month_of
from central.services.attendance.store import read_teams
from central.services.points.ledger import venue_account, venue_loss
from central.store.schema import (
    attendance_sessions,
    attendance_teams,
    domains,
    events,
    gates,
    ledger,
    point_books,
    visits,
)

# --- events -----------------------------------------------------------------------------------------------------

_e = events.c


async def event_parts(connection: AsyncConnection, places: Sequence[Place], span: Span) -> Parts:
    """By the venue where the gate stands now."""
    of_gate = {row.id: row.venue for row in await connection.execute(select(gates.c.id, gates.c.venue))}
    there: dict[str, list[str]] = {}
    async for gate in _gates(connection):
        there.setdefault(of_gate.get(gate, NOWHERE), []).append(gate)
    for place in places:
        mine = there.get(place.id, [])
        async for month in months(connection, [(_e.at_ms, _e.gate == gate) for gate in mine], place.zone, span):
            yield Part(month, place.id, partial(_event_queries, mine, *span_of(month, place)))


def _event_queries(of_gates: Sequence[str], start: int, end: int) -> list[Select[Any]]:
    when, order = and_(_e.at_ms >= start, _e.at_ms < end), (_e.at_ms, _e.device, _e.epoch, _e.sequence)
    return [_EVENTS.where(_e.gate == gate, when).order_by(*order) for gate in of_gates]


async def _gates(connection: AsyncConnection) -> AsyncIterator[str]:
    """Every gate that events name, hopped to by the index, so that events are not read through."""
    last: str | None = None
    while True:
        query = select(func.min(_e.gate)).where(_e.gate > last) if last is not None else select(func.min(_e.gate))
        last = (await connection.execute(query)).scalar()
        if last is None:
            return
        yield last


_EVENTS = select(
    *(_e.at_ms, _e.gate, _e.device, _e.epoch, _e.sequence, _e.kind, _e.direction, _e.decision, _e.reason, _e.rule),
    *(_e.repeat_of, _e.outcome, _e.personal),
)


# --- visits -----------------------------------------------------------------------------------------------------

_v = visits.c


async def visit_parts(connection: AsyncConnection, places: Sequence[Place], span: Span) -> Parts:
    """By the month of the entry."""
    for place in places:
        async for month in months(connection, [(_v.in_ms, _v.venue == place.id)], place.zone, span):
            yield Part(month, place.id, partial(_visit_queries, place.id, *span_of(month, place)))


def _visit_queries(venue: str, start: int, end: int) -> list[Select[Any]]:
    query = _VISITS.where(_v.venue == venue, _v.in_ms >= start, _v.in_ms < end)
    return [query.order_by(_v.in_ms, _v.epoch, _v.sequence)]


_VISITS = select(_v.in_ms, _v.out_ms, _v.ended, _v.rule, _v.subject)


# --- volunteers' sessions -----------------------------------------------------------------------------------------

_s = attendance_sessions.c


async def session_parts(connection: AsyncConnection, places: Sequence[Place], span: Span) -> Parts:
    """By the venue of the team; what is booked by the month of the booking, all else by the month of its beginning."""
    for place in places:
        teams = await _teams(connection, place)
        mine = or_(False, *(and_(_s.domain == domain, _s.team.in_(names)) for domain, names in teams.items()))
        query = select(_s.month).where(mine, _s.month != "").distinct()
        found = set((await connection.execute(query)).scalars())
        began = (await connection.execute(select(_s.at_ms).where(mine, _s.month == ""))).scalars()
        found |= {month_of(at_ms, place.zone) for at_ms in began}
        for month in sorted(month for month in found if span.has(month)):
            yield Part(month, place.id, partial(_session_queries, mine, month, *span_of(month, place)))


def _session_queries(mine: ColumnElement[bool], month: str, start: int, end: int) -> list[Select[Any]]:
    began = and_(_s.month == "", _s.at_ms >= start, _s.at_ms < end)
    rows = _SESSIONS.where(mine, or_(_s.month == month, began))
    return [rows.order_by(_s.at_ms, _s.key, _s.team, _s.month)]


async def _teams(connection: AsyncConnection, place: Place) -> dict[str, list[str]]:
    """By domain, the teams that belong to a venue; of nowhere, what is of no team."""
    t = attendance_teams.c
    wanted = select(t.domain).distinct() if place.id == NOWHERE else select(t.domain).where(t.domain == place.domain)
    found: dict[str, list[str]] = {}
    for domain in sorted(set((await connection.execute(wanted)).scalars())):
        if place.id == NOWHERE:
            found[domain] = [""]
            continue
        every = (await read_teams(connection, domain)).every()
        found[domain] = [team.id for team in every if team.body.venue == place.id]
    return found


_SESSIONS = select(
    *(_s.at_ms, _s.in_ms, _s.out_ms, _s.team, _s.month, _s.minutes, _s.state, _s.why, _s.adjustment_of, _s.shift),
    *(_s.activity, _s.people, _s.transport, _s.meal, _s.people_abroad, _s.people_home, _s.subject),
)


# --- points -----------------------------------------------------------------------------------------------------

Side = tuple[Any, ColumnElement[bool]]
"""A table of postings, and which of them are meant."""


async def ledger_parts(connection: AsyncConnection, places: Sequence[Place], span: Span) -> Parts:
    """By the venue that was paid or paid back, and the month in which it is booked."""
    every = list((await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars())
    for place in places:
        of_domains = every if place.id == NOWHERE else [place.domain]
        sides = [
            (table, and_(table.c.domain == domain, _of_venue(table.c, place.id)))
            for domain in of_domains
            for table in (point_books, ledger)
        ]
        async for month in months(connection, [(table.c.booked_ms, mine) for table, mine in sides], place.zone, span):
            yield Part(month, place.id, partial(_ledger_queries, sides, *span_of(month, place)))


def _ledger_queries(sides: Sequence[Side], start: int, end: int) -> list[Select[Any]]:
    queries = []
    for table, mine in sides:
        c, closed = table.c, literal(table is point_books)
        columns = c.booked_ms, c.at_ms, c.domain, c.what, c.cause, c.source, c.target, c.points, closed
        query = select(*columns, c.subject).where(mine, c.booked_ms >= start, c.booked_ms < end)
        queries.append(query.order_by(c.booked_ms, c.subject, c.line))
    return queries


def _of_venue(c: Any, venue: str) -> ColumnElement[bool]:
    if venue == NOWHERE:
        return not_(or_(c.source.startswith("venue:"), c.target.startswith("venue:")))
    mine = venue_account(venue), venue_loss(venue)
    return or_(c.source.in_(mine), c.target.in_(mine))


FINDERS: dict[str, tuple[Table, Find]] = {
    "events": (EVENTS, event_parts),
    "visits": (VISITS, visit_parts),
    "sessions": (SESSIONS, session_parts),
    "ledger": (LEDGER, ledger_parts),
}
