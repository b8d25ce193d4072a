"""Who is told of events: subscriptions, as admins make and end them."""

import secrets
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.access.again import Again, must_prove
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.neighbours.subscription_shown import Shown, must_be, shown_of
from central.actions.places.places import Id, require_zone
from central.alerts.addresses import host_of
from central.neighbours.events import store
from central.neighbours.events.cloud_events import NOTICES_DEVICE, NOTICES_EPOCH
from central.neighbours.events.following import UNTRIED
from central.neighbours.events.kinds import NOTICES
from central.neighbours.events.quiet import minute_of
from central.neighbours.events.signing import OVERLAP_MS, new_secret, shown
from central.neighbours.events.targets import networks_of, url_fault
from central.store.schema import accounts, domains, notices, subscription_progress, subscriptions, venues
from protocol.time_zones import CITY_ZONE

MOST = 200
Type = Literal[
    "tw.tapgate.tap.v1",
    "tw.tapgate.admit.v1",
    "tw.tapgate.passage.v1",
    "tw.tapgate.undo.v1",
    "tw.tapgate.notice.hold-ready.v1",
    "tw.tapgate.notice.overdue.v1",
    "tw.tapgate.notice.no-sign-out.v1",
    "tw.tapgate.notice.points-expiring.v1",
]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class AddParams(Again, frozen=True, kw_only=True):
    """`webhook`: where it is called; or, in its place, `reader`: the account whose tokens may pull it. `domains`,
    `venues` empty: all. `pseudonyms`: taps say who it was, by a name that only this subscription has. No notice is sent
    between `quiet_from` and `quiet_until` of the time zone."""

    id: Id
    types: Annotated[list[Type], msgspec.Meta(min_length=1, max_length=8)]
    webhook: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    reader: Annotated[str, msgspec.Meta(max_length=64)] = ""
    domains: Annotated[list[Id], msgspec.Meta(max_length=50)] = []
    venues: Annotated[list[Id], msgspec.Meta(max_length=200)] = []
    pseudonyms: bool = False
    quiet_from: Clock = "21:00"
    quiet_until: Clock = "08:00"
    time_zone: Annotated[str, msgspec.Meta(max_length=64)] = CITY_ZONE
    who: str = ""


class NamedParams(Params, frozen=True):
    """Which one."""

    id: Id
    who: str = ""


class RotateParams(Again, frozen=True, kw_only=True):
    """Which one."""

    id: Id
    who: str = ""


class ShowParams(Params, frozen=True):
    """Which one."""

    id: Id


class ListParams(Params, frozen=True):
    """All of them: there are few."""


class Made(Result, frozen=True):
    """`secret` signs what is sent, and is shown this once; empty where it is pulled."""

    subscription: Shown
    secret: str


class Rotated(Result, frozen=True):
    """`secret` is shown this once; the one before signs, too, until then."""

    id: str
    secret: str
    previous_until_ms: int


class SubscriptionShown(Result, frozen=True):
    """One of them as it stands."""

    subscription: Shown


class SubscriptionsListed(Result, frozen=True):
    """By name."""

    subscriptions: list[Shown]


class SubscriptionRemoved(Result, frozen=True):
    """Who is told nothing more."""

    id: str


@action("subscription.add", AddParams, writes=True)
async def subscription_add(context: Context, params: AddParams) -> Made:
    """Tell somebody of events from now on."""
    _require_whole(context, params)
    await must_prove(context, params)
    secret = new_secret() if params.webhook else b""
    async with context.database.write() as connection:
        await _require_room(connection, params)
        await connection.execute(insert(subscriptions).values(_row(context, params, secret)))
        newest = (await connection.execute(select(func.max(notices.c.number)))).scalar() or 0
        place = {"device": NOTICES_DEVICE, "epoch": NOTICES_EPOCH, "subscription": params.id, "through": newest}
        await connection.execute(insert(subscription_progress).values(place | UNTRIED | {"late": 0, "again": False}))
        made = await must_be(connection, params.id)
        stands = await shown_of(connection, made, context.now_ms)
    return Made(subscription=stands, secret=shown(secret) if secret else "")


@action("subscription.list", ListParams, writes=False)
async def subscription_list(context: Context, params: ListParams) -> SubscriptionsListed:
    """Who is told, how far, and what is wrong."""
    async with context.database.read() as connection:
        every = await store.read_all(connection)
        return SubscriptionsListed(subscriptions=[await shown_of(connection, of, context.now_ms) for of in every])


@action("subscription.show", ShowParams, writes=False)
async def subscription_show(context: Context, params: ShowParams) -> SubscriptionShown:
    """One of them."""
    async with context.database.read() as connection:
        of = await must_be(connection, params.id)
        return SubscriptionShown(subscription=await shown_of(connection, of, context.now_ms))


@action("subscription.pause", NamedParams, writes=True)
async def subscription_pause(context: Context, params: NamedParams) -> SubscriptionShown:
    """Nothing is sent until it is resumed; nothing is lost meanwhile."""
    return await _turned(context, params.id, (store.ACTIVE,), store.PAUSED)


@action("subscription.resume", NamedParams, writes=True)
async def subscription_resume(context: Context, params: NamedParams) -> SubscriptionShown:
    """Go on where it stopped, at once."""
    return await _turned(context, params.id, (store.PAUSED, store.DEAD, store.ACTIVE), store.ACTIVE)


@action("subscription.rotate", RotateParams, writes=True)
async def subscription_rotate(context: Context, params: RotateParams) -> Rotated:
    """Make a new secret. For a day the old one signs beside it."""
    await must_prove(context, params)
    secret, until_ms = new_secret(), context.now_ms + OVERLAP_MS
    async with context.database.write() as connection:
        of = await must_be(connection, params.id, lock=True)
        if of.is_pulled:
            raise ActionFailed(f"{params.id} is pulled with an API token: nothing is signed")
        sealed = context.keys.seal_subscription(secret, store.SECRET, params.id)
        before = {"previous_sealed": of.row.secret_sealed, "previous_until_ms": until_ms}
        await store.change(connection, params.id, secret_sealed=sealed, changed_ms=context.now_ms, **before)
    return Rotated(id=params.id, secret=shown(secret), previous_until_ms=until_ms)


@action("subscription.remove", NamedParams, writes=True)
async def subscription_remove(context: Context, params: NamedParams) -> SubscriptionRemoved:
    """Nothing more is sent there, and how far it was told is forgotten."""
    async with context.database.write() as connection:
        await must_be(connection, params.id, lock=True)
        await connection.execute(delete(subscriptions).where(subscriptions.c.id == params.id))
    return SubscriptionRemoved(id=params.id)


async def _turned(context: Context, id_: str, before: tuple[str, ...], state: str) -> SubscriptionShown:
    async with context.database.write() as connection:
        of = await must_be(connection, id_, lock=True)
        if of.state not in before:
            raise ActionFailed(f"{id_} is {of.state} already")
        fresh = {"tries": 0, "failing_ms": 0, "next_ms": 0} if state == store.ACTIVE else {}
        await store.change(connection, id_, state=state, why="", changed_ms=context.now_ms, **fresh)
        return SubscriptionShown(
            subscription=await shown_of(connection, await must_be(connection, id_), context.now_ms)
        )


def _require_whole(context: Context, params: AddParams) -> None:
    if bool(params.webhook) == bool(params.reader):
        raise ActionFailed("state a webhook that is called, or the account that pulls: one of the two")
    if params.webhook and (fault := url_fault(params.webhook, networks_of(context.config.events.networks))):
        raise ActionFailed(fault)
    require_zone(params.time_zone)
    if params.pseudonyms and not set(params.types) - NOTICES:
        raise ActionFailed("pseudonyms are of taps: notices name the member by the city's reference")


async def _require_room(connection: AsyncConnection, params: AddParams) -> None:
    every = {of.id for of in await store.read_all(connection)}
    if params.id in every:
        raise ActionFailed(f"there is a subscription {params.id!r} already")
    if len(every) >= MOST:
        raise ActionFailed(f"{MOST} subscriptions are there already: remove one first")
    readers = [params.reader] if params.reader else []
    wanted: list[tuple[str, Any, list[str]]] = [("venue", venues, params.venues), ("domain", domains, params.domains)]
    for what, table, named in [*wanted, ("account", accounts, readers)]:
        found = set((await connection.execute(select(table.c.id).where(table.c.id.in_(named)))).scalars())
        for id_ in named:
            if id_ not in found:
                raise ActionFailed(f"{what}: there is none called {id_!r}")


def _row(context: Context, params: AddParams, secret: bytes) -> dict[str, Any]:
    keys, now_ms = context.keys, context.now_ms

    def sealed(plain: bytes, what: str) -> bytes | None:
        return keys.seal_subscription(plain, what, params.id) if plain else None

    return {
        "id": params.id,
        "url_sealed": sealed(params.webhook.encode(), store.URL),
        "url_host": host_of(params.webhook),
        "reader": params.reader,
        "types": store.as_list(params.types),
        "domains": store.as_list(params.domains),
        "venues": store.as_list(params.venues),
        "secret_sealed": sealed(secret, store.SECRET),
        "previous_sealed": None,
        "previous_until_ms": 0,
        "subjects_sealed": sealed(secrets.token_bytes(32), store.SUBJECTS) if params.pseudonyms else None,
        "quiet_from": minute_of(params.quiet_from),
        "quiet_until": minute_of(params.quiet_until),
        "time_zone": params.time_zone,
        "state": store.ACTIVE,
        "who": params.who[:64],
        **dict.fromkeys(("made_ms", "changed_ms", "from_ms", "floor_ms"), now_ms),
        **dict.fromkeys(("taken_until_ms", "tries", "next_ms", "failing_ms", "taken_ms", "problem_ms", "told"), 0),
        "taken_by": b"",
    }
