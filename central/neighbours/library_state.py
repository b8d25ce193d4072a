"""How a library system is doing, in the database: known to every server and every page."""

from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.alerts.backoff import wait_ms
from central.neighbours.settings import Library
from central.neighbours.sip2.line import LineFault
from central.store.put_rows import put_new_row
from central.store.schema import domains, libraries

HOLD_MS = 120_000
"""How long the server that asks a library keeps others from it, beyond its last word."""
_l = libraries.c


async def known(connection: AsyncConnection, library: str) -> Any:
    """Its row, or None."""
    return (await connection.execute(select(libraries).where(_l.id == library))).one_or_none()


async def introduce(connection: AsyncConnection, library: Library) -> bool:
    """A row for it, as the settings name it. False where its domain does not exist (yet)."""
    is_there = await connection.execute(select(domains.c.id).where(domains.c.id == library.domain))
    if is_there.first() is None:
        return False
    zeros = dict.fromkeys(("answered_ms", "failed_ms", "failing_ms", "tries", "next_ms", "held_until_ms"), 0)
    named = {"id": library.id, "domain": library.domain, "class_name": library.class_name}
    await put_new_row(connection, libraries, named | zeros | {"failure": "", "said": "", "holder": ""})
    return True


def is_as_set(row: Any, library: Library) -> bool:
    """Whether the database knows it as the settings name it."""
    return row is not None and (row.domain, row.class_name) == (library.domain, library.class_name)


async def hold(connection: AsyncConnection, library: str, server: str, now_ms: int) -> bool:
    """This server asks it for the next while; False where another one does."""
    free = or_(_l.holder == server, _l.held_until_ms <= now_ms)
    values = {"holder": server, "held_until_ms": now_ms + HOLD_MS}
    return bool((await connection.execute(update(libraries).where(_l.id == library, free).values(values))).rowcount)


async def is_believed(connection: AsyncConnection, library: str, now_ms: int) -> bool:
    """Whether a person said that it is right, whatever it says of many at once."""
    until_ms = (await connection.execute(select(_l.believed_until_ms).where(_l.id == library))).scalar()
    return (until_ms or 0) > now_ms


async def believe(connection: AsyncConnection, library: str, until_ms: int) -> None:
    """What it says of many at once is right until then."""
    await connection.execute(update(libraries).where(_l.id == library).values(believed_until_ms=until_ms))


async def answered(connection: AsyncConnection, library: str, now_ms: int) -> None:
    """It is there."""
    values = {"answered_ms": now_ms, "failing_ms": 0, "failure": "", "said": "", "tries": 0, "next_ms": 0}
    await connection.execute(update(libraries).where(_l.id == library).values(values))


async def failed(connection: AsyncConnection, library: str, fault: LineFault, now_ms: int) -> int:
    """It is left alone for longer each time. Returns until when."""
    query = select(_l.tries, _l.failing_ms).where(_l.id == library).with_for_update()
    before = (await connection.execute(query)).one()
    tries = before.tries + 1
    next_ms, since_ms = now_ms + wait_ms(tries), before.failing_ms or now_ms
    values = {"failed_ms": now_ms, "failing_ms": since_ms, "failure": fault.kind.value, "said": str(fault)}
    values |= {"tries": tries, "next_ms": next_ms}
    await connection.execute(update(libraries).where(_l.id == library).values(values))
    return next_ms
