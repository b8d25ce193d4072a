"""The whole city as it is now: venues, gates, how they do, who is inside, and what needs a person. Read at most once a
second by each process, whoever asks."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.configs import read_configs
from central.reporting.contacts import contacts_of
from central.reporting.counting import WHOLE_DAY, local_hour
from central.reporting.fleet import Device, read_fleet
from central.services.visits.closing import LONGEST_MS
from central.services.visits.inside import AHEAD_MS, occupancy
from central.services.visits.service import closings_of
from central.services.visits.stated import ClosingChanged, OccupancyCorrection
from central.store.database import Database
from central.store.schema import (
    alerts,
    attendance_sessions,
    conflicts,
    devices,
    domains,
    events,
    gates,
    rollouts,
    tap_counts,
    venues,
    visits,
)
from central.store.slices import AT_ONCE
from protocol.messages import Kind, Outcome

FRESH_S = 1.0
RATE_MS = 5 * 60_000
"""Taps per minute are those of the last five minutes."""


class Venue(NamedTuple):
    """A venue now. `taps`, `denied`: of its local day until now."""

    id: str
    domain: str
    title_zh: str
    title_en: str
    inside: int
    taps: int
    denied: int


class Gate(NamedTuple):
    """A gate now."""

    id: str
    venue: str
    kind: str
    title_zh: str
    title_en: str
    devices: list[Device]
    taps_lately: int
    """Within `RATE_MS`."""


class Unreceipted(NamedTuple):
    """Taps that wait at a device: none of them is older than this."""

    device: Device
    after_ms: int


class City(NamedTuple):
    """All that is looked up once for everybody. Counters by what limits who may see them."""

    at_ms: int
    venues: list[Venue]
    gates: list[Gate]
    unreceipted: list[Unreceipted]
    conflicts: Counter[str]
    """Open ones, by venue."""
    alerts: Counter[str]
    """Open and not acknowledged, by venue; empty: of a server."""
    reviews: Counter[str]
    """Sessions of volunteers in review, by team."""
    halted: list[tuple[str, str, str]]
    """Rollouts that halted: id, title, gates (JSON)."""


class _Looked:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.at_s = 0.0
        self.city: City | None = None


_LOOKED: WeakKeyDictionary[Database, _Looked] = WeakKeyDictionary()


async def city_now(database: Database, now_ms: int, fresh_s: float = FRESH_S) -> City:
    """As it is, or was a moment ago."""
    looked = _LOOKED.setdefault(database, _Looked())
    async with looked.lock:
        if looked.city is None or time.monotonic() - looked.at_s >= fresh_s:
            looked.city = await _read(database, now_ms)
            looked.at_s = time.monotonic()
        return looked.city


async def _read(database: Database, now_ms: int) -> City:
    async with database.read() as connection:
        fleet = await read_fleet(connection, now_ms, contacts=contacts_of(database))
        venue_of = {row.id: row.venue for row in await connection.execute(_VENUE_OF)}
        opened = select(alerts.c.venue, func.count()).where(alerts.c.state == "open").group_by(alerts.c.venue)
        halted = select(rollouts.c.id, rollouts.c.title, rollouts.c.gates).where(rollouts.c.state == "halted")
        return City(
            at_ms=now_ms,
            venues=await _venues(connection, now_ms),
            gates=await _gates(connection, fleet, now_ms),
            unreceipted=await _unreceipted(connection, fleet),
            conflicts=await _conflicts(connection, venue_of),
            alerts=Counter({venue: int(number) for venue, number in await connection.execute(opened)}),
            reviews=await _reviews(connection),
            halted=[(id_, title, of) for id_, title, of in await connection.execute(halted)],
        )


_VENUE_OF: Any = select(devices.c.id, gates.c.venue).join(gates, gates.c.id == devices.c.gate)


# --- venues -----------------------------------------------------------------------------------------------------


async def _venues(connection: AsyncConnection, now_ms: int) -> list[Venue]:
    v = venues.c
    query = select(v.id, v.domain, v.title_zh, v.title_en, v.time_zone).order_by(v.id)
    rows = (await connection.execute(query)).all()
    inside = await _inside(connection, rows, now_ms)
    days: dict[str, list[str]] = {}
    for row in rows:
        days.setdefault(local_hour(now_ms, ZoneInfo(row.time_zone))[0], []).append(row.id)
    t, taps, denied = tap_counts.c, Counter[str](), Counter[str]()
    for day, those in days.items():
        counted = select(t.venue, t.decision, func.sum(t.taps)).where(t.venue.in_(those), t.hour == WHOLE_DAY)
        for venue, decision, number in await connection.execute(
            counted.where(t.day == day).group_by(t.venue, t.decision)
        ):
            taps[venue] += int(number)
            denied[venue] += int(number) if decision == Outcome.DENIED else 0
    return [Venue(*row[:4], inside[row.id], taps[row.id], denied[row.id]) for row in rows]


async def _inside(connection: AsyncConnection, rows: Sequence[Any], now_ms: int) -> Counter[str]:
    """As `occupancy` says it of one venue, with one query for all where staff corrected nothing since closing."""
    closings = await closings_of(connection)
    closed = {venue: each.before(now_ms) for venue, each in closings.items()}
    said = await facts.read(connection, [ClosingChanged, OccupancyCorrection])
    changed = {fact.venue for fact in said if fact.kind == ClosingChanged.KIND and fact.at_ms > now_ms - LONGEST_MS}
    corrected = {
        fact.venue
        for fact in said
        if fact.kind == OccupancyCorrection.KIND and closed.get(fact.venue, now_ms) < fact.at_ms <= now_ms
    }
    v, found = visits.c, Counter[str]()
    # nobody stays beyond a closing, unless the time of closing was another one when they came
    since = {venue: now_ms - LONGEST_MS if venue in changed else at_ms for venue, at_ms in closed.items()}
    plain = sorted(set(closed) - corrected)
    still = or_(and_(v.out_ms.is_(None), v.ends_by_ms > now_ms), v.out_ms > now_ms + AHEAD_MS)
    for at in range(0, len(plain), AT_ONCE):
        of = [and_(v.venue == each, v.in_ms >= since[each]) for each in plain[at : at + AT_ONCE]]
        query = select(v.venue, func.count()).where(or_(*of), v.in_ms <= now_ms + AHEAD_MS, still)
        for venue, number in await connection.execute(query.group_by(v.venue)):
            found[venue] = int(number)
    for domain in (await connection.execute(select(domains.c.id))).scalars().all():
        those = [row.id for row in rows if row.domain == domain and row.id in corrected]
        if those:
            found.update(await occupancy(connection, domain, those, now_ms))
    return found


# --- gates and devices ------------------------------------------------------------------------------------------


async def _gates(connection: AsyncConnection, fleet: Sequence[Device], now_ms: int) -> list[Gate]:
    rows = (await connection.execute(select(gates.c.id, gates.c.venue, gates.c.kind).order_by(gates.c.id))).all()
    configs = await read_configs(connection, [row.id for row in rows])
    e, lately = events.c, Counter[str]()
    query = select(e.gate, func.count()).where(
        e.gate.in_([row.id for row in rows]), e.at_ms > now_ms - RATE_MS, e.at_ms <= now_ms + AHEAD_MS
    )
    query = query.where(e.kind == Kind.TAP, e.repeat_of == 0, e.outcome == "accepted").group_by(e.gate)
    for gate, number in await connection.execute(query):
        lately[gate] = int(number)
    of: dict[str, list[Device]] = {}
    for each in fleet:
        of.setdefault(each.gate, []).append(each)
    titles = {gate: (held.config.title_zh, held.config.title_en) for gate, held in configs.items()}
    return [Gate(*row, *titles.get(row.id, ("", "")), of.get(row.id, []), lately[row.id]) for row in rows]


async def _unreceipted(connection: AsyncConnection, fleet: Sequence[Device]) -> list[Unreceipted]:
    """The oldest first. What is held of a device's epoch came before what waits there. Written as text: for hundreds of
    devices it takes longer to put such a condition together than to answer it."""
    waiting = {(each.id, each.epoch, each.through): each for each in fleet if each.facts.backlog}
    keys, at = [key for key in waiting if key[1]], dict[str, int]()
    for begin in range(0, len(keys), AT_ONCE):
        some = keys[begin : begin + AT_ONCE]
        which = " OR ".join(f"(device = :d{n} AND epoch = :e{n} AND sequence = :s{n})" for n in range(len(some)))
        values = {f"{name}{n}": value for n, key in enumerate(some) for name, value in zip("des", key, strict=True)}
        at.update(map(tuple, await connection.execute(text(f"SELECT device, at_ms FROM events WHERE {which}"), values)))
    found = [Unreceipted(each, at.get(each.id, 0)) for each in waiting.values()]
    return sorted(found, key=lambda each: (each.after_ms or each.device.facts.seen_ms, each.device.id))


# --- what needs a person ----------------------------------------------------------------------------------------


async def _conflicts(connection: AsyncConnection, venue_of: dict[str, str]) -> Counter[str]:
    query = select(conflicts.c.device, func.count()).where(conflicts.c.state == "open").group_by(conflicts.c.device)
    found = Counter[str]()
    for device, number in await connection.execute(query):
        found[venue_of.get(device, "")] += int(number)
    return found


async def _reviews(connection: AsyncConnection) -> Counter[str]:
    a = attendance_sessions.c
    names = (await connection.execute(select(domains.c.id))).scalars().all()
    query = select(a.team, func.count()).where(a.domain.in_(names), a.state == "review").group_by(a.team)
    return Counter({team: int(number) for team, number in await connection.execute(query)})
