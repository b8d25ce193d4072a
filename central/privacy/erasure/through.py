"""Through when what came late was looked through: rows of `meta`, one for each kind of what comes."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.put_rows import put_new_row
from central.store.schema import meta

BATCHES, EVIDENCE = "late-of-erased", "late-evidence-of-erased"
_m = meta.c


async def through_ms(connection: AsyncConnection, key: str) -> int | None:
    """None: it was never begun."""
    value = (await connection.execute(select(_m.value).where(_m.key == key))).scalar()
    return None if value is None else int(value)


async def go_on(connection: AsyncConnection, key: str, from_ms: int | None, to_ms: int) -> None:
    """Unless an erasure wants it to be looked through again from before."""
    if from_ms is None:
        await put_new_row(connection, meta, {"key": key, "value": str(to_ms)})
        return
    stands = update(meta).where(_m.key == key, _m.value == str(from_ms))
    await connection.execute(stands.values(value=str(to_ms)))


async def look_again(connection: AsyncConnection, since_ms: int) -> None:
    """What came since then may be of somebody who is erased now."""
    for key in (BATCHES, EVIDENCE):
        held_ms = await through_ms(connection, key)
        if held_ms is not None and held_ms > since_ms:
            await go_on(connection, key, held_ms, since_ms)
