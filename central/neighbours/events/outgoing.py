"""What is read becomes what is sent: events of gates with their places, notices with the member's reference."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.named import references_of
from central.keys import Keys
from central.neighbours.events.cloud_events import Happening, Outgoing, Place, of_event, of_notice
from central.neighbours.events.following import Lane, events_named, next_events
from central.neighbours.events.notice_sources import still_true
from central.neighbours.events.store import Subscription, subjects_key
from central.privacy.consent import consented
from central.store.schema import notices

PURPOSE = "notices"
"""What members consent to."""
_n = notices.c


class Batch(NamedTuple):
    """Of a lane: what to send in this order, and through which sequence nothing else is to be told."""

    lane: Lane
    events: list[Outgoing]
    reach: int


async def read_lane(
    connection: AsyncConnection, keys: Keys, of: Subscription, lane: Lane, places: Mapping[str, Place], most: int
) -> Batch:
    """Raises Refused where the subscription's sealed key was altered."""
    if lane.is_notices:
        return await _read_notices(connection, of, lane, most)
    found, reach = await next_events(connection, of, lane, places, most)
    return Batch(lane, _made(keys, of, found, places), reach)


def _made(keys: Keys, of: Subscription, found: Sequence[Happening], places: Mapping[str, Place]) -> list[Outgoing]:
    key = subjects_key(keys, of.row)
    return [of_event(each, places.get(each.gate, Place(each.gate, "", "")), key) for each in found]


async def _read_notices(connection: AsyncConnection, of: Subscription, lane: Lane, most: int) -> Batch:
    query = select(notices).where(_n.number > lane.after, _n.number <= lane.through).order_by(_n.number).limit(most)
    rows = (await connection.execute(query)).all()
    reach = rows[-1].number if len(rows) == most else lane.through
    return Batch(lane, await _told(connection, of, rows), reach)


async def _told(connection: AsyncConnection, of: Subscription, rows: Sequence[Any]) -> list[Outgoing]:
    """Those that are for this subscription, that members still agree to, and that still hold: hours may have passed
    since they were written down."""
    mine = [
        row
        for row in rows
        if row.type in of.types
        and (not of.domains or row.domain in of.domains)
        and (not of.venues or not row.venue or row.venue in of.venues)
    ]
    agreed = await consented(connection, {row.member for row in mine}, PURPOSE)
    names = await references_of(connection, agreed)
    holding = await still_true(connection, [row for row in mine if row.member in names])
    return [of_notice(row.number, row.type, row.made_ms, _said(row, names[row.member])) for row in holding]


def _said(row: Any, reference: str) -> dict[str, Any]:
    place = {"domain": row.domain} | ({"venue": row.venue} if row.venue else {})
    return {"member": reference, **place, **msgspec.json.decode(row.body)}


async def read_names(
    connection: AsyncConnection,
    keys: Keys,
    of: Subscription,
    names: Sequence[tuple[str, bytes, int]],
    places: Mapping[str, Place],
) -> list[Outgoing]:
    """Events by their names, in this order, without those that there are no more."""
    events = await events_named(connection, [name for name in names if name[0]])
    made = _made(keys, of, [events[name] for name in names if name in events], places)
    numbers = [sequence for device, _, sequence in names if not device]
    rows = (await connection.execute(select(notices).where(_n.number.in_(numbers)))).all() if numbers else []
    made += await _told(connection, of, rows)
    found = {event.name: event for event in made}
    return [found[name] for name in names if name in found]
