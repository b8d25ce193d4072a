"""Retention: what is personal goes when every purpose that it serves has kept it long enough, a little at a time.

Here the personal parts of events that serve admission alone; check-ins, points, hours and what hangs on no event have
files of their own. Members and venues under a legal hold keep theirs, and nothing goes that a policy in force looks
back to.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.destroying import destroy_with_what_was_said
from central.privacy.found import EventName, holds
from central.privacy.holds import held_subjects
from central.privacy.retention.check_ins import count_due_activity
from central.privacy.retention.hours import destroy_due_hours
from central.privacy.retention.points import destroy_due_points
from central.privacy.retention.progress import Pass, note_progress, read_progress
from central.privacy.retention.rows import destroy_due_rows
from central.privacy.retention.rules import cutoffs, received_before
from central.privacy.retention.tap_purposes import bears_points, checks_in, signs, that_are
from central.services.turns import one_at_a_time
from central.store import faults
from central.store.database import Database
from central.store.schema import denials, events, gates, marks, venues
from protocol.messages import Kind

EVERY_S = 300.0
AT_ONCE = 250
PROGRESS = "retained"
"""Key in `meta`."""

log = structlog.get_logger()


class Progress(Pass):
    """How far each gate was looked through."""

    gates: dict[str, int] = {}


class Due(NamedTuple):
    """A gate, and before when its events are due."""

    gate: str
    domain: str
    before_ms: int


async def destroy_due(database: Database, now_ms: int) -> int:
    """One block of one purpose; returns how much was looked at, 0 = nothing is due in this pass. What others wait for
    comes first: a check-in may go once its activity is counted, and the visit once points and hours are."""
    for work in (count_due_activity, destroy_due_points, destroy_due_hours, destroy_due_rows, destroy_due_events):
        if looked_at := await work(database, now_ms):
            return looked_at
    return 0


async def destroy_due_events(database: Database, now_ms: int) -> int:
    """One block at one gate; returns how many events were looked at."""
    async with database.read() as connection:
        due = await _due_gates(connection, now_ms)
        progress = await read_progress(connection, PROGRESS, Progress, now_ms)
        for each in due:
            since_ms = progress.gates.get(each.gate, -1)
            block = await _block(connection, each, since_ms)
            if block:
                break
        else:
            return 0
        names = await _destroyable(connection, each, block)
    last_ms = block[-1].at_ms
    stuck = len(block) == AT_ONCE and last_ms == since_ms  # many of one moment, none of which goes
    progress.gates[each.gate] = last_ms + (1 if stuck or len(block) < AT_ONCE else 0)
    async with database.write() as connection:
        if names:
            await _destroy(connection, each.gate, block, now_ms)
        await note_progress(connection, PROGRESS, progress)
    return len(block)


async def _destroy(connection: AsyncConnection, gate: str, block: Sequence[Any], now_ms: int) -> None:
    """What of a block is due still: a hold that was put since it was read keeps it."""
    await one_at_a_time(connection)
    for due in await _due_gates(connection, now_ms):
        if due.gate == gate:
            names = await _destroyable(connection, due, [row for row in block if row.at_ms < due.before_ms])
            await destroy_with_what_was_said(connection, names, now_ms)


async def _due_gates(connection: AsyncConnection, now_ms: int) -> list[Due]:
    before = await cutoffs(connection, now_ms)
    query = select(gates.c.id, gates.c.venue, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    rows = await connection.execute(query.where(gates.c.venue.in_(sorted(before))).order_by(gates.c.id))
    return [Due(row.id, row.domain, before[row.venue]) for row in rows]


async def _block(connection: AsyncConnection, due: Due, since_ms: int) -> Sequence[Any]:
    """The next events with a personal part, and admissions, whose marks say whom."""
    e = events.c
    query = select(e.device, e.epoch, e.sequence, e.at_ms, e.kind).where(
        *(e.gate == due.gate, e.at_ms >= max(since_ms, 0), e.at_ms < due.before_ms),
        or_(e.personal.is_not(None), e.kind == Kind.ADMIT),
    )
    return (await connection.execute(query.order_by(e.at_ms, e.device, e.epoch, e.sequence).limit(AT_ONCE))).all()


async def _destroyable(connection: AsyncConnection, due: Due, block: Sequence[Any]) -> list[EventName]:
    names = {(row.device, row.epoch, row.sequence) for row in block}
    received = await received_before(connection, names, due.before_ms)
    names = {name for name in names if name[2] <= received.get(name[:2], -1)}
    return sorted(names - await _needed(connection, due.domain, names))


async def _needed(connection: AsyncConnection, domain: str, names: Collection[EventName]) -> set[EventName]:
    """Of these events: what another purpose still counts, and whose of a legal hold they are."""
    held = await held_subjects(connection)
    serves = or_(await bears_points(connection, domain), signs(), checks_in(), marks.c.subject.in_(sorted(held)))
    found = await that_are(connection, names, serves)
    if not held:
        return found
    return found | await _denied_of(connection, held, names) | await _stated_by(connection, held, names)


async def _denied_of(
    connection: AsyncConnection, held: Collection[bytes], names: Collection[EventName]
) -> set[EventName]:
    return await that_are(connection, names, denials.c.subject.in_(sorted(held)), denials)


async def _stated_by(
    connection: AsyncConnection, held: Collection[bytes], names: Collection[EventName]
) -> set[EventName]:
    """Statements of consent leave neither mark nor denial: whose they are stands in the event alone."""
    e = events.c
    theirs = or_(*(holds(connection, e.personal, subject) for subject in sorted(held)))
    return await that_are(connection, names, (e.kind == Kind.CONSENT) & theirs, events)


async def retain_for_ever(database: Database) -> None:
    """Until cancelled: block after block until nothing is due, then again some minutes later."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            looked_at = 1
            while looked_at:
                looked_at = await destroy_due(database, time.time_ns() // 1_000_000)
                await asyncio.sleep(0.05)  # taps are taken into custody between two
        except Exception as error:
            faults.say("personal-parts-not-destroyed", error)
