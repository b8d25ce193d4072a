"""Who waits for news, and how a transaction tells them: within this process, and across processes on PostgreSQL.

A writing transaction notes topics. Once it is durable the waiters of those topics wake: by the database's
own LISTEN/NOTIFY on PostgreSQL, by a call after the commit on SQLite, whose only writer is this process.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "tapgate"
RECONNECT_S = 1.0
PROFILES_TOPIC = "profiles"
"""The published reader profiles are newer."""
CONSENTS_TOPIC = "consents"
"""The notices of consent for screens are newer."""

log = structlog.get_logger()


def domain_topic(domain: str) -> str:
    """Its list, its key or its names are newer."""
    return f"domain:{domain}"


def gate_topic(gate: str) -> str:
    """Its configuration or ages are newer."""
    return f"gate:{gate}"


def policy_topic(policy: str) -> str:
    """It has a newer version."""
    return f"policy:{policy}"


def device_topic(device: str) -> str:
    """It was confirmed or revoked."""
    return f"device:{device}"


def state_topic(domain: str) -> str:
    """What central knows of its members' taps is newer."""
    return f"state:{domain}"


async def note(connection: AsyncConnection, topics: Iterable[str]) -> None:
    """Wake the waiters of these topics when this transaction is durable; nobody when it is rolled back."""
    if connection.dialect.name == "postgresql":
        for topic in topics:
            await connection.execute(text("SELECT pg_notify(:channel, :topic)"), {"channel": CHANNEL, "topic": topic})
    else:
        connection.info.setdefault("topics", set()).update(topics)


class Wakeups:
    """The waiters of this process."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.closing = False

    @contextmanager
    def listen(self, topics: Iterable[str]) -> Iterator[asyncio.Event]:
        """An event that is set from now on when any of the topics is noted. Listen first, look afterwards."""
        bell, topics = asyncio.Event(), tuple(topics)
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(bell)
        if self.closing:
            bell.set()
        try:
            yield bell
        finally:
            for topic in topics:
                bells = self._waiting[topic]
                bells.discard(bell)
                if not bells:
                    del self._waiting[topic]

    def wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for bell in self._waiting.get(topic, ()):
                bell.set()

    def wake_all(self) -> None:
        """After a time in which notes may have been missed."""
        self.wake(list(self._waiting))

    def close(self) -> None:
        """Nobody waits any more: every waiter answers with what there is."""
        self.closing = True
        self.wake_all()

    async def follow(self, url: str) -> None:
        """Until cancelled: pass on what other processes note. `url`: of a PostgreSQL database."""
        while True:
            try:
                await self._follow(url)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("notes-interrupted", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _follow(self, url: str) -> None:
        parsed = make_url(url).set(drivername="postgresql")
        connection = await asyncpg.connect(parsed.render_as_string(hide_password=False))
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(CHANNEL, self._heard)
            self.wake_all()
            await gone.wait()
        finally:
            with suppress(Exception):
                await connection.close(timeout=1)

    def _heard(self, _connection: Any, _pid: int, _channel: str, topic: str) -> None:
        self.wake((topic,))
