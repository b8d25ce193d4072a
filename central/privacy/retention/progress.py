"""How far a background task went through everything, so that it goes on where it was: one row in `meta` each."""

from typing import TypeVar

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.retention.rules import DAY_MS
from central.store.schema import meta

PASS_MS = 7 * DAY_MS
"""After so long everything old is looked at again: what came late, and what was held."""


class Pass(msgspec.Struct):
    """How far one pass came; what of is said by those that derive from it."""

    began_ms: int = 0


class MembersPass(Pass):
    """Through which member of each domain, as hex."""

    domains: dict[str, str] = {}


P = TypeVar("P", bound=Pass)


async def read_progress(connection: AsyncConnection, key: str, kind: type[P], now_ms: int, pass_ms: int = PASS_MS) -> P:
    """As it was noted last; a new pass where it never was, or where that one is over."""
    value = (await connection.execute(select(meta.c.value).where(meta.c.key == key))).scalar()
    found = msgspec.json.decode(value, type=kind) if value else kind()
    return kind(now_ms) if found.began_ms + pass_ms <= now_ms else found


async def note_progress(connection: AsyncConnection, key: str, progress: Pass) -> None:
    """In the transaction that did the work."""
    await connection.execute(delete(meta).where(meta.c.key == key))
    await connection.execute(insert(meta).values(key=key, value=msgspec.json.encode(progress).decode()))
