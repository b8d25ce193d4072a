"""What devices said of themselves, in their newest poll and of their health, written down together so that a thousand
cost one commit.
"""

import asyncio
from typing import Any

from sqlalchemy import bindparam, update

from central.store import faults
from central.store.database import Database
from central.store.schema import devices
from protocol.messages import Health, Poll, encode

WRITE_EVERY_S = 1.0
"""What a crash may lose: a second's worth of when a device was last seen."""


_UPDATE = (
    update(devices)
    .where(devices.c.id == bindparam("of_device"))
    .values(seen_ms=bindparam("at_ms"), report=bindparam("body"), skew_ms=bindparam("skew"))
)
_HEALTH = (
    update(devices)
    .where(devices.c.id == bindparam("of_device"))
    .values(health_ms=bindparam("at_ms"), health=bindparam("body"))
)


class Reports:
    """The newest one of each device, until it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._healths: dict[str, dict[str, Any]] = {}

    def note(self, poll: Poll, now_ms: int) -> None:
        """A device was heard of. What its clock says is held against ours at this moment."""
        skew_ms = poll.at_ms - now_ms if poll.at_ms else None  # a device that is only joining tells no time
        row = {"of_device": poll.device, "at_ms": now_ms, "body": encode(poll), "skew": skew_ms}
        self._unwritten[poll.device] = row

    def note_health(self, health: Health, now_ms: int) -> None:
        """A device told how it is."""
        self._healths[health.device] = {"of_device": health.device, "at_ms": now_ms, "body": encode(health)}

    async def run(self) -> None:
        """Until cancelled: write what came in."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                await self.write()
            except Exception as error:  # the next ones are newer anyhow
                faults.say("reports-not-written", error)

    async def write(self) -> None:
        """All that is not written yet, in one transaction, in one order so that processes do not wait in a ring."""
        polls, self._unwritten = self._unwritten, {}
        healths, self._healths = self._healths, {}
        if not (polls or healths):
            return
        async with self._database.write() as connection:
            for statement, taken in ((_UPDATE, polls), (_HEALTH, healths)):
                if taken:
                    await connection.execute(statement, [taken[device] for device in sorted(taken)])
