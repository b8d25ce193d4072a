"""Freezes as they stand in the database, and what they keep back."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.rollouts.freezing import Freeze, Frozen, frozen
from central.store.schema import freezes, gates


async def read_freezes(connection: AsyncConnection) -> list[Freeze]:
    """By their names."""
    return [freeze_of(row) for row in await connection.execute(select(freezes).order_by(freezes.c.id))]


def freeze_of(row: Any) -> Freeze:
    """A row of `freezes`."""
    days = tuple(msgspec.json.decode(row.days, type=list[str]))
    return Freeze(row.id, row.venue, row.why, days, row.span, row.time_zone, row.from_ms, row.until_ms)


async def frozen_now(connection: AsyncConnection, at_gates: Collection[str], now_ms: int) -> Frozen | None:
    """What keeps any of these gates as it is now."""
    every = await read_freezes(connection)
    if not every:
        return None
    query = select(gates.c.venue).where(gates.c.id.in_(sorted(at_gates))).distinct()
    return frozen(every, set((await connection.execute(query)).scalars()), now_ms)
