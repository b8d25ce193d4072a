"""The signed public parts of single events, out of the batches that brought them."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.marks import EventName
from central.store.schema import batches
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import Batch, Event, decode


class PublicPart(NamedTuple):
    """An event as it was signed, and where it lies. `digest`: SHA-256 of the batch's envelope."""

    event: Event
    data: bytes
    received_ms: int
    digest: bytes
    first: int
    through: int


class _Head(NamedTuple):
    first: int
    through: int
    received_ms: int
    digest: bytes


async def public_parts(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, PublicPart]:
    """Those that are held; each batch is opened once. Of two batches that hold an event the earlier one counts."""
    wanted: dict[tuple[str, bytes], list[int]] = {}
    for device, epoch, sequence in names:
        wanted.setdefault((device, epoch), []).append(sequence)
    found: dict[EventName, PublicPart] = {}
    for (device, epoch), sequences in wanted.items():
        heads = await _heads(connection, device, epoch, sequences)
        for head, within in _shared_out(heads, sequences):
            await _read(connection, device, epoch, head, within, found)
    return found


async def _heads(connection: AsyncConnection, device: str, epoch: bytes, sequences: Collection[int]) -> list[_Head]:
    b = batches.c
    query = select(b.first, b.through, b.received_ms, b.digest).where(
        *(b.device == device, b.epoch == epoch, b.outcome != "forked"),
        *(b.first <= max(sequences), b.through >= min(sequences)),
    )
    rows = await connection.execute(query.order_by(b.received_ms, b.first))
    return [_Head(*row) for row in rows]


def _shared_out(heads: Iterable[_Head], sequences: Iterable[int]) -> Iterable[tuple[_Head, list[int]]]:
    left = sorted(set(sequences))
    for head in heads:
        within = [sequence for sequence in left if head.first <= sequence <= head.through]
        if within:
            yield head, within
            left = [sequence for sequence in left if not head.first <= sequence <= head.through]


async def _read(
    connection: AsyncConnection,
    device: str,
    epoch: bytes,
    head: _Head,
    sequences: Iterable[int],
    found: dict[EventName, PublicPart],
) -> None:
    b = batches.c
    same = (b.device == device, b.epoch == epoch, b.first == head.first, b.digest == head.digest)
    envelope = (await connection.execute(select(b.envelope).where(*same))).scalar_one()
    try:
        events = decode(Batch, unwrap(envelope).payload).events
        for sequence in sequences:
            data = events[sequence - head.first]
            part = PublicPart(decode(Event, data), data, head.received_ms, head.digest, head.first, head.through)
            found[device, epoch, sequence] = part
    except Refused:
        return  # damaged since, or an event that was refused: `verify` and the receipt say so
