"""After an erasure: what gates deliver late of who was erased loses its personal part, too; and once every gate has
let go of the cards, what was kept to tell it goes. Bounded work, beside everything else."""

import asyncio
import datetime as dt
import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.config import Config
from central.keys import Keys
from central.privacy.destroying import destroy
from central.privacy.erasure.erasing import forget_subjects, strip_evidence
from central.privacy.erasure.files import drop_stale_snapshots, note_due, scrub, scrub_what_is_due
from central.privacy.erasure.places import step_back_within
from central.privacy.erasure.telling import told_of
from central.privacy.erasure.through import BATCHES, EVIDENCE, go_on, through_ms
from central.privacy.found import EventName
from central.services.turns import one_at_a_time
from central.store import faults
from central.store.database import Database
from central.store.put_rows import put_new_row
from central.store.schema import (
    batches,
    devices,
    erased_subjects,
    erasures,
    erasures_pending,
    events,
    evidence,
    gates,
    list_entries,
    lists,
    subject_states,
    under_own_key,
    venues,
)
from central.store.slices import slices
from protocol.erasure import Forget
from protocol.errors import Refused
from protocol.messages import PartName, Personal, Poll, Upload, decode
from protocol.time_zones import CITY
from protocol.wire import LAST_MS

EVERY_S = 60.0
NIGHT = range(2, 5)
"""When a large database is written anew: writers wait meanwhile, and gates keep what they have."""
AT_ONCE = 50
LOOK_BACK_MS = 10 * 60_000
"""What came in one moment may become visible out of its order: so far back is looked again."""
HEARD_MS = 30 * 86_400_000
"""After so long a gate that was never heard of again has nothing left to say that would be believed: it is closed by
its own ages."""

NO_LIST = 0
"""Any list that a gate holds is as new."""

log = structlog.get_logger()


class Late(NamedTuple):
    """An event of somebody who was erased."""

    name: EventName
    gate: str
    subject: bytes


async def sweep_for_ever(config: Config, database: Database, keys: Keys) -> None:
    """Until cancelled. What fails is tried again the next time."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            now_ms = time.time_ns() // 1_000_000
            await drop_stale_snapshots(config, database)
            if await let_go(database, now_ms):
                await scrub(config, database)
            looked_at = 1
            while looked_at:
                looked_at = await destroy_late(database, keys, now_ms)
                await asyncio.sleep(0)
            if dt.datetime.fromtimestamp(now_ms / 1_000, CITY).hour in NIGHT:
                await scrub_what_is_due(config, database)
        except Exception as error:
            faults.say("erasures-not-followed", error)


async def destroy_late(database: Database, keys: Keys, now_ms: int) -> int:
    """Look through the next batches, and the next uploads that were kept as evidence; returns how many were looked at
    that were not before."""
    return await _late_events(database, keys, now_ms) + await _late_evidence(database, keys)


async def _late_events(database: Database, keys: Keys, now_ms: int) -> int:
    async with database.read() as connection:
        since_ms, b = await through_ms(connection, BATCHES), batches.c
        ours, last_ms, fresh = await _next(connection, b.received_ms, since_ms)
        if not fresh:
            return 0
        query = select(b.device, b.epoch, b.first, b.through).where(ours)
        found = await _of_erased(connection, keys, (await connection.execute(query)).all())
    async with database.write() as connection:
        if found:
            await destroy(connection, [each.name for each in found], now_ms)
            await _gates_hear(connection, keys, found)
            await note_due(connection)
            log.info("late-events-of-erased-people-destroyed", events=len(found))
        await go_on(connection, BATCHES, since_ms, last_ms)
    return fresh


async def _late_evidence(database: Database, keys: Keys) -> int:
    async with database.read() as connection:
        since_ms, e = await through_ms(connection, EVIDENCE), evidence.c
        ours, last_ms, fresh = await _next(connection, e.at_ms, since_ms)
        if not fresh:
            return 0
        bodies = (await connection.execute(select(e.body).where(ours))).scalars()
        gone = await _erased(connection, keys, {_subject(part) for body in bodies for part in _parts(body)})
    async with database.write() as connection:
        if await strip_evidence(connection, sorted(gone)):
            await note_due(connection)
        await go_on(connection, EVIDENCE, since_ms, last_ms)
    return fresh


async def _next(connection: AsyncConnection, came: Any, since_ms: int | None) -> tuple[ColumnElement[bool], int, int]:
    """What to look through by when it came, through which moment, and how much of it was not looked at before: nothing
    where nobody was erased."""
    first_ms = (await connection.execute(select(func.min(erasures.c.at_ms)))).scalar()
    if first_ms is None:
        return false(), 0, 0
    after_ms = first_ms - LOOK_BACK_MS if since_ms is None else since_ms
    some = select(came).where(came > after_ms).order_by(came).limit(AT_ONCE).subquery()
    last_ms, fresh = (await connection.execute(select(func.max(some.c[0]), func.count()).select_from(some))).one()
    return and_(came > after_ms - LOOK_BACK_MS, came <= (last_ms or 0)), last_ms or 0, fresh


async def _of_erased(connection: AsyncConnection, keys: Keys, looked_at: Sequence[Any]) -> list[Late]:
    found: list[Late] = []
    e = events.c
    for batch in looked_at:
        query = select(e.sequence, e.personal, e.gate).where(e.device == batch.device, e.epoch == batch.epoch)
        within = query.where(e.sequence >= batch.first, e.sequence <= batch.through, e.personal.is_not(None))
        rows = [(row, _subject(row.personal)) for row in await connection.execute(within)]
        gone = await _erased(connection, keys, {subject for _, subject in rows})
        found += [
            Late((batch.device, batch.epoch, row.sequence), row.gate, subject)
            for row, subject in rows
            if subject in gone
        ]
    return found


async def _gates_hear(connection: AsyncConnection, keys: Keys, found: Collection[Late]) -> None:
    """Gates may have been told of these taps: the subjects stay until they heard that nothing is known of them."""
    v, s = venues.c, erased_subjects.c
    for gate, subject in sorted({(each.gate, each.subject) for each in found}):
        domain = select(v.domain).join(gates, gates.c.venue == v.id).where(gates.c.id == gate).scalar_subquery()
        by_hash = s.subject == keys.erased_hash("subject", subject)
        told = (await connection.execute(select(s.erasure, domain.label("domain")).where(by_hash))).one()
        if told.domain is not None:
            row = {"erasure": told.erasure, "domain": told.domain, "subject": subject, "version": NO_LIST}
            await put_new_row(connection, erasures_pending, row)


async def _erased(connection: AsyncConnection, keys: Keys, subjects: Collection[bytes]) -> set[bytes]:
    """Those of these who were erased."""
    hashes = {keys.erased_hash("subject", subject): subject for subject in subjects if subject}
    found: set[bytes] = set()
    for some in slices(sorted(hashes)):
        known = select(erased_subjects.c.subject).where(erased_subjects.c.subject.in_(some))
        found |= {hashes[bytes(each)] for each in (await connection.execute(known)).scalars()}
    return found


def _parts(body: bytes) -> tuple[bytes, ...]:
    try:
        return decode(Upload, body).personal
    except Refused:  # an envelope without personal parts
        return ()


def _subject(personal: bytes) -> bytes:
    try:
        return decode(Personal, personal).subject
    except Refused:
        return b""


async def let_go(database: Database, now_ms: int) -> int:
    """Where every gate of a domain holds a list without the cards, or the time for that is over, neither tokens nor
    subjects are kept to tell it any more. Returns how many erasures that was the end of."""
    async with database.read() as connection:
        pending = (await connection.execute(select(erasures_pending))).all()
        held = {domain: await _held_by_all(connection, domain) for domain in {row.domain for row in pending}}
        query = select(erasures.c.id, erasures.c.at_ms)
        made = {row.id: row.at_ms for row in await connection.execute(query)}
    due = [
        row
        for row in pending
        if made[row.erasure] + HEARD_MS <= now_ms
        or all(version >= row.version and told >= made[row.erasure] for version, told in held[row.domain])
    ]
    if not due:
        return 0
    async with database.write() as connection:
        await one_at_a_time(connection)
        for row in due:
            await _let_go(connection, row)
        await note_due(connection)
        left = select(erasures_pending.c.erasure)
        done = (erasures.c.heard_ms == 0) & erasures.c.id.not_in(left)
        ended = await connection.execute(update(erasures).where(done).values(heard_ms=now_ms))
    return ended.rowcount


async def _let_go(connection: AsyncConnection, row: Any) -> None:
    """No delta leads over the version any more: a gate that is older than it fetches the whole list; of one that is not
    published gates hear nothing. What somebody wrote of the subject, who had read of it before it was erased, goes with
    it."""
    who = {row.domain: bytes(row.subject)}
    await step_back_within(connection, who)
    await forget_subjects(connection, who)
    e, s, p = list_entries.c, subject_states.c, erasures_pending.c
    dropped = (e.domain == row.domain) & e.dropped.is_(True)
    dropped &= or_(e.version <= row.version, ~under_own_key(list_entries))
    await connection.execute(delete(list_entries).where(dropped))
    raised = (lists.c.domain == row.domain) & (lists.c.base < row.version)
    await connection.execute(update(lists).where(raised).values(base=row.version))
    await connection.execute(delete(subject_states).where(s.domain == row.domain, s.subject == row.subject))
    await connection.execute(delete(erasures_pending).where(p.erasure == row.erasure, p.domain == row.domain))


async def _held_by_all(connection: AsyncConnection, domain: str) -> list[tuple[int, int]]:
    """Of each active device of a domain: the version of the list that it holds, and through when it was told whom to
    forget; of one that does not understand that, through any time."""
    query = (
        select(devices.c.report)
        .join(gates, gates.c.id == devices.c.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .where(venues.c.domain == domain, devices.c.state == "active")
    )
    return [_held(report) for report in (await connection.execute(query)).scalars()]


def _held(report: bytes | None) -> tuple[int, int]:
    if report is None:
        return 0, 0
    poll = decode(Poll, report)
    version = next((part.version for part in poll.parts if part.name == PartName.ALLOWLIST), 0)
    return version, told_of(poll) if Forget.TYPE in poll.understands else LAST_MS
