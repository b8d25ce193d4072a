"""Deltas of allowlists, from any version that the list's tombstones reach back to (SPEC §7.3)."""

from collections import OrderedDict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.publish import Offer
from central.store.schema import list_entries
from protocol.chunks import chunks
from protocol.messages import MAX_CHUNK_BYTES, MAX_DELTA_ROWS, MAX_MESSAGE_BYTES, Delta, PartName, encode

REMEMBERED = 16


class Deltas:
    """Signs each delta once: many devices go from the same version to the same version."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._made: OrderedDict[tuple[str, int, int], bytes | None] = OrderedDict()

    async def envelope(self, connection: AsyncConnection, offer: Offer, base: int) -> bytes | None:
        """From `base` to the offer's list, read in the offer's own transaction; None when only the snapshot will do."""
        part = offer.part(PartName.ALLOWLIST)
        if part is None or not max(offer.list_base, 1) <= base < part.version:
            return None
        name = (offer.content.domain, base, part.version)
        if name not in self._made:
            self._made[name] = await self._make(connection, offer, base, part.version)
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return self._made[name]

    async def _make(self, connection: AsyncConnection, offer: Offer, base: int, version: int) -> bytes | None:
        c = list_entries.c
        own = (c.domain == offer.content.domain) & (c.key_number == offer.key_number)
        query = select(c.token, c.entry, c.dropped).where(own, c.version > base)
        rows = (await connection.execute(query.limit(2 * MAX_DELTA_ROWS + 1))).all()
        put = [(row.token, row.entry) for row in rows if not row.dropped]
        drop = tuple(row.token for row in rows if row.dropped)
        if max(len(put), len(drop)) > MAX_DELTA_ROWS:
            return None
        parts = chunks(put)
        if any(len(chunk) > MAX_CHUNK_BYTES for chunk in parts):
            return None
        domain, count, sum_ = offer.content.domain, offer.list_count, offer.list_sum
        delta = Delta(domain, base, version, offer.key_number, parts, drop, count, sum_)
        return self._keys.publish.seal(delta) if len(encode(delta)) <= MAX_MESSAGE_BYTES else None
