"""Names of what people put down one by one: a letter and the moment, told apart where two are of one moment."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection


async def moment_id(connection: AsyncConnection, column: Any, letter: str, now_ms: int) -> str:
    """One that is not in the column yet."""
    taken = set((await connection.execute(select(column))).scalars())
    id_, number = f"{letter}{now_ms}", 1
    while id_ in taken:
        id_, number = f"{letter}{now_ms}-{number}", number + 1
    return id_
