"""The feed for systems that cannot be called: they ask for what comes after a cursor."""

from typing import Annotated, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.generation import generation_of
from central.neighbours.events import feeding, store
from central.neighbours.events.feeding import BadCursor, Feed
from central.neighbours.events.following import places_of
from central.neighbours.events.outgoing import read_names
from central.neighbours.events.store import Subscription


class FeedParams(Params, frozen=True):
    """`after`: `next` of the answer before; empty: from the oldest that is kept. `subscription` empty: the only one
    that the token's account pulls."""

    after: Annotated[str, msgspec.Meta(max_length=500)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    subscription: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Fed(Result, frozen=True):
    """CloudEvents in their order. `next`: also where nothing came; `more`: ask on at once."""

    events: list[dict[str, Any]]
    next: str
    more: bool


@action("feed.read", FeedParams, writes=False)
async def feed_read(context: Context, params: FeedParams) -> Fed:
    """What comes after a cursor, without gaps."""
    async with context.database.read() as connection:
        of = await _mine(connection, context, params.subscription)
        oldest = await feeding.oldest(connection, of.id) or of.told + 1
        feed = Feed(of.id, of.row.made_ms, await generation_of(connection))
        after = _after(feed, params.after, oldest)
        rows = await feeding.fetched(connection, of.id, after, params.limit)
        names = [(row.device, row.epoch, row.sequence) for row in rows]
        events = await read_names(connection, context.keys, of, names, await places_of(connection, of))
    last = rows[-1].number if rows else after
    return Fed(
        events=[msgspec.json.decode(event.body) for event in events],
        next=feeding.cursor_of(feed, last),
        more=len(rows) == params.limit,
    )


def _after(feed: Feed, cursor: str, oldest: int) -> int:
    if not cursor:
        return oldest - 1
    try:
        after = feeding.number_of(feed, cursor)
    except BadCursor as error:
        raise ActionFailed(f"after: {error}: begin again without it, and drop what you know") from None
    if after < oldest - 1:
        raise ActionFailed("after: what follows it is not kept any more: begin without it, and have the rest replayed")
    return after


async def _mine(connection: AsyncConnection, context: Context, id_: str) -> Subscription:
    """What is somebody else's, and what there is not, is answered alike."""
    sees_all = context.caller.sees_all and not context.caller.scopes
    every = await store.read_all(connection)
    mine = [of for of in every if of.is_pulled and (sees_all or of.reader == context.caller.name)]
    named = [of for of in mine if id_ in ("", of.id)]
    if len(named) != 1:
        raise ActionFailed(
            "say which feed: the account pulls several" if named else "the account pulls no such feed: see an admin"
        )
    return named[0]
