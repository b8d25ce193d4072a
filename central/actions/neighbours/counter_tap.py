"""Who taps next at a counter, for whoever stands behind it: so that a book is lent to a card without typing its number.

Only a tap from now on counts, by the gate's clock as far as central knows it to be off: what a gate delivers late is
somebody else's who stood there before.
"""

import asyncio
import time
from typing import Annotated, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.store.schema import devices, events, gates, members, subjects, venues
from protocol.errors import Refused
from protocol.messages import Kind, Outcome, Personal, decode

LOOK_EVERY_S = 0.25
_e, _d = events.c, devices.c


class TapParams(Params, frozen=True, kw_only=True):
    """Which counter, and how long to wait."""

    gate: Annotated[str, msgspec.Meta(max_length=64)]
    seconds: Annotated[int, msgspec.Meta(ge=1, le=30)] = 20


class Tapped(Result, frozen=True):
    """Whose card it was: the city's reference, the member's id (hex), and when the gate says that it was tapped."""

    member: str
    id: str
    at_ms: int


@action("library.tap", TapParams, writes=False)
async def library_tap(context: Context, params: TapParams) -> Tapped:
    """The first card that is tapped there from now on. The gate does with it what it always does."""
    ends_s = time.monotonic() + params.seconds
    domain = await _domain(context, params.gate)
    while True:
        async with context.database.read() as connection:
            row = await _first(connection, params.gate, context.now_ms)
            if row is not None:
                return await _whose(connection, domain, row)
        if time.monotonic() >= ends_s:
            raise ActionFailed(f"nobody tapped a card at {params.gate} within {params.seconds} s")
        await asyncio.sleep(LOOK_EVERY_S)


async def _domain(context: Context, gate: str) -> str:
    query = select(gates.c.kind, venues.c.domain).join(venues, venues.c.id == gates.c.venue).where(gates.c.id == gate)
    async with context.database.read() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None or row.kind != "counter":
        raise ActionFailed(f"{gate} is no gate of the kind counter: see `gate list`")
    return str(row.domain)


async def _first(connection: AsyncConnection, gate: str, since_ms: int) -> Any:
    """Its clock is off by as much as it was at the device's newest poll."""
    query = select(_d.id, _d.skew_ms).where(_d.gate == gate, _d.state == "active")
    off_ms = {row.id: row.skew_ms or 0 for row in await connection.execute(query)}
    if not off_ms:
        raise ActionFailed(f"{gate} has no active device: see `device list`")
    taps = select(_e.device, _e.at_ms, _e.decision, _e.reason, _e.personal)
    taps = taps.where(_e.gate == gate, _e.at_ms >= since_ms + min(off_ms.values()), _e.kind == Kind.TAP)
    for row in await connection.execute(taps.where(_e.outcome == "accepted").order_by(_e.at_ms, _e.sequence)):
        if row.device in off_ms and row.at_ms >= since_ms + off_ms[row.device]:
            return row
    return None


async def _whose(connection: AsyncConnection, domain: str, row: Any) -> Tapped:
    if row.decision != Outcome.GRANTED:
        raise ActionFailed(f"the gate did not take the card: {row.reason}")
    try:
        subject = decode(Personal, row.personal or b"").subject
    except Refused:
        subject = b""
    query = select(members.c.id, members.c.reference).join(subjects, subjects.c.member == members.c.id)
    found = await connection.execute(query.where(subjects.c.domain == domain, subjects.c.subject == subject))
    member = found.one_or_none()
    if member is None:
        raise ActionFailed("nobody knows any more whose card that is")
    return Tapped(member=member.reference, id=member.id.hex(), at_ms=row.at_ms)
