"""Which gates hold a change of cards already: what each device said last, held against the list that has the change."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.within import domains_of
from central.keys import Keys
from central.open_lists import version_of
from central.store.schema import cards, devices, domains, gates, list_entries, members, venues
from protocol.messages import PartName, Poll, decode
from protocol.token import token
from protocol.wire import Count

MOST_CARDS = 200
HOLDS, WAITS = "holds", "waits"


class UptakeParams(Params, frozen=True):
    """A card by its id, or all cards of a member, or a list by its domain and version (0 = the newest). `waiting`: only
    gates that do not hold it yet."""

    card: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?$")] = ""
    member: Annotated[str, msgspec.Meta(max_length=128)] = ""
    domain: Annotated[str, msgspec.Meta(max_length=64)] = ""
    version: Count = 0
    waiting: bool = False


class GateUptake(msgspec.Struct, frozen=True):
    """A device of a gate. `state`: holds it, or waits for it. `held`: the version of the list that it said last it
    holds; 0 = none yet. `seen_ms`: when it was last heard of; 0 = never."""

    gate: str
    venue: str
    device: str
    state: str
    held: int
    seen_ms: int


class ListUptake(msgspec.Struct, frozen=True):
    """A domain's list from `version` on has the change, which was made at `changed_ms`. `gates`: those that wait first,
    then by name."""

    domain: str
    version: int
    changed_ms: int
    holding: int
    waiting: int
    gates: list[GateUptake]


class Uptake(Result, frozen=True):
    """By domain. Empty: the card is on no list, so no gate knows it."""

    lists: list[ListUptake]
    now_ms: int


class _Change(NamedTuple):
    domain: str
    version: int


@action("card.uptake", UptakeParams, writes=False)
async def card_uptake(context: Context, params: UptakeParams) -> Uptake:
    """Devices say what they hold as they ask for what is newer: while connected, within a second of taking it up."""
    if sum(map(bool, (params.card, params.member, params.domain))) != 1:
        raise ActionFailed("name exactly one: a card by its id, a member, or a domain")
    async with context.database.read() as connection:
        theirs = await domains_of(connection, context.scope)
        changes = await _changes(context, connection, params)
        found = [
            await _of_domain(context, connection, change, params.waiting)
            for change in changes
            if theirs is None or change.domain in theirs
        ]
    return Uptake(lists=found, now_ms=context.now_ms)


async def _changes(context: Context, connection: AsyncConnection, params: UptakeParams) -> list[_Change]:
    if params.domain:
        newest = await version_of(connection, params.domain)
        if not newest:
            raise ActionFailed(f"there is no list of a domain {params.domain!r}: see `domain list`")
        return [_Change(params.domain, params.version or newest)]
    query = select(cards.c.id, cards.c.uid_sealed)
    if params.card:
        query = query.where(cards.c.id == bytes.fromhex(params.card))
    else:
        query = query.join(members, members.c.id == cards.c.member).where(members.c.reference == params.member)
    rows = (await connection.execute(query.order_by(cards.c.id).limit(MOST_CARDS))).all()
    if not rows:
        raise ActionFailed("no such card is bound to anybody: see `card find`")
    found = []
    every = select(domains.c.id, domains.c.key_number).order_by(domains.c.id)
    for domain, number in (await connection.execute(every)).all():
        version = await _newest(connection, domain, number, _tokens(context.keys, domain, number, rows))
        if version is not None:
            found.append(_Change(domain, version))
    return found


def _tokens(keys: Keys, domain: str, number: int, rows: Sequence[Any]) -> set[bytes]:
    key = keys.domain_key(domain, number)
    return {token(key, keys.open_uid(sealed, card)) for card, sealed in rows}


async def _newest(connection: AsyncConnection, domain: str, number: int, tokens: Collection[bytes]) -> int | None:
    """The version that last changed any of these rows; None where the list never had one."""
    c = list_entries.c
    own = (c.domain == domain) & (c.key_number == number)
    query = select(func.max(c.version)).where(own, c.token.in_(sorted(tokens)))
    version: int | None = (await connection.execute(query)).scalar()
    return version


async def _of_domain(context: Context, connection: AsyncConnection, change: _Change, waiting_only: bool) -> ListUptake:
    query = (
        select(devices.c.id, devices.c.gate, gates.c.venue, devices.c.seen_ms, devices.c.report)
        .join(gates, gates.c.id == devices.c.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .where(venues.c.domain == change.domain, devices.c.state == "active")
    )
    if context.scope.venues is not None:
        query = query.where(gates.c.venue.in_(sorted(context.scope.venues)))
    told = [_told(row, change.version) for row in await connection.execute(query)]
    told.sort(key=lambda each: (each.state != WAITS, each.venue, each.gate, each.device))
    holding = sum(each.state == HOLDS for each in told)
    shown = [each for each in told if each.state == WAITS] if waiting_only else told
    return ListUptake(change.domain, change.version, change.version, holding, len(told) - holding, shown)


def _told(row: Any, version: int) -> GateUptake:
    held = _held_version(row.report)
    return GateUptake(row.gate, row.venue, row.id, HOLDS if held >= version else WAITS, held, row.seen_ms or 0)


def _held_version(report: bytes | None) -> int:
    if report is None:
        return 0
    held: Mapping[str, int] = {part.name: part.version for part in decode(Poll, report).parts}
    return held.get(PartName.ALLOWLIST, 0)
