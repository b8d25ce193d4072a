"""Bind the cards that gates took for open sessions: a task of the server, a short transaction a card."""

import asyncio
import time
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import bind_sessions as sessions
from central.actions.cards.class_store import Stated
from central.actions.cards.day_members import day_end, hand_over, is_day_member
from central.actions.cards.issuing import Issue, issue
from central.actions.cards.named import Card, cards_by_index, references_of
from central.actions.cards.statements import last_numbers
from central.bind_sessions import Chip
from central.custody import retrying
from central.details import read_detail
from central.keys import Keys
from central.lists import refresh_members
from central.store.database import Database
from central.store.schema import bind_sessions, events, subjects
from protocol.allowlist import CardState
from protocol.binding import BindDetail, TappedCard
from protocol.clock import TOLERANCE_MS
from protocol.envelope import open_card
from protocol.errors import Refused
from protocol.messages import Kind
from protocol.uid import CardUID, judge

LOOK_EVERY_S = 0.25
MOST_EVENTS = 200
"""Of a device within one session: a sound one writes one."""

log = structlog.get_logger()
_s, _e = bind_sessions.c, events.c


class NotBound(Exception):
    """The card that was tapped may not become the member's, in words for whoever opened the session."""


async def bind_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled. An idle look is one small query."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            await settle_sessions(database, keys, time.time_ns() // 1_000_000)
        except Exception as error:
            _log("sessions-not-looked-at", error)


async def settle_sessions(database: Database, keys: Keys, now_ms: int) -> int:
    """Of the sessions that wait: bind what was taken for them, end those that are over. One that fails holds up no
    other; the next look finds it again. Returns how many there were to settle."""
    async with database.read() as connection:
        waiting = (await connection.execute(select(bind_sessions).where(_s.state.in_(sessions.WAITING)))).all()
        due = [row for row in waiting if _is_over(row, now_ms) or await _taken(connection, row) is not None]
    for row in due:
        try:
            async for attempt in retrying():
                with attempt:
                    async with database.write() as connection:
                        await _settle(connection, keys, row.id, now_ms)
        except Exception as error:
            _log("session-not-settled", error, gate=row.gate)
    return len(due)


def _log(what: str, error: Exception, **more: str) -> None:
    """Never its text, which may quote a row."""
    log.error(what, error=type(error).__name__, **more)


def _is_over(row: Any, now_ms: int) -> bool:
    return bool(now_ms >= row.until_ms + (0 if row.state == sessions.OPEN else sessions.GRACE_MS))


async def _taken(connection: AsyncConnection, session: Any) -> Any:
    """The first accepted event of this session, from its own device; its detail as `said`."""
    query = select(_e.epoch, _e.sequence, _e.at_ms, _e.detail).where(
        *(_e.gate == session.gate, _e.at_ms >= session.opened_ms - TOLERANCE_MS),
        *(_e.device == session.device, _e.kind == Kind.BIND.value, _e.outcome == "accepted"),
    )
    rows = await connection.execute(query.order_by(_e.at_ms, _e.epoch, _e.sequence).limit(MOST_EVENTS))
    for row in rows:
        said = read_detail(Kind.BIND, row.detail)
        if said is not None and said.session == session.id:
            return row
    return None


async def _settle(connection: AsyncConnection, keys: Keys, id_: bytes, now_ms: int) -> None:
    query = select(bind_sessions).where(_s.id == id_, _s.state.in_(sessions.WAITING)).with_for_update()
    session = (await connection.execute(query)).one_or_none()
    if session is None:  # somebody else was quicker
        return
    if now_ms >= session.until_ms + sessions.GRACE_MS:
        return await sessions.end(connection, session, sessions.EXPIRED, now_ms, "no card came in time")
    event = await _taken(connection, session)
    if event is None:
        return await sessions.grow_late(connection, session)
    where = {"epoch": event.epoch, "sequence": event.sequence}
    try:
        card = _opened(keys, session, event)
        number, why = await _bind(connection, keys, session, card, now_ms)
    except NotBound as error:
        return await sessions.end(connection, session, sessions.REFUSED, now_ms, str(error), **where)
    held = (await cards_by_index(connection, [keys.uid_index(CardUID(card.uid))]))[keys.uid_index(CardUID(card.uid))]
    sak = card.sak if card.sak >= 0 else None
    await sessions.put_chip(connection, held.id, Chip(session.device, event.at_ms, len(card.uid), sak, card.atr))
    await sessions.end(connection, session, sessions.BOUND, now_ms, why, number=number, **where)


def _opened(keys: Keys, session: Any, event: Any) -> TappedCard:
    """Raises NotBound that says why the card is bound to nobody; never with any of its UID."""
    if event.at_ms >= session.until_ms:
        raise NotBound("the card was tapped after the session's end")
    said: BindDetail = read_detail(Kind.BIND, event.detail)
    try:
        card = open_card(said, session.device, keys.open_session_key(session.private_sealed, session.id))
    except Refused as refused:
        raise NotBound(f"what the gate sealed cannot be used ({refused.kind}): open another session") from None
    problem = judge(card.uid, card.sak if card.sak >= 0 else None)
    if problem is not None:
        raise NotBound(f"{problem}, which no card of anybody can be bound to")
    return card


async def _bind(
    connection: AsyncConnection, keys: Keys, session: Any, card: TappedCard, now_ms: int
) -> tuple[int, str]:
    """Which of the member's cards it is, and what there is to say. Raises NotBound where it may not be theirs."""
    uid = CardUID(card.uid)
    held = (await cards_by_index(connection, [keys.uid_index(uid)], lock=True)).get(keys.uid_index(uid))
    stated = Stated(session.who, f"tapped at {session.gate}", now_ms)
    until_ms = await day_end(connection, session.member)
    if held is not None and until_ms and await _came_back(connection, session, held):
        await hand_over(connection, held, session.member, until_ms, stated)
        await refresh_members(connection, keys, [held.member, session.member], now_ms)
        return 1, "a day card that came back"
    if held is not None:
        await _must_be_theirs(connection, session, held)
        return held.number, "it was theirs already"
    number = (await last_numbers(connection, [session.member])).get(session.member, 0) + 1
    await issue(connection, keys, [Issue(uid, session.member, number, (), until_ms)], 0, stated)
    await refresh_members(connection, keys, [session.member], now_ms)
    return number, ""


async def _are_neighbours(connection: AsyncConnection, one: bytes, other: bytes) -> bool:
    """Whether both are in some domain: who serves the one may then know of the other."""
    theirs = select(subjects.c.domain).where(subjects.c.member == other)
    query = select(subjects.c.domain).where(subjects.c.member == one, subjects.c.domain.in_(theirs)).limit(1)
    return (await connection.execute(query)).first() is not None


async def _came_back(connection: AsyncConnection, session: Any, held: Card) -> bool:
    whose = (await references_of(connection, [held.member]))[held.member]
    is_free = held.member != session.member and held.state is CardState.ACTIVE and is_day_member(whose)
    return is_free and await _are_neighbours(connection, session.member, held.member)


async def _must_be_theirs(connection: AsyncConnection, session: Any, held: Card) -> None:
    whose = (await references_of(connection, [held.member]))[held.member]
    if held.member != session.member and not await _are_neighbours(connection, held.member, session.member):
        raise NotBound("the card is bound already, to a member of another domain: an admin sees whose it is")
    if held.member != session.member:
        raise NotBound(f"the card is {whose}'s already (card {held.number}): see `card history`, `card batch rebind`")
    if held.state is not CardState.ACTIVE:
        state = held.state.name.lower()
        raise NotBound(f"the card is {whose}'s own and {state}: see `card find-again`, `card unblock`")
