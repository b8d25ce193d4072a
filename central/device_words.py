"""What devices wrote down of themselves: readers, inputs and parts put to use, each by its newest event."""

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.details import read_detail
from central.store.schema import RARE, epochs, events
from protocol.messages import ConfigDetail, InputDetail, Kind, ReaderDetail

NEWEST_EVENTS = 2_000
"""Of a device's newest epoch, looked through for the state of readers and inputs: a flapping reader writes many."""


class ReaderState(msgspec.Struct, frozen=True):
    """A reader as its newest event has it; `model` and `kind` are of the newest health message, where one came."""

    reader: str
    state: str
    since_ms: int
    profile: str
    firmware: str
    why: str
    model: str = ""
    kind: str = ""


class Wrote:
    """What events of a device's newest epoch say of it, each thing by its newest event."""

    def __init__(self) -> None:
        self.readers: dict[str, ReaderState] = {}
        self.inputs: dict[str, bool] = {}
        self.parts: dict[str, ConfigDetail] = {}

    def add(self, at_ms: int, detail: object) -> None:
        """In the order in which they were written."""
        if isinstance(detail, ReaderDetail):
            known = detail.profile, detail.firmware
            self.readers[detail.reader] = ReaderState(detail.reader, detail.state, at_ms, *known, detail.why)
        elif isinstance(detail, InputDetail):
            self.inputs[detail.input] = detail.on
        elif isinstance(detail, ConfigDetail):
            self.parts[detail.part] = detail

    @property
    def went_back(self) -> list[str]:
        return [
            f"{d.part} {d.version}: went back to the last good one, {d.why}"
            for d in self.parts.values()
            if d.what == "went-back"
        ]


async def newest_epochs(
    connection: AsyncConnection, of: Collection[str] | None = None, since_ms: int = 0
) -> dict[str, tuple[bytes, int]]:
    """By device: the epoch that was last heard of, and through which sequence it is held. `of`: these devices alone;
    `since_ms`: those that were heard of since then."""
    e = epochs.c
    newest = select(e.device, func.max(e.seen_ms).label("seen_ms")).group_by(e.device)
    if of is not None:
        newest = newest.where(e.device.in_(of))
    if since_ms:
        newest = newest.where(e.seen_ms >= since_ms)
    at = newest.subquery()
    same = (at.c.device == e.device) & (at.c.seen_ms == e.seen_ms)
    held = select(e.device, e.epoch, e.through).join(at, same).order_by(e.epoch)
    return {device: (bytes(epoch), through) for device, epoch, through in await connection.execute(held)}


async def wrote(connection: AsyncConnection, newest: Mapping[str, tuple[bytes, int]]) -> dict[str, Wrote]:
    """By device, out of its newest epoch."""
    found: dict[str, Wrote] = {}
    e = events.c
    place = func.row_number().over(partition_by=(e.device, e.epoch), order_by=e.sequence.desc()).label("place")
    numbered = (
        select(e.device, e.epoch, e.sequence, e.at_ms, e.kind, e.detail, place)
        .where(RARE, e.kind.in_((Kind.READER, Kind.INPUT, Kind.CONFIG)), e.outcome != "refused")
        .where(e.device.in_(list(newest)), e.epoch.in_([epoch for epoch, _ in newest.values()]))
        .subquery()
    )
    n = numbered.c
    query = select(n.device, n.epoch, n.at_ms, n.kind, n.detail).where(n.place <= NEWEST_EVENTS)
    for device, epoch, at_ms, kind, detail in await connection.execute(query.order_by(n.device, n.sequence)):
        if epoch == newest[device][0]:
            found.setdefault(device, Wrote()).add(at_ms, read_detail(kind, detail))
    return found
