"""Retention of volunteers' sessions: of locked months, up to a member's last honour card. How many served how long in
a team's month stays; a volunteer without a card has hours that still count towards one, and keeps them.

Where hours earn points nothing goes: what a month gave follows from the minutes that those before it left over.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.privacy.destroying import destroy_with_what_was_said
from central.privacy.holds import held_subjects, held_venues
from central.privacy.kept import keep_hours
from central.privacy.retention.progress import MembersPass, note_progress, read_progress
from central.privacy.retention.rules import VOLUNTEERING, cutoffs, due_before
from central.privacy.retention.settled_hours import facts_before, settled_before
from central.privacy.retention.tap_purposes import Tap, bears_points, checks_in, first_that_stays, signs
from central.privacy.said import forget_facts
from central.services.attendance.stated import CertificateIssued
from central.services.attendance.store import Basis, read_basis, read_teams
from central.services.attendance.teams import Teams
from central.services.points.accounts import plans_of
from central.services.projector import settle_services, tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.schema import attendance_sessions, attendance_teams, marks, subjects

PROGRESS = "retained-hours"
"""Key in `meta`."""
AT_ONCE = 100
"""Members who are looked at together; each loses what is due in a transaction of its own."""


class Going(NamedTuple):
    """Before when a member's sessions go, with these taps and facts."""

    before_ms: int
    taps: list[Tap]
    facts: list[facts.Fact]


async def destroy_due_hours(database: Database, now_ms: int) -> int:
    """The next members of one domain; returns how many were looked at, 0 = nothing is due in this pass."""
    async with database.read() as connection:
        before_ms = await due_before(connection, VOLUNTEERING, now_ms)
        if not before_ms:
            return 0
        progress = await read_progress(connection, PROGRESS, MembersPass, now_ms)
        for domain in (await connection.execute(select(attendance_teams.c.domain).distinct())).scalars().all():
            after = bytes.fromhex(progress.domains.get(domain, ""))
            members = await _members_after(connection, domain, after, before_ms)
            if members and not (await plans_of(connection, domain)).rewards_hours:
                break
        else:
            return 0
        found = await _going(connection, domain, members, before_ms, now_ms)
    progress.domains[domain] = members[-1].hex()
    for subject in sorted(found):
        async with database.write() as connection:
            await one_at_a_time(connection)
            due_ms = await due_before(connection, VOLUNTEERING, now_ms)  # less, where a hold was put since
            going = (await _going(connection, domain, [subject], due_ms, now_ms)).get(subject)
            if going is not None:
                await _destroy(connection, domain, subject, going, now_ms)
    async with database.write() as connection:
        await note_progress(connection, PROGRESS, progress)
    return len(members)


async def _members_after(connection: AsyncConnection, domain: str, after: bytes, before_ms: int) -> Sequence[bytes]:
    s = attendance_sessions.c
    query = select(s.subject).where(s.domain == domain, s.subject > after, s.at_ms < before_ms).distinct()
    return (await connection.execute(query.order_by(s.subject).limit(AT_ONCE))).scalars().all()


async def _going(
    connection: AsyncConnection, domain: str, members: Sequence[bytes], before_ms: int, now_ms: int
) -> dict[bytes, Going]:
    """Of these members, those of whom something may go, and what."""
    teams, before = await read_teams(connection, domain), await cutoffs(connection, now_ms)
    serves = checks_in() | await bears_points(connection, domain)
    of_members = sorted(set(members) - await held_subjects(connection))
    found = {}
    for subject, basis in (await read_basis(connection, domain, of_members, teams)).items():
        taps = await _taps(connection, domain, subject, basis)
        rows = basis.rows()
        bounds = [before_ms, *await _held_since(connection, rows)]
        stays_ms = await first_that_stays(connection, [tap for tap in taps if tap.at_ms < before_ms], before, serves)
        bounds += [] if stays_ms is None else [stays_ms]
        certified_ms = await _certified_ms(connection, domain, subject)
        settled_ms = settled_before(basis, rows, min(bounds), certified_ms, _zone(teams))
        if settled_ms:
            going = [tap for tap in taps if tap.at_ms < settled_ms]
            found[subject] = Going(settled_ms, going, facts_before(basis, rows, settled_ms))
    return found


async def _taps(connection: AsyncConnection, domain: str, subject: bytes, basis: Basis) -> list[Tap]:
    """Every signing of the member that is a tap, with the moment that it counts for."""
    m, at_ms = marks.c, {each.key: each.at_ms for each in basis.signings}
    query = select(m.device, m.epoch, m.sequence, m.at_ms, m.venue)
    rows = await connection.execute(query.where(m.domain == domain, m.subject == subject, signs()))
    return [Tap((row.device, row.epoch, row.sequence), at_ms.get(_key(row), row.at_ms), row.venue) for row in rows]


def _key(row: Any) -> bytes:
    return bytes(row.epoch) + int(row.sequence).to_bytes(8)


async def _held_since(connection: AsyncConnection, rows: Sequence[Any]) -> list[int]:
    """Sessions at venues under a hold stay, also those that a coordinator stated."""
    held, _ = await held_venues(connection)
    return [row.at_ms for row in rows if row.venue in held]


async def _certified_ms(connection: AsyncConnection, domain: str, subject: bytes) -> int:
    """Through when the member's hours went into honour cards; cards count the hours of every domain."""
    s = subjects.c
    member = select(s.member).where(s.domain == domain, s.subject == subject).scalar_subquery()
    every = (await connection.execute(select(s.subject).where(s.member == member))).scalars().all()
    issued = await facts.read(connection, [CertificateIssued], subjects=every)
    return max(issued, key=lambda fact: fact.recorded_ms).at_ms if issued else 0


def _zone(teams: Teams) -> ZoneInfo:
    return next((team.zone for team in teams.every()), ZoneInfo("UTC"))


async def _destroy(connection: AsyncConnection, domain: str, subject: bytes, going: Going, now_ms: int) -> None:
    await keep_hours(connection, domain, subject, going.before_ms)
    await forget_facts(connection, [(fact.domain, fact.id) for fact in going.facts])
    await destroy_with_what_was_said(connection, [tap.name for tap in going.taps], now_ms)
    touched = [Touched(domain, subject, going.before_ms)]
    await tell(connection, await settle_services(connection, touched), now_ms)
