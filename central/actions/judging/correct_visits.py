"""What a corrected policy says of entries: one that it would have denied is compensated and counts as a visit no more.

Who was let in was inside all the same, so the visit itself, its hours and how many were inside stay as they were. Who
was denied did not come in, so nothing is booked of whom a corrected policy would have admitted.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.judging.past import Scene
from central.services.marks import EventName
from central.services.turns import one_at_a_time
from central.services.visits.due import note_due
from central.services.visits.service import THROUGH_A_DOOR
from central.services.visits.stated import VisitCorrected
from central.store.schema import marks
from central.store.slices import named


class VisitChange(NamedTuple):
    """`visits`: −1, or +1 where an earlier correction said so of one that would have been admitted after all."""

    name: EventName
    domain: str
    venue: str
    gate: str
    subject: bytes
    at_ms: int
    visits: int


async def visit_changes(
    connection: AsyncConnection, scene: Scene, policy: str, denied: Collection[EventName]
) -> list[VisitChange]:
    """What is not booked yet. `denied`: entries of the scene that its policy, corrected, would have denied."""
    before = await _booked(connection, scene, policy)
    taken = {name for name, visits in before.items() if visits < 0}
    wanted = {**dict.fromkeys(set(denied) - taken, -1), **dict.fromkeys(taken - set(denied), 1)}
    m, found = marks.c, list[VisitChange]()
    query = select(m.device, m.epoch, m.sequence, m.domain, m.venue, m.gate, m.subject, m.at_ms)
    query = query.where(m.direction == "in", *THROUGH_A_DOOR)
    for these in named((m.device, m.epoch, m.sequence), wanted):
        for row in await connection.execute(query.where(these)):
            name = row.device, row.epoch, row.sequence
            found.append(VisitChange(name, *row[3:], wanted[name]))
    return sorted(found, key=lambda each: (each.at_ms, each.name))


async def _booked(connection: AsyncConnection, scene: Scene, policy: str) -> dict[EventName, int]:
    found: dict[EventName, int] = {}
    for domain in sorted(set(scene.domain_of.values())):
        for fact in await facts.read(connection, [VisitCorrected], domain=domain):
            if fact.body.policy == policy and scene.since_ms <= fact.at_ms < scene.until_ms:
                name = fact.body.name
                found[name] = found.get(name, 0) + fact.body.visits
    return found


async def book_visits(
    connection: AsyncConnection,
    scene: Scene,
    policy: str,
    denied: Collection[EventName],
    who: str,
    why: str,
    now_ms: int,
) -> list[VisitChange]:
    """Book, as a fact for each, what is not booked by now; returns that."""
    await one_at_a_time(connection)
    changes = await visit_changes(connection, scene, policy, denied)
    by_domain: dict[str, list[tuple[facts.About, facts.FactBody]]] = {}
    for each in changes:
        device, epoch, sequence = each.name
        body = VisitCorrected(device=device, epoch=epoch, sequence=sequence, policy=policy, visits=each.visits, why=why)
        about = facts.About(who, each.at_ms, each.domain, each.subject, each.venue)
        by_domain.setdefault(each.domain, []).append((about, body))
    for domain, every in sorted(by_domain.items()):
        await facts.append_all(connection, domain, every, now_ms)
    await note_due(connection, [(each.venue, each.at_ms, each.at_ms) for each in changes])
    return changes
