"""Retention of what hangs on no event: what was known before and is superseded, what was asked for once and is over,
and personal parts beside uploads that were kept as evidence. A few hundred rows a step, once in a pass."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.events.notice_sources import FLAG
from central.privacy.holds import held_members, held_subjects, held_venues
from central.privacy.purposes import purpose_of_class, purposes
from central.privacy.retention.progress import Pass, note_progress, read_progress
from central.privacy.retention.rules import ADMISSION, DAY_MS, HEALTH_CHECK, NOTICES, cutoffs, due_before
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.schema import (
    activities,
    bind_sessions,
    consents,
    devices,
    evidence,
    gates,
    kept_attendance,
    member_class_history,
    notices,
    registrations,
    uid_looks,
)
from central.store.slices import named
from protocol.envelope import digest
from protocol.errors import Refused
from protocol.messages import Upload, decode, encode

AT_ONCE = 250
PASS_MS = DAY_MS
PROGRESS = "retained-rows"
"""Key in `meta`."""


class Progress(Pass):
    """Which of the kinds of rows this pass is done with, and through where it went through the evidence."""

    done: list[str] = []
    evidence: tuple[int, str] = (-1, "")


class Rows(NamedTuple):
    """Rows of a purpose that go: of which table, by which names, and which of them."""

    purpose: str
    table: Any
    when: ColumnElement[bool]
    at: Any
    """The moment that its age counts from."""


async def destroy_due_rows(database: Database, now_ms: int) -> int:
    """The next rows; returns how many went, 0 = nothing is due in this pass."""
    async with database.read() as connection:
        progress = await read_progress(connection, PROGRESS, Progress, now_ms, PASS_MS)
    for name, work in _KINDS.items():
        if name in progress.done:
            continue
        async with database.write() as connection:
            await one_at_a_time(connection)  # nobody puts a hold meanwhile
            gone = await work(connection, progress, now_ms)
            if not gone:
                progress.done.append(name)
            await note_progress(connection, PROGRESS, progress)
        if gone:
            return gone
    return 0


async def _superseded_consents(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """Statements that a later one of the same purpose goes before; the last one holds, and stays."""
    later = consents.alias()
    c = consents.c
    superseded = (later.c.member == c.member, later.c.purpose == c.purpose, later.c.place > c.place)
    after = select(later.c.known_ms).where(*superseded).order_by(later.c.place).limit(1).scalar_subquery()
    gone = 0
    for purpose in purposes():
        gone += await _delete(connection, Rows(purpose, consents, c.purpose == purpose, after), now_ms)
    return gone


async def _classes_before(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """What was known of classes once and is not any more, by the purpose that each class is published for."""
    h, of_class = member_class_history.c, purpose_of_class()
    closed, gone = h.until_known_ms > 0, 0
    for purpose in sorted({*of_class.values(), ADMISSION}):
        names = sorted(name for name, of in of_class.items() if of == purpose)
        own = h.name.in_(names) if purpose != ADMISSION else h.name.not_in(sorted(of_class))
        gone += await _delete(connection, Rows(purpose, member_class_history, closed & own, h.until_known_ms), now_ms)
    return gone


async def _bind_sessions(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """Cards that were waited for at a gate; not at a venue under a hold."""
    b, (held, _) = bind_sessions.c, await held_venues(connection)
    at_held = select(gates.c.id).where(gates.c.venue.in_(sorted(held)))
    over = and_(b.ended_ms > 0, b.gate.not_in(at_held))
    return await _delete(connection, Rows(ADMISSION, bind_sessions, over, b.ended_ms), now_ms)


async def _registrations(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """For activities whose attendance is kept as counts: of who was under a hold then, or was registered later."""
    a, r, (held, _) = activities.c, registrations.c, await held_venues(connection)
    counted = select(kept_attendance.c.activity).join(activities, a.id == kept_attendance.c.activity)
    over = r.activity.in_(counted.where(a.venue.not_in(sorted(held))))
    until_ms = select(a.until_ms).where(a.id == r.activity).scalar_subquery()
    return await _delete(connection, Rows(HEALTH_CHECK, registrations, over, until_ms), now_ms)


async def _uid_looks(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """The audit log keeps that somebody looked."""
    return await _delete(connection, Rows(ADMISSION, uid_looks, uid_looks.c.at_ms > 0, uid_looks.c.at_ms), now_ms)


async def _notices(connection: AsyncConnection, _progress: Progress, now_ms: int) -> int:
    """Those that are over; one that stands for a flag keeps it from being told twice."""
    n = notices.c
    return await _delete(connection, Rows(NOTICES, notices, ~n.about.startswith(FLAG), n.made_ms), now_ms)


async def _delete(connection: AsyncConnection, rows: Rows, now_ms: int) -> int:
    """The next of them that are older than the purpose's rule says; members under a hold keep theirs."""
    before_ms = await due_before(connection, rows.purpose, now_ms)
    if not before_ms:
        return 0
    key, held = list(rows.table.primary_key.columns), await held_members(connection)
    query = select(*key).where(rows.when, rows.at < before_ms, rows.table.c.member.not_in(sorted(held)))
    names = [tuple(row) for row in await connection.execute(query.order_by(*key).limit(AT_ONCE))]
    for these in named(key, names):
        await connection.execute(delete(rows.table).where(these))
    return len(names)


# --- evidence -----------------------------------------------------------------------------------------------------


async def _evidence(connection: AsyncConnection, progress: Progress, now_ms: int) -> int:
    """Forked and refused uploads keep their batch, which is signed; the personal parts beside it go, by the rule of the
    venue where the device stands. What cannot be read as an upload stays as it is."""
    e, before = evidence.c, await cutoffs(connection, now_ms)
    place = select(devices.c.id, gates.c.venue).join(gates, gates.c.id == devices.c.gate).subquery()
    query = select(evidence, place.c.venue).join(place, place.c.id == e.device)
    since_ms, last = progress.evidence
    after = or_(e.at_ms > since_ms, and_(e.at_ms == since_ms, e.digest > bytes.fromhex(last)))
    query = query.where(after, e.at_ms < max(before.values(), default=0))
    rows = (await connection.execute(query.order_by(e.at_ms, e.digest).limit(AT_ONCE))).all()
    held = await held_subjects(connection)
    for row in rows:
        body = _without_people(row.body, row.digest, held) if row.at_ms < before.get(row.venue, 0) else None
        if body is not None:
            this = (e.device == row.device) & (e.digest == row.digest) & (e.kind == row.kind)
            await connection.execute(update(evidence).where(this).values(body=body))
    if rows:
        progress.evidence = (rows[-1].at_ms, rows[-1].digest.hex())
    return len(rows)


def _without_people(body: bytes, batch: bytes, held: Collection[bytes]) -> bytes | None:
    """None: it is no upload with personal parts, or names somebody under a hold."""
    try:
        upload = decode(Upload, body)
    except Refused:
        return None
    named_there = any(subject in part for part in upload.personal for subject in held)
    if not any(upload.personal) or named_there or digest(upload.batch) != batch:
        return None
    return encode(Upload(upload.batch, (b"",) * len(upload.personal)))


_KINDS: dict[str, Callable[[AsyncConnection, Progress, int], Awaitable[int]]] = {
    "consents": _superseded_consents,
    "classes": _classes_before,
    "bind-sessions": _bind_sessions,
    "registrations": _registrations,
    "uid-looks": _uid_looks,
    "notices": _notices,
    "evidence": _evidence,
}
