"""What each purpose keeps how long: the rules, and what is due by them."""

from collections.abc import Collection, Mapping
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.policies import compiled, read_policies
from central.privacy.found import EventName
from central.privacy.holds import held_venues
from central.store.schema import batches, gates, retention_rules, venues
from central.store.slices import named

DAY_MS = 86_400_000
LEAST_DAYS = 31
"""The centre keeps what it needs to explain and to correct a month. A gate keeps its own for 30 days."""
ADMISSION, NOTICES = "admission", "notices"
HEALTH_CHECK, VOLUNTEERING, POINTS = "health-check", "volunteering", "points"
Ruled = Literal["admission", "caring", "screen-names", "notices", "health-check", "volunteering", "points"]
"""Purposes that a rule can be stated of: all but `statistics`, which names nobody."""


async def rules_of(connection: AsyncConnection, purpose: str) -> dict[str, int]:
    """Days by venue; empty: every venue without a rule of its own."""
    r = retention_rules.c
    query = select(r.venue, r.days).where(r.purpose == purpose)
    return {row.venue: row.days for row in await connection.execute(query)}


async def due_before(connection: AsyncConnection, purpose: str, now_ms: int) -> int:
    """What is older than this is due, of what hangs on no venue; 0 = nothing is: no rule says so, or all is held."""
    days = (await rules_of(connection, purpose)).get("")
    _, everything = await held_venues(connection)
    return 0 if days is None or everything else max(0, now_ms - days * DAY_MS)


async def cutoffs(connection: AsyncConnection, now_ms: int) -> dict[str, int]:
    """By venue: before when personal parts of events are due. Venues without a rule, or under a hold, are left out."""
    rules = await rules_of(connection, ADMISSION)
    held, everything = await held_venues(connection)
    if everything or not rules:
        return {}
    found = {}
    for venue, domain in (await connection.execute(select(venues.c.id, venues.c.domain))).all():
        days = rules.get(venue, rules.get(""))
        if days is not None and venue not in held:
            found[venue] = min(now_ms - days * DAY_MS, await _looked_back_to(connection, domain, now_ms))
    return found


async def _looked_back_to(connection: AsyncConnection, domain: str, now_ms: int) -> int:
    """The earliest moment that a policy at a gate of the domain counts from."""
    query = select(gates.c.id, gates.c.policy).join(venues, venues.c.id == gates.c.venue)
    goes_by = {row.id: row.policy for row in await connection.execute(query.where(venues.c.domain == domain))}
    since = [now_ms]
    for payload in (await read_policies(connection, goes_by)).values():
        policy = compiled(payload.body)
        if policy is None:
            return 0  # nobody can say what it needs
        if policy.looks_back:
            since.append(policy.day(now_ms).since_ms)
    return min(since)


async def received_before(
    connection: AsyncConnection, names: Collection[EventName], before_ms: int
) -> Mapping[tuple[str, bytes], int]:
    """By epoch, through which event was delivered by then: a gate whose clock stands still at 1970 is not believed."""
    b = batches.c
    found = {}
    for these in named((b.device, b.epoch), {name[:2] for name in names}):
        query = select(b.device, b.epoch, func.max(b.through)).where(these, b.received_ms < before_ms)
        for device, epoch, through in await connection.execute(query.group_by(b.device, b.epoch)):
            found[device, epoch] = through
    return found
