"""What kiosks tell volunteers beside the answer: their hours of this month, and that they may sign out."""

from collections.abc import Collection

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.attendance.hours import counted_minutes
from central.services.attendance.local import month_of
from central.services.attendance.stated import Row
from central.services.attendance.store import AT_ONCE, read_rows, read_teams
from central.services.attendance.teams import Teams
from central.store.schema import attendance_sessions, attendance_teams
from protocol.history import Note

MINUTES_MONTH, MAY_SIGN_OUT = "minutes-month", "may-sign-out"


async def notes(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes], at_ms: int
) -> dict[bytes, tuple[Note, ...]]:
    """By subject, of those who have hours this month, or a session that is booked in none."""
    teams = await read_teams(connection, domain)
    months = {team.id: month_of(at_ms, team.zone) for team in teams.every()}
    found: dict[bytes, tuple[Note, ...]] = {}
    if not months:
        return found
    c = attendance_sessions.c
    wanted = or_(c.month.in_(sorted(set(months.values()))), c.month == "")
    every = sorted(subjects)
    for at in range(0, len(every), AT_ONCE):
        held = await read_rows(connection, c.domain == domain, wanted, subjects=every[at : at + AT_ONCE])
        for subject, rows in held.items():
            found[subject] = notes_of(rows, months, teams, at_ms)
    return found


def notes_of(rows: list[Row], months: dict[str, str], teams: Teams, at_ms: int) -> tuple[Note, ...]:
    """Of one member; `months`: which one it is for each team."""
    total = counted_minutes(row for row in rows if row.month and row.month == months.get(row.team))
    told: list[Note] = [(MINUTES_MONTH, max(total, 0))]
    if any(_may_sign_out(row, teams, at_ms) for row in rows):
        told.append((MAY_SIGN_OUT, 1))
    return tuple(told)


def _may_sign_out(row: Row, teams: Teams, at_ms: int) -> bool:
    if row.state != "open" or row.in_ms is None or row.out_ms is not None or at_ms >= row.ends_by_ms:
        return False
    version = teams.at(row.team, row.in_ms)
    after = version.body.may_sign_out_minutes if version is not None else 0
    return after > 0 and at_ms - row.in_ms >= after * 60_000


async def overtaken(connection: AsyncConnection, after_ms: int, through_ms: int) -> set[tuple[str, bytes]]:
    """Members, with their domains, whose notes became others by the passing of time alone, after one moment and
    through another: who may sign out by now, and whose month is over."""
    domains = (await connection.execute(select(attendance_teams.c.domain).distinct())).scalars().all()
    found: set[tuple[str, bytes]] = set()
    for domain in domains:
        teams = await read_teams(connection, domain)
        found |= {(domain, subject) for subject in await _overtaken_in(connection, domain, teams, after_ms, through_ms)}
    return found


async def _overtaken_in(
    connection: AsyncConnection, domain: str, teams: Teams, after_ms: int, through_ms: int
) -> set[bytes]:
    c = attendance_sessions.c
    past = {month_of(after_ms, team.zone) for team in teams.every()}
    past -= {month_of(through_ms, team.zone) for team in teams.every()}
    found: set[bytes] = set()
    if past:
        query = select(c.subject).where(c.domain == domain, c.month.in_(sorted(past))).distinct()
        found.update((await connection.execute(query)).scalars())
    held = await read_rows(connection, c.domain == domain, c.state == "open", c.ends_by_ms > after_ms)
    for subject, rows in held.items():
        if any(_may_sign_out(row, teams, through_ms) != _may_sign_out(row, teams, after_ms) for row in rows):
            found.add(subject)
    return found
