"""How often a token may ask what systems ask many times: counted in the database, since many servers may answer it."""

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from central.access.caller import Caller
from central.store.database import Database
from central.store.schema import attempts

BURST = 100
"""Asked at once, by a token that was quiet."""
DRAINS_MS = 200
"""One more for each so long: 300 a minute."""


def left_of(number: int, last_ms: int, now_ms: int) -> tuple[int, int]:
    """Of what was counted, how much counts still, and from which moment on the next of it drains. Pure."""
    steps = max(now_ms - last_ms, 0) // DRAINS_MS
    return (0, now_ms) if steps >= number else (number - steps, last_ms + steps * DRAINS_MS)


async def wait_s(database: Database, caller: Caller, now_ms: int) -> int:
    """Count one request; how many seconds it comes too early, 0 where it is in time. This machine may always ask."""
    if caller.local:
        return 0
    key = f"asks {caller.token or caller.name}"
    async with database.write() as connection:
        make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        await connection.execute(make(attempts).values(key=key, failed=0, last_ms=now_ms).on_conflict_do_nothing())
        row = (await connection.execute(select(attempts).where(attempts.c.key == key).with_for_update())).one()
        number, since_ms = left_of(row.failed, row.last_ms, now_ms)
        if number >= BURST:
            return (since_ms + (number - BURST + 1) * DRAINS_MS - now_ms) // 1_000 + 1
        mine = update(attempts).where(attempts.c.key == key)
        await connection.execute(mine.values(failed=number + 1, last_ms=since_ms))
    return 0
