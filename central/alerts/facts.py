"""Gather what alerts are judged by: one consistent view, and no more of it than a look needs."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.alerts import halted, servers
from central.alerts.conditions import (
    DeviceFacts,
    Disk,
    Facts,
    GateFacts,
    IncidentFacts,
    LibraryFacts,
    SubscriptionFacts,
    Taps,
    is_notable,
)
from central.alerts.limits import Limits
from central.closures import read_closures
from central.gate_closures import read_closings
from central.privacy.incidents import TELL_WITHIN_MS, open_incidents, untold
from central.store.schema import (
    devices,
    events,
    gate_configs,
    gates,
    libraries,
    lists,
    subscriptions,
    under_own_key,
    venues,
)
from protocol.errors import Refused
from protocol.messages import Health, Outcome, Poll, decode
from protocol.messages import Kind as EventKind
from protocol.reasons import Reason

LATELY_MS = 900_000
"""A quarter of an hour is compared with what was before it."""
BEFORE_TAPS = 2_000
"""A gate's past: so many of its taps."""
AHEAD_MS = 120_000
NOT_JUDGED = (Reason.CLOSED.value, Reason.OUTSIDE_HOURS.value)
"""Denials that say nothing of the gate: it was closed, and said so."""

log = structlog.get_logger()
_e = events.c


async def gather(connection: AsyncConnection, limits: Limits, now_ms: int, since: Mapping[str, int]) -> Facts:
    """Of every gate with an active device, every server, and rollouts that halted. `since`: gates whose denials are
    watched already, and from when: what a gate denied since then is not its usual past."""
    of_devices = await _devices(connection)
    places = await _places(connection, {each.gate for each in of_devices})
    closed = await _closed(connection, places, now_ms)
    lately = await _lately(connection, places, now_ms)
    of_gates = []
    for gate, row in places.items():
        taps, before = lately.get(gate, Taps(0, 0)), None
        if gate in since or is_notable(taps, limits):
            before = await _before(connection, gate, min(now_ms, since.get(gate, now_ms)) - LATELY_MS)
        ages = row.warn_ms, row.restrict_ms, row.close_ms
        of_gates.append(GateFacts(gate, row.venue, *ages, gate in closed, taps, before))
    of_servers = [servers.facts_of(each) for each in await servers.read(connection)]
    of_rollouts = await halted.read(connection, now_ms)
    others = await _subscriptions(connection), await _libraries(connection), await _incidents(connection)
    return Facts(tuple(of_devices), tuple(of_gates), tuple(of_servers), of_rollouts, *others)


async def _subscriptions(connection: AsyncConnection) -> tuple[SubscriptionFacts, ...]:
    """One that is paused was so by a person."""
    s = subscriptions.c
    query = select(s.id, s.state, s.failing_ms, s.why, s.problem).where(s.state != "paused").order_by(s.id)
    return tuple(
        SubscriptionFacts(row.id, row.state == "dead", row.failing_ms, row.why or row.problem)
        for row in await connection.execute(query)
    )


async def _libraries(connection: AsyncConnection) -> tuple[LibraryFacts, ...]:
    w = libraries.c
    query = select(w.id, w.failing_ms, w.answered_ms, w.failure).order_by(w.id)
    return tuple(LibraryFacts(*row) for row in await connection.execute(query))


async def _incidents(connection: AsyncConnection) -> tuple[IncidentFacts, ...]:
    rows = await open_incidents(connection)
    of_each = ((row.id, row.learned_ms + TELL_WITHIN_MS, tuple(untold(row))) for row in rows)
    return tuple(IncidentFacts(*each) for each in of_each if each[-1])


async def _devices(connection: AsyncConnection) -> list[DeviceFacts]:
    d = devices.c
    query = (
        select(d.id, d.gate, d.seen_ms, d.confirmed_ms, d.enrolled_ms, d.report, d.skew_ms, d.health, lists.c.version)
        .join(gates, gates.c.id == d.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .outerjoin(lists, (lists.c.domain == venues.c.domain) & under_own_key(lists))
        .where(d.state == "active")
        .order_by(d.id)
    )
    return [_device(row) for row in await connection.execute(query)]


def _device(row: Any) -> DeviceFacts:
    report, health = _decoded(Poll, row.report, row.id), _decoded(Health, row.health, row.id)
    heard_ms = max(row.seen_ms or 0, row.confirmed_ms or row.enrolled_ms)
    if report is None:
        return DeviceFacts(row.id, row.gate, heard_ms, list_newest=row.version or 0)
    parts = {part.name: part.version for part in report.parts}
    return DeviceFacts(
        device=row.id,
        gate=row.gate,
        heard_ms=heard_ms,
        wait_s=report.wait_s,
        skew_ms=report.at_ms - row.seen_ms if row.skew_ms is None else row.skew_ms,
        list_held=parts.get("allowlist", 0),
        list_newest=row.version or 0,
        disk=_disk(health),
        certificate_until_ms=health.certificate_until_ms if health is not None else 0,
    )


def _disk(health: Any) -> Disk | None:
    return Disk(health.disk_free_bytes, health.disk_bytes) if health is not None and health.disk_bytes else None


def _decoded(kind: Any, body: bytes | None, device: str) -> Any:
    """None where there is none; one device whose report cannot be read keeps no other from being watched."""
    if body is None:
        return None
    try:
        return decode(kind, body)
    except Refused:
        log.warning("report-unreadable", device=device)
        return None


async def _places(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Any]:
    """Venue and ages of these gates."""
    c = gate_configs.c
    newest = select(c.gate, func.max(c.version).label("version")).group_by(c.gate).subquery()
    query = (
        select(gates.c.id, gates.c.venue, c.warn_ms, c.restrict_ms, c.close_ms)
        .join(newest, newest.c.gate == gates.c.id)
        .join(gate_configs, and_(c.gate == newest.c.gate, c.version == newest.c.version))
        .order_by(gates.c.id)
    )
    return {row.id: row for row in await connection.execute(query) if row.id in ids}


async def _closed(connection: AsyncConnection, places: Mapping[str, Any], now_ms: int) -> set[str]:
    """Gates that are closed now, as far as anybody stated it."""
    found = {closing.gate for closing in await read_closings(connection, now_ms) if closing.from_ms <= now_ms}
    of_venues = {
        each.venue for each in await read_closures(connection) if each.closure.from_ms <= now_ms < each.closure.until_ms
    }
    return found | {gate for gate, row in places.items() if of_venues & {"", row.venue}}


_JUDGED = and_(_e.kind == EventKind.TAP.value, _e.repeat_of == 0, _e.reason.not_in(NOT_JUDGED))


async def _lately(connection: AsyncConnection, places: Mapping[str, Any], now_ms: int) -> dict[str, Taps]:
    """Taps of the last quarter of an hour, by what their gates decided."""
    if not places:
        return {}
    between = _e.at_ms.between(now_ms - LATELY_MS, now_ms + AHEAD_MS)
    query = select(_e.gate, _e.decision, func.count()).where(_e.gate.in_(list(places)), between, _JUDGED)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for gate, decision, number in await connection.execute(query.group_by(_e.gate, _e.decision)):
        counts[gate][decision] = number
    return {gate: Taps(sum(of.values()), of.get(Outcome.DENIED.value, 0)) for gate, of in counts.items()}


async def _before(connection: AsyncConnection, gate: str, until_ms: int) -> Taps:
    query = select(_e.decision).where(_e.gate == gate, _e.at_ms < until_ms, _JUDGED)
    newest = query.order_by(_e.at_ms.desc()).limit(BEFORE_TAPS).subquery()
    counts = select(newest.c.decision, func.count()).group_by(newest.c.decision)
    of = {row[0]: int(row[1]) for row in await connection.execute(counts)}
    return Taps(sum(of.values()), of.get(Outcome.DENIED.value, 0))
