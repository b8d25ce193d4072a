"""The custody generation (SPEC §7.5): another number tells every device that central was restored."""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import meta

FIRST = 1
_KEY = "generation"


async def generation_of(connection: AsyncConnection) -> int:
    """The generation now; a database that was never restored is at the first."""
    value = (await connection.execute(select(meta.c.value).where(meta.c.key == _KEY))).scalar()
    return int(value) if value is not None else FIRST


async def next_generation(connection: AsyncConnection, now_ms: int) -> int:
    """After a restore: devices send an inventory and what is missing. Above any that an older backup knew."""
    generation = max(await generation_of(connection) + 1, now_ms)
    await connection.execute(delete(meta).where(meta.c.key == _KEY))
    await connection.execute(insert(meta).values(key=_KEY, value=str(generation)))
    return generation
