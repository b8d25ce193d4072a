"""A walk over everybody writes down whom it has come to, to go on from there. Where that one is erased, it has come to
whoever stands before: to go on behind either is the same, once nobody stands between them."""

from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.found import Person
from central.services.points.closing import everybody
from central.store.schema import consent_rules, key_rotations, members, point_closings, point_rounds, subjects

NOBODY_YET = b""


async def step_back(connection: AsyncConnection, person: Person) -> None:
    """Every walk that stands at this person, by the order that it goes in."""
    for domain, subject in sorted(person.subjects.items()):
        of_domain = select(subjects.c.subject).where(subjects.c.domain == domain).subquery()
        await _back(connection, point_rounds, of_domain.c.subject, subject, point_rounds.c.domain == domain)
        of_points = everybody(domain).subquery()
        await _back(connection, point_closings, of_points.c.subject, subject, point_closings.c.domain == domain)
    for table in (key_rotations, consent_rules):
        await _back(connection, table, members.c.id, person.id)


async def _back(connection: AsyncConnection, table: Table, walked: Any, who: bytes, *own: ColumnElement[bool]) -> None:
    before = select(walked).where(walked < who).order_by(walked.desc()).limit(1).scalar_subquery()
    stands = update(table).where(table.c.cursor == who, *own)
    await connection.execute(stands.values(cursor=func.coalesce(before, NOBODY_YET)))
