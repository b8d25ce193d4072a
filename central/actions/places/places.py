"""Domains, venues and gates: adding and listing."""

from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.configs import ConfigPayload, put_config, read_configs
from central.facts import About
from central.lists import refresh_domain
from central.services.visits.stated import ClosesAt, ClosingChanged
from central.store.schema import devices, domains, gates, policies, subjects, venues
from protocol.errors import Refused
from protocol.messages import Ages, Direction, GateConfig
from protocol.time_zones import CITY_ZONE, zone_named

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Letters, digits, dot, underscore, hyphen: it stands in file names and on the wire."""
HOUR_MS = 3_600_000


class DomainParams(Params, frozen=True):
    """A domain to add."""

    id: Id
    title: str = ""


class VenueParams(Params, frozen=True):
    """A venue to add."""

    id: Id
    domain: Id
    title_zh: str = ""
    title_en: str = ""
    time_zone: str = CITY_ZONE
    closes_at: ClosesAt = "24:00"
    """Who is inside then, is not any more: their visits end, and nobody knows how."""


class VenueChange(Params, frozen=True):
    """What is to be another way from now on."""

    id: str
    closes_at: ClosesAt
    who: str


class GateParams(Params, frozen=True):
    """A gate to add. The three ages: how old the last signed word may be before it warns, restricts, closes."""

    id: Id
    venue: Id
    policy: Id
    kind: Literal["door", "turnstile", "kiosk", "counter"] = "door"
    direction: Literal["in", "out"] = "in"
    title_zh: str = ""
    title_en: str = ""
    warn_ms: int = 24 * HOUR_MS
    restrict_ms: int = 7 * 24 * HOUR_MS
    close_ms: int = 30 * 24 * HOUR_MS


class NamedParams(Params, frozen=True):
    """Which one; empty = all."""

    id: str = ""


class GatesParams(NamedParams, frozen=True):
    """Which one, or those of some venues; empty = all."""

    venues: list[str] = []


class Added(Result, frozen=True):
    """What was added."""

    id: str


class Listed(Result, frozen=True):
    """Rows, each a map of columns."""

    rows: list[dict[str, object]]


@action("domain.add", DomainParams, writes=True)
async def domain_add(context: Context, params: DomainParams) -> Added:
    """A new domain with a key of its own and an empty list."""
    async with context.database.write() as connection:
        await _must_be_new(connection, domains, params.id, "domain")
        number = context.keys.next_domain_key(params.id, 0)
        await connection.execute(insert(domains).values(id=params.id, title=params.title, key_number=number))
        await refresh_domain(connection, context.keys, params.id, context.now_ms)
    return Added(id=params.id)


@action("venue.add", VenueParams, writes=True)
async def venue_add(context: Context, params: VenueParams) -> Added:
    """A venue of a domain."""
    require_zone(params.time_zone)
    async with context.database.write() as connection:
        await _must_be_new(connection, venues, params.id, "venue")
        await must_exist(connection, domains, params.domain, "domain")
        await connection.execute(insert(venues).values(msgspec.to_builtins(params)))
    return Added(id=params.id)


@action("venue.set", VenueChange, writes=True)
async def venue_set(context: Context, params: VenueChange) -> Added:
    """Another closing time, for whoever comes in from now on: a fact, so earlier visits stay as they were."""
    async with context.database.write() as connection:
        await must_exist(connection, venues, params.id, "venue")
        query = select(venues.c.domain, venues.c.closes_at).where(venues.c.id == params.id)
        domain, before = (await connection.execute(query)).one()
        if before != params.closes_at:
            body = ClosingChanged(closes_at=params.closes_at, before=before)
            about = About(params.who, context.now_ms, domain, venue=params.id)
            await facts.append(connection, about, body, context.now_ms)
            values = {"closes_at": params.closes_at}
            await connection.execute(update(venues).where(venues.c.id == params.id).values(values))
    return Added(id=params.id)


def require_zone(name: str) -> None:
    """Raises ActionFailed for a time zone that does not exist."""
    try:
        zone_named(name)
    except Refused:
        raise ActionFailed(f"there is no time zone {name!r}: one is {CITY_ZONE}") from None


def require_rising(ages: Ages) -> None:
    """Raises ActionFailed for ages that no gate would take."""
    if not 0 < ages.warn_ms <= ages.restrict_ms <= ages.close_ms:
        raise ActionFailed("the ages do not rise: warn, then restrict, then close")


@action("gate.add", GateParams, writes=True)
async def gate_add(context: Context, params: GateParams) -> Added:
    """A gate of a venue, under a policy that is already put, with a first configuration."""
    ages = Ages(params.warn_ms, params.restrict_ms, params.close_ms)
    require_rising(ages)
    async with context.database.write() as connection:
        await _must_be_new(connection, gates, params.id, "gate")
        await must_exist(connection, venues, params.venue, "venue")
        await must_exist(connection, policies, params.policy, "policy")
        own = {"id": params.id, "venue": params.venue, "kind": params.kind, "policy": params.policy}
        await connection.execute(insert(gates).values(own))
        zone = (await connection.execute(select(venues.c.time_zone).where(venues.c.id == params.venue))).scalar_one()
        first = GateConfig(
            *(0, params.id, params.kind, Direction(params.direction), zone, params.title_zh, params.title_en)
        )
        await put_config(connection, context.keys, first, ages, context.now_ms)
    return Added(id=params.id)


@action("domain.list", NamedParams, writes=False)
async def domain_list(context: Context, _params: NamedParams) -> Listed:
    """Every domain with its number of members."""
    members = select(func.count()).where(subjects.c.domain == domains.c.id).scalar_subquery().label("members")
    query = select(domains.c.id, domains.c.title, domains.c.key_number, members).order_by(domains.c.id)
    return await _listed(context, query)


@action("venue.list", NamedParams, writes=False)
async def venue_list(context: Context, params: NamedParams) -> Listed:
    """Every venue, or the one of this name."""
    return await _listed(context, _own(select(venues), venues.c.id, context, params).order_by(venues.c.id))


@action("gate.list", GatesParams, writes=False)
async def gate_list(context: Context, params: GatesParams) -> Listed:
    """Every gate, the one of this name, or those of some venues, with its devices and what is configured of it."""
    of_gate = (devices.c.gate == gates.c.id) & (devices.c.state != "revoked")
    number = select(func.count()).where(of_gate).scalar_subquery().label("devices")
    async with context.database.read() as connection:
        query = _own(select(gates, number), gates.c.venue, context, params, gates.c.id).order_by(gates.c.id)
        if params.venues:
            query = query.where(gates.c.venue.in_(params.venues))
        rows = (await connection.execute(query)).mappings().all()
        configs = await read_configs(connection, [row["id"] for row in rows])
    return Listed(rows=[dict(row) | _configured(configs[row["id"]]) for row in rows])


def _configured(held: ConfigPayload) -> dict[str, object]:
    config = held.config
    return {
        "direction": config.direction.value,
        "title_zh": config.title_zh,
        "title_en": config.title_en,
        "passage": config.release.passage,
        "config_version": config.version,
        **msgspec.structs.asdict(held.ages),
    }


def _own(query: Select[Any], venue: Any, context: Context, params: NamedParams, named: Any = None) -> Select[Any]:
    """Within the caller's venues, and of the name that was asked for."""
    if context.scope.venues is not None:
        query = query.where(venue.in_(sorted(context.scope.venues)))
    return query.where((venue if named is None else named) == params.id) if params.id else query


async def _listed(context: Context, query: Select[Any]) -> Listed:
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).mappings()
        return Listed(rows=[dict(row) for row in rows])


async def _must_be_new(connection: AsyncConnection, table: Table, id_: str, what: str) -> None:
    if await _exists(connection, table, id_):
        raise ActionFailed(f"{what} {id_!r} exists already")


async def must_exist(connection: AsyncConnection, table: Table, id_: str, what: str) -> None:
    """Raises ActionFailed where a domain, venue, gate, policy or device of this name does not exist."""
    if not await _exists(connection, table, id_):
        raise ActionFailed(
            f"there is no {what} {id_!r}: add it first"
            f" (`{what} {'put' if what in ('policy', 'activity') else 'invite' if what == 'device' else 'add'}`)"
        )


async def _exists(connection: AsyncConnection, table: Table, id_: str) -> bool:
    return (await connection.execute(select(table.c.id).where(table.c.id == id_))).first() is not None
