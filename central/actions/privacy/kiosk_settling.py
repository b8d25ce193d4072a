"""Take what citizens stated at kiosks: a task of the server, a short transaction a statement."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import REFUSED, Entry, append_within
from central.access.caller import Caller
from central.custody import retrying
from central.details import read_detail
from central.entry_history import entry_at
from central.keys import Keys
from central.people.attribution import Person
from central.privacy.at_kiosks import Heard, NotTaken, stated_ms
from central.privacy.consent import Said, newest_ms, state_consents
from central.privacy.notices import newest_versions
from central.privacy.publishing import publish_consents
from central.services.attributions import attribution_of
from central.services.judging.clock_facts import clocks_of
from central.services.judging.public_parts import public_parts
from central.services.marks import person_of
from central.store.database import Database
from central.store.schema import UNSETTLED, events, gates, kiosk_statements, subjects, venues
from protocol.messages import Kind

LOOK_EVERY_S = 0.25
AT_ONCE, OF_ONE_DEVICE = 200, 20
WAITING, TAKEN, LATE, NOT_TAKEN = "waiting", "taken", "late", "not-taken"
"""`late`: something was said later of the same purpose, so it changes nothing."""

log = structlog.get_logger()
_k, _e = kiosk_statements.c, events.c


async def state_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled. An idle look is one small query."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            await settle_statements(database, keys, time.time_ns() // 1_000_000)
        except Exception as error:
            log.error("statements-not-looked-at", error=type(error).__name__)


async def settle_statements(database: Database, keys: Keys, now_ms: int) -> int:
    """One that fails holds up no other; the next look finds it again. Returns how many there were."""
    async with database.read() as connection:
        rows = await _next(connection)
    for row in rows:
        try:
            async for attempt in retrying():
                with attempt:
                    async with database.write() as connection:
                        await _settle(connection, keys, row, now_ms)
        except Exception as error:  # never its text, which may quote a row
            log.error("statement-not-settled", error=type(error).__name__, device=row.device, sequence=row.sequence)
    return len(rows)


async def _next(connection: AsyncConnection) -> Sequence[Any]:
    """Some of each device, in turns: however many statements one of them sends, the others' are taken."""
    came = (_k.received_ms, _k.epoch, _k.sequence)
    turn = func.row_number().over(partition_by=_k.device, order_by=came).label("turn")
    waiting = select(kiosk_statements, turn).where(UNSETTLED).subquery()
    query = select(waiting).where(waiting.c.turn <= OF_ONE_DEVICE)
    return (await connection.execute(query.order_by(waiting.c.turn, waiting.c.received_ms).limit(AT_ONCE))).all()


async def _settle(connection: AsyncConnection, keys: Keys, row: Any, now_ms: int) -> None:
    this = and_(_k.device == row.device, _k.epoch == row.epoch, _k.sequence == row.sequence)
    waiting = select(_k.state).where(this, _k.state == WAITING).with_for_update()
    if (await connection.execute(waiting)).first() is None:  # somebody else was quicker
        return
    event = await _event(connection, row)
    detail = read_detail(Kind.CONSENT, event.detail)
    why = ""
    try:
        state = await _state(connection, keys, row, event, detail, now_ms)
    except NotTaken as error:
        state, why = NOT_TAKEN, str(error)
        await _tell(connection, row, event, detail, why, now_ms)
    await connection.execute(update(kiosk_statements).where(this).values(state=state, why=why, settled_ms=now_ms))


async def _event(connection: AsyncConnection, row: Any) -> Any:
    query = (
        select(events, venues.c.domain)
        .outerjoin(gates, gates.c.id == _e.gate)
        .outerjoin(venues, venues.c.id == gates.c.venue)
        .where(_e.device == row.device, _e.epoch == row.epoch, _e.sequence == row.sequence)
    )
    return (await connection.execute(query)).one()


async def _state(connection: AsyncConnection, keys: Keys, row: Any, event: Any, detail: Any, now_ms: int) -> str:
    """Raises NotTaken."""
    domain, name = event.domain or "", (row.device, row.epoch, row.sequence)
    part_of = person_of(event.personal)
    told = Person(part_of.subject, part_of.card)
    part = (await public_parts(connection, [name])).get(name)
    if part is None or not told.subject:
        raise NotTaken("nobody knows any more whose card it was")
    at_ms = (await clocks_of(connection, domain)).corrected_ms(event.device, event.at_ms)
    held = await entry_at(connection, domain, told.subject, told.card, at_ms)
    heard = Heard(detail, part.event.clock, at_ms, row.received_ms, held)
    said_ms = stated_ms(heard, await newest_versions(connection))
    member = await _member(connection, domain, told, at_ms)
    newest = (await newest_ms(connection, [member], detail.purpose)).get(member)
    if newest is not None and said_ms < newest:
        return LATE
    who = f"{event.gate}/{event.device}"[:64]
    said = Said(member, detail.purpose, detail.said.value, detail.notice, said_ms, "kiosk", who, "")
    changed = await state_consents(connection, [said], now_ms)
    await publish_consents(connection, keys, changed, now_ms)
    return TAKEN


async def _member(connection: AsyncConnection, domain: str, told: Person, at_ms: int) -> bytes:
    """Whose card it was, as is known now: it may have been bound to the wrong member."""
    whose = (await attribution_of(connection, domain, [told.subject]))(told, at_ms)
    query = select(subjects.c.member).where(subjects.c.domain == domain, subjects.c.subject == whose.subject)
    member = (await connection.execute(query)).scalar()
    if member is None:
        raise NotTaken("nobody knows any more whose card it was")
    return bytes(member)


async def _tell(connection: AsyncConnection, row: Any, event: Any, detail: Any, why: str, now_ms: int) -> None:
    """The audit log says what was not taken and why; whose it was stands in the event alone."""
    said = {"purpose": detail.purpose, "notice": detail.notice, "said": detail.said.value} if detail else {}
    params = said | {"event": f"{row.device}/{row.epoch.hex()}/{row.sequence}", "gate": event.gate}
    caller = Caller(event.device, frozenset(), "kiosk")
    await append_within(
        connection, caller, Entry("consent.kiosk", REFUSED, event.gate, {"params": params, "why": why}), now_ms
    )
