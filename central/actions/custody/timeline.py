"""What came from one device over time, epoch by epoch: what is missing, forked, late or came again."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.batches import LATE_MS, epoch_in
from central.actions.custody.in_scope import At, gates_within, is_within, since_here
from central.actions.custody.timeline_runs import Came, Run, missing, runs
from central.store.schema import batches, devices, epochs, events, evidence, gates
from central.store.slices import named

MAX_BATCHES = 2_000
MAX_EPOCHS = 50
MAX_PIECES = 500
WEEK_MS = 7 * 86_400_000


class DeviceTimelineParams(Params, frozen=True):
    """Times are those of receipt, `until_ms` excluded; both 0: the last seven days in which something came."""

    device: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00]*\Z")]
    since_ms: At = 0
    until_ms: At = 0


class Epoch(msgspec.Struct, frozen=True):
    """One start of the agent. `previous`: the epoch that it names, empty = none; `begun_ms`: by the gate's clock, 0 =
    not known; `missing`: how many sequences never came."""

    epoch: str
    previous: str
    begun_ms: int
    seen_ms: int
    through: int
    missing: int
    runs: list[Run]


class Mark(msgspec.Struct, frozen=True):
    """A piece of evidence. `epoch` empty: of none that is known."""

    kind: str
    at_ms: int
    epoch: str
    detail: str
    digest: str
    seen: int


class DeviceTimeline(Result, frozen=True):
    """Epochs, the newest first. `since_ms`: from when on all is here; it may be later than was asked for, since only so
    many batches are looked at, and of a device that stood at a venue of others nothing from before it came."""

    device: str
    gate: str
    venue: str
    state: str
    since_ms: int
    until_ms: int
    epochs: list[Epoch]
    marks: list[Mark]


@action("device.timeline", DeviceTimelineParams, writes=False)
async def device_timeline(context: Context, params: DeviceTimelineParams) -> DeviceTimeline:
    """Out of the batches that came in that time."""
    async with context.database.read() as connection:
        query = select(devices.c.id, devices.c.gate, devices.c.state, gates.c.venue)
        query = query.join(gates, gates.c.id == devices.c.gate).where(devices.c.id == params.device)
        device = (await connection.execute(query)).first()
        within = await gates_within(connection, context.scope)
        if device is None or not is_within(within, device.gate):
            raise ActionFailed(f"there is no device {params.device!r}")
        since_ms, until_ms = await _window(connection, params, context.now_ms)
        since_ms = max(since_ms, (await since_here(connection, within, [device.id])).get(device.id, 0))
        rows = await _batches(connection, device.id, since_ms, until_ms)
        if len(rows) == MAX_BATCHES:
            since_ms = rows[-1].received_ms
        found = await _epochs(connection, device.id, rows, within)
        marks = await _marks(connection, device.id, since_ms, until_ms)
    return DeviceTimeline(
        device=device.id,
        gate=device.gate,
        venue=device.venue,
        state=device.state,
        since_ms=since_ms,
        until_ms=until_ms,
        epochs=found,
        marks=marks,
    )


async def _window(connection: AsyncConnection, params: DeviceTimelineParams, now_ms: int) -> tuple[int, int]:
    until_ms = params.until_ms
    if not until_ms:
        b = batches.c
        query = select(b.received_ms).where(b.device == params.device).order_by(b.received_ms.desc()).limit(1)
        newest = (await connection.execute(query)).scalar()
        until_ms = now_ms + 1 if newest is None or newest > now_ms - WEEK_MS else newest + 1
    return params.since_ms or max(0, until_ms - WEEK_MS), until_ms


async def _batches(connection: AsyncConnection, device: str, since_ms: int, until_ms: int) -> list[Any]:
    b = batches.c
    columns = (b.epoch, b.first, b.taken_first, b.through, b.received_ms, b.outcome, b.resent)
    query = select(*columns).where(b.device == device, b.received_ms >= since_ms, b.received_ms < until_ms)
    return list(await connection.execute(query.order_by(b.received_ms.desc()).limit(MAX_BATCHES)))


async def _epochs(
    connection: AsyncConnection, device: str, rows: list[Any], within: frozenset[str] | None
) -> list[Epoch]:
    order = list(dict.fromkeys(row.epoch for row in rows))[:MAX_EPOCHS]  # newest first, as the rows are
    came = [row for row in rows if row.epoch in set(order)]
    at = await _times(connection, device, came, order, within)
    query = select(epochs).where(epochs.c.device == device, epochs.c.epoch.in_(order))
    states = {row.epoch: row for row in await connection.execute(query)}
    found = []
    for epoch in order:
        drawn = runs([_came(row, at) for row in came if row.epoch == epoch], LATE_MS)
        state = states.get(epoch)
        said = (state.previous_epoch.hex(), state.seen_ms, state.through) if state else ("", 0, -1)
        begun_ms = at.get((epoch, 0), 0)
        found.append(Epoch(epoch.hex(), said[0], begun_ms, said[1], said[2], missing(drawn), drawn))
    return found


Times = dict[tuple[bytes, int], int]


async def _times(
    connection: AsyncConnection, device: str, rows: list[Any], order: list[bytes], within: frozenset[str] | None
) -> Times:
    """Of what happened at these gates: a device that was moved may deliver later what happened at its former one."""
    e = events.c
    names = {(row.epoch, sequence) for row in rows for sequence in (_first(row), row.through)}
    names |= {(epoch, 0) for epoch in order}
    found: Times = {}
    for some in named((e.epoch, e.sequence), names):
        query = select(e.epoch, e.sequence, e.gate, e.at_ms).where(and_(e.device == device, some))
        for epoch, sequence, gate, at_ms in await connection.execute(query):
            if is_within(within, gate):
                found[epoch, sequence] = at_ms
    return found


def _first(row: Any) -> int:
    """The first that it brought anew; of a forked one, its first."""
    return int(row.first if row.outcome == "forked" else row.taken_first)


def _came(row: Any, at: Times) -> Came:
    first = _first(row)
    forked = row.outcome == "forked"  # the events of these names are others
    first_at_ms, last_at_ms = (0 if forked else at.get((row.epoch, each), 0) for each in (first, row.through))
    return Came(first, row.through, first_at_ms, last_at_ms, row.received_ms, row.outcome, row.resent)


async def _marks(connection: AsyncConnection, device: str, since_ms: int, until_ms: int) -> list[Mark]:
    v = evidence.c
    query = select(v.kind, v.at_ms, v.detail, v.digest, v.seen)
    query = query.where(v.device == device, v.at_ms >= since_ms, v.at_ms < until_ms)
    rows = await connection.execute(query.order_by(v.at_ms.desc()).limit(MAX_PIECES))
    return [Mark(row.kind, row.at_ms, epoch_in(row.detail), row.detail, row.digest.hex(), row.seen) for row in rows]
