"""Subscriptions as they are stored, and whose turn it is to deliver: one process at a time for each."""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.neighbours.events.kinds import NOTICES
from central.store.schema import subscriptions

ACTIVE, PAUSED, DEAD = "active", "paused", "dead"
URL, SECRET, SUBJECTS = "url", "secret", "subjects"
"""What is sealed of one."""
TAKEN_MS = 90_000
"""For so long nobody else delivers for a subscription: longer than any round lasts."""
_s = subscriptions.c


class Subscription(NamedTuple):
    """One row. `domains`, `venues` empty: all. `reader`: the account that pulls it; empty: it is called."""

    id: str
    reader: str
    types: frozenset[str]
    domains: frozenset[str]
    venues: frozenset[str]
    state: str
    from_ms: int
    floor_ms: int
    tries: int
    failing_ms: int
    taken_ms: int
    told: int
    quiet_from: int
    quiet_until: int
    time_zone: str
    row: Any

    @property
    def is_pulled(self) -> bool:
        return bool(self.reader)

    @property
    def takes_notices(self) -> bool:
        return bool(self.types & NOTICES)

    @property
    def is_narrow(self) -> bool:
        """It is not told of the whole city."""
        return bool(self.domains or self.venues)


class Way(NamedTuple):
    """What is needed to send something: where to, signed with what."""

    url: str
    secrets: tuple[bytes, ...]


def of_row(row: Any) -> Subscription:
    """Without what is sealed."""
    return Subscription(
        *(row.id, row.reader, _set(row.types), _set(row.domains), _set(row.venues), row.state),
        *(row.from_ms, row.floor_ms, row.tries, row.failing_ms, row.taken_ms, row.told),
        *(row.quiet_from, row.quiet_until, row.time_zone, row),
    )


def _set(column: str) -> frozenset[str]:
    return frozenset(msgspec.json.decode(column, type=list[str]))


def as_list(values: Collection[str]) -> str:
    """As it stands in a column."""
    return msgspec.json.encode(sorted(set(values))).decode()


def way_of(keys: Keys, row: Any, now_ms: int) -> Way:
    """Raises Refused where what is sealed was altered."""
    held = [row.secret_sealed, row.previous_sealed if row.previous_until_ms > now_ms else None]
    secrets = tuple(keys.open_subscription(sealed, SECRET, row.id) for sealed in held if sealed is not None)
    return Way(keys.open_subscription(row.url_sealed, URL, row.id).decode(), secrets)


def subjects_key(keys: Keys, row: Any) -> bytes | None:
    """Of its pseudonyms; None: it is told of nobody. Raises Refused."""
    return keys.open_subscription(row.subjects_sealed, SUBJECTS, row.id) if row.subjects_sealed else None


async def read_one(connection: AsyncConnection, id_: str, *, lock: bool = False) -> Subscription | None:
    """`lock`: nobody else changes it until this transaction ends."""
    query = select(subscriptions).where(_s.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).first()
    return of_row(row) if row is not None else None


async def read_all(connection: AsyncConnection) -> list[Subscription]:
    """By name."""
    return [of_row(row) for row in await connection.execute(select(subscriptions).order_by(_s.id))]


async def due(connection: AsyncConnection, now_ms: int) -> list[Subscription]:
    """Those that may have something to be told now, and nobody tells."""
    query = select(subscriptions).where(_s.state == ACTIVE, _s.next_ms <= now_ms, _s.taken_until_ms <= now_ms)
    return [of_row(row) for row in await connection.execute(query.order_by(_s.id))]


async def take(connection: AsyncConnection, id_: str, by: bytes, now_ms: int) -> Subscription | None:
    """Deliver for it until `give_back`, or for `TAKEN_MS`; None where somebody else does, or it is not to be."""
    free = (_s.id == id_, _s.state == ACTIVE, _s.next_ms <= now_ms, _s.taken_until_ms <= now_ms)
    taken = await connection.execute(
        update(subscriptions).where(*free).values(taken_by=by, taken_until_ms=now_ms + TAKEN_MS)
    )
    return await read_one(connection, id_) if taken.rowcount else None


async def is_held(connection: AsyncConnection, id_: str, by: bytes) -> bool:
    """Whether it is still this process that delivers, and stays so until the transaction ends."""
    query = select(_s.id).where(_s.id == id_, _s.taken_by == by).with_for_update()
    return (await connection.execute(query)).first() is not None


async def give_back(connection: AsyncConnection, id_: str, by: bytes, **values: Any) -> None:
    """Somebody else may deliver from here; `values`: what became of it."""
    mine = update(subscriptions).where(_s.id == id_, _s.taken_by == by)
    await connection.execute(mine.values(taken_until_ms=0, taken_by=b"", **values))


async def change(connection: AsyncConnection, id_: str, **values: Any) -> None:
    """Columns of its row."""
    await connection.execute(update(subscriptions).where(_s.id == id_).values(**values))


async def raise_floor(connection: AsyncConnection, of: Subscription, floor_ms: int) -> None:
    """Unless somebody lowered it meanwhile: a replay."""
    if floor_ms > of.row.floor_ms:
        as_read = (_s.floor_ms == of.row.floor_ms, _s.from_ms == of.row.from_ms)
        await connection.execute(update(subscriptions).where(_s.id == of.id, *as_read).values(floor_ms=floor_ms))
