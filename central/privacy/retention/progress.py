"""How far a background task went through everything, so that it goes on where it was: one row in `meta` each."""

from typing import TypeVar

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import meta

T = TypeVar("T", bound=msgspec.Struct)


async def read_progress(connection: AsyncConnection, key: str, kind: type[T]) -> T:
    """As it was noted last; a new one where it never was."""
    value = (await connection.execute(select(meta.c.value).where(meta.c.key == key))).scalar()
    return msgspec.json.decode(value, type=kind) if value else kind()


async def note_progress(connection: AsyncConnection, key: str, progress: msgspec.Struct) -> None:
    """In the transaction that did the work."""
    await connection.execute(delete(meta).where(meta.c.key == key))
    await connection.execute(insert(meta).values(key=key, value=msgspec.json.encode(progress).decode()))
