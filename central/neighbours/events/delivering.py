"""A task of the server: tell every subscription what comes next, in rounds. Custody never waits for it.

A round takes the subscription, reads what is next of a few devices, sends it with no transaction open, and notes how
far it came. A process that dies in between has another one send the same again: receivers drop what they know by its
id. On PostgreSQL several processes run this; a subscription is one's at a time.
"""

import asyncio
import math
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from central.config import Config
from central.custody import retrying
from central.keys import Keys
from central.neighbours.events import feeding, letters, store
from central.neighbours.events.cloud_events import Outgoing
from central.neighbours.events.following import Lane, Looked, begin, look, mark, places_of
from central.neighbours.events.letters import Name
from central.neighbours.events.outgoing import Batch, read_lane, read_names
from central.neighbours.events.posting import Poster
from central.neighbours.events.sending import Sending
from central.neighbours.events.store import DEAD, Subscription
from central.neighbours.events.targets import networks_of
from central.neighbours.events.verdicts import Verdict, judge
from central.store.database import Database
from protocol.errors import Refused

LANES = 8
"""Requests on their way to one receiver at once."""
AT_ONCE, FED_AT_ONCE = 50, 1_000
"""Events of one device in a round: sent, or numbered for a feed."""
SUBSCRIPTIONS, CONNECTIONS = 64, 2
"""At work at once, and how many of those with the database."""
LOOK_EVERY_S, RETRY_S = 1.0, 5.0
FLOOR_EVERY_MS = 600_000
WALK_EVERY_S, WALK_BACK_MS = 3_600.0, 86_400_000
"""Now and then all of the last day is looked at again: a transaction may have become visible very late."""

log = structlog.get_logger()


class Delivering:
    """What one process does for subscriptions. It has two connections to the database at most: uploads need theirs."""

    def __init__(self, config: Config, database: Database, keys: Keys, now_ms: Callable[[], int]) -> None:
        self._database, self._keys, self._now_ms = database, keys, now_ms
        self._allowed = networks_of(config.events.networks)
        self._name = secrets.token_bytes(16)
        self._turn = asyncio.Semaphore(CONNECTIONS)
        self._walked_s: dict[str, float] = {}
        self._floors: dict[str, tuple[Subscription, int]] = {}
        """What is known here beyond the floor of the row, as long as that row's is the same."""

    async def run(self) -> None:
        """Until cancelled. Each that is due has a task of its own, so one that hangs holds up no other."""
        at_work: dict[str, asyncio.Task[None]] = {}
        async with Poster(self._allowed) as poster:
            try:
                while True:
                    for id_ in await self._due():
                        if id_ not in at_work and len(at_work) < SUBSCRIPTIONS:
                            at_work[id_] = asyncio.create_task(self._work(id_, poster))
                            at_work[id_].add_done_callback(lambda _, id_=id_: at_work.pop(id_))  # type: ignore[misc]
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                for task in at_work.values():
                    task.cancel()
                await asyncio.gather(*at_work.values(), return_exceptions=True)

    async def step(self, poster: Poster) -> bool:
        """One round for everyone that is due. False where there was nothing to tell."""
        due = await self._due()
        return any(await asyncio.gather(*(self.one(id_, poster) for id_ in due)))

    async def _due(self) -> list[str]:
        try:
            async with self._read() as connection:
                return [of.id for of in await store.due(connection, self._now_ms())]
        except Exception as error:
            _say(error)
            return []

    async def _work(self, id_: str, poster: Poster) -> None:
        """Until it is level. Errors are logged, and after a pause somebody tries again."""
        try:
            while await self.one(id_, poster):
                pass
        except Exception as error:
            _say(error)
            await asyncio.sleep(RETRY_S)

    async def one(self, id_: str, poster: Poster) -> bool:
        """One round for one of them, if it is due."""
        async with self._read() as connection:
            of = await store.read_one(connection, id_)
        now_ms = self._now_ms()
        if of is None or of.state != store.ACTIVE or max(of.row.next_ms, of.row.taken_until_ms) > now_ms:
            return False
        try:
            return await self._round(self._known(of), poster)
        except Refused as refused:  # what is sealed was altered, or is under keys that are not here
            problem = {"problem": refused.detail[:300], "problem_ms": self._now_ms()}
            async with self._write() as connection:
                await store.change(connection, of.id, state=DEAD, why=refused.detail[:300], taken_until_ms=0, **problem)
            return False

    async def _round(self, of: Subscription, poster: Poster) -> bool:
        looked, wanted = await self._look(of)
        if not looked.lanes and not wanted:
            await self._raise_floor(of, looked)
            return False
        async with self._write() as connection:
            taken = await store.take(connection, of.id, self._name, self._now_ms())
            if taken is None:
                return False
            taken = self._known(taken)
            now = await look(connection, taken, self._now_ms(), self._back_ms(of.id))
            await store.raise_floor(connection, taken, now.floor_ms)
            lanes = await begin(connection, taken, _some(now.lanes))
        async with self._read() as connection:
            places = await places_of(connection, taken)
            most = FED_AT_ONCE if of.is_pulled else AT_ONCE
            batches = [await read_lane(connection, self._keys, taken, lane, places, most) for lane in lanes]
            again = await read_names(connection, self._keys, taken, wanted, places)
        if taken.is_pulled:
            await self._feed(taken, batches, again)
        else:
            await self._send(taken, batches, wanted, again, poster)
        return True

    async def _look(self, of: Subscription) -> tuple[Looked, list[Name]]:
        back_ms = self._back_ms(of.id)
        async with self._read() as connection:
            looked = await look(connection, of, self._now_ms(), back_ms)
            wanted = await letters.wanted(connection, of.id)
        if back_ms and not looked.passed_over:
            self._walked_s[of.id] = time.monotonic()
        return looked, wanted

    def _back_ms(self, id_: str) -> int:
        return WALK_BACK_MS if time.monotonic() - self._walked_s.get(id_, -math.inf) > WALK_EVERY_S else 0

    async def _raise_floor(self, of: Subscription, looked: Looked) -> None:
        """Nothing is behind, as far as was looked. Idle, a subscription writes once in ten minutes."""
        self._floors[of.id] = of, looked.floor_ms
        if looked.floor_ms - of.row.floor_ms > FLOOR_EVERY_MS:
            async with self._write() as connection:
                await store.raise_floor(connection, of, looked.floor_ms)
                await feeding.forget(connection, of.id, self._now_ms())

    def _known(self, of: Subscription) -> Subscription:
        """With the floor that was seen here last: a replay lowers the row's, and then that one holds."""
        at, floor_ms = self._floors.get(of.id, (of, 0))
        is_same = (at.row.floor_ms, at.row.from_ms) == (of.row.floor_ms, of.row.from_ms)
        return of._replace(floor_ms=max(of.floor_ms, floor_ms)) if is_same else of

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn, self._database.read() as connection:
            yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn, self._database.write() as connection:
            yield connection

    # --- feeds ------------------------------------------------------------------------------------------------

    async def _feed(self, of: Subscription, batches: list[Batch], again: list[Outgoing]) -> None:
        names = [event.name for batch in batches for event in batch.events] + [event.name for event in again]
        async for attempt in retrying():
            with attempt:
                await self._fed(of, batches, again, names)

    async def _fed(self, of: Subscription, batches: list[Batch], again: list[Outgoing], names: list[Name]) -> None:
        async with self._write() as connection:
            if not await store.is_held(connection, of.id, self._name):
                return
            now_ms = self._now_ms()
            await feeding.feed(connection, of.id, of.told, names, now_ms)
            await feeding.forget(connection, of.id, now_ms)
            for batch in batches:
                await mark(connection, of, batch.lane, batch.reach)
            await letters.are_taken(connection, of.id, [event.name for event in again])
            told = {"told": of.told + len(names), "taken_ms": now_ms if names else of.taken_ms}
            await store.give_back(connection, of.id, self._name, **told)

    # --- webhooks ---------------------------------------------------------------------------------------------

    async def _send(
        self, of: Subscription, batches: list[Batch], wanted: list[Name], again: list[Outgoing], poster: Poster
    ) -> None:
        sending = Sending(store.way_of(self._keys, of.row, self._now_ms()), poster, self._now_ms)
        done = await asyncio.gather(*map(sending.lane, batches))
        verdict = judge(of, done, self._now_ms(), random.random())  # noqa: S311 - so that many do not come at once
        gone, refused = await sending.once_more(wanted, again) if _is_open(verdict) else ([], [])
        async for attempt in retrying():
            with attempt:
                await self._sent(of, verdict, gone, refused)
        if verdict.values.get("problem_ms") and of.tries == 0:
            log.warning("subscription-not-told", subscription=of.id, why=verdict.values["problem"])

    async def _sent(
        self, of: Subscription, verdict: Verdict, gone: list[Name], refused: list[tuple[Name, str]]
    ) -> None:
        async with self._write() as connection:
            if not await store.is_held(connection, of.id, self._name):
                return
            await self._note(connection, of, verdict)
            await letters.are_taken(connection, of.id, gone)
            for name, why in refused:
                await letters.is_refused(connection, of.id, name, why)
            await store.give_back(connection, of.id, self._name, **verdict.values)

    async def _note(self, connection: Any, of: Subscription, verdict: Verdict) -> None:
        for place in verdict.places:
            await mark(connection, of, place.lane, place.through, **place.values)
            if place.letter is not None:
                why = verdict.values["problem"]
                await letters.put(connection, of.id, place.letter, place.lane.tries + 1, why, self._now_ms())


def _say(error: Exception) -> None:
    """Without what a database's error quotes."""
    log.error("not-delivered", error=type(error).__name__, exc_info=None if hasattr(error, "params") else error)


def _some(lanes: list[Lane]) -> list[Lane]:
    """As many as are sent at once, by chance: no device that has much to tell keeps others waiting for long."""
    notices = [lane for lane in lanes if lane.is_notices]
    others = [lane for lane in lanes if not lane.is_notices]
    return notices + random.sample(others, min(len(others), LANES - len(notices)))


def _is_open(verdict: Verdict) -> bool:
    """The receiver takes something, as far as is known."""
    return "state" not in verdict.values and not verdict.values.get("next_ms")
