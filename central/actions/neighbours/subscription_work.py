"""What a person does about a subscription that does not go well: try it, send again, look at what was given up."""

import secrets
from typing import Annotated

import msgspec
from sqlalchemy import delete

from central.actions.access.whose import Instant
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.list_keys import After, key_of, parts_of
from central.actions.neighbours.subscription_shown import must_be
from central.actions.neighbours.subscriptions import NamedParams
from central.actions.places.places import Id
from central.neighbours.events import letters, store
from central.neighbours.events.cloud_events import NOTICES_DEVICE, event_id, of_test
from central.neighbours.events.posting import Poster
from central.neighbours.events.signing import headers
from central.neighbours.events.targets import networks_of
from central.store.schema import subscription_progress


class ReplayParams(Params, frozen=True):
    """From when: everything that came into custody since (`since_ms`), or the dead letters (`dead`). One of the two."""

    id: Id
    since_ms: Instant = 0
    dead: bool = False
    who: str = ""


class DeadParams(Params, frozen=True):
    """Whose. `after`: `next` of the page before."""

    id: Id
    after: After = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class Tested(Result, frozen=True):
    """What became of the test. `status` 0: nobody answered; `problem` empty: it was taken."""

    id: str
    status: int
    problem: str


class Replayed(Result, frozen=True):
    """What is sent again: everything since then, or so many dead letters."""

    id: str
    since_ms: int
    dead_letters: int


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that was refused for too long. `event`: DEVICE/EPOCH/SEQUENCE, or notice/NUMBER; `again`: it is sent
    once more."""

    event: str
    at_ms: int
    tries: int
    problem: str
    again: bool


class DeadListed(Result, frozen=True):
    """By event. `next`: ask on with it; empty: that was all."""

    letters: list[DeadLetter]
    next: str


@action("subscription.test", NamedParams, writes=True)
async def subscription_test(context: Context, params: NamedParams) -> Tested:
    """Send an event that says nothing, now, whatever state it is in; nothing else changes."""
    async with context.database.read() as connection:
        of = await must_be(connection, params.id)
    if of.is_pulled:
        raise ActionFailed(f"{params.id} is pulled: nothing is sent to it")
    way = store.way_of(context.keys, of.row, context.now_ms)
    event = of_test(secrets.token_hex(8), context.now_ms)
    signed = headers(event.delivery, context.now_ms // 1_000, event.body, way.secrets)
    async with Poster(networks_of(context.config.events.networks)) as poster:
        sent = await poster.post(way.url, signed, event.body)
    return Tested(id=params.id, status=sent.status, problem=sent.problem)


@action("subscription.replay", ReplayParams, writes=True)
async def subscription_replay(context: Context, params: ReplayParams) -> Replayed:
    """Send again, with the same ids as before: whoever knows an event drops it."""
    if bool(params.since_ms) == params.dead:
        raise ActionFailed("state from when, or that it is the dead letters: one of the two")
    if params.since_ms > context.now_ms:
        raise ActionFailed("nothing has come into custody since then: it is not yet")
    number = 0
    async with context.database.write() as connection:
        await must_be(connection, params.id, lock=True)
        if params.dead:
            number = await letters.send_again(connection, params.id)
        else:
            p = subscription_progress.c
            await connection.execute(
                delete(subscription_progress).where(p.subscription == params.id, p.device != NOTICES_DEVICE)
            )
            await store.change(connection, params.id, from_ms=params.since_ms, floor_ms=params.since_ms)
        await store.change(connection, params.id, next_ms=0, changed_ms=context.now_ms)
    return Replayed(id=params.id, since_ms=params.since_ms, dead_letters=number)


@action("subscription.dead", DeadParams, writes=False)
async def subscription_dead(context: Context, params: DeadParams) -> DeadListed:
    """What the receiver refused for too long; `subscription replay --dead` sends it again."""
    after = parts_of(params.after, tuple[str, bytes, int]) if params.after else None
    async with context.database.read() as connection:
        await must_be(connection, params.id)
        rows = await letters.listed(connection, params.id, after, params.limit + 1)
    found = [
        DeadLetter(_name(row.device, row.epoch, row.sequence), row.at_ms, row.tries, row.problem, row.again)
        for row in rows[: params.limit]
    ]
    last = rows[params.limit - 1] if len(rows) > params.limit else None
    return DeadListed(letters=found, next=key_of(last.device, last.epoch, last.sequence) if last is not None else "")


def _name(device: str, epoch: bytes, sequence: int) -> str:
    return event_id(device, epoch, sequence) if device else f"notice/{sequence}"
