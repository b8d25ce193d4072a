"""Keeping what libraries say of members fresh: asked about one by one, slowly, not in quiet hours, and less and less
often while a library is down. Meanwhile nothing changes at the gates; only how old its word is.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

import structlog

from central.actions.cards.member_index import LIBRARY_BARCODE
from central.failures import breakage
from central.keys import Keys
from central.neighbours import library_state, patrons
from central.neighbours.asking import ask_about, is_quiet, line_to, local, zones_of
from central.neighbours.landslide import LOOKED_AT, MANY, Landslide
from central.neighbours.patrons import Answered, Due
from central.neighbours.settings import Library
from central.neighbours.sip2.line import FaultKind, Line, LineFault
from central.store.database import Database

IDLE_S = 15.0
LONGEST_WAIT_S = 60.0
ADOPT_EVERY_S = 60.0
ADOPTING_SHARE = 50
"""Looking who came and left takes at most one part in so many of the time."""
ASKED_ON_A_LINE = 60
WRITTEN_AFTER_S = 5.0

log = structlog.get_logger()


class Refreshing:
    """Of one library, by one server. `now_ms` is the wall clock."""

    def __init__(
        self, library: Library, database: Database, keys: Keys, server: str, now_ms: Callable[[], int]
    ) -> None:
        self._library, self._database, self._keys = library, database, keys
        self._server, self._now_ms = server, now_ms
        self._adopt_at_s = 0.0
        self._slide: Landslide | None = None
        """None: what was doubted before is not looked up yet."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause_s = LONGEST_WAIT_S
            try:
                pause_s = await self.round()
            except Exception as error:  # the next round finds the same ones due
                log.error("library-not-asked", library=self._library.id, **breakage(error))
            await asyncio.sleep(pause_s)

    async def round(self) -> float:
        """Ask about some of those who are due. Returns how many seconds to wait until the next round."""
        library, now_ms = self._library, self._now_ms()
        async with self._database.read() as connection:
            row = await library_state.known(connection, library.id)
            zones = await zones_of(connection, library.domain)
        if row is not None and not library_state.is_as_set(row, library):
            log.warning("library-is-known-otherwise", library=library.id)  # `library forget` ends what it said
            return LONGEST_WAIT_S
        if not await self._is_ours(row is None, now_ms):
            self._slide = None  # the other one knows
            return LONGEST_WAIT_S
        if self._slide is None:
            self._slide = Landslide(goes_on=row is not None and row.failure == FaultKind.DOUBTED)
        await self._adopt()
        if is_quiet(library, zones, now_ms):
            return LONGEST_WAIT_S
        if row is not None and row.next_ms > now_ms:
            return min(LONGEST_WAIT_S, int(row.next_ms - now_ms) / 1_000)
        async with self._database.read() as connection:
            waiting = await patrons.due(connection, library, now_ms, ASKED_ON_A_LINE)
        if not waiting:
            return IDLE_S
        return await self._ask(waiting, zones)

    async def _is_ours(self, is_new: bool, now_ms: int) -> bool:
        """False: its domain does not exist yet, or another server asks it."""
        if self._database.is_sqlite and not is_new:
            return True  # no other server has this file
        async with self._database.write() as connection:
            is_there = not is_new or await library_state.introduce(connection, self._library)
            return is_there and await library_state.hold(connection, self._library.id, self._server, now_ms)

    async def _adopt(self) -> None:
        began_s = time.monotonic()
        if began_s < self._adopt_at_s:
            return
        while await self._some_came_or_left():
            async with self._database.write() as connection:
                await patrons.adopt(connection, self._keys, self._library, self._now_ms())
            await asyncio.sleep(0)
        took_s = time.monotonic() - began_s
        self._adopt_at_s = time.monotonic() + max(ADOPT_EVERY_S, ADOPTING_SHARE * took_s)

    async def _some_came_or_left(self) -> bool:
        """Found out by reading alone: usually nobody did."""
        async with self._database.read() as connection:
            for query in (patrons.strays(self._library), patrons.newcomers(self._library)):
                if (await connection.execute(query.limit(1))).first() is not None:
                    return True
        return False

    async def _ask(self, waiting: Sequence[Due], zones: Sequence[ZoneInfo]) -> float:
        """On one line. A fault ends it: whom it happened with comes later, the library is left alone for a while."""
        about: Due | None = None
        answers: list[Answered] = []
        try:
            async with line_to(self._library) as line:
                for about in waiting:
                    answers.append(await self._one(line, about, zones[0]))
                    await self._write(answers)
                    await _pause(60.0 / self._library.per_minute)
                    if is_quiet(self._library, zones, self._now_ms()):
                        break
                await self._write(answers, at_once=True)
                self._doubt()
        except LineFault as fault:
            await self._write(answers, at_once=True)
            if fault.kind is FaultKind.CLOSED and not fault.sent and about is not waiting[0]:
                return 0.0  # some hang up on who is silent for a while; on a new line the next ones are asked about
            return await self._failed(fault, about)
        finally:
            await self._write(answers, at_once=True)
        return 0.0

    async def _one(self, line: Line, about: Due, zone: ZoneInfo) -> Answered:
        number = self._keys.open_number(about.sealed, LIBRARY_BARCODE, about.member)
        patron = await ask_about(line, self._library, number, local(self._now_ms(), zone))
        return Answered(about.member, about.key, patron, self._now_ms())

    async def _write(self, answers: list[Answered], at_once: bool = False) -> None:
        """What was answered, every few seconds, or at once."""
        now_ms = self._now_ms()
        if not answers or not (at_once or now_ms - answers[0].at_ms >= WRITTEN_AFTER_S * 1_000):
            return
        some = list(answers)
        answers.clear()
        async with self._database.write() as connection:
            believed = await library_state.is_believed(connection, self._library.id, now_ms)
            if believed or self._slide is None:
                self._slide = Landslide()
            slide = None if believed else self._slide
            changed = await patrons.put_answers(connection, self._keys, self._library, some, now_ms, slide)
            if not self._slide.is_on:
                await library_state.answered(connection, self._library.id, now_ms)
            if not self._database.is_sqlite:
                await library_state.hold(connection, self._library.id, self._server, now_ms)
        log.info("library-asked", library=self._library.id, patrons=len(some), changed=changed)

    def _doubt(self) -> None:
        if self._slide is not None and self._slide.is_on:
            said = f"at least {MANY} of the last {LOOKED_AT} patrons in good standing are not any more, all at once"
            raise LineFault(FaultKind.DOUBTED, said)

    async def _failed(self, fault: LineFault, about: Due | None) -> float:
        now_ms = self._now_ms()
        async with self._database.write() as connection:
            next_ms = await library_state.failed(connection, self._library.id, fault, now_ms)
            if about is not None:
                await patrons.put_off(connection, self._library.id, about.member, now_ms)
        log.warning("library-does-not-answer", library=self._library.id, kind=fault.kind.value, said=str(fault))
        return min(LONGEST_WAIT_S, (next_ms - now_ms) / 1_000)


async def _pause(seconds: float) -> None:
    """Between two questions."""
    await asyncio.sleep(seconds)


async def refresh_for_ever(
    libraries: Sequence[Library], database: Database, keys: Keys, server: str, now_ms: Callable[[], int]
) -> None:
    """Until cancelled; each library by itself, so that none waits for another."""
    await asyncio.gather(*(Refreshing(each, database, keys, server, now_ms).run() for each in libraries))
