"""Whoever computes members' rows, or promises or takes their points, comes one after the other."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_KEY = 0x7461_7073  # of PostgreSQL's advisory lock: "taps"


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Until the transaction ends nobody else settles, so what is read from now on is what the rows are computed from.
    The first lock of a transaction: what is read before it may be old. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_KEY})"))
