"""The feed of a subscription that is pulled: whoever follows for it numbers what it may fetch.

The numbers are given under the subscription's lock, so they become visible in their order and without gaps, whatever
order the uploads' transactions end in. A cursor names one of them.
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import subscription_feed

KEPT_MS = 30 * 86_400_000
"""What nobody fetched for so long is to be had by a replay alone."""
_f = subscription_feed.c


class BadCursor(ValueError):
    """It is no cursor of this feed, or of one that there is no more. The text is for a person."""


class Feed(NamedTuple):
    """Whose numbers they are. A subscription that was removed and made again, and a database that was restored, count
    anew: a cursor of before would pass over what is numbered now."""

    subscription: str
    made_ms: int
    generation: int


def cursor_of(feed: Feed, number: int) -> str:
    """Opaque: a text to be given back as it is."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((*feed, number))).decode().rstrip("=")


def number_of(feed: Feed, cursor: str) -> int:
    """Raises BadCursor."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        subscription, made_ms, generation, number = msgspec.msgpack.decode(raw, type=tuple[str, int, int, int])
    except (ValueError, msgspec.MsgspecError):
        raise BadCursor("this is no cursor of this feed") from None
    if subscription != feed.subscription or number < 0:
        raise BadCursor("this is no cursor of this feed")
    if (made_ms, generation) != (feed.made_ms, feed.generation):
        raise BadCursor("the feed began anew since this cursor")
    return number


async def feed(
    connection: AsyncConnection, subscription: str, after: int, names: Sequence[tuple[str, bytes, int]], now_ms: int
) -> None:
    """More to fetch, numbered on from `after`."""
    rows = [
        {"subscription": subscription, "number": number, "fed_ms": now_ms}
        | dict(zip(("device", "epoch", "sequence"), name, strict=True))
        for number, name in enumerate(names, after + 1)
    ]
    if rows:
        await connection.execute(insert(subscription_feed), rows)


async def forget(connection: AsyncConnection, subscription: str, now_ms: int) -> None:
    """What is too old."""
    old = (_f.subscription == subscription, _f.fed_ms < now_ms - KEPT_MS)
    await connection.execute(delete(subscription_feed).where(*old))


async def fetched(connection: AsyncConnection, subscription: str, after: int, limit: int) -> Sequence[Any]:
    """Rows after a number."""
    query = select(subscription_feed).where(_f.subscription == subscription, _f.number > after)
    return (await connection.execute(query.order_by(_f.number).limit(limit))).all()


async def oldest(connection: AsyncConnection, subscription: str) -> int:
    """The lowest number that is kept; 0: there is none."""
    query = select(func.min(_f.number)).where(_f.subscription == subscription)
    return (await connection.execute(query)).scalar() or 0
