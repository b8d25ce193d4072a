"""Sessions in which the next card that is tapped at a gate is bound to a member (SPEC §7.9): their rows, how they are
published, and what readers told of the chips of cards that were bound so.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.put_rows import put_rows
from central.store.schema import bind_sessions, card_chips
from central.store.slices import slices
from central.wakeups import gate_topic, note
from protocol.binding import Bind
from protocol.envelope import digest
from protocol.messages import Part, PartName, encode

OPEN, LATE, BOUND, REFUSED, CANCELLED, EXPIRED = "open", "late", "bound", "refused", "cancelled", "expired"
WAITING = (OPEN, LATE)
"""Its key is held: at the gate it is announced, or over, and a tap that it took may still be on its way."""
GRACE_MS = 15 * 60_000
"""How long after its end such a tap is waited for."""
_s = bind_sessions.c


class SessionPart(NamedTuple):
    """What a manifest says of an open session, and the payload that is signed and sent."""

    part: Part
    body: bytes


class Chip(NamedTuple):
    """What a reader told of a card as it was bound."""

    device: str
    at_ms: int
    uid_length: int
    sak: int | None
    atr: bytes


async def session_parts(connection: AsyncConnection, now_ms: int) -> dict[str, SessionPart]:
    """By device, of the sessions that are open now."""
    query = select(_s.device, _s.version, _s.id, _s.until_ms, _s.seal_public)
    rows = await connection.execute(query.where(_s.state == OPEN, _s.until_ms > now_ms))
    found = {}
    for row in rows:
        body = encode(Bind(*row))
        found[row.device] = SessionPart(Part(PartName.BIND, row.version, digest(body)), body)
    return found


async def end(
    connection: AsyncConnection, session: Any, state: str, now_ms: int, why: str = "", **more: object
) -> None:
    """It takes no card any more, and its key is destroyed; its gate hears of it. `session`: its row."""
    values = {"state": state, "ended_ms": now_ms, "why": why, "private_sealed": None, **more}
    await connection.execute(update(bind_sessions).where(_s.id == session.id).values(values))
    await note(connection, [gate_topic(session.gate)])


async def cancel(connection: AsyncConnection, now_ms: int, why: str, gate: str = "") -> int:
    """Every session that waits, of a gate or anywhere. Returns how many there were."""
    query = select(_s.id, _s.gate).where(_s.state.in_(WAITING))
    rows = (await connection.execute((query.where(_s.gate == gate) if gate else query).with_for_update())).all()
    for row in rows:
        await end(connection, row, CANCELLED, now_ms, why)
    return len(rows)


async def grow_late(connection: AsyncConnection, session: Any) -> None:
    """Its time is over at the gate, where another may be opened; a tap that it took may still come."""
    await connection.execute(update(bind_sessions).where(_s.id == session.id, _s.state == OPEN).values(state=LATE))
    await note(connection, [gate_topic(session.gate)])


async def put_chip(connection: AsyncConnection, card: bytes, chip: Chip) -> None:
    """What was told of a card, beside what was told of it before. A device may tell the same twice."""
    sak = -1 if chip.sak is None else chip.sak
    await put_rows(connection, card_chips, [chip._asdict() | {"card": card, "sak": sak}])


async def chips_of(connection: AsyncConnection, cards: Collection[bytes]) -> dict[bytes, list[Chip]]:
    """By card (its id), the oldest first; cards that were never bound by a tap are left out."""
    found: dict[bytes, list[Chip]] = {}
    c = card_chips.c
    for some in slices(sorted(set(cards))):
        query = select(card_chips).where(c.card.in_(some)).order_by(c.card, c.at_ms, c.device)
        for row in await connection.execute(query):
            sak = None if row.sak < 0 else row.sak
            found.setdefault(row.card, []).append(Chip(row.device, row.at_ms, row.uid_length, sak, row.atr))
    return found
