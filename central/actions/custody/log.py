"""The log of what is in custody: one line an event, streamed. Reads columns, and forked batches' own bytes."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.in_scope import gates_within, is_within
from central.details import told
from central.store.schema import RARE, RARE_KINDS, batches, epochs, events
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import Batch, Clock, Event, decode

LINES_AT_ONCE = 500
MOST_TOLD = 10_000
"""Events in one answer over the network."""
FOLLOW_S = 0.5
"""How long a follower waits before it looks again."""


class LogParams(Params, frozen=True):
    """Filters; empty or 0 = any. Times are UTC ms, `until_ms` excluded. `limit`: the newest so many."""

    gate: str = ""
    device: str = ""
    kind: str = ""
    decision: str = ""
    since_ms: int = 0
    until_ms: int = 0
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    follow: bool = False


class LogLine(msgspec.Struct, frozen=True):
    """One event. A stable interface: fields are only ever added. `detail`: what its kind adds (`central.details`)."""

    device: str
    epoch: str
    sequence: int
    gate: str
    time: str
    kind: str
    direction: str
    decision: str
    reason: str
    rule: str
    repeat_of: int
    outcome: str
    detail: dict[str, Any] = {}


class LogResult(Result, frozen=True):
    """How many lines were handed out."""

    lines: int


COLUMNS = (
    events.c.device,
    events.c.epoch,
    events.c.sequence,
    events.c.at_ms,
    events.c.gate,
    events.c.kind,
    events.c.direction,
    events.c.decision,
    events.c.reason,
    events.c.rule,
    events.c.repeat_of,
    events.c.outcome,
    events.c.detail,
)
_ORDER = (events.c.at_ms, events.c.device, events.c.epoch, events.c.sequence)


def iso(at_ms: int) -> str:
    """UTC with milliseconds and `Z`."""
    at = dt.datetime.fromtimestamp(at_ms // 1_000, dt.UTC).replace(microsecond=at_ms % 1_000 * 1_000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@action("log", LogParams, writes=False)
async def log(context: Context, params: LogParams) -> LogResult:
    """Events by time, oldest first, then those of forked batches; with `follow`, those that come, until stopped."""
    if not context.caller.local:
        params = _bounded(params)
    lines = 0
    seen: dict[tuple[str, bytes], int] = {}
    async with context.database.read() as connection:
        within = await gates_within(connection, context.scope)
        if params.follow:
            seen = await _heads(connection, params.device)
        async for chunk in _matching(connection, params, within):
            lines += len(chunk)
            await context.emit(chunk)
        forked = await _forked(connection, params, within, params.limit - lines if params.limit else 0)
        if forked and not (params.limit and lines >= params.limit):
            lines += len(forked)
            await context.emit(forked)
    while params.follow:
        await asyncio.sleep(FOLLOW_S)
        lines += await _follow(context, params, within, seen)
    return LogResult(lines=lines)


def _bounded(params: LogParams) -> LogParams:
    """Over the network nobody waits for ever, nor reads everything in one answer."""
    if params.follow:
        raise ActionFailed("following the log is for the command line: ask for `event.list` again instead")
    limit = min(params.limit or MOST_TOLD, MOST_TOLD)
    return msgspec.structs.replace(params, limit=limit)


Within = frozenset[str] | None
"""The gates of whoever asks; None: all."""


async def _matching(connection: AsyncConnection, params: LogParams, within: Within) -> AsyncIterator[list[LogLine]]:
    query = _filtered(select(*COLUMNS), params, within)
    if params.limit:
        newest = query.order_by(*(column.desc() for column in _ORDER)).limit(params.limit).subquery()
        query = select(newest).order_by(*(newest.c[column.name] for column in _ORDER))
    else:
        query = query.order_by(*_ORDER)
    rows = await connection.stream(query.execution_options(yield_per=LINES_AT_ONCE))
    async for partition in rows.partitions(LINES_AT_ONCE):
        yield [_line(row) for row in partition]


def _filtered(query: Select[Any], params: LogParams, within: Within) -> Select[Any]:
    if within is not None:
        query = query.where(events.c.gate.in_(sorted(within)))
    for column, wanted in ((events.c.gate, params.gate), (events.c.device, params.device)):
        if wanted:
            query = query.where(column == wanted)
    if params.kind in RARE_KINDS:
        query = query.where(RARE)
    if params.kind:
        query = query.where(events.c.kind == params.kind)
    if params.decision:
        query = query.where(events.c.decision == params.decision)
    if params.since_ms:
        query = query.where(events.c.at_ms >= params.since_ms)
    if params.until_ms:
        query = query.where(events.c.at_ms < params.until_ms)
    return query


def _line(row: Sequence[Any]) -> LogLine:
    device, epoch, sequence, at_ms, gate, *rest = row
    rest[-1] = told(rest[0], rest[-1])
    return LogLine(device, epoch.hex(), sequence, gate, iso(at_ms), *rest)


async def _heads(connection: AsyncConnection, device: str) -> dict[tuple[str, bytes], int]:
    query = select(epochs.c.device, epochs.c.epoch, epochs.c.through)
    if device:
        query = query.where(epochs.c.device == device)
    return {(name, epoch): through for name, epoch, through in await connection.execute(query)}


async def _follow(context: Context, params: LogParams, within: Within, seen: dict[tuple[str, bytes], int]) -> int:
    lines = 0
    async with context.database.read() as connection:
        grown = {
            key: through
            for key, through in (await _heads(connection, params.device)).items()
            if through > seen.get(key, -1)
        }
        for (device, epoch), through in grown.items():
            after = seen.get((device, epoch), -1)
            of_epoch = and_(events.c.device == device, events.c.epoch == epoch)
            between = and_(events.c.sequence > after, events.c.sequence <= through)
            query = _filtered(select(*COLUMNS).where(of_epoch, between), params, within)
            query = query.order_by(events.c.sequence)
            rows = await connection.stream(query.execution_options(yield_per=LINES_AT_ONCE))
            async for partition in rows.partitions(LINES_AT_ONCE):
                lines += len(partition)
                await context.emit([_line(row) for row in partition])
            seen[device, epoch] = through
    return lines


async def _forked(connection: AsyncConnection, params: LogParams, within: Within, limit: int) -> list[LogLine]:
    query = select(batches.c.device, batches.c.envelope).where(batches.c.outcome == "forked")
    if params.device:
        query = query.where(batches.c.device == params.device)
    lines: list[LogLine] = []
    for device, envelope in await connection.execute(query.order_by(batches.c.received_ms)):
        told_of = (line for line in _forked_lines(device, envelope) if is_within(within, line.gate))
        lines.extend(line for line in told_of if _wanted(line, params))
        if 0 < limit <= len(lines):
            return lines[:limit]
    return lines


def _forked_lines(device: str, envelope: bytes) -> list[LogLine]:
    lines = []
    try:
        batch = decode(Batch, unwrap(envelope).payload)
    except Refused:
        return []  # `verify` says so
    for sequence, public in enumerate(batch.events, batch.first):
        try:
            e = decode(Event, public)
        except Refused:
            e = Event(sequence, 0, bytes(8), 0, Clock.TRUSTED, "", "unreadable")
        facts = (e.kind, e.direction, e.decision, e.reason, e.rule, e.repeat_of)
        said = told(e.kind, e.detail)
        lines.append(LogLine(device, batch.epoch.hex(), sequence, e.gate, iso(e.at_ms), *facts, "forked", detail=said))
    return lines


def _wanted(line: LogLine, params: LogParams) -> bool:
    return (
        params.gate in ("", line.gate)
        and params.kind in ("", line.kind)
        and params.decision in ("", line.decision)
        and (not params.since_ms or line.time >= iso(params.since_ms))
        and (not params.until_ms or line.time < iso(params.until_ms))
    )
