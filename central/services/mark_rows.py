"""Write down what events come to, the same in any order: rows of `marks` and `fates`, and whom they touch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.people.attribution import Attribution
from central.services.attributions import attribution_of
from central.services.marks import (
    EventName,
    Happened,
    MarkFate,
    MarkRow,
    Said,
    denied_tap,
    fates_of,
    given_back,
    mark_of,
    person_of,
    repeated,
    said_by,
)
from central.services.service import Touched
from central.store.put_rows import put_rows
from central.store.schema import REPEATS, devices, events, fates, gates, marks, venues
from central.store.slices import named


class Place(NamedTuple):
    """Where a gate stands."""

    gate: str
    venue: str
    domain: str


class Placed(NamedTuple):
    """A row of `marks`."""

    place: Place
    mark: MarkRow
    fate: str


Words = dict[EventName, set[str]]

_m = marks.c
_FIELDS = (_m.device, _m.epoch, _m.sequence, _m.subject, _m.at_ms, _m.gate, _m.kind, _m.direction, _m.reason, _m.rule)
_MARK = select(*_FIELDS, _m.card, _m.points, _m.due, _m.repeats, _m.venue, _m.domain, _m.fate)
_NAME = (_m.device, _m.epoch, _m.sequence)
_RUN = (_m.device, _m.epoch, _m.repeats)


async def settle_marks(connection: AsyncConnection, happened: Sequence[Happened]) -> list[Touched]:
    """Write what these events come to; returns whom they touched. Of an epoch, all before them are settled."""
    said = [word for word in map(said_by, happened) if word is not None]
    made = [event for event in happened if event.decision == "granted" and event.kind in ("tap", "admit")]
    asked = {word.of for word in said} | {event.name for event in made} | set(map(_repeated_name, made))
    held = await _rows(connection, _NAME, asked)
    new = await _made(connection, made, held)
    words = await _words(connection, asked)
    turned = _add(words, said)
    played = held | new
    whole = {played[name].mark.run for name in turned if name in played}
    whole |= turned  # repeats of a tap that left no mark here
    grown = {placed.mark.run for placed in new.values() if placed.mark.repeats >= 0} - whole
    if runs := whole | grown:
        held |= await _rows(connection, _NAME, runs)
        held |= await _rows(connection, _RUN, whole, REPEATS)
        # one that only grew may be long, and beside new ones only the one that counts may become another
        held |= await _rows(connection, _RUN, grown, REPEATS, _m.fate == MarkFate.COUNTS.value)
        played = held | new
        words = await _words(connection, played.keys() - words.keys() | (runs - words.keys())) | words
    concerned = {name: placed for name, placed in played.items() if name in new or placed.mark.run in runs}
    after = _with_fates(concerned, words)
    await _write_words(connection, said)
    return await _write(connection, held, after)


def _repeated_name(event: Happened) -> EventName:
    sequence = repeated(event)
    return event.device, event.epoch, event.sequence if sequence < 0 else sequence


async def _made(
    connection: AsyncConnection, made: Sequence[Happened], held: Mapping[EventName, Placed]
) -> dict[EventName, Placed]:
    if not made:
        return {}
    places = await places_of(connection, made)
    denied = await _personal_parts(connection, filter(None, map(denied_tap, made)))
    whose = await _attributions(connection, made, places, denied)
    found: dict[EventName, Placed] = {}
    for event in made:
        before = found.get(_repeated_name(event)) or held.get(_repeated_name(event))
        names = denied_tap(event)
        place = places[event.device, event.gate]
        said = denied.get(names) if names else None
        mark = mark_of(event, before.mark if before else None, said, whose[place.domain])
        if mark is not None:
            found[event.name] = Placed(place, mark._replace(gate=place.gate), MarkFate.COUNTS)
    return found


async def _attributions(
    connection: AsyncConnection,
    made: Sequence[Happened],
    places: Mapping[tuple[str, str], Place],
    denied: Mapping[EventName, bytes | None],
) -> dict[str, Attribution]:
    """By domain."""
    told: dict[str, set[bytes]] = {}
    for event in made:
        names = denied_tap(event)
        person = person_of(denied.get(names) if names else event.personal)
        told.setdefault(places[event.device, event.gate].domain, set()).add(person.subject)
    return {domain: await attribution_of(connection, domain, some) for domain, some in told.items()}


async def places_of(connection: AsyncConnection, made: Sequence[Happened]) -> dict[tuple[str, str], Place]:
    """By device and the gate that its event names: that gate's where it is one of the device's domain, else its own."""
    query = select(gates.c.id, venues.c.id, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    of_devices = query.add_columns(devices.c.id).join(devices, devices.c.gate == gates.c.id)
    of_devices = of_devices.where(devices.c.id.in_({event.device for event in made}))
    own = {row[3]: Place(*row[:3]) for row in await connection.execute(of_devices)}
    named = {event.gate for event in made} - {place.gate for place in own.values()}
    known = {place.gate: place for place in own.values()}
    if named:
        known |= {row[0]: Place(*row) for row in await connection.execute(query.where(gates.c.id.in_(named)))}
    found = {}
    for event in made:
        here, own_place = known.get(event.gate), own[event.device]
        found[event.device, event.gate] = here if here and here.domain == own_place.domain else own_place
    return found


async def _personal_parts(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, bytes | None]:
    e = events.c
    query = select(e.device, e.epoch, e.sequence, e.personal).where(e.outcome == "accepted")
    found: dict[EventName, bytes | None] = {}
    for these in named((e.device, e.epoch, e.sequence), set(names)):
        for device, epoch, sequence, personal in await connection.execute(query.where(these)):
            found[device, epoch, sequence] = personal
    return found


async def _rows(
    connection: AsyncConnection, key: Any, names: Collection[EventName], *conditions: Any
) -> dict[EventName, Placed]:
    found: dict[EventName, Placed] = {}
    for these in named(key, names):
        for row in await connection.execute(_MARK.where(these, *conditions)):
            placed = _placed(row)
            found[placed.mark.name] = placed
    return found


def _placed(row: Any) -> Placed:
    *fields, venue, domain, fate = row
    mark = MarkRow(*fields)
    return Placed(Place(mark.gate, venue, domain), mark, fate)


# --- what became of them --------------------------------------------------------------------------------------


async def _words(connection: AsyncConnection, names: Collection[EventName]) -> Words:
    """All that was said of these, an empty set where nothing was."""
    found: Words = {name: set() for name in names}
    f = fates.c
    query = select(f.device, f.epoch, f.sequence, f.what)
    for these in named((f.device, f.epoch, f.sequence), names):
        for device, epoch, sequence, what in await connection.execute(query.where(these)):
            found[device, epoch, sequence].add(what)
    return found


def _add(words: Words, said: Sequence[Said]) -> set[EventName]:
    """The names of those that are given back now and were not before, or the other way round, or otherwise."""
    before = {word.of: given_back(words[word.of]) for word in said}
    for word in said:
        words[word.of].add(word.what)
    return {name for name, was in before.items() if given_back(words[name]) != was}


def _with_fates(concerned: Mapping[EventName, Placed], words: Words) -> dict[EventName, Placed]:
    found = fates_of((placed.mark for placed in concerned.values()), words)
    return {name: placed._replace(fate=found[name].value) for name, placed in concerned.items()}


async def _write_words(connection: AsyncConnection, said: Sequence[Said]) -> None:
    rows = {(word.of, word.what): word.at_ms for word in said}
    columns = ("device", "epoch", "sequence", "what", "at_ms")
    await put_rows(
        connection, fates, [dict(zip(columns, (*of, what, at), strict=True)) for (of, what), at in rows.items()]
    )


async def _write(
    connection: AsyncConnection, held: Mapping[EventName, Placed], after: Mapping[EventName, Placed]
) -> list[Touched]:
    changed = {name: placed for name, placed in after.items() if held.get(name) != placed}
    moved = [name for name in changed if name in held and _member(held[name]) != _member(changed[name])]
    for these in named(_NAME, moved):
        await connection.execute(delete(marks).where(these))
    await put_rows(connection, marks, [_as_row(placed) for placed in changed.values()])
    times: dict[tuple[str, bytes], list[int]] = {}
    for name, placed in changed.items():
        for one in filter(None, (placed, held.get(name))):
            times.setdefault(_member(one), []).append(one.mark.at_ms)
    return [Touched(*member, min(at), max(at)) for member, at in sorted(times.items())]


def _member(placed: Placed) -> tuple[str, bytes]:
    return placed.place.domain, placed.mark.subject


def _as_row(placed: Placed) -> dict[str, Any]:
    row = placed.mark._asdict()
    return row | {**placed.place._asdict(), "fate": placed.fate}
