"""How a subscription stands, as people and scripts read it."""

from typing import Literal

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed
from central.neighbours.events import letters, store
from central.neighbours.events.cloud_events import NOTICES_DEVICE
from central.neighbours.events.following import waiting
from central.neighbours.events.quiet import text_of
from central.neighbours.events.store import Subscription
from central.store.schema import notices, subscription_progress


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Of its URL only the host is shown. `state`: dead ones took nothing for days, or answered that they want nothing
    more. `waiting`: events of gates that came into custody and were not looked at for it, at most; `oldest_ms`: since
    when; `notices_waiting`: the same of notices. `failing_ms`: since when nothing was taken; 0: it works. `told`: how
    many were taken, or numbered for who pulls. `problem`: of the newest failure, whenever it was."""

    id: str
    webhook_host: str
    reader: str
    types: list[str]
    domains: list[str]
    venues: list[str]
    pseudonyms: bool
    quiet_from: str
    quiet_until: str
    time_zone: str
    state: Literal["active", "paused", "dead"]
    why: str
    who: str
    made_ms: int
    previous_until_ms: int
    told: int
    taken_ms: int
    waiting: int
    oldest_ms: int
    notices_waiting: int
    failing_ms: int
    next_ms: int
    problem: str
    problem_ms: int
    dead_letters: int


async def must_be(connection: AsyncConnection, id_: str, *, lock: bool = False) -> Subscription:
    """Raises ActionFailed."""
    found = await store.read_one(connection, id_, lock=lock)
    if found is None:
        raise ActionFailed(f"there is no subscription {id_!r}: see `subscription list`")
    return found


async def shown_of(connection: AsyncConnection, of: Subscription, now_ms: int) -> Shown:
    """As it stands now."""
    number, oldest_ms = await waiting(connection, of)
    row = of.row
    return Shown(
        id=of.id,
        webhook_host=row.url_host,
        reader=of.reader,
        types=sorted(of.types),
        domains=sorted(of.domains),
        venues=sorted(of.venues),
        pseudonyms=row.subjects_sealed is not None,
        quiet_from=text_of(of.quiet_from),
        quiet_until=text_of(of.quiet_until),
        time_zone=of.time_zone,
        state=row.state,
        why=row.why,
        who=row.who,
        made_ms=row.made_ms,
        previous_until_ms=row.previous_until_ms if row.previous_until_ms > now_ms else 0,
        told=of.told,
        taken_ms=of.taken_ms,
        waiting=number,
        oldest_ms=oldest_ms,
        notices_waiting=await _notices(connection, of),
        failing_ms=of.failing_ms,
        next_ms=row.next_ms if row.next_ms > now_ms else 0,
        problem=row.problem,
        problem_ms=row.problem_ms,
        dead_letters=await letters.number(connection, of.id),
    )


async def _notices(connection: AsyncConnection, of: Subscription) -> int:
    p = subscription_progress.c
    held = select(p.through).where(p.device == NOTICES_DEVICE, p.subscription == of.id)
    after = (await connection.execute(held)).scalar()
    if after is None or not of.takes_notices:
        return 0
    query = select(func.count()).select_from(notices)
    query = query.where(notices.c.number > after, notices.c.type.in_(sorted(of.types)))
    return int((await connection.execute(query)).scalar_one())
