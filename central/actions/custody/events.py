"""Events as a list that can be searched, a page at a time, newest first."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.event_search import COLUMNS, Filters, Key, search
from central.actions.custody.in_scope import At, Line, Lines, Word, gates_within, is_within, venues_of
from central.actions.custody.searched_text import filled, is_epoch, is_number, meaning
from central.details import told
from central.services.marks import EventName
from central.store.schema import events


class EventListParams(Params, frozen=True):
    """Filters; empty or 0 = any; `until_ms` excluded. `text`: an event's name (DEVICE/EPOCH/SEQUENCE), an epoch's
    (DEVICE/EPOCH), or that of a device, gate or venue, a reason or a kind. `after`: the `next` of the page before."""

    venue: Word = ""
    gate: Word = ""
    device: Word = ""
    kind: Word = ""
    direction: Word = ""
    decision: Word = ""
    reason: Word = ""
    outcome: Word = ""
    since_ms: At = 0
    until_ms: At = 0
    text: Line = ""
    after: Line = ""
    limit: Lines = 50


class EventLine(msgspec.Struct, frozen=True):
    """One event, by the columns that were read out of its signed bytes. `event`: its name."""

    event: str
    device: str
    epoch: str
    sequence: int
    gate: str
    venue: str
    at_ms: int
    kind: str
    direction: str
    decision: str
    reason: str
    rule: str
    repeat_of: int
    outcome: str
    detail: dict[str, Any]


class EventPage(Result, frozen=True):
    """`next`: what `after` has to be to go on; empty: there is no more. `searched_ms`: how far back was looked, where
    a search was ended because it had looked at enough; 0: it was not."""

    events: list[EventLine]
    next: str
    searched_ms: int


_FILTERS = ("device", "kind", "direction", "decision", "reason", "outcome", "since_ms", "until_ms")
_BY_TEXT = ("device", "gate", "venue", "reason", "kind")


@action("event.list", EventListParams, writes=False)
async def event_list(context: Context, params: EventListParams) -> EventPage:
    """The newest that match. Those of forked batches stand in their batches."""
    async with context.database.read() as connection:
        asked = await meaning(connection, params.text)
        narrowed = msgspec.structs.replace(params, **filled(asked, params, _BY_TEXT))
        within = await gates_within(connection, context.scope, venue=narrowed.venue, gate=narrowed.gate)
        if asked.event is not None:
            rows = [row for row in await _named(connection, asked.event) if is_within(within, row.gate)]
            return EventPage(events=await _lines(connection, rows), next="", searched_ms=0)
        filters = Filters(within, epoch=asked.epoch, **{name: getattr(narrowed, name) for name in _FILTERS})
        found = await search(connection, filters, _key(params.after), params.limit)
        lines = await _lines(connection, found.rows)
    return EventPage(events=lines, next=_written(found.next) if found.next else "", searched_ms=found.searched_ms)


def line_of(row: Any, venue: str) -> EventLine:
    """A row of `COLUMNS`."""
    name = f"{row.device}/{row.epoch.hex()}/{row.sequence}"
    said = (row.kind, row.direction, row.decision, row.reason, row.rule, row.repeat_of, row.outcome)
    return EventLine(
        *(name, row.device, row.epoch.hex(), row.sequence, row.gate, venue, row.at_ms, *said),
        detail=told(row.kind, row.detail),
    )


async def _lines(connection: AsyncConnection, rows: list[Any]) -> list[EventLine]:
    places = await venues_of(connection, {row.gate for row in rows})
    return [line_of(row, places.get(row.gate, "")) for row in rows]


async def _named(connection: AsyncConnection, name: EventName) -> list[Any]:
    c = events.c
    query = select(*COLUMNS).where(c.device == name[0], c.epoch == name[1], c.sequence == name[2])
    return list(await connection.execute(query))


# --- where a page ended -----------------------------------------------------------------------------------------


def _written(key: Key) -> str:
    at_ms, device, epoch, sequence = key
    return f"{at_ms}/{sequence}/{epoch.hex()}/{device}" if device else str(at_ms)


def _key(text: str) -> Key | None:
    """Raises ActionFailed for a text that no page ended with."""
    if not text:
        return None
    at_ms, *rest = text.split("/", 3)
    if all(map(is_number, (at_ms, *rest[:1]))):
        if not rest:
            return int(at_ms), "", b"", -1
        if len(rest) == 3 and is_epoch(rest[1]) and rest[2]:
            return int(at_ms), rest[2], bytes.fromhex(rest[1]), int(rest[0])
    raise ActionFailed(f"no page ended with {text[:80]!r}: give what `next` said, or nothing")
