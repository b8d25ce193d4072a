"""What a closure touches besides the doors: shifts, passes that end in it, points that expire in it."""

import asyncio
import datetime as dt
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context
from central.actions.cards.class_store import Stated, held_classes, put_classes
from central.actions.places.publishing import publish_members
from central.gate_closures import GateClosed
from central.people.class_feed import Classes
from central.services.attendance.local import instant_ms
from central.services.attendance.store import read_teams
from central.services.attendance.teams import Version, minutes_of
from central.store.schema import cards, member_classes, point_months, subjects
from protocol.hours import WEEKDAYS

DAY_MS = 86_400_000
MEMBERS_AT_ONCE = 500
MAX_DAYS = 60
"""Of a longer closure the shifts of its first days are listed."""


class ShiftClosed(msgspec.Struct, frozen=True):
    """A turn of a shift that falls into a closure. Nobody can sign in while it is closed; who is in signs out."""

    team: str
    shift: str
    from_ms: int
    until_ms: int


class GateClosedShown(msgspec.Struct, frozen=True):
    """A gate that its staff closed by PIN, and what falls into that: as for a closure of central's, but at this gate
    alone. `opened_by` empty: it ends by itself."""

    gate: str
    venue: str
    from_ms: int
    until_ms: int
    why: str
    staff: str
    opened_by: str
    shifts: list[ShiftClosed]
    classes_ending: int
    cards_ending: int
    points_expiring: int


class Span(NamedTuple):
    """From and until, excluded."""

    from_ms: int
    until_ms: int


class Ending(NamedTuple):
    """How much ends within a closure."""

    classes: int
    cards: int
    points: int


async def shifts_within(
    connection: AsyncConnection, domains: Collection[str], venues: Collection[str], closed: Span
) -> list[ShiftClosed]:
    """Turns of teams that belong to these venues, in the order of time."""
    found: list[ShiftClosed] = []
    for domain in sorted(domains):
        for team in (await read_teams(connection, domain)).every():
            if team.body.venue in venues:
                found += turns_within(team, closed)
    return sorted(found, key=lambda each: (each.from_ms, each.team, each.shift))


def turns_within(team: Version, closed: Span) -> list[ShiftClosed]:
    """Every turn of a team's shifts that a closure touches. Pure."""
    first = dt.datetime.fromtimestamp(closed.from_ms / 1_000, team.zone).date() - dt.timedelta(days=1)
    last = dt.datetime.fromtimestamp((closed.until_ms - 1) / 1_000, team.zone).date()
    days = [first + dt.timedelta(days=n) for n in range(min((last - first).days + 1, MAX_DAYS))]
    found = []
    for shift in team.body.shifts:
        start, end = minutes_of(shift.hours)
        for day in days:
            if day not in shift.dates and WEEKDAYS[day.weekday()] not in shift.days:
                continue
            turn = Span(instant_ms(day, start, team.zone), instant_ms(day, end, team.zone))
            if turn.from_ms < closed.until_ms and turn.until_ms > closed.from_ms:
                found.append(ShiftClosed(team.id, shift.id, *turn))
    return found


async def ending_within(connection: AsyncConnection, domains: Sequence[str], closed: Span) -> Ending:
    """What members of these domains lose within a closure."""
    m, c, p = member_classes.c, cards.c, point_months.c
    of_domains = select(subjects.c.member).where(subjects.c.domain.in_(domains))
    number = func.count()
    queries = (
        select(number).select_from(member_classes).where(_ends(m.until_ms, closed), m.member.in_(of_domains)),
        select(number).select_from(cards).where(_ends(c.until_ms, closed), c.member.in_(of_domains)),
        select(func.coalesce(func.sum(p.points), 0)).where(_ends(p.expires_ms, closed), p.domain.in_(domains)),
    )
    counts = [int((await connection.execute(query)).scalar_one()) for query in queries]
    return Ending(*counts)


def _ends(column: ColumnElement[int], closed: Span) -> ColumnElement[bool]:
    return (column > closed.from_ms) & (column <= closed.until_ms)


async def at_gate(connection: AsyncConnection, each: GateClosed) -> GateClosedShown:
    """With what falls into it, at its venue and in its domain."""
    closed = Span(each.from_ms, each.until_ms)
    shifts = await shifts_within(connection, [each.domain], [each.venue], closed)
    ending = await ending_within(connection, [each.domain], closed)
    return GateClosedShown(
        gate=each.gate,
        venue=each.venue,
        from_ms=each.from_ms,
        until_ms=each.until_ms,
        why=each.why,
        staff=each.staff,
        opened_by=each.opened_by,
        shifts=shifts,
        classes_ending=ending.classes,
        cards_ending=ending.cards,
        points_expiring=ending.points,
    )


async def extend(context: Context, domains: Sequence[str], closed: Span, days: int, who: str, why: str) -> int:
    """Classes and cards of members of these domains that end within a closure end so many days later; a few hundred
    members a transaction. Returns how many members."""
    async with context.database.read() as connection:
        members = await _concerned(connection, domains, closed)
    stated = Stated(who, why, context.now_ms)
    for at in range(0, len(members), MEMBERS_AT_ONCE):
        some = members[at : at + MEMBERS_AT_ONCE]
        async with context.database.write() as connection:
            held = await held_classes(connection, some)
            await put_classes(connection, {member: _extended(held[member], closed, days) for member in held}, stated)
            c = cards.c
            later = update(cards).where(c.member.in_(some), _ends(c.until_ms, closed))
            await connection.execute(later.values(until_ms=c.until_ms + days * DAY_MS))
            await publish_members(context, connection, some)
        await asyncio.sleep(0)
        await context.progress("extending", at + len(some), len(members))
    return len(members)


async def _concerned(connection: AsyncConnection, domains: Sequence[str], closed: Span) -> list[bytes]:
    of_domains = select(subjects.c.member).where(subjects.c.domain.in_(domains))
    found: set[bytes] = set()
    for table in (member_classes, cards):
        query = select(table.c.member).where(_ends(table.c.until_ms, closed), table.c.member.in_(of_domains))
        found.update((await connection.execute(query.distinct())).scalars())
    return sorted(found)


def _extended(classes: Classes, closed: Span, days: int) -> Classes:
    return {
        name: tuple(
            (since, until + days * DAY_MS if closed.from_ms < until <= closed.until_ms else until)
            for since, until in spans
        )
        for name, spans in classes.items()
    }
