"""From which version on a domain's list was made with which key: so that what a tap says of a card under one key is not
held against what another says under the next."""

from bisect import bisect_right

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import key_changes


class KeyHistory:
    """Of one domain."""

    def __init__(self, changes: list[tuple[int, int]]) -> None:
        self._versions = [version for version, _ in changes]
        self._numbers = [number for _, number in changes]

    def at(self, version: int) -> int:
        """The number of the key that the list of this version was made with; 0 = the one before any change."""
        place = bisect_right(self._versions, version)
        return self._numbers[place - 1] if place else 0


async def note_key(connection: AsyncConnection, domain: str, version: int, key_number: int) -> None:
    """From this version on."""
    await connection.execute(insert(key_changes).values(domain=domain, version=version, key_number=key_number))


async def key_history(connection: AsyncConnection, domain: str) -> KeyHistory:
    """All that changed since such changes are noted."""
    c = key_changes.c
    query = select(c.version, c.key_number).where(c.domain == domain).order_by(c.version)
    return KeyHistory([(row.version, row.key_number) for row in await connection.execute(query)])
