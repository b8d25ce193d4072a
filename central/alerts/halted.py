"""Rollouts that halted, as alerts are judged by them: what a person has to decide, or to know of, at each venue."""

from collections import Counter

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.alerts.conditions import DAY_MS, HaltedFacts
from central.rollouts.course import State
from central.rollouts.store import rollout_of, targets
from central.rollouts.watching import watched
from central.store.schema import rollout_steps, rollouts

TOLD_MS = 7 * DAY_MS
"""One that went back by itself is over: for so long somebody is to have seen it."""
_r, _s = rollouts.c, rollout_steps.c


async def read(connection: AsyncConnection, now_ms: int) -> tuple[HaltedFacts, ...]:
    """One for each venue where it was put in force. What a person took back, that person knows of."""
    by_itself = exists().where(_s.rollout == _r.id, _s.what == "back", _s.who == "")
    went_back = and_(_r.back_ms > now_ms - TOLD_MS, by_itself)
    query = select(rollouts).where(_r.state == State.HALTED.value, or_(_r.back_ms == 0, went_back)).order_by(_r.id)
    found: list[HaltedFacts] = []
    for row in (await connection.execute(query)).mappings().all():
        rollout = rollout_of(row)
        every = await targets(connection, rollout)
        at_venues = Counter(every[gate] for gate in watched(rollout, every))
        for venue, gates in sorted(at_venues.items()):
            what = rollout.policy or rollout.title
            found.append(HaltedFacts(rollout.id, venue, what, rollout.why, gates, bool(rollout.back_ms)))
    return tuple(found)
