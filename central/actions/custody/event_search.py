"""Find events among ten million: filters, in pages by key, newest first.

An index leads to the candidates by time; what the index does not know is compared row by row. So that no search is ever
slow, one looks at `SCAN` candidates at most: the answer then says how far back it looked, and the next page goes on.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, TextClause, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import DENIED, ODD, RARE, RARE_KINDS, events
from protocol.reasons import Reason

SCAN = 20_000
GATES_AT_ONCE = 12
"""Of more gates than these the candidates are all events of the time: many of them match then."""
GRANTING = frozenset(
    {
        *(Reason.OK, Reason.LEAVING, Reason.STAFF_ADMITTED, Reason.ADMITTED_AGAIN),
        *(Reason.SIGNED_IN, Reason.SIGNED_OUT, Reason.RECORDED, Reason.BIND_TAKEN, Reason.CONSENT_TAKEN),
    }
)
END_MS = 2**53

e = events.c
COLUMNS = (
    *(e.device, e.epoch, e.sequence, e.at_ms, e.gate, e.kind),
    *(e.direction, e.decision, e.reason, e.rule, e.repeat_of, e.outcome, e.detail),
)
_ORDER = (e.at_ms.desc(), e.device.desc(), e.epoch.desc(), e.sequence.desc())

Key = tuple[int, str, bytes, int]
"""Time, device, epoch, sequence: where a page ended. An empty device: all of that instant was shown already."""


class Filters(NamedTuple):
    """Empty = any. `gates` None: any gate."""

    gates: frozenset[str] | None = None
    device: str = ""
    epoch: bytes = b""
    kind: str = ""
    direction: str = ""
    decision: str = ""
    reason: str = ""
    outcome: str = ""
    since_ms: int = 0
    until_ms: int = 0


class Found(NamedTuple):
    """A page. `next` None: there is no more. `searched_ms`: it ends there since it had looked at enough."""

    rows: list[Any]
    next: Key | None = None
    searched_ms: int = 0


class _Way(NamedTuple):
    """How candidates are led to: each of `lanes` by one index, and what is left to compare."""

    lanes: list[list[ColumnElement[bool] | TextClause]]
    rest: list[ColumnElement[bool]]


async def search(connection: AsyncConnection, filters: Filters, after: Key | None, limit: int) -> Found:
    """The newest events that match, after the key where an earlier page ended."""
    if filters.gates is not None and not filters.gates:
        return Found([])
    if filters.device and filters.epoch:
        return await _in_epoch(connection, filters, after, limit)
    way = _way(filters)
    top_ms = min(filters.until_ms - 1 if filters.until_ms else END_MS, after[0] if after else END_MS)
    floor_ms = filters.since_ms
    if way.rest:
        floor_ms = await _floor_ms(connection, way, filters.since_ms, top_ms)
    below = [e.at_ms <= top_ms, *([_beyond(after)] if after else [])]
    rows: list[Any] = []
    for lane in way.lanes:  # one after the other: all in one statement would cost more to prepare than to answer
        least_ms = rows[limit].at_ms if len(rows) > limit else floor_ms
        query = select(*COLUMNS).where(*lane, e.at_ms >= least_ms, *below, *way.rest)
        rows += await connection.execute(query.order_by(*_ORDER).limit(limit + 1))
        rows = sorted(rows, key=_key_of, reverse=True)[: limit + 1] if len(way.lanes) > 1 else rows
    if len(rows) > limit:
        return Found(rows[:limit], _key_of(rows[limit - 1]))
    return Found(rows, (floor_ms, "", b"", -1), floor_ms) if floor_ms > filters.since_ms else Found(rows)


async def _in_epoch(connection: AsyncConnection, filters: Filters, after: Key | None, limit: int) -> Found:
    """An epoch in its own order, which no clock disturbs."""
    of_epoch = [e.device == filters.device, e.epoch == filters.epoch]
    top = after[3] - 1 if after else (await connection.execute(select(func.max(e.sequence)).where(*of_epoch))).scalar()
    if top is None or top < 0:
        return Found([])
    rest = [value for name, value in _conditions(filters).items() if name not in ("device", "epoch")]
    rest += [e.at_ms >= filters.since_ms] if filters.since_ms else []
    rest += [e.at_ms < filters.until_ms] if filters.until_ms else []
    floor = max(0, top - SCAN) if rest else 0
    query = select(*COLUMNS).where(*of_epoch, e.sequence.between(floor, top), *rest)
    rows = list(await connection.execute(query.order_by(e.sequence.desc()).limit(limit + 1)))
    if len(rows) > limit:
        return Found(rows[:limit], _key_of(rows[limit - 1]))
    if not floor:
        return Found(rows)
    there = select(e.at_ms).where(*of_epoch, e.sequence >= floor).order_by(e.sequence).limit(1)
    at_ms = (await connection.execute(there)).scalar() or 1
    return Found(rows, (at_ms, filters.device, filters.epoch, floor), at_ms)


def _key_of(row: Any) -> Key:
    return row.at_ms, row.device, row.epoch, row.sequence


def _way(filters: Filters) -> _Way:
    """The most selective index first. A partial index answers only where its very condition stands in the query, so
    these are stated where one is to lead, and nowhere else."""
    rest = _conditions(filters)
    denied = filters.decision == "denied" or (filters.reason and filters.reason not in GRANTING)
    if filters.outcome and filters.outcome != "accepted":
        return _led(rest, "outcome", filters.outcome, [ODD])
    if filters.kind in RARE_KINDS:
        return _led(rest, "kind", filters.kind, [RARE])
    if filters.device:
        return _led(rest, "device", filters.device, [])
    if filters.gates is not None and len(filters.gates) <= GATES_AT_ONCE:
        del rest["gates"]
        return _Way([[e.gate == gate] for gate in sorted(filters.gates)], list(rest.values()))
    if filters.reason and denied and filters.decision in ("", "denied"):
        rest.pop("decision", None)
        return _led(rest, "reason", filters.reason, [DENIED])
    if filters.decision == "denied":
        del rest["decision"]
        return _Way([[DENIED]], list(rest.values()))
    return _Way([[]], list(rest.values()))


def _led(rest: dict[str, ColumnElement[bool]], by: str, value: str, stated: list[TextClause]) -> _Way:
    del rest[by]
    return _Way([[*stated, e[by] == value]], list(rest.values()))


def _conditions(filters: Filters) -> dict[str, ColumnElement[bool]]:
    """What is compared row by row: written so that no index but the one that leads can answer it."""
    names = ("device", "epoch", "kind", "direction", "decision", "reason", "outcome")
    found = {name: e[name] == value for name in names if (value := getattr(filters, name))}
    if filters.device:
        found["device"] = e.device.concat("") == filters.device
    if filters.gates is not None:
        found["gates"] = e.gate.concat("").in_(sorted(filters.gates))
    return found


async def _floor_ms(connection: AsyncConnection, way: _Way, since_ms: int, top_ms: int) -> int:
    """The time at which the candidates of the next `SCAN` end, in the lane in which they end first."""
    floor_ms = since_ms
    for lane in way.lanes:
        query = select(e.at_ms).where(*lane, e.at_ms >= floor_ms, e.at_ms <= top_ms).order_by(e.at_ms.desc())
        end_ms = (await connection.execute(query.offset(SCAN // len(way.lanes)).limit(1))).scalar()
        floor_ms = floor_ms if end_ms is None else int(end_ms)
    return floor_ms


def _beyond(key: Key) -> ColumnElement[bool]:
    """Older than the key, in the order of a page."""
    at_ms, device, epoch, sequence = key
    if not device:
        return e.at_ms < at_ms
    return or_(
        e.at_ms < at_ms,
        and_(e.at_ms == at_ms, e.device < device),
        and_(e.at_ms == at_ms, e.device == device, e.epoch < epoch),
        and_(e.at_ms == at_ms, e.device == device, e.epoch == epoch, e.sequence < literal(sequence)),
    )
