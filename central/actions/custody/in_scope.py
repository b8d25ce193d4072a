"""Which gates and devices a caller may see, narrowed to what was asked for."""

from collections.abc import Collection
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Scope
from central.store.schema import device_moves, devices, gates
from central.store.slices import slices
from protocol.wire import LAST_MS

Word = Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00]*\Z")]
"""A name to filter by; empty: any. Not every database can compare a zero character."""
Line = Annotated[str, Meta(max_length=300, pattern=r"\A[^\x00]*\Z")]
At = Annotated[int, Meta(ge=0, le=LAST_MS)]
Lines = Annotated[int, Meta(ge=1, le=200)]
Hex8 = Annotated[str, Meta(pattern=r"\A([0-9a-f]{16})?\Z")]
Hex32 = Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]


async def gates_within(
    connection: AsyncConnection, scope: Scope, *, venue: str = "", gate: str = ""
) -> frozenset[str] | None:
    """The gates that are in scope, of the venue and of the name. None: any gate, also one that is not known here."""
    if scope.venues is None and not venue:
        return frozenset([gate]) if gate else None
    query = select(gates.c.id)
    if scope.venues is not None:
        query = query.where(gates.c.venue.in_(sorted(scope.venues)))
    if venue:
        query = query.where(gates.c.venue == venue)
    if gate:
        query = query.where(gates.c.id == gate)
    return frozenset((await connection.execute(query)).scalars())


async def devices_within(connection: AsyncConnection, within: frozenset[str] | None, device: str) -> list[str] | None:
    """The devices that stand at these gates now, of the name. None: any device."""
    if within is None:
        return [device] if device else None
    query = select(devices.c.id).where(devices.c.gate.in_(sorted(within)))
    if device:
        query = query.where(devices.c.id == device)
    return sorted((await connection.execute(query)).scalars())


async def since_here(
    connection: AsyncConnection, within: frozenset[str] | None, devices_here: Collection[str]
) -> dict[str, int]:
    """Of devices that stand at these gates now: since when, where they stood elsewhere before."""
    if within is None or not devices_here:
        return {}
    m, found = device_moves.c, dict[str, int]()
    for some in slices(sorted(devices_here)):
        query = select(m.device, m.from_gate, m.at_ms).where(m.device.in_(some)).order_by(m.at_ms)
        found |= {device: at_ms for device, gate, at_ms in await connection.execute(query) if gate not in within}
    return found


async def venues_of(connection: AsyncConnection, names: Collection[str]) -> dict[str, str]:
    """The venue of each of these gates that is known."""
    query = select(gates.c.id, gates.c.venue).where(gates.c.id.in_(sorted(set(names))))
    return {row.id: row.venue for row in await connection.execute(query)}


def is_within(within: frozenset[str] | None, gate: Any) -> bool:
    """Whether what happened at that gate may be shown."""
    return within is None or gate in within
