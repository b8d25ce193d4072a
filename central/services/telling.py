"""Wake the devices of domains whose states changed, by what happened or by the clock alone, and not too often."""

import time
from collections.abc import Callable, Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.attendance.told import overtaken
from central.services.projector import new_versions
from central.services.visits.inside import domains_that_closed
from central.store import faults
from central.store.database import Database
from central.wakeups import note, state_topic

TELL_EVERY_S = 0.3
"""A domain's devices are woken no more often."""
LOOK_EVERY_S = 20.0
"""At what the clock changed."""
AT_ONCE = 250
"""States renewed in one transaction."""
DAY_MS = 86_400_000


class Telling:
    """What devices are to be told, and when they were told last."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database, self._now_ms = database, now_ms
        self._untold: set[str] = set()
        self._told_s = self._looked_s = 0.0
        self._looked_ms = now_ms() - DAY_MS

    def due_s(self) -> float:
        """In how long somebody is to be told; below 0: now. Endless where nobody waits."""
        return self._told_s + TELL_EVERY_S - time.monotonic() if self._untold else float("inf")

    async def tell(self, connection: AsyncConnection, domains: Iterable[str]) -> set[str]:
        """Wake the devices of these domains and of those that wait to be told, if it is time; returns which. They
        `are_told` once that is committed."""
        self._untold.update(domains)
        if time.monotonic() - self._told_s < TELL_EVERY_S:
            return set()
        told = set(self._untold)
        await note(connection, map(state_topic, sorted(told)))
        return told

    def are_told(self, told: set[str]) -> None:
        if told:
            self._untold -= told
            self._told_s = time.monotonic()

    async def who_waits(self) -> None:
        """Tell them, if it is time."""
        if self.due_s() <= 0:
            async with self._database.write() as connection:
                told = await self.tell(connection, ())
            self.are_told(told)

    async def what_time_changed(self) -> None:
        """From time to time. Where it fails, it is tried again the next time, and nothing else waits for it."""
        if time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        try:
            await self._closed_or_overtaken()
        except Exception as error:
            faults.say("closings-not-told", error)

    async def _closed_or_overtaken(self) -> None:
        """Where a venue closed, nobody is inside any more, and volunteers may sign out after a time: devices hear of it
        although nothing happened."""
        now_ms = self._now_ms()
        async with self._database.read() as connection:
            changed = [(each, b"") for each in await domains_that_closed(connection, self._looked_ms, now_ms)]
            changed += sorted(await overtaken(connection, self._looked_ms, now_ms))
        for at in range(0, len(changed), AT_ONCE):
            async with self._database.write() as connection:
                told = await new_versions(connection, changed[at : at + AT_ONCE], now_ms)
                await note(connection, map(state_topic, told))
        self._looked_ms = now_ms
