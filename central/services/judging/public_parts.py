"""The signed public parts of single events, out of the batches that brought them."""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.marks import EventName
from central.store.schema import batches
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import Batch, Event, decode

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


async def opened(connection: AsyncConnection, names: Iterable[EventName]) -> AsyncIterator[Opened]:
    """The batches that hold these events, each opened once. Of two that hold an event the earlier one counts; what is
    damaged is left out: `verify` says so."""
    wanted: dict[tuple[str, bytes], list[int]] = {}
    for device, epoch, sequence in names:
        wanted.setdefault((device, epoch), []).append(sequence)
    for (device, epoch), sequences in wanted.items():
        needed = list(_shared_out(await _heads(connection, device, epoch, sequences), sequences))
        for at in range(0, len(needed), BATCHES_AT_ONCE):
            some = needed[at : at + BATCHES_AT_ONCE]
            envelopes = await _envelopes(connection, device, epoch, [head.first for head, _ in some])
            for head, within in some:
                try:
                    events = decode(Batch, unwrap(envelopes[head.first, head.digest]).payload).events
                except Refused:
                    continue
                yield Opened(device, epoch, head, [(sequence, events[sequence - head.first]) for sequence in within])


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


async def _heads(connection: AsyncConnection, device: str, epoch: bytes, sequences: Collection[int]) -> list[Head]:
    b = batches.c
    query = select(b.first, b.through, b.received_ms, b.digest).where(
        *(b.device == device, b.epoch == epoch, b.outcome != "forked"),
        *(b.first <= max(sequences), b.through >= min(sequences)),
    )
    rows = await connection.execute(query.order_by(b.received_ms, b.first))
    return [Head(*row) for row in rows]


def _shared_out(heads: Iterable[Head], sequences: Iterable[int]) -> Iterable[tuple[Head, list[int]]]:
    left = sorted(set(sequences))
    for head in heads:
        within = [sequence for sequence in left if head.first <= sequence <= head.through]
        if within:
            yield head, within
            left = [sequence for sequence in left if not head.first <= sequence <= head.through]


async def _envelopes(
    connection: AsyncConnection, device: str, epoch: bytes, firsts: Collection[int]
) -> dict[tuple[int, bytes], bytes]:
    """By the first event and the digest."""
    b = batches.c
    query = select(b.first, b.digest, b.envelope).where(b.device == device, b.epoch == epoch, b.first.in_(firsts))
    return {(first, digest): envelope for first, digest, envelope in await connection.execute(query)}
