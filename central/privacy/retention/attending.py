"""Who came to an activity, read out of the database: by who is registered and what is settled of check-ins."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.people.attendance_list import Attended, attended
from central.store.schema import marks, registrations, subjects, venues

REGISTERED = "registered"
"""Of counts that are kept, beside how many came in which way: how many were registered."""


async def registered_for(connection: AsyncConnection, activity: Any) -> Mapping[bytes, bytes]:
    """Of an activity (a row): who is registered, as members and as who they are in its domain."""
    r, s, v = registrations.c, subjects.c, venues.c
    query = select(r.member, s.subject).join(subjects, s.member == r.member).join(venues, v.domain == s.domain)
    query = query.where(r.activity == activity.id, v.id == activity.venue)
    return {member: bytes(subject) for member, subject in await connection.execute(query)}


async def attendance_of(
    connection: AsyncConnection, activity: Any, registered: Mapping[bytes, bytes]
) -> list[Attended]:
    """A late gate's check-ins come when the gate does."""
    m = marks.c
    domain = select(venues.c.domain).where(venues.c.id == activity.venue).scalar_subquery()
    query = select(m.subject, m.at_ms).where(m.domain == domain, m.venue == activity.venue, m.rule == activity.rule)
    query = query.where(m.fate == "counts", m.direction == "in", m.subject != b"")
    within = (m.at_ms >= activity.from_ms) & (m.at_ms < activity.until_ms)
    check_ins = [(subject, at_ms) for subject, at_ms in await connection.execute(query.where(within))]
    return attended(registered.values(), check_ins, activity.capacity, activity.walk_ins)
