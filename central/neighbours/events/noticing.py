"""A task of the server: write down what members are to be told, of those who agreed to be told, once each.

Numbers are given under one lock, so they become visible in their order. Sending is the subscriptions' affair.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.events.kinds import NO_SIGN_OUT, NOTICES, POINTS_EXPIRING
from central.neighbours.events.notice_sources import (
    BEGIN,
    FLAG,
    FLAG_TYPES,
    MEMBERS,
    Place,
    Wish,
    domains_with_points,
    expiring,
    flags_over,
    flags_untold,
    members_in,
    unsigned,
)
from central.neighbours.events.outgoing import PURPOSE
from central.neighbours.events.store import DEAD, read_all
from central.privacy.consent import consented
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.put_rows import put_new_row
from central.store.schema import notices
from central.store.slices import slices

LOOK_EVERY_S = 60.0
POINTS_EVERY_S = 86_400.0 / 4
KEPT_MS = 90 * 86_400_000
"""What was told is forgotten, and with it whom; of a flag, when it does not stand any more."""
PAUSE_S = 0.02
LOCK = 0x7461_7067_6174_6506
"""One process at a time numbers notices, on PostgreSQL."""
_n = notices.c

log = structlog.get_logger()


class Noticing:
    """What one process does about notices."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database, self._now_ms = database, now_ms
        self._points_s = -POINTS_EVERY_S

    async def run(self) -> None:
        """Until cancelled. Errors are logged; the next look sees the same."""
        while True:
            try:
                await self.look()
            except Exception as error:
                log.error("notices-not-made", error=type(error).__name__, exc_info=not hasattr(error, "params"))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """At everything that somebody may be told; returns how many notices are new. Nothing where no subscription
        takes any."""
        async with self._database.read() as connection:
            types = {type_ for of in await read_all(connection) if of.state != DEAD for type_ in of.types & NOTICES}
        if not types:
            return 0
        await self._end()
        number = sum([await self._flags(flag) for flag, type_ in FLAG_TYPES.items() if type_ in types])
        if NO_SIGN_OUT in types:
            async with self._database.read() as connection:
                wishes = await unsigned(connection, self._now_ms())
            number += await self._write(wishes)
        if POINTS_EXPIRING in types and time.monotonic() - self._points_s >= POINTS_EVERY_S:
            number += await self._points()
            self._points_s = time.monotonic()
        return number

    async def _flags(self, flag: str) -> int:
        number = 0
        after: Place | None = BEGIN
        while after is not None:
            async with self._database.read() as connection:
                wishes, after = await flags_untold(connection, flag, after)
            number += await self._write(wishes)
            await asyncio.sleep(PAUSE_S if after else 0)
        return number

    async def _points(self) -> int:
        """Of every member who agreed; a domain may have millions, so it is done slowly."""
        async with self._database.read() as connection:
            domains = await domains_with_points(connection)
        number = 0
        for domain in domains:
            after, more = b"", True
            while more:
                async with self._database.read() as connection:
                    some = await members_in(connection, domain, after)
                    agreed = await consented(connection, some, PURPOSE)
                    wishes = await expiring(
                        connection, domain, {each: some[each] for each in sorted(agreed)}, self._now_ms()
                    )
                number += await self._write(wishes)
                after, more = max(some, default=b""), len(some) == MEMBERS
                await asyncio.sleep(PAUSE_S)
        return number

    async def _write(self, wishes: Sequence[Wish]) -> int:
        """Those that are new, of members who agreed."""
        async with self._database.read() as connection:
            agreed = await consented(connection, {wish.member for wish in wishes}, PURPOSE)
            known = await _known(connection, [wish.about for wish in wishes])
        new = [wish for wish in wishes if wish.member in agreed and wish.about not in known]
        if not new:
            return 0
        async with self._database.write() as connection:
            await one_at_a_time(connection)  # nobody is erased meanwhile
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            newest = (await connection.execute(select(func.max(_n.number)))).scalar() or 0
            agree, made = await consented(connection, {wish.member for wish in new}, PURPOSE), 0
            for wish in (wish for wish in new if wish.member in agree):
                made += await put_new_row(connection, notices, _row(newest + made + 1, wish, self._now_ms()))
        return made

    async def _end(self) -> None:
        """Of flags that do not stand any more; and what is old."""
        old_ms = self._now_ms() - KEPT_MS
        over = (_n.made_ms < old_ms, ~_n.about.startswith(FLAG))
        async with self._database.read() as connection:
            ended = await flags_over(connection)
            old = (await connection.execute(select(_n.number).where(*over).limit(1))).first()
        if not ended and old is None:
            return
        async with self._database.write() as connection:
            for number in ended:
                await connection.execute(update(notices).where(_n.number == number).values(about=f"past {number}"))
            await connection.execute(delete(notices).where(*over))


async def _known(connection: AsyncConnection, abouts: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in slices(sorted(set(abouts))):
        found |= set((await connection.execute(select(_n.about).where(_n.about.in_(some)))).scalars())
    return found


def _row(number: int, wish: Wish, now_ms: int) -> dict[str, object]:
    told = {"member": wish.member, "domain": wish.domain, "venue": wish.venue, "type": wish.type}
    body = msgspec.json.encode(wish.said).decode()
    return told | {"number": number, "about": wish.about, "made_ms": now_ms, "body": body}
