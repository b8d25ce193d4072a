"""Find what devices sent: batches as they came, between them what became evidence; in pages by key, newest first."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.custody.event_search import END_MS, GATES_AT_ONCE, SCAN
from central.services.marks import EventName
from central.store.schema import ODD, RESENT, batches, evidence
from protocol.wire import MAX_BATCH_EVENTS

EVIDENCE = ("gap", "fork", "loss", "broken-chain", "other-device", "other-epoch", "alarm")
OUTCOMES = ("accepted", "untrusted", "forked")
CAME_AGAIN = "resent"
ANYTHING_ODD = "odd"
"""Whatever is not simply accepted at its first coming."""

b, v = batches.c, evidence.c
_BATCH: tuple[Any, ...] = (
    *(b.device, b.epoch, b.first, b.digest, b.through, b.taken_first, b.received_ms.label("at_ms")),
    *(b.outcome, b.resent, func.length(b.envelope).label("bytes"), func.length(b.receipt).label("receipt_bytes")),
    literal_column("''").label("kind"),
)
_PIECE: tuple[Any, ...] = (v.device, v.digest, v.at_ms, v.kind, v.detail, v.seen, func.length(v.body).label("bytes"))

Key = tuple[int, bytes, str]
"""Time, digest, kind of evidence (empty: a batch). An empty digest: all of that instant was shown already."""


class Filters(NamedTuple):
    """Empty = any. `devices` None: any device."""

    devices: list[str] | None = None
    epoch: bytes = b""
    outcome: str = ""
    since_ms: int = 0
    until_ms: int = 0


class Found(NamedTuple):
    """A page of rows of either table. `next` None: there is no more. `searched_ms`: as for events."""

    rows: list[Any]
    next: Key | None = None
    searched_ms: int = 0


async def search(connection: AsyncConnection, filters: Filters, after: Key | None, limit: int) -> Found:
    """The newest that match, after the key where an earlier page ended."""
    if filters.devices is not None and not filters.devices:
        return Found([])
    top_ms = min(filters.until_ms - 1 if filters.until_ms else END_MS, after[0] if after else END_MS)
    found, floor_ms = await _batches(connection, filters, after, top_ms, limit)
    found += await _evidence(connection, filters, after, floor_ms, top_ms, limit)
    found.sort(key=_key_of, reverse=True)
    if len(found) > limit:
        return Found(found[:limit], _key_of(found[limit - 1]))
    return Found(found, (floor_ms, b"", ""), floor_ms) if floor_ms > filters.since_ms else Found(found)


async def holding(connection: AsyncConnection, name: EventName) -> list[Any]:
    """The batches that hold an event of this name, newest first."""
    spans = (b.first <= name[2], b.first > name[2] - MAX_BATCH_EVENTS, b.through >= name[2])
    query = select(*_BATCH).where(b.device == name[0], b.epoch == name[1], *spans)
    return list(await connection.execute(query.order_by(b.received_ms.desc(), b.digest.desc()).limit(200)))


async def found_by(connection: AsyncConnection, row: Any) -> Any:
    """One batch, by a row of its table, as a search finds it."""
    same = (b.device == row.device, b.epoch == row.epoch, b.first == row.first, b.digest == row.digest)
    return (await connection.execute(select(*_BATCH).where(*same))).one()


def _key_of(row: Any) -> Key:
    return row.at_ms, row.digest, row.kind


async def _batches(
    connection: AsyncConnection, filters: Filters, after: Key | None, top_ms: int, limit: int
) -> tuple[list[Any], int]:
    """The rows, and down to which time they are all there."""
    if filters.outcome not in ("", ANYTHING_ODD, CAME_AGAIN, *OUTCOMES):
        return [], filters.since_ms
    lanes, rest = _way(filters)
    floor_ms = await _floor_ms(connection, lanes, filters.since_ms, top_ms) if rest else filters.since_ms
    below = [b.received_ms <= top_ms, *([_beyond(b.received_ms, b.digest, after)] if after else [])]
    rows: list[Any] = []
    for lane in lanes:
        least_ms = rows[limit].at_ms if len(rows) > limit else floor_ms
        query = select(*_BATCH).where(*lane, b.received_ms >= least_ms, *below, *rest)
        rows += await connection.execute(query.order_by(b.received_ms.desc(), b.digest.desc()).limit(limit + 1))
        rows = sorted(rows, key=_key_of, reverse=True)[: limit + 1] if len(lanes) > 1 else rows
    return rows, floor_ms


def _way(filters: Filters) -> tuple[list[list[Any]], list[ColumnElement[bool]]]:
    """What leads to the candidates, and what is left to compare. Odd ones are few, so their indexes lead."""
    rest: dict[str, ColumnElement[bool]] = {}
    if filters.devices is not None:
        rest["devices"] = b.device.concat("").in_(filters.devices)  # no index but the one that leads
    if filters.epoch:
        rest["epoch"] = b.epoch == filters.epoch
    if filters.outcome in ("untrusted", "forked"):
        return [[ODD, b.outcome == filters.outcome]], list(rest.values())
    if filters.outcome == CAME_AGAIN:
        return [[RESENT]], list(rest.values())
    if filters.outcome == ANYTHING_ODD:  # one that is both comes once, by its outcome
        once: list[list[Any]] = [
            [RESENT, b.outcome == "accepted"],
            *([ODD, b.outcome == each] for each in ("untrusted", "forked")),
        ]
        return once, list(rest.values())
    if filters.outcome == "accepted":
        rest["outcome"] = b.outcome == "accepted"
    if filters.devices is not None and len(filters.devices) <= GATES_AT_ONCE:
        del rest["devices"]
        return [[b.device == device] for device in filters.devices], list(rest.values())
    return [[]], list(rest.values())


async def _floor_ms(connection: AsyncConnection, lanes: list[Any], since_ms: int, top_ms: int) -> int:
    floor_ms = since_ms
    for lane in lanes:
        query = select(b.received_ms).where(*lane, b.received_ms >= floor_ms, b.received_ms <= top_ms)
        query = query.order_by(b.received_ms.desc()).offset(SCAN // len(lanes)).limit(1)
        end_ms = (await connection.execute(query)).scalar()
        floor_ms = floor_ms if end_ms is None else int(end_ms)
    return floor_ms


async def _evidence(
    connection: AsyncConnection, filters: Filters, after: Key | None, floor_ms: int, top_ms: int, limit: int
) -> list[Any]:
    if filters.outcome not in ("", ANYTHING_ODD, *EVIDENCE) or filters.epoch:
        return []
    query = select(*_PIECE).where(v.at_ms >= floor_ms, v.at_ms <= top_ms)
    if filters.outcome in EVIDENCE:
        query = query.where(v.kind == filters.outcome)
    if filters.devices is not None:
        query = query.where(v.device.in_(filters.devices))
    if after:
        query = query.where(_beyond(v.at_ms, v.digest, after, v.kind))
    query = query.order_by(v.at_ms.desc(), v.digest.desc(), v.kind.desc()).limit(limit + 1)
    return list(await connection.execute(query))


def _beyond(at_ms: Any, digest: Any, after: Key, kind: Any = None) -> ColumnElement[bool]:
    """Older than the key, in the order of a page: by time, then digest, then kind; a batch is of the kind ''."""
    then_ms, of, which = after
    if not of:
        return at_ms < then_ms  # type: ignore[no-any-return]
    older = [at_ms < then_ms, and_(at_ms == then_ms, digest < of)]
    same = and_(at_ms == then_ms, digest == of)
    if kind is not None:
        return or_(*older, and_(same, kind < which))
    return or_(*older, same) if which else or_(*older)
