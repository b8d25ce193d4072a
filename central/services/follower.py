"""Settle events as they come into custody: a task of the server, in short transactions; custody goes first.

On PostgreSQL several servers may run it; a lock lets one at a time settle, and whatever another did meanwhile is looked
at again.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.custody import retrying
from central.generation import generation_of
from central.metrics import Metrics
from central.services import backlog
from central.services.backlog import Behind, Epoch, Slice
from central.services.denials import settle_denials
from central.services.mark_rows import settle_marks
from central.services.members import members_after
from central.services.projector import (
    Member,
    new_versions,
    raise_version,
    renew_promises,
    settle_each,
    settle_services,
)
from central.services.service import Touched
from central.services.tap_counts import settle_tap_counts
from central.services.telling import Telling
from central.services.turns import one_at_a_time
from central.store import faults
from central.store.database import Database
from central.store.schema import domains, states
from central.wakeups import note, state_topic

FILLING, SETTLING, TOLD = "filling", "settling", "told"
"""Stages of a domain's state: its marks are computed for the first time, then its members are settled in every service,
then its devices hear of it."""
MEMBERS = 100
"""Of a domain that are settled for the first time in one transaction."""
SLICE, FEWEST = 250, 50
"""Events settled in one transaction, as it takes long or not."""
HELD_S = 0.1
"""A transaction that settles should hold the database no longer: an upload may wait for it."""
LOOK_EVERY_S = 1.0
"""Looked for what no upload of this process told of: an imported journal, another process that ended."""
PATIENCE_S = 1.0
"""While uploads come in, so long passes at most until the next events are settled."""
NAP_S = 0.02
WALK_EVERY_S = 3_600.0
RETRY_S = 1.0

Failed = Callable[[str, Exception], None]

log = structlog.get_logger()


class Follower:
    """Settles what is in custody; `run` it as a task, and hold `custody_at_work` around every upload."""

    def __init__(self, database: Database, metrics: Metrics, now_ms: Callable[[], int]) -> None:
        self._database, self._metrics, self._now_ms = database, metrics, now_ms
        self._bell = asyncio.Event()
        self._uploads, self._upload_s = 0, 0.0
        self._most = SLICE
        self._waiting: dict[Epoch, int] = {}
        """Epochs known to be behind, and by how many events."""
        self._walked_to: Epoch | None = ("", b"")
        self._walked_s = time.monotonic()
        self._looked_ms = self._generation = 0
        self._begun: dict[str, bytes | None] = {}
        """Domains that are settled for the first time, and the last member settled in every service."""
        self._telling = Telling(database, now_ms)

    @contextmanager
    def custody_at_work(self) -> Iterator[None]:
        """Around an upload: it goes first, and what it brought is settled soon after."""
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1
            self._upload_s = time.monotonic()
            self._bell.set()

    async def run(self) -> None:
        """Until cancelled. Errors are logged and tried again."""
        while True:
            try:
                if not await self.step():
                    await self._rest()
            except Exception as error:
                faults.say("not-settled", error)
                await asyncio.sleep(RETRY_S)

    async def settle_all(self) -> None:
        """All that is held now. For those who cannot wait for the task."""
        self._looked_ms, self._walked_to = 0, ("", b"")
        while await self.step():
            pass

    async def step(self) -> bool:
        """Settle the next events. False when nothing is behind, as far as was looked."""
        self._bell.clear()
        began_s = time.monotonic()
        async with self._database.read() as connection:
            await self._look(connection)
            most = min(self._most, SLICE)
            asked = set(islice(self._waiting, most))
            found = await backlog.behind(connection, asked)
            part = await backlog.next_slice(connection, found, most)
        for epoch in asked - {each.of for each in found}:
            del self._waiting[epoch]  # somebody else settled it
        if part.reach:
            await self._settle(part)
        # where taps never end there is always something behind, of a moment ago
        is_level = self._walked_to is None and not self._waiting
        begun = is_level and await self._begin()
        await self._telling.what_time_changed()
        await self._telling.who_waits()
        if part.reach or begun:
            await self._give_way(began_s)
        return bool(part.reach) or begun or not is_level

    # --- looking --------------------------------------------------------------------------------------------

    async def _look(self, connection: AsyncConnection) -> None:
        generation, now_ms = await generation_of(connection), self._now_ms()
        if generation != self._generation:  # what was known is of another database
            self._generation, self._walked_to, self._looked_ms = generation, ("", b""), 0
            self._waiting.clear()
            self._begun.clear()
        if time.monotonic() - self._walked_s > WALK_EVERY_S and self._walked_to is None:
            self._walked_to = ("", b"")
        found = await backlog.lately(connection, self._looked_ms or now_ms)
        self._note(found)
        if len(found) < backlog.PAGE:
            self._looked_ms = now_ms
        if self._walked_to is not None and len(self._waiting) < SLICE:
            more, self._walked_to = await backlog.page(connection, self._walked_to)
            self._walked_s = time.monotonic()
            self._note(more)
        self._metrics.events_behind.set(sum(self._waiting.values()))

    def _note(self, found: Iterable[Behind]) -> None:
        for each in found:
            self._waiting[each.of] = each.through - each.after

    async def _rest(self) -> None:
        """Until something comes, or it is time to look whether something came unheard."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, min(self._telling.due_s(), LOOK_EVERY_S))):
                await self._bell.wait()

    async def _give_way(self, began_s: float) -> None:
        """Custody goes first: while uploads come in, wait for a quiet moment, but not beyond `PATIENCE_S`."""
        naps = max(0.0, began_s + PATIENCE_S - time.monotonic()) / NAP_S
        for _ in range(int(naps) + 1):
            if not self._uploads and time.monotonic() - self._upload_s > NAP_S:
                await asyncio.sleep(0)
                return
            await asyncio.sleep(NAP_S)

    # --- settling -------------------------------------------------------------------------------------------

    async def _settle(self, part: Slice) -> None:
        try:
            settled = await self._write(part)
        except Exception as error:
            if not faults.is_of_the_data(error):
                raise
            log.warning("settling-one-by-one", events=len(part.happened), error=type(error).__name__)
            settled = await self._one_by_one(part)
        for each in part.reach if settled else ():
            left = self._waiting.pop(each.of, 0) - (each.through - each.after)
            if left > 0:
                self._waiting[each.of] = left  # behind those that wait already: no epoch keeps others waiting

    async def _one_by_one(self, part: Slice) -> bool:
        """Each event by itself. What fails in a service leaves the marks; what fails by itself is passed over."""
        at = {each.of: each for each in part.reach}
        for event in part.happened:
            of = event.device, event.epoch
            single = Slice([event], [at[of]._replace(through=event.sequence)])
            if not await self._one(single):
                return False
            at[of] = at[of]._replace(after=event.sequence)
        return await self._write(Slice([], list(at.values())))

    async def _one(self, single: Slice) -> bool:
        """Without the services that fail; passed over where the event fails by itself. Raises what will pass."""
        device, epoch, sequence = single.happened[0].name
        where: dict[str, Any] = {"device": device, "epoch": epoch.hex(), "sequence": sequence}
        try:
            return await self._write(single, partial(self._say, "service", **where))
        except Exception as error:
            self._say("event", "", error, **where)
        return await self._write(Slice([], single.reach))

    def _say(self, what: str, service: str, error: Exception, **where: object) -> None:
        """Raises what is of the database's own state, which is tried again."""
        if not faults.is_of_the_data(error):
            raise error
        faults.say(f"{what}-not-settled", error, service=service, **where)
        self._metrics.not_settled.labels(what).inc()

    async def _write(self, part: Slice, failed: Failed | None = None) -> bool:
        """One transaction. False: some of it was settled, or came, meanwhile, so nothing was done. `failed`: is told
        which service failed, and the others go on."""
        async for attempt in retrying():
            with attempt, suppress(backlog.Overtaken):
                async with self._database.write() as connection:
                    await one_at_a_time(connection)
                    began_s = time.monotonic()
                    await backlog.take(connection, part)
                    touched = await settle_marks(connection, part.happened)
                    changed: set[Member] = {(each.domain, each.subject) for each in touched}
                    denied = await settle_denials(connection, part.happened)  # gates hear nothing of these
                    await settle_tap_counts(connection, part)
                    due = await _settling(connection, [*touched, *denied])
                    changed |= await self._settle_in_services(connection, due, failed)
                    newer = await new_versions(connection, changed, self._now_ms())
                    told = await self._telling.tell(connection, newer)
                self._telling.are_told(told)
                took_s = time.monotonic() - began_s
                if part.happened:
                    self._most = max(FEWEST, min(SLICE, 2 * self._most, int(self._most * HELD_S / took_s)))
                return True
        return False

    async def _settle_in_services(
        self, connection: AsyncConnection, touched: Sequence[Touched], failed: Failed | None
    ) -> set[Member]:
        now_ms = self._now_ms()
        if failed is not None:
            return await settle_each(connection, touched, now_ms, failed)
        changed = await settle_services(connection, touched)
        return changed | await renew_promises(connection, touched, now_ms)

    # --- for the first time ---------------------------------------------------------------------------------

    async def _begin(self) -> bool:
        """Of a domain all of whose events are settled for the first time, settle the next members in every service;
        after the last its devices are told. False where no domain is left. Taken up again from the start by whoever
        starts later."""
        query = select(domains.c.id).outerjoin(states, states.c.domain == domains.c.id)
        query = query.where(states.c.domain.is_(None) | (states.c.stage != TOLD)).order_by(domains.c.id).limit(1)
        async with self._database.read() as connection:
            domain = (await connection.execute(query)).scalar()
        if domain is None:
            return False
        async with self._database.write() as connection:
            await one_at_a_time(connection)
            if domain not in self._begun:
                await raise_version(connection, domain, self._now_ms())
                await _set_stage(connection, domain, SETTLING)
            found = await members_after(connection, domain, self._begun.get(domain), MEMBERS)
            if not found:
                await _set_stage(connection, domain, TOLD)
                await note(connection, [state_topic(domain)])
        await self._settle_members([Touched(domain, subject, 0) for subject in found])
        self._begun[domain] = found[-1] if found else None
        if not found:
            del self._begun[domain]
        return True

    async def _settle_members(self, touched: Sequence[Touched], failed: Failed | None = None) -> None:
        """Together; where that fails, each alone: one for whom a service fails keeps no other waiting."""
        try:
            async with self._database.write() as connection:
                await one_at_a_time(connection)
                changed = await self._settle_in_services(connection, touched, failed)
                await new_versions(connection, changed, self._now_ms())
        except Exception as error:
            if failed is not None or not faults.is_of_the_data(error):
                raise
            for each in touched:
                await self._settle_members([each], partial(self._say, "member", domain=each.domain))


async def _set_stage(connection: AsyncConnection, domain: str, stage: str) -> None:
    await connection.execute(update(states).where(states.c.domain == domain).values(stage=stage))


async def _settling(connection: AsyncConnection, touched: Sequence[Touched]) -> list[Touched]:
    """Without those of domains whose members are settled once their marks are all here."""
    of = {each.domain for each in touched}
    query = select(states.c.domain).where(states.c.domain.in_(of), states.c.stage != FILLING)
    found = set((await connection.execute(query)).scalars()) if of else set()
    return [each for each in touched if each.domain in found]
