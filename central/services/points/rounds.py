"""What is done once a local day for every member of a domain: the month's points are given, gates get reservations.

It goes through the members in short transactions and notes how far it came, so it can be cut short at any time and
goes on where it was. Beside it, reservations return whose gates were heard of.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.points.accounts import AT_ONCE, DomainPlans, plans_of, read_members, write_members
from central.services.points.plans import Held, date_of, of_month
from central.services.points.reservations import renew, reserve, terms_of
from central.services.points.returns import forget_old, give_back, lapsed
from central.services.projector import tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.put_rows import put_rows
from central.store.schema import member_classes, point_months, point_plans, point_rounds, subjects

LOOK_EVERY_S = 20.0

log = structlog.get_logger()
_s = subjects.c


async def run_for_ever(database: Database) -> None:
    """Until cancelled: what is due is done within half a minute."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            await run(database, time.time_ns() // 1_000_000)
        except Exception as error:  # the next look goes on where this one was
            log.error("points-round-cut-short", error=type(error).__name__)


async def run(database: Database, now_ms: int) -> int:
    """All that is due now, of every domain with a plan; cheap where nothing is. Returns how many members were gone
    through."""
    async with database.read() as connection:
        over = await lapsed(connection, now_ms)
        domains = (await connection.execute(select(point_plans.c.domain).distinct())).scalars().all()
    for each in over:
        async with database.write() as connection:
            await one_at_a_time(connection)
            whose = await give_back(connection, each, now_ms)
        for at in range(0, len(whose), AT_ONCE):  # what came back may be wanted elsewhere
            async with database.write() as connection:
                await one_at_a_time(connection)
                touched = [Touched(*member, now_ms) for member in whose[at : at + AT_ONCE]]
                await tell(connection, await renew(connection, touched, now_ms), now_ms)
    done = 0
    for domain in sorted(domains):
        while members := await step(database, domain, now_ms):
            done += members
    return done


async def begin_again(connection: AsyncConnection, domain: str) -> None:
    """The day's round is to be made again: a plan changed, or classes came that it did not see."""
    await connection.execute(delete(point_rounds).where(point_rounds.c.domain == domain))


async def step(database: Database, domain: str, now_ms: int) -> int:
    """The next members of the day's round; 0 when it is done."""
    async with database.read() as connection:
        plans = await plans_of(connection, domain)
        day = date_of(now_ms, ZoneInfo(plans.time_zone))
        if await _cursor(connection, domain, day) is None:
            return 0
    async with database.write() as connection:
        await one_at_a_time(connection)
        plans = await plans_of(connection, domain)  # one that was put meanwhile begins the round again
        cursor = await _cursor(connection, domain, day)
        if cursor is None:
            return 0
        query = select(_s.subject, _s.member).where(_s.domain == domain, _s.subject > cursor)
        rows = (await connection.execute(query.order_by(_s.subject).limit(AT_ONCE))).all()
        if rows:
            await _look_after(connection, domain, plans, day, rows, now_ms)
        else:
            await forget_old(connection, now_ms)
        last = rows[-1].subject if rows else b""
        note = {"domain": domain, "day": day.isoformat(), "cursor": last, "is_done": not rows}
        await put_rows(connection, point_rounds, [note])
    return len(rows)


async def _cursor(connection: AsyncConnection, domain: str, day: dt.date) -> bytes | None:
    """Through which subject the day's round has come; None when it is done."""
    row = (await connection.execute(select(point_rounds).where(point_rounds.c.domain == domain))).first()
    if row is None or row.day != day.isoformat():
        return b""
    return None if row.is_done else bytes(row.cursor)


async def _look_after(
    connection: AsyncConnection, domain: str, plans: DomainPlans, day: dt.date, rows: Sequence[Any], now_ms: int
) -> None:
    given = await give_month(connection, domain, plans, day.isoformat()[:7], rows, now_ms)
    if given:
        await write_members(connection, domain, await read_members(connection, domain, given, plans))
    terms = await terms_of(connection, domain, now_ms)
    if terms is not None:
        changed = await reserve(connection, terms, [row.subject for row in rows], now_ms)
        await tell(connection, {(domain, subject) for subject in changed}, now_ms)


async def give_month(
    connection: AsyncConnection, domain: str, plans: DomainPlans, month: str, rows: Sequence[Any], now_ms: int
) -> set[bytes]:
    """Give these members (`subject`, `member`) the points of a month that they have not got yet. Returns who got some.

    What is given stays: no later plan and no class that changed takes it back; a person can adjust it.
    """
    c = member_classes.c
    classes: dict[bytes, list[Held]] = {row.member: [] for row in rows}
    query = select(c.member, c.name, c.from_ms, c.until_ms).where(c.member.in_(sorted(classes)))
    for member, *held in await connection.execute(query):
        classes[member].append(Held(*held))
    p = point_months.c
    wanted = {(row.subject, plan): row.member for row in rows for plan in plans.plans}
    of = select(p.subject, p.plan).where(p.domain == domain, p.month == month)
    of = of.where(p.subject.in_(sorted({subject for subject, _ in wanted})))
    had = {(subject, plan) for subject, plan in await connection.execute(of)}
    new = []
    for (subject, plan), member in wanted.items():
        given = None if (subject, plan) in had else of_month(plans.plans[plan], month, classes[member], "")
        if given is not None:
            new.append(
                {
                    "domain": domain,
                    "subject": subject,
                    "month": month,
                    "plan": plan,
                    "version": plans.versions[plan],
                    "points": given.points,
                    "at_ms": given.at_ms,
                    "expires_ms": given.expires_ms,
                    "given_ms": now_ms,
                }
            )
    if new:
        await connection.execute(insert(point_months), new)
    return {row["subject"] for row in new}
