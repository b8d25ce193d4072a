"""Every device with what is known of it and how it does by that, and the task that writes down when that changes,
and forgets what is old."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.configs import read_configs
from central.device_words import newest_epochs
from central.reporting import thinning
from central.reporting.contacts import WORKS_NOT, Contacts, contacts_of
from central.reporting.gate_state import EVIDENCE, LIMITS, DeviceFacts, GateState, facts_of, state_of
from central.services.turns import one_at_a_time
from central.store import faults
from central.store.database import Database
from central.store.put_rows import put_rows
from central.store.schema import (
    device_states,
    devices,
    evidence,
    gates,
    list_entries,
    manifests,
    under_own_key,
    venues,
)
from protocol.fleet import Health
from protocol.messages import Clock, PartName, Poll, decode

EVERY_S = 20.0
FIRST_AFTER_S = 90.0
"""While this server was down nobody could be heard: devices get so long to speak before silence is written down."""
HEARD_LATELY_MS = 2 * 86_400_000
"""Epochs that got events since then are looked at."""


class Device(NamedTuple):
    """A device that is not revoked, where it serves, and how it does."""

    id: str
    gate: str
    venue: str
    domain: str
    facts: DeviceFacts
    state: GateState
    epoch: bytes
    """The one that was last heard of; empty = none."""
    through: int


async def read_fleet(
    connection: AsyncConnection, now_ms: int, of: Collection[str] | None = None, contacts: Contacts | None = None
) -> list[Device]:
    """By gate and device. `of`: these devices alone. `contacts`: what is remembered of events, to read fewer."""
    query = (
        select(devices, gates.c.venue, venues.c.domain)
        .join(gates, gates.c.id == devices.c.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .where(devices.c.state != "revoked")
        .order_by(devices.c.gate, devices.c.id)
    )
    if of is not None:
        query = query.where(devices.c.id.in_(list(of)))
    rows = (await connection.execute(query)).all()
    polls = {row.id: decode(Poll, row.report) for row in rows if row.report}
    lacking = await _lacking(connection, rows, polls)
    configs = await read_configs(connection, {row.gate for row in rows})
    contradictions = await _evidence(connection, now_ms)
    epochs_of = await newest_epochs(connection, since_ms=now_ms - HEARD_LATELY_MS)
    newest = {row.id: epochs_of[row.id] for row in rows if row.id in epochs_of}
    said = await (contacts or Contacts()).said(connection, newest)
    found = []
    for row in rows:
        facts = facts_of(row.state, row.seen_ms, polls.get(row.id), row.confirmed_ms, lacking.get(row.id, 0))
        more: dict[str, Any] = {"evidence": contradictions.get(row.id, ()), **said.get(row.id, {}), **_health(row)}
        facts = facts._replace(**more)
        if row.gate in configs:
            ages = configs[row.gate].ages
            facts = facts._replace(restrict_ms=ages.restrict_ms, close_ms=ages.close_ms)
        if row.skew_ms is not None:
            facts = facts._replace(skew_ms=row.skew_ms)
        place = (row.id, row.gate, row.venue, row.domain)
        found.append(Device(*place, facts, state_of(facts, now_ms), *newest.get(row.id, (b"", -1))))
    return found


def _health(row: Any) -> dict[str, Any]:
    """What a device says of its machine, where it tells that; of its readers it is newer than any event."""
    if not row.health:
        return {}
    health = decode(Health, row.health)
    return {
        "clock_trusted": health.clock not in (Clock.BEHIND, Clock.AHEAD),
        "free_disk": health.disk_free_bytes / health.disk_bytes if health.disk_bytes else 1.0,
        "readers_failed": any(reader.state in WORKS_NOT for reader in health.readers),
    }


async def _lacking(connection: AsyncConnection, rows: Collection[Any], polls: Mapping[str, Poll]) -> dict[str, int]:
    """Since when something is published to a device that it does not hold."""
    found: dict[str, int] = {}

    def note(device: str, since_ms: int) -> None:
        found[device] = min(since_ms, found.get(device, since_ms))

    m = manifests.c
    for device, number, at_ms in await connection.execute(select(m.device, m.number, m.at_ms)):
        if device in polls and number > polls[device].manifest:
            note(device, at_ms)
    held: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if row.id in polls:
            version = next((p.version for p in polls[row.id].parts if p.name == PartName.ALLOWLIST), 0)
            held.setdefault((row.domain, version), []).append(row.id)
    e = list_entries.c
    for (domain, version), those in held.items():
        newer = (e.domain == domain) & under_own_key(list_entries) & (e.version > version)
        query = select(func.min(e.version)).where(newer)
        since_ms = (await connection.execute(query)).scalar()  # versions are times, or a little later
        for device in those if since_ms else ():
            note(device, since_ms)
    return found


async def _evidence(connection: AsyncConnection, now_ms: int) -> dict[str, tuple[tuple[str, int], ...]]:
    query = select(evidence.c.device, evidence.c.kind, evidence.c.at_ms)
    query = query.where(evidence.c.kind.in_(EVIDENCE), evidence.c.at_ms >= now_ms - LIMITS.evidence_ms)
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for device, kind, at_ms in await connection.execute(query):
        found[device] = (*found.get(device, ()), (kind, at_ms))
    return found


# --- written down -----------------------------------------------------------------------------------------------


async def watch_for_ever(database: Database) -> None:
    """Until cancelled."""
    await asyncio.sleep(FIRST_AFTER_S)
    thinned_s = -thinning.EVERY_S
    while True:
        try:
            now_ms, now_s = time.time_ns() // 1_000_000, time.monotonic()
            await write_changes(database, now_ms)
            if now_s - thinned_s >= thinning.EVERY_S:
                await thinning.thin(database, now_ms)
                thinned_s = now_s
        except Exception as error:
            faults.say("states-not-written", error)
        await asyncio.sleep(EVERY_S)


async def write_changes(database: Database, now_ms: int) -> int:
    """A row for each device that does another way than its newest row says; returns how many."""
    async with database.read() as connection:
        fleet = {each.id: each.state for each in await read_fleet(connection, now_ms, contacts=contacts_of(database))}
        gone = (await connection.execute(select(devices.c.id).where(devices.c.state == "revoked"))).scalars()
        fleet |= {device: state_of(DeviceFacts("revoked"), now_ms) for device in gone}
        changed = _changed(fleet, await _written(connection))
    if not changed:
        return 0
    async with database.write() as connection:  # another process may have written meanwhile
        await one_at_a_time(connection)
        changed = _changed(fleet, await _written(connection))
        rows = [
            {"device": device, "at_ms": now_ms, "state": state.state.value, "reasons": " ".join(state.reasons)}
            for device, state in sorted(changed.items())
        ]
        await put_rows(connection, device_states, rows)
    return len(rows)


def _changed(now: Mapping[str, GateState], written: Mapping[str, tuple[str, str]]) -> dict[str, GateState]:
    return {
        device: state
        for device, state in now.items()
        if written.get(device) != (state.state.value, " ".join(state.reasons))
    }


async def _written(connection: AsyncConnection) -> dict[str, tuple[str, str]]:
    s = device_states.alias("other").c
    newest = select(func.max(s.at_ms)).where(s.device == devices.c.id).correlate(devices).scalar_subquery()
    d = device_states.c
    same = (d.device == devices.c.id) & (d.at_ms == newest)
    query = select(d.device, d.state, d.reasons).select_from(devices).join(device_states, same)
    return {row.device: (row.state, row.reasons) for row in await connection.execute(query)}
