"""Closings that staff made at gates by PIN, as the gates told of them (SPEC §7.10)."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.details import read_detail
from central.store.schema import RARE, events, gates, venues
from protocol.messages import ClosureDetail, Kind


class GateClosed(NamedTuple):
    """One closing, as far as its gate has told. `opened_by` empty: it ends, or ended, by itself."""

    gate: str
    venue: str
    domain: str
    staff: str
    why: str
    from_ms: int
    until_ms: int
    opened_by: str = ""


class Told(NamedTuple):
    """What a gate told once."""

    gate: str
    venue: str
    domain: str
    detail: ClosureDetail


def closings(told: Iterable[Told]) -> list[GateClosed]:
    """Each ends where the next word of its gate begins: opened again, or closed anew. By their beginnings. Pure."""
    by_gate: dict[str, list[Told]] = {}
    for each in told:
        by_gate.setdefault(each.gate, []).append(each)
    found = []
    for of_gate in by_gate.values():
        ordered = sorted(of_gate, key=lambda each: (each.detail.from_ms, each.detail.until_ms))
        for each, after in zip(ordered, [*ordered[1:], None], strict=True):
            said = each.detail
            if said.until_ms == said.from_ms:
                continue
            closed = GateClosed(each.gate, each.venue, each.domain, said.staff, said.why, said.from_ms, said.until_ms)
            if after is not None and after.detail.from_ms < said.until_ms:
                opened = after.detail.until_ms == after.detail.from_ms
                by = after.detail.staff if opened else ""
                closed = closed._replace(until_ms=after.detail.from_ms, opened_by=by)
            found.append(closed)
    return sorted(found, key=lambda each: (each.from_ms, each.gate))


async def read_closings(connection: AsyncConnection, now_ms: int, every: bool = False) -> list[GateClosed]:
    """Those that may hold, or with `every` all there ever were."""
    e, g, v = events.c, gates.c, venues.c
    places = select(g.id, g.venue, v.domain).join(venues, v.id == g.venue)
    at = {row.id: (row.venue, row.domain) for row in await connection.execute(places)}
    query = select(e.gate, e.detail).where(RARE, e.kind == Kind.CLOSURE.value, e.outcome == "accepted")
    told = []
    for row in await connection.execute(query):
        detail = read_detail(Kind.CLOSURE, row.detail)
        if detail is not None and row.gate in at:
            told.append(Told(row.gate, *at[row.gate], detail))
    return [each for each in closings(told) if every or each.until_ms > now_ms]
