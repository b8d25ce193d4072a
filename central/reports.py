"""What devices said of themselves in their newest poll, written down together so that a thousand cost one commit."""

import asyncio
from typing import Any

import structlog
from sqlalchemy import bindparam, update

from central.store.database import Database
from central.store.schema import devices
from protocol.messages import Poll, encode

WRITE_EVERY_S = 1.0
"""What a crash may lose: a second's worth of when a device was last seen."""

log = structlog.get_logger()

_UPDATE = (
    update(devices)
    .where(devices.c.id == bindparam("of_device"))
    .values(seen_ms=bindparam("at_ms"), report=bindparam("body"))
)


class Reports:
    """The newest one of each device, until it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: dict[str, dict[str, Any]] = {}

    def note(self, poll: Poll, now_ms: int) -> None:
        """A device was heard of."""
        self._unwritten[poll.device] = {"of_device": poll.device, "at_ms": now_ms, "body": encode(poll)}

    async def run(self) -> None:
        """Until cancelled: write what came in."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                await self.write()
            except Exception:  # the next ones are newer anyhow
                log.exception("reports-not-written")

    async def write(self) -> None:
        """All that is not written yet, in one transaction, in one order so that processes do not wait in a ring."""
        taken, self._unwritten = self._unwritten, {}
        if taken:
            async with self._database.write() as connection:
                await connection.execute(_UPDATE, [taken[device] for device in sorted(taken)])
