"""Dead letters: events that a receiver refused for too long. They wait until a person has them sent once more."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.events.cloud_events import Outgoing
from central.store.put_rows import put_rows
from central.store.schema import subscription_dead

AT_ONCE = 20
_d = subscription_dead.c
Name = tuple[str, bytes, int]


async def put(
    connection: AsyncConnection, subscription: str, event: Outgoing, tries: int, why: str, at_ms: int
) -> None:
    """One more."""
    key = dict(zip(("device", "epoch", "sequence"), event.name, strict=True))
    row = {"subscription": subscription, **key, "at_ms": at_ms, "tries": tries, "problem": why[:300], "again": False}
    await put_rows(connection, subscription_dead, [row])


async def listed(connection: AsyncConnection, subscription: str, after: Name | None, limit: int) -> Sequence[Any]:
    """In the order of their names."""
    query = select(subscription_dead).where(_d.subscription == subscription)
    if after is not None:
        device, epoch, sequence = after
        later = (_d.device > device) | ((_d.device == device) & (_d.epoch > epoch))
        query = query.where(later | and_(_d.device == device, _d.epoch == epoch, _d.sequence > sequence))
    return (await connection.execute(query.order_by(_d.device, _d.epoch, _d.sequence).limit(limit))).all()


async def number(connection: AsyncConnection, subscription: str) -> int:
    """How many there are."""
    query = select(func.count()).select_from(subscription_dead).where(_d.subscription == subscription)
    return int((await connection.execute(query)).scalar_one())


async def send_again(connection: AsyncConnection, subscription: str) -> int:
    """All of them, with the next rounds; returns how many."""
    mine = update(subscription_dead).where(_d.subscription == subscription)
    return (await connection.execute(mine.values(again=True))).rowcount


async def wanted(connection: AsyncConnection, subscription: str) -> list[Name]:
    """The next ones that are to be sent once more."""
    query = select(_d.device, _d.epoch, _d.sequence).where(_d.subscription == subscription, _d.again.is_(True))
    rows = await connection.execute(query.order_by(_d.device, _d.epoch, _d.sequence).limit(AT_ONCE))
    return [(row.device, row.epoch, row.sequence) for row in rows]


async def are_taken(connection: AsyncConnection, subscription: str, names: Sequence[Name]) -> None:
    """They were taken after all, or there are none such any more."""
    for name in names:
        await connection.execute(delete(subscription_dead).where(_d.subscription == subscription, *_is(name)))


async def is_refused(connection: AsyncConnection, subscription: str, name: Name, why: str) -> None:
    """Again; it waits for a person."""
    mine = update(subscription_dead).where(_d.subscription == subscription, *_is(name))
    await connection.execute(mine.values(again=False, tries=_d.tries + 1, problem=why[:300]))


def _is(name: Name) -> tuple[Any, ...]:
    return _d.device == name[0], _d.epoch == name[1], _d.sequence == name[2]
