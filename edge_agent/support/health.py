"""Tells central how this device is: when it starts, when something of it changes, and every quarter of an hour.

Nothing is written down for it, and nothing waits for it: what could not be sent is told by the next look.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from edge_agent import __version__
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Signer
from protocol.errors import Refused
from protocol.fleet import ReaderHealth
from protocol.messages import Clock, Health

log = structlog.get_logger(__name__)

LOOK_S = 30.0
EVERY_S = 900.0
MOST_READERS = 64
DISK_SHARE, MEMORY_SHARE = 20, 5
"""A change of one part in so many is worth telling."""


class Room(NamedTuple):
    """Bytes; 0 = not known."""

    free: int = 0
    whole: int = 0

    def differs(self, other: "Room", share: int) -> bool:
        """By more than one part in `share` of the whole."""
        return self.whole != other.whole or abs(self.free - other.free) * share > self.whole


def disk_room(path: Path) -> Room:
    """Of the file system that a path is on, for who is not root."""
    try:
        found = os.statvfs(path)
    except OSError:
        return Room()
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def memory_room(path: Path = Path("/proc/meminfo")) -> Room:
    """What programs can still have, and what the machine has."""
    try:
        lines = (line.partition(":") for line in path.read_text().splitlines())
        found = {name: int(rest.split()[0]) * 1_024 for name, _, rest in lines if rest.split()}
        return Room(found["MemAvailable"], found["MemTotal"])
    except (OSError, KeyError, ValueError):
        return Room()


class Looked(NamedTuple):
    """How the device is, at one look."""

    disk: Room
    memory: Room
    clock: Clock
    readers: tuple[ReaderHealth, ...]
    machine_s: int
    at_ms: int

    def is_news(self, told: "Looked") -> bool:
        """Whether it is worth telling after what was told last."""
        if (self.clock, self.readers) != (told.clock, told.readers):
            return True
        return self.disk.differs(told.disk, DISK_SHARE) or self.memory.differs(told.memory, MEMORY_SHARE)


def readers_of(rows: list[dict[str, Any]]) -> tuple[ReaderHealth, ...]:
    """Rows of `ReaderSide.status`."""
    return tuple(
        ReaderHealth(
            name=row["name"][:64] or "?",
            kind=row["kind"],
            state=row["state"],
            model=(row["hardware"] or "")[:500],
            profile=(row["profile"] or "")[:500],
            firmware=(row["firmware"] or "")[:500],
        )
        for row in rows[:MOST_READERS]
    )


class HealthReports:
    """`look` runs in a worker thread. `may_send`: central has answered, and knows this device as confirmed."""

    def __init__(
        self, device: str, signer: Signer, uplink: Uplink, look: Callable[[], Looked], may_send: Callable[[], bool]
    ) -> None:
        self._device, self._signer, self._uplink = device, signer, uplink
        self._look, self._may_send = look, may_send
        self._started_s = time.monotonic()
        self._told: Looked | None = None
        self._due_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._may_send():
                await self.step()
            await asyncio.sleep(LOOK_S if self._told is not None else 1.0)

    async def step(self) -> bool:
        """One look; whether it was told. A central that does not take it is not asked again before it is due."""
        found = await asyncio.to_thread(self._look)
        now_s = time.monotonic()
        is_news = self._told is None or found.is_news(self._told)
        if now_s < self._due_s and not is_news:
            return False
        try:
            await self._uplink.send("/v1/health", self._signer.seal(self._message(found, now_s)))
        except (NetworkFailure, Refused) as failure:
            log.debug("health-not-told", error=str(failure))
            if getattr(failure, "status", 0) != 404:
                return False
        self._told = found
        self._due_s = now_s + EVERY_S
        return True

    def _message(self, found: Looked, now_s: float) -> Health:
        return Health(
            device=self._device,
            at_ms=found.at_ms,
            version=__version__,
            clock=found.clock,
            machine_s=found.machine_s,
            agent_s=int(now_s - self._started_s),
            disk_free_bytes=found.disk.free,
            disk_bytes=found.disk.whole,
            memory_free_bytes=found.memory.free,
            memory_bytes=found.memory.whole,
            readers=found.readers,
            certificate_until_ms=self._uplink.certificate_until_ms,
        )
