"""Retention: the personal parts of events that are older than a rule says are destroyed, a few hundred at a time.

What a purpose of its own still needs stays: taps that bear points or money, that sign volunteers in and out, or that
check in to an activity; members and venues under a legal hold; and nothing goes that a policy in force looks back to.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.policies import compiled, read_policies
from central.privacy.destroying import destroy
from central.privacy.found import EventName
from central.privacy.holds import held_subjects, held_venues
from central.services.attendance.store import SIGNINGS
from central.services.points.accounts import plans_of
from central.store import faults
from central.store.database import Database
from central.store.schema import activities, batches, denials, events, gates, marks, meta, retention_rules, venues
from central.store.slices import named
from protocol.messages import Kind

EVERY_S = 300.0
AT_ONCE = 250
DAY_MS = 86_400_000
PASS_MS = 7 * DAY_MS
"""After so long everything old is looked at again: what came late, and what was held."""
LEAST_DAYS = 31
"""The centre keeps what it needs to explain and to correct a month."""
PROGRESS = "retained"
"""Key in `meta`."""

log = structlog.get_logger()


class Progress(msgspec.Struct):
    """How far each gate was looked through in this pass."""

    began_ms: int = 0
    gates: dict[str, int] = {}


class Due(NamedTuple):
    """A gate, and before when its events are due."""

    gate: str
    domain: str
    before_ms: int


async def cutoffs(connection: AsyncConnection, now_ms: int) -> dict[str, int]:
    """By venue: before when personal parts are due. Venues without a rule, or under a hold, are left out."""
    rules = {row.venue: row.days for row in await connection.execute(select(retention_rules))}
    held, everything = await held_venues(connection)
    if everything or not rules:
        return {}
    found = {}
    for venue, domain in (await connection.execute(select(venues.c.id, venues.c.domain))).all():
        days = rules.get(venue, rules.get(""))
        if days is not None and venue not in held:
            found[venue] = min(now_ms - days * DAY_MS, await _looked_back_to(connection, domain, now_ms))
    return found


async def _looked_back_to(connection: AsyncConnection, domain: str, now_ms: int) -> int:
    """The earliest moment that a policy at a gate of the domain counts from."""
    query = select(gates.c.id, gates.c.policy).join(venues, venues.c.id == gates.c.venue)
    goes_by = {row.id: row.policy for row in await connection.execute(query.where(venues.c.domain == domain))}
    since = [now_ms]
    for payload in (await read_policies(connection, goes_by)).values():
        policy = compiled(payload.body)
        if policy is None:
            return 0  # nobody can say what it needs
        if policy.looks_back:
            since.append(policy.day(now_ms).since_ms)
    return min(since)


async def destroy_due(database: Database, now_ms: int) -> int:
    """One block at one gate; returns how many events were looked at, 0 = nothing is due in this pass."""
    async with database.read() as connection:
        due = await _due_gates(connection, now_ms)
        progress = await _progress(connection)
        if progress.began_ms + PASS_MS <= now_ms:
            progress = Progress(now_ms)
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
            await destroy(connection, names, now_ms)
        await connection.execute(delete(meta).where(meta.c.key == PROGRESS))
        value = msgspec.json.encode(progress).decode()
        await connection.execute(insert(meta).values(key=PROGRESS, value=value))
    return len(block)


async def _due_gates(connection: AsyncConnection, now_ms: int) -> list[Due]:
    before = await cutoffs(connection, now_ms)
    query = select(gates.c.id, gates.c.venue, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    rows = await connection.execute(query.where(gates.c.venue.in_(sorted(before))).order_by(gates.c.id))
    return [Due(row.id, row.domain, before[row.venue]) for row in rows]


async def _progress(connection: AsyncConnection) -> Progress:
    value = (await connection.execute(select(meta.c.value).where(meta.c.key == PROGRESS))).scalar()
    return msgspec.json.decode(value, type=Progress) if value else Progress()


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
    received = await _received_before(connection, names, due.before_ms)
    names = {name for name in names if name[2] <= received.get(name[:2], -1)}
    return sorted(names - await _needed(connection, due.domain, names))


async def _received_before(
    connection: AsyncConnection, names: Collection[EventName], before_ms: int
) -> Mapping[tuple[str, bytes], int]:
    """By epoch, through which event was delivered by then: a gate whose clock stands still at 1970 is not believed."""
    b = batches.c
    found = {}
    for these in named((b.device, b.epoch), {name[:2] for name in names}):
        query = select(b.device, b.epoch, func.max(b.through)).where(these, b.received_ms < before_ms)
        for device, epoch, through in await connection.execute(query.group_by(b.device, b.epoch)):
            found[device, epoch] = through
    return found


async def _needed(connection: AsyncConnection, domain: str, names: Collection[EventName]) -> set[EventName]:
    """Of these events: what another purpose still counts, and whose of a legal hold they are."""
    m, held = marks.c, await held_subjects(connection)
    rules = (await connection.execute(select(activities.c.rule))).scalars().all()
    earning = {*(await plans_of(connection, domain)).earning, *rules}
    bears = or_(m.points != 0, m.due != 0, m.reason.in_(SIGNINGS), m.rule.in_(sorted(earning)))
    found: set[EventName] = set()
    for these in named((m.device, m.epoch, m.sequence), names):
        query = select(m.device, m.epoch, m.sequence).where(and_(these, or_(bears, m.subject.in_(sorted(held)))))
        found.update((device, epoch, sequence) for device, epoch, sequence in await connection.execute(query))
    return found | (await _denied_of(connection, held, names) if held else set())


async def _denied_of(
    connection: AsyncConnection, held: Collection[bytes], names: Collection[EventName]
) -> set[EventName]:
    d, found = denials.c, set[EventName]()
    for these in named((d.device, d.epoch, d.sequence), names):
        query = select(d.device, d.epoch, d.sequence).where(these, d.subject.in_(sorted(held)))
        found.update((device, epoch, sequence) for device, epoch, sequence in await connection.execute(query))
    return found


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
