"""Import of a dead device's journal: its signed batches go the same way into custody as over the network."""

from collections import Counter
from typing import Annotated

import msgspec

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.frames import read_frames
from central.custody import Custodian
from central.device_keys import DeviceKeys
from protocol.errors import Refused

FORMAT = "tapgate-journal-1"


class JournalHeader(msgspec.Struct, frozen=True):
    """Frame 0 of an exported journal; each further frame is the body of one upload."""

    format: str
    device: Annotated[str, msgspec.Meta(max_length=64)]


class JournalImportParams(Params, frozen=True):
    """`file` is attached."""


class BatchOutcome(msgspec.Struct, frozen=True):
    """What became of one batch; `events` counts those that it brought anew."""

    batch: int
    outcome: str
    events: int
    why: str = ""


class JournalImportResult(Result, frozen=True):
    """`refused`: batches that were not taken into custody."""

    device: str
    batches: int
    events: int
    outcomes: dict[str, int]
    refused: int


@action("journal.import", JournalImportParams, writes=True)
async def journal_import(context: Context, _params: JournalImportParams) -> JournalImportResult:
    """Safe to repeat: what is held already is answered as a resend."""
    path = context.attached()
    custodian = Custodian(context.database, context.keys, DeviceKeys(context.database))
    outcomes: Counter[str] = Counter()
    events = number = 0
    with path.open("rb") as file:
        frames = read_frames(file, path.name)
        header = _header(next(frames, b""), path.name)
        for number, body in enumerate(frames, 1):
            outcome = await _take(custodian, number, body, context.now_ms)
            outcomes[outcome.outcome] += 1
            events += outcome.events
            await context.emit([outcome])
            await context.progress("journal", file.tell(), path.stat().st_size)
    refused = outcomes["refused"] + outcomes["gap"]
    return JournalImportResult(
        device=header.device, batches=number, events=events, outcomes=dict(outcomes), refused=refused
    )


async def _take(custodian: Custodian, number: int, body: bytes, now_ms: int) -> BatchOutcome:
    try:
        taken = await custodian.take(body, now_ms)
        if taken.outcome == "gap":  # a file cannot be asked for more: a new epoch is taken at its second word
            taken = await custodian.take(body, now_ms)
    except Refused as refused:
        return BatchOutcome(number, "refused", 0, f"{refused.kind}: {refused.detail}")
    why = "sequences before it are not held: is the journal whole?" if taken.outcome == "gap" else ""
    return BatchOutcome(number, taken.outcome, taken.events, why)


def _header(frame: bytes, name: str) -> JournalHeader:
    try:
        header = msgspec.msgpack.decode(frame, type=JournalHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ActionFailed(f"{name} is no exported journal: make one with `tapgate-edge journal export`") from None
    if header.format != FORMAT:
        raise ActionFailed(f"{name} is of format {header.format!r}; this version reads {FORMAT}")
    return header
