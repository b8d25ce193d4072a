"""Retention of health checks and other activities: once one ended long enough ago, how many came is kept, and who was
registered is not; its check-ins may then go as other taps do."""

from collections import Counter
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.holds import held_members, held_venues
from central.privacy.retention.attending import REGISTERED, attendance_of, registered_for
from central.privacy.retention.rules import HEALTH_CHECK, due_before
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.schema import activities, kept_attendance, registrations


async def count_due_activity(database: Database, now_ms: int) -> int:
    """The next one; returns 1, or 0 where none is due."""
    async with database.read() as connection:
        before_ms = await due_before(connection, HEALTH_CHECK, now_ms)
        if not before_ms or await _next(connection, before_ms) is None:
            return 0
    async with database.write() as connection:
        await one_at_a_time(connection)
        activity = await _next(connection, before_ms)
        if activity is None:  # another process was first
            return 1
        registered = await registered_for(connection, activity)
        counts = Counter(each.came.value for each in await attendance_of(connection, activity, registered))
        counts[REGISTERED] = len(registered)
        rows = [{"activity": activity.id, "came": came, "people": people} for came, people in sorted(counts.items())]
        await connection.execute(insert(kept_attendance), rows)
        r, held = registrations.c, await held_members(connection)
        gone = delete(registrations).where(r.activity == activity.id, r.member.not_in(sorted(held)))
        await connection.execute(gone)
    return 1


async def _next(connection: AsyncConnection, before_ms: int) -> Any:
    a, (held, _) = activities.c, await held_venues(connection)
    counted = select(kept_attendance.c.activity)
    query = select(activities).where(a.until_ms < before_ms, a.venue.not_in(sorted(held)), a.id.not_in(counted))
    return (await connection.execute(query.order_by(a.until_ms, a.id).limit(1))).one_or_none()
