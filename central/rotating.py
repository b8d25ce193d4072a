"""A domain's key rotated (SPEC §7.3): every token made again with the next one, a few thousand members a transaction,
beside the list that is published. Then the new list takes its place, in a moment.

Both lists follow whatever changes meanwhile (`central.lists`), taps are taken into custody between two blocks, and what
was cut short goes on where it stopped. Nothing of the next key leaves the centre before it is the domain's own.
"""

import asyncio
import time

import structlog
from sqlalchemy import delete, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.configs import renew_staff
from central.key_history import note_key
from central.keys import Keys
from central.lists import Progress, compile_whole, compiled_block
from central.open_lists import OpenLists
from central.store import faults
from central.store.database import Database
from central.store.schema import domains, key_rotations, list_entries, lists, under_own_key

EVERY_S = 60.0
CLEARED_AT_ONCE = 20_000
FROM_THE_FIRST = b""

log = structlog.get_logger()


async def begin(connection: AsyncConnection, keys: Keys, domain: str) -> int:
    """The number of the key that tokens are made with from now on: a new one, or the next one already."""
    own = select(domains.c.key_number).where(domains.c.id == domain).with_for_update()
    number = int((await connection.execute(own)).scalar_one())
    held = (await connection.execute(select(key_rotations).where(key_rotations.c.domain == domain))).one_or_none()
    if held is not None:
        return int(held.key_number)
    number = keys.next_domain_key(domain, number)
    await connection.execute(insert(key_rotations).values(domain=domain, key_number=number, cursor=FROM_THE_FIRST))
    return number


async def go_on(database: Database, keys: Keys, domain: str, now_ms: int, progress: Progress | None = None) -> None:
    """Block after block until the domain has its new key and nothing of the old list is left."""
    async with database.read() as connection:
        query = select(lists.c.count).where(lists.c.domain == domain, under_own_key(lists))
        done, every = 0, int((await connection.execute(query)).scalar_one())
    while (made := await make_next(database, keys, domain, now_ms)) is not None:
        done += made
        if progress is not None:
            await progress(f"making the tokens of {domain} again", done, every)
    await clear(database, domain)


async def make_next(database: Database, keys: Keys, domain: str, now_ms: int) -> int | None:
    """How many tokens the next block has; None: the domain has its new key."""
    async with database.write() as connection:
        own = select(domains.c.key_number).where(domains.c.id == domain).with_for_update()  # lists change together
        number = int((await connection.execute(own)).scalar_one())
        query = select(key_rotations).where(key_rotations.c.domain == domain)
        rotation = (await connection.execute(query)).one_or_none()
        if rotation is None:
            return None
        opened = OpenLists(connection, now_ms)
        rows = await opened.rows(domain, rotation.key_number)  # held before members are read
        key = keys.domain_key(domain, rotation.key_number)
        block, last = await compiled_block(connection, keys, key, domain, bytes(rotation.cursor))
        await rows.put(connection, block)
        await opened.close()
        if last is None:
            await _take_over(connection, keys, OpenLists(connection, now_ms), (domain, number, rotation.key_number))
            await renew_staff(connection, keys, now_ms, domain=domain)
        else:
            behind = update(key_rotations).where(key_rotations.c.domain == domain)
            await connection.execute(behind.values(cursor=last))
    return len(block)


async def _take_over(
    connection: AsyncConnection, keys: Keys, opened: OpenLists, domain_keys: tuple[str, int, int]
) -> None:
    """The list under the next key is the domain's, and newer than any that it had: no delta leads to it."""
    domain, before, number = domain_keys
    published, rows = await opened.rows(domain, before), await opened.rows(domain, number)
    if rows.count != published.count:  # one of them is not what the tables say
        log.warning("lists-differ", domain=domain, key_number=number, rows=rows.count, published=published.count)
        await compile_whole(connection, keys, published)
        await compile_whole(connection, keys, rows)
    rows.renew()
    await opened.close()
    e = list_entries.c  # what was dropped meanwhile no gate ever held
    gone = delete(list_entries).where(e.domain == domain, e.key_number == number, e.dropped.is_(True))
    await connection.execute(gone)
    await note_key(connection, domain, rows.version, number)
    await connection.execute(update(domains).where(domains.c.id == domain).values(key_number=number))
    await connection.execute(delete(lists).where(lists.c.domain == domain, lists.c.key_number != number))
    await connection.execute(delete(key_rotations).where(key_rotations.c.domain == domain))


async def clear(database: Database, domain: str) -> None:
    """Delete what is left of lists under older keys."""
    while await _clear_next(database, domain):
        pass


async def _clear_next(database: Database, domain: str) -> bool:
    e, own = list_entries.c, select(domains.c.key_number).where(domains.c.id == domain).scalar_subquery()
    oldest = select(func.min(e.key_number)).where(e.domain == domain, e.key_number < own)
    async with database.read() as connection:
        number = (await connection.execute(oldest)).scalar()
    if number is None:
        return False
    async with database.write() as connection:
        rows = (e.domain == domain) & (e.key_number == number)
        ordered = select(e.token).where(rows).order_by(e.token)
        last = (await connection.execute(ordered.offset(CLEARED_AT_ONCE - 1).limit(1))).scalar()
        await connection.execute(delete(list_entries).where(rows, e.token <= last if last is not None else true()))
    return True


async def forget(connection: AsyncConnection) -> None:
    """For a restored database, whose next keys may not be here: lists and their history begin again without them, as
    they are compiled under the domains' own keys."""
    begun = (await connection.execute(select(key_rotations.c.domain))).scalars().all()
    own = lists.c.domain.in_(begun) & under_own_key(lists)
    await connection.execute(delete(list_entries).where(list_entries.c.domain.in_(begun)))
    await connection.execute(delete(lists).where(~under_own_key(lists)))
    await connection.execute(update(lists).where(own).values(count=0, sum=bytes(32)))
    await connection.execute(delete(key_rotations))


async def follow(database: Database, keys: Keys, now_ms: int) -> None:
    """Go on with what was cut short."""
    async with database.read() as connection:
        begun = (await connection.execute(select(key_rotations.c.domain))).scalars().all()
        every = (await connection.execute(select(domains.c.id))).scalars().all()
    for domain in begun:
        await go_on(database, keys, domain, now_ms)
    for domain in every:
        await clear(database, domain)


async def rotate_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled: what fails is tried again the next time."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await follow(database, keys, time.time_ns() // 1_000_000)
        except Exception as error:
            faults.say("keys-not-rotated", error)
