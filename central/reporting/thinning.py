"""How devices did is forgotten after some time: whoever looks back asks for a month, or for that of the year before."""

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.database import Database
from central.store.schema import device_states, devices

KEPT_MS = 400 * 86_400_000
EVERY_S = 3_600.0
AT_ONCE = 1_000
"""Rows that one transaction deletes: whatever else writes waits no longer than that takes."""
s = device_states.c


async def thin(database: Database, now_ms: int) -> int:
    """Delete what is older; of each device the newest of those rows stays, since it says how it did from then on.

    Returns how many were deleted.
    """
    async with database.read() as connection:
        due = await _due(connection, now_ms - KEPT_MS)
    deleted = 0
    for device, kept_ms in due:
        while True:
            async with database.write() as connection:
                step = await _step(connection, device, kept_ms)
            deleted += step
            if step < AT_ONCE:
                break
    return deleted


async def _due(connection: AsyncConnection, before_ms: int) -> list[tuple[str, int]]:
    """Devices with rows to delete, and the first time that stays: two steps in an index for each device."""
    other = device_states.alias("other").c
    newest = select(func.max(other.at_ms)).where(other.device == devices.c.id, other.at_ms <= before_ms)
    oldest = select(func.min(other.at_ms)).where(other.device == devices.c.id)
    kept_ms = newest.correlate(devices).scalar_subquery()
    query = select(devices.c.id, kept_ms).where(oldest.correlate(devices).scalar_subquery() < kept_ms)
    return [(device, at_ms) for device, at_ms in await connection.execute(query.order_by(devices.c.id))]


async def _step(connection: AsyncConnection, device: str, kept_ms: int) -> int:
    """The oldest rows, up to `AT_ONCE`."""
    old = (s.device == device) & (s.at_ms < kept_ms)
    rest = select(s.at_ms).where(old).order_by(s.at_ms).offset(AT_ONCE).limit(1)
    until_ms = (await connection.execute(rest)).scalar()
    gone = delete(device_states).where(old if until_ms is None else old & (s.at_ms < until_ms))
    return (await connection.execute(gone)).rowcount
