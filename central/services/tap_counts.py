"""Count taps by local hour and day, gate, decision and reason: rows of `tap_counts`, the same in whatever order the
events came.

Events that are settled for the first time are added. Where lost events came after all and an epoch is settled again,
the hours that are concerned are counted anew.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.reporting.counting import WHOLE_DAY, hour_span, local_hour
from central.services.backlog import Epoch, Slice
from central.services.mark_rows import places_of
from central.services.marks import Happened
from central.store.put_rows import put_rows
from central.store.schema import events, tap_counted, tap_counts, venues
from central.store.slices import named
from protocol.messages import Kind


class Hour(NamedTuple):
    """A local hour at a gate."""

    venue: str
    hour: int
    day: str
    gate: str


class Said(NamedTuple):
    """What a gate answered."""

    decision: str
    reason: str


Counts = Counter[tuple[Hour, Said]]

_ADD = text(
    "INSERT INTO tap_counts (venue, hour, day, gate, decision, reason, taps)"
    " VALUES (:venue, :hour, :day, :gate, :decision, :reason, :taps)"
    " ON CONFLICT (venue, hour, day, gate, decision, reason) DO UPDATE SET taps = tap_counts.taps + excluded.taps"
)


async def settle_tap_counts(connection: AsyncConnection, part: Slice) -> None:
    """Of an epoch, all before the slice is counted. In the transaction that settles it."""
    counted = await _counted(connection, [each.of for each in part.reach])
    first = {each.of: each.after for each in part.reach}
    taps = [event for event in part.happened if event.kind == Kind.TAP and not event.repeat_of]
    again = [event for event in taps if first[_epoch(event)] < counted.get(_epoch(event), -1)]
    new = [event for event in taps if first[_epoch(event)] >= counted.get(_epoch(event), -1)]
    through = {each.of: max(each.through, counted.get(each.of, -1)) for each in part.reach}
    rows = [{"device": device, "epoch": epoch, "through": at} for (device, epoch), at in through.items()]
    await put_rows(connection, tap_counted, rows)
    if taps:
        hours = await _hours(connection, taps)
        added: Counts = Counter((hours[event.name], Said(event.decision, event.reason)) for event in new)
        if again:
            for hour, names in _by_hour(again, hours).items():
                added.update(await _change(connection, hour, names, added))
        await _add(connection, added)


def _epoch(event: Happened) -> Epoch:
    return event.device, event.epoch


def _by_hour(taps: Iterable[Happened], hours: dict[Any, Hour]) -> dict[Hour, set[str]]:
    """And by which names events call its gate."""
    found: dict[Hour, set[str]] = {}
    for event in taps:
        hour = hours[event.name]
        found.setdefault(hour, {hour.gate}).add(event.gate)
    return found


async def _counted(connection: AsyncConnection, of: Collection[Epoch]) -> dict[Epoch, int]:
    found: dict[Epoch, int] = {}
    for these in named((tap_counted.c.device, tap_counted.c.epoch), of):
        for row in await connection.execute(select(tap_counted).where(these)):
            found[row.device, bytes(row.epoch)] = row.through
    return found


async def _hours(connection: AsyncConnection, taps: Sequence[Happened]) -> dict[Any, Hour]:
    places = await places_of(connection, taps)
    of = {place.venue for place in places.values()}
    query = select(venues.c.id, venues.c.time_zone).where(venues.c.id.in_(of))
    zones = {venue: ZoneInfo(zone) for venue, zone in await connection.execute(query)}
    found = {}
    for event in taps:
        place = places[event.device, event.gate]
        day, hour = local_hour(event.at_ms, zones[place.venue])
        found[event.name] = Hour(place.venue, hour, day, place.gate)
    return found


async def _change(connection: AsyncConnection, hour: Hour, names: set[str], added: Counts) -> Counts:
    """By how much the rows of an hour are off, beside what is to be added to it anyway."""
    now = await _count(connection, hour, names)
    t = tap_counts.c
    query = select(t.decision, t.reason, t.taps).where(
        t.venue == hour.venue, t.hour == hour.hour, t.day == hour.day, t.gate == hour.gate
    )
    for decision, reason, taps in await connection.execute(query):
        now[hour, Said(decision, reason)] -= taps
    now.subtract({key: taps for key, taps in added.items() if key[0] == hour})
    return now


async def _count(connection: AsyncConnection, hour: Hour, names: set[str]) -> Counts:
    """The taps of a local hour at a gate, as far as they are counted."""
    zone = (await connection.execute(select(venues.c.time_zone).where(venues.c.id == hour.venue))).scalar_one()
    since_ms, until_ms = hour_span(hour.day, hour.hour, ZoneInfo(zone))
    e, c = events.c, tap_counted.c
    query = (
        select(e.device, e.gate, e.decision, e.reason, func.count())
        .join(tap_counted, (c.device == e.device) & (c.epoch == e.epoch))
        .where(e.gate.in_(sorted(names)), e.at_ms >= since_ms, e.at_ms < until_ms)
        .where(e.kind == Kind.TAP, e.outcome == "accepted", e.repeat_of == 0, e.sequence <= c.through)
        .group_by(e.device, e.gate, e.decision, e.reason)
    )
    rows = (await connection.execute(query)).all()
    asked = [Happened(row.device, b"", 0, 0, row.gate, "", "", "", "", "", 0, None, None) for row in rows]
    places = await places_of(connection, asked) if asked else {}
    found: Counts = Counter()
    for device, gate, decision, reason, taps in rows:
        if places[device, gate].gate == hour.gate:
            found[hour, Said(decision, reason)] += taps
    return found


async def _add(connection: AsyncConnection, added: Counts) -> None:
    """In one order, so that nobody waits in a ring."""
    whole: Counts = Counter()
    for (hour, said), taps in added.items():
        whole[hour, said] += taps
        whole[hour._replace(hour=WHOLE_DAY), said] += taps
    rows = [{**hour._asdict(), **said._asdict(), "taps": taps} for (hour, said), taps in sorted(whole.items()) if taps]
    if rows:
        await connection.execute(_ADD, rows)
    for hour in sorted({hour for (hour, _), taps in whole.items() if taps < 0}):
        t = tap_counts.c
        of_hour = (t.venue == hour.venue, t.hour == hour.hour, t.day == hour.day, t.gate == hour.gate)
        await connection.execute(delete(tap_counts).where(*of_hour, t.taps == 0))
