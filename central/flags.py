"""Notices that a member's cards carry in a domain's list (SPEC §8.9), set by the systems that know: a hold is ready,
something is overdue. A gate shows them; they admit and refuse nobody.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.lists import refresh_members
from central.store import faults
from central.store.database import Database
from central.store.schema import member_flags

FLAGS = ("hold-ready", "library-blocked", "library-expired", "overdue")
"""Codes of `protocol.notices` that are said of a member and carry no number."""
LAPSE_EVERY_S = 60.0
LAPSED_AT_ONCE = 500


Held = dict[str, int]
"""Flag → until when, in UTC ms; 0 = until it is cleared."""


async def held_flags(connection: AsyncConnection, domain: str, members: Collection[bytes]) -> dict[bytes, Held]:
    """What is held of these members in a domain."""
    c = member_flags.c
    query = select(c.member, c.flag, c.until_ms).where(c.domain == domain, c.member.in_(sorted(members)))
    found: dict[bytes, Held] = {}
    for member, flag, until_ms in await connection.execute(query):
        found.setdefault(member, {})[flag] = until_ms
    return found


async def set_flags(
    connection: AsyncConnection, keys: Keys, domain: str, wanted: Mapping[bytes, Held], now_ms: int
) -> None:
    """These are all the flags of these members in this domain from now on; their list says so at once."""
    members: Sequence[bytes] = sorted(wanted)
    c = member_flags.c
    await connection.execute(delete(member_flags).where(c.domain == domain, c.member.in_(members)))
    rows = [
        {"domain": domain, "member": member, "flag": flag, "until_ms": until_ms}
        for member in members
        for flag, until_ms in sorted(wanted[member].items())
    ]
    if rows:
        await connection.execute(insert(member_flags), rows)
    await refresh_members(connection, keys, members, now_ms)


async def lapse_flags(connection: AsyncConnection, keys: Keys, now_ms: int) -> int:
    """Take away flags whose time is over, a few hundred at a time; returns how many went."""
    c = member_flags.c
    due = select(c.domain, c.member, c.flag).where(c.until_ms > 0, c.until_ms <= now_ms).limit(LAPSED_AT_ONCE)
    gone = (await connection.execute(due)).all()
    for domain, member, flag in gone:
        await connection.execute(
            delete(member_flags).where(c.domain == domain, c.member == member, c.flag == flag, c.until_ms <= now_ms)
        )
    if gone:
        await refresh_members(connection, keys, [member for _, member, _ in gone], now_ms)
    return len(gone)


async def lapse_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled: what lapses is off the lists a minute later."""
    while True:
        await asyncio.sleep(LAPSE_EVERY_S)
        try:
            now_ms, more = time.time_ns() // 1_000_000, LAPSED_AT_ONCE
            while more == LAPSED_AT_ONCE:
                async with database.read() as connection:
                    if not await _is_any_due(connection, now_ms):
                        break
                async with database.write() as connection:
                    more = await lapse_flags(connection, keys, now_ms)
        except Exception as error:  # the next minute finds the same ones
            faults.say("flags-not-lapsed", error)


async def _is_any_due(connection: AsyncConnection, now_ms: int) -> bool:
    c = member_flags.c
    query = select(c.member).where(c.until_ms > 0, c.until_ms <= now_ms).limit(1)
    return (await connection.execute(query)).first() is not None
