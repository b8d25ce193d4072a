"""The clock of an incident: within 72 hours of learning of it those concerned and the authority are told."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import incidents

TELL_WITHIN_MS = 72 * 3_600_000
WHOM = ("authority", "concerned")


def untold(row: Any) -> list[str]:
    """Who of them is not told yet."""
    return [whom for whom in WHOM if not getattr(row, f"{whom}_ms")]


async def open_incidents(connection: AsyncConnection) -> list[Any]:
    """Those whose time is over first are the first."""
    query = select(incidents).where(incidents.c.closed_ms == 0)
    return list((await connection.execute(query.order_by(incidents.c.learned_ms, incidents.c.id))).all())


async def learned_of(connection: AsyncConnection, device: str) -> tuple[str, int]:
    """The open incident about a device that was learned of first, and when; empty and 0 = there is none."""
    found = [row for row in await open_incidents(connection) if row.device == device]
    return (found[0].id, found[0].learned_ms) if found else ("", 0)
