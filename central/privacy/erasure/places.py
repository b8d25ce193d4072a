"""A walk over everybody writes down whom it has come to, to go on from there. Where that one is erased, it has come to
whoever stands before: to go on behind either is the same, once nobody stands between them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.found import Person
from central.privacy.retention.hours import PROGRESS as HOURS
from central.privacy.retention.points import PROGRESS as POINTS
from central.privacy.retention.progress import MembersPass, note_progress, read_progress
from central.services.points.closing import everybody
from central.store.schema import consent_rules, key_rotations, members, point_closings, point_rounds, subjects

NOBODY_YET = b""


async def step_back(connection: AsyncConnection, person: Person) -> None:
    """Every walk that stands at this person, by the order that it goes in."""
    await step_back_within(connection, person.subjects)
    for table in (key_rotations, consent_rules):
        await _back(connection, table, members.c.id, person.id)


async def step_back_within(connection: AsyncConnection, who: Mapping[str, bytes]) -> None:
    """The walks over the subjects of a domain."""
    for domain, subject in sorted(who.items()):
        of_domain = select(subjects.c.subject).where(subjects.c.domain == domain).subquery()
        await _back(connection, point_rounds, of_domain.c.subject, subject, point_rounds.c.domain == domain)
        of_points = everybody(domain).subquery()
        await _back(connection, point_closings, of_points.c.subject, subject, point_closings.c.domain == domain)
    for key in (HOURS, POINTS):
        progress = await read_progress(connection, key, MembersPass, 0)
        stands = {domain for domain, subject in who.items() if progress.domains.get(domain) == subject.hex()}
        for domain in stands:
            before = _before(everybody(domain).subquery().c.subject, who[domain])
            progress.domains[domain] = bytes((await connection.execute(before)).scalar() or NOBODY_YET).hex()
        if stands:
            await note_progress(connection, key, progress)


async def _back(connection: AsyncConnection, table: Table, walked: Any, who: bytes, *own: ColumnElement[bool]) -> None:
    stands = update(table).where(table.c.cursor == who, *own)
    before = func.coalesce(_before(walked, who).scalar_subquery(), NOBODY_YET)
    await connection.execute(stands.values(cursor=before))


def _before(walked: Any, who: bytes) -> Any:
    return select(walked).where(walked < who).order_by(walked.desc()).limit(1)
