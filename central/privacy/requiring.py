"""From when a purpose needs consent, and how the lists follow: a few thousand members a transaction, in the order of
their ids, on from where it was cut short."""

import asyncio
import time
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.lists import refresh_members
from central.privacy.purposes import purposes
from central.shared_parts import put_names
from central.store import faults
from central.store.database import Database
from central.store.schema import consent_rules, domains, member_classes

EVERY_S = 30.0
MEMBERS_AT_ONCE = 1_000
FROM_THE_FIRST = b""


async def state_rule(
    connection: AsyncConnection, purpose: str, required: bool, from_ms: int, who: str, why: str, now_ms: int
) -> None:
    """Required from then on, or not any more. A time to come changes nothing yet, but in place of another one."""
    c = consent_rules.c
    held = (await connection.execute(select(consent_rules).where(c.purpose == purpose).with_for_update())).one_or_none()
    before = held is not None and held.required
    later = required and from_ms > now_ms
    now = before if later else required
    values: dict[str, Any] = {"purpose": purpose, "required": now, "from_ms": from_ms if later else 0}
    values |= {"who": who, "why": why, "at_ms": now_ms}
    values["cursor"] = FROM_THE_FIRST if now != before else held.cursor if held is not None else None
    await connection.execute(delete(consent_rules).where(c.purpose == purpose))
    await connection.execute(insert(consent_rules).values(values))


async def follow(database: Database, keys: Keys, now_ms: int) -> int:
    """Put in force what is due, and compile again what a change of a rule concerns. Returns how many members were."""
    async with database.read() as connection:
        c = consent_rules.c
        due = (c.from_ms > 0) & (c.from_ms <= now_ms)
        waiting = (await connection.execute(select(c.purpose).where(due | c.cursor.is_not(None)))).scalars().all()
    done = 0
    for purpose in waiting:
        async with database.write() as connection:
            await _begin(connection, purpose, now_ms)
        while (block := await _block(database, keys, purpose, now_ms)) is not None:
            done += block
            await asyncio.sleep(0)  # taps are taken into custody between two
    return done


async def _begin(connection: AsyncConnection, purpose: str, now_ms: int) -> None:
    c = consent_rules.c
    due = (c.purpose == purpose) & (c.from_ms > 0) & (c.from_ms <= now_ms)
    values = {"required": True, "from_ms": 0, "cursor": FROM_THE_FIRST}
    await connection.execute(update(consent_rules).where(due).values(values))


async def _block(database: Database, keys: Keys, purpose: str, now_ms: int) -> int | None:
    """How many members of the next block were compiled again; None: the lists follow already."""
    async with database.write() as connection:
        c, m = consent_rules.c, member_classes.c
        query = select(consent_rules).where(c.purpose == purpose).with_for_update()
        rule = (await connection.execute(query)).one_or_none()
        if rule is None or rule.cursor is None:
            return None
        concerned = select(m.member).where(m.name.in_(purposes()[purpose].classes), m.member > bytes(rule.cursor))
        ordered = concerned.distinct().order_by(m.member).limit(MEMBERS_AT_ONCE)
        block = list((await connection.execute(ordered)).scalars())
        await refresh_members(connection, keys, block, now_ms)
        if not block:
            for domain in (await connection.execute(select(domains.c.id))).scalars().all():
                await put_names(connection, domain, now_ms)
        values = {"cursor": block[-1] if block else None}
        await connection.execute(update(consent_rules).where(c.purpose == purpose).values(values))
        return len(block)


async def follow_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled: what was stated for a day is in force half a minute into it."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await follow(database, keys, time.time_ns() // 1_000_000)
        except Exception as error:  # the next round goes on where this one stopped
            faults.say("consent-rules-not-followed", error)
