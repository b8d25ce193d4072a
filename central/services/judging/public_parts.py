"""The signed public parts of single events, out of the batches that brought them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.marks import EventName
from central.store.wanted import rows_wanted
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import Batch, Event, decode
from protocol.wire import MAX_BATCH_EVENTS

BATCHES_AT_ONCE = 32
"""Held in memory together: at most 8 MiB."""


class PublicPart(NamedTuple):
    """An event as it was signed, and where it lies. `digest`: SHA-256 of the batch's envelope."""

    event: Event
    data: bytes
    received_ms: int
    digest: bytes
    first: int
    through: int


class Head(NamedTuple):
    """What a batch holds, when it came, and the SHA-256 of its envelope."""

    first: int
    through: int
    received_ms: int
    digest: bytes


class Opened(NamedTuple):
    """A batch, and those of its events that were asked for, as they were signed."""

    device: str
    epoch: bytes
    head: Head
    events: list[tuple[int, bytes]]


Epoch = tuple[str, bytes]
"""Device and epoch."""
Events = tuple[bytes, ...]


async def opened(connection: AsyncConnection, names: Iterable[EventName]) -> AsyncIterator[Opened]:
    """The batches that hold these events, each opened once. Of two that hold an event the earlier one counts; what is
    damaged is left out: `verify` says so."""
    needed = [(of, *each) for of, some in (await _needed(connection, names)).items() for each in some]
    for at in range(0, len(needed), BATCHES_AT_ONCE):
        some = needed[at : at + BATCHES_AT_ONCE]
        events_of = await _events(connection, [(of, head) for of, head, _ in some])
        for of, head, within in some:
            events = events_of.get(head.digest)
            if events is not None:
                yield Opened(*of, head, [(sequence, events[sequence - head.first]) for sequence in within])


async def public_parts(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, PublicPart]:
    """Those that are held; an event that does not decode was refused, and has none."""
    found: dict[EventName, PublicPart] = {}
    async for batch in opened(connection, names):
        head = batch.head
        for sequence, data in batch.events:
            try:
                part = PublicPart(decode(Event, data), data, head.received_ms, head.digest, head.first, head.through)
            except Refused:
                continue
            found[batch.device, batch.epoch, sequence] = part
    return found


async def received(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, int]:
    """When central had each of these events."""
    found: dict[EventName, int] = {}
    for of, some in (await _needed(connection, names)).items():
        for head, within in some:
            found.update(((*of, sequence), head.received_ms) for sequence in within)
    return found


Needed = dict[Epoch, list[tuple[Head, list[int]]]]
"""The batches that hold what is asked for, and which of the sequences each brings."""


async def _needed(connection: AsyncConnection, names: Iterable[EventName]) -> Needed:
    asked: dict[Epoch, list[int]] = {}
    for device, epoch, sequence in names:
        asked.setdefault((device, epoch), []).append(sequence)
    keys = {"device": "text", "epoch": "bytea", "low": "bigint", "high": "bigint"}
    spans = [(*of, min(sequences), max(sequences)) for of, sequences in asked.items()]
    heads: dict[Epoch, list[Head]] = {}
    for device, epoch, *head in await rows_wanted(connection, keys, spans, _HEADS, MAX_BATCH_EVENTS):
        heads.setdefault((device, epoch), []).append(Head(*head))
    return {of: list(_shared_out(heads.get(of, []), sequences)) for of, sequences in asked.items()}


_HEADS = (
    "SELECT b.device, b.epoch, b.first, b.through, b.received_ms, b.digest FROM wanted w CROSS JOIN batches b"
    " WHERE b.device = w.device AND b.epoch = w.epoch AND b.first <= w.high AND b.first > w.low - ?"
    " AND b.through >= w.low AND b.outcome <> 'forked' ORDER BY b.received_ms, b.first"
)


def _shared_out(heads: Iterable[Head], sequences: Iterable[int]) -> Iterable[tuple[Head, list[int]]]:
    left = sorted(set(sequences))
    for head in heads:
        within = [sequence for sequence in left if head.first <= sequence <= head.through]
        if within:
            yield head, within
            left = [sequence for sequence in left if not head.first <= sequence <= head.through]


async def _events(connection: AsyncConnection, of: Sequence[tuple[Epoch, Head]]) -> dict[bytes, Events]:
    """By digest."""
    found = {head.digest: _opened[head.digest] for _, head in of if head.digest in _opened}
    keys = {"device": "text", "epoch": "bytea", "first": "bigint", "digest": "bytea"}
    wanted = [(*epoch, head.first, head.digest) for epoch, head in of if head.digest not in found]
    for digest, envelope in await rows_wanted(connection, keys, wanted, _ENVELOPES):
        try:
            found[digest] = decode(Batch, unwrap(envelope).payload).events
        except Refused:
            continue
    for digest, events in found.items():
        _opened.pop(digest, None)
        _opened[digest] = events
    for digest in list(_opened)[:-BATCHES_AT_ONCE]:
        del _opened[digest]
    return found


_ENVELOPES = (
    "SELECT b.digest, b.envelope FROM wanted w CROSS JOIN batches b"
    " WHERE b.device = w.device AND b.epoch = w.epoch AND b.first = w.first AND b.digest = w.digest"
)

_opened: dict[bytes, Events] = {}
"""By digest, which says all of a batch: what was opened last, the newest at the end, is often asked for again."""
