"""What devices wrote down of themselves: readers, inputs and parts put to use, each by its newest event."""

from collections.abc import Mapping

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


async def newest_epochs(connection: AsyncConnection, device: str = "") -> dict[str, tuple[bytes, int]]:
    """By device, of one or all: the epoch that was last heard of, and through which sequence it is held."""
    newest = select(epochs.c.device, func.max(epochs.c.seen_ms).label("seen_ms")).group_by(epochs.c.device)
    if device:
        newest = newest.where(epochs.c.device == device)
    at = newest.subquery()
    same = (at.c.device == epochs.c.device) & (at.c.seen_ms == epochs.c.seen_ms)
    held = select(epochs.c.device, epochs.c.epoch, epochs.c.through).join(at, same)
    return {device: (epoch, through) for device, epoch, through in await connection.execute(held)}


async def wrote(connection: AsyncConnection, newest: Mapping[str, tuple[bytes, int]]) -> dict[str, Wrote]:
    """By device, out of its newest epoch."""
    found: dict[str, Wrote] = {}
    kinds = events.c.kind.in_((Kind.READER, Kind.INPUT, Kind.CONFIG))
    query = select(events.c.at_ms, events.c.kind, events.c.detail).where(RARE, kinds, events.c.outcome != "refused")
    for device, (epoch, _) in newest.items():
        of_epoch = query.where(events.c.device == device, events.c.epoch == epoch)
        rows = (await connection.execute(of_epoch.order_by(events.c.sequence.desc()).limit(NEWEST_EVENTS))).all()
        if rows:
            found[device] = Wrote()
        for at_ms, kind, detail in reversed(rows):
            found[device].add(at_ms, read_detail(kind, detail))
    return found
