"""Reservations that end: their points go back to the member once the gate can have spent no more of them unseen."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.points.reservations import DAY_MS, open_ones
from central.store.schema import devices, epochs, events, projected, reservations
from protocol.messages import Poll, decode

AHEAD_MS = 120_000
"""How far a trusted clock may be ahead (SPEC §8.3); what is later than that proves nothing."""
KEPT_MS = 62 * DAY_MS
"""How long ended reservations are kept to look at."""

_r, _e = reservations.c, events.c


class Lapsed(NamedTuple):
    """A device that holds reservations which are void."""

    device: str
    gate: str


async def lapsed(connection: AsyncConnection, now_ms: int) -> list[Lapsed]:
    """Devices of which something is to be heard."""
    query = select(_r.device, _r.gate).where(_r.state == "open", _r.lapse_ms <= now_ms).distinct()
    return [Lapsed(*row) for row in await connection.execute(query.order_by(_r.device, _r.gate))]


async def give_back(connection: AsyncConnection, of: Lapsed, now_ms: int) -> list[tuple[str, bytes]]:
    """Return the lapsed reservations of a device as far as all that it did before they lapsed is settled. Returns
    whose."""
    heard_ms = await heard_through_ms(connection, of, now_ms)
    void = _r.lapse_ms <= min(heard_ms, now_ms)
    these = (_r.device == of.device) & (_r.gate == of.gate) & (_r.state == "open") & void
    whose = (await connection.execute(select(_r.domain, _r.subject).where(these).distinct())).all()
    if whose:
        await connection.execute(update(reservations).where(these).values(state="returned", done_ms=now_ms))
    return sorted((domain, subject) for domain, subject in whose)


async def write_off(
    connection: AsyncConnection, domain: str, gate: str, before_ms: int, now_ms: int
) -> tuple[int, int]:
    """A person ends what lapsed until `before_ms` at a gate that nobody hears of. Returns how many reservations and
    points. What the gate spent of them after all is booked when it comes, to a loss account where nothing is left."""
    until_ms = min(before_ms, now_ms)
    these = (_r.domain == domain) & (_r.gate == gate) & (_r.state == "open") & (_r.lapse_ms <= until_ms)
    members = (await connection.execute(select(_r.subject).where(these).distinct())).scalars().all()
    held = [each for own in (await open_ones(connection, domain, members)).values() for each in own]
    ended = [each for each in held if each.row["gate"] == gate and each.row["lapse_ms"] <= until_ms]
    await connection.execute(update(reservations).where(these).values(state="written-off", done_ms=now_ms))
    return len(ended), sum(max(0, each.promise.left) for each in ended)


async def forget_old(connection: AsyncConnection, now_ms: int) -> None:
    """Drop returned reservations that nobody asks about any more; those written off are kept."""
    old = (_r.state == "returned") & (_r.lapse_ms < now_ms - KEPT_MS)
    await connection.execute(reservations.delete().where(old))


async def heard_through_ms(connection: AsyncConnection, of: Lapsed, now_ms: int) -> int:
    """Everything that this device did before that moment is settled; 0 where nobody can say so."""
    state = (await connection.execute(select(devices.c.state, devices.c.report).where(devices.c.id == of.device))).one()
    if state.state == "revoked":
        return now_ms  # what comes from it is kept as untrusted and counts nowhere
    held = await _epochs(connection, of.device)
    if _has_gap(held):
        return 0
    behind = {row.epoch for row in held if row.settled < row.through}
    heard_ms = 0
    query = select(_e.epoch, _e.sequence, _e.at_ms).where(_e.gate == of.gate, _e.device == of.device)
    newest = query.where(_e.at_ms <= now_ms + AHEAD_MS).order_by(_e.at_ms.desc()).limit(1)
    event = (await connection.execute(newest)).first()
    if event is not None and not behind - {event.epoch}:
        settled = next((row.settled for row in held if row.epoch == event.epoch), -1)
        heard_ms = event.at_ms if event.sequence <= settled else 0
    poll = decode(Poll, state.report) if state.report else None
    if poll is not None and not poll.backlog and not behind and poll.at_ms <= now_ms + AHEAD_MS:
        heard_ms = max(heard_ms, poll.at_ms)
    return heard_ms


async def _epochs(connection: AsyncConnection, device: str) -> Sequence[Any]:
    same = (projected.c.device == epochs.c.device) & (projected.c.epoch == epochs.c.epoch)
    settled = func.coalesce(projected.c.through, -1).label("settled")
    query = select(epochs, settled).outerjoin(projected, same).where(epochs.c.device == device)
    return (await connection.execute(query)).all()


def _has_gap(held: Sequence[Any]) -> bool:
    """An epoch names an earlier one of which not all has come."""
    through = {row.epoch: row.through for row in held}
    return any(row.previous_epoch and through.get(row.previous_epoch, -1) < row.previous_sequence for row in held)
