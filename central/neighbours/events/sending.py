"""Send what is next of a device, one event after the other, and dead letters once more; no transaction is open."""

import time
from collections.abc import Callable, Sequence

from central.neighbours.events.cloud_events import Outgoing
from central.neighbours.events.letters import Name
from central.neighbours.events.outgoing import Batch
from central.neighbours.events.posting import Poster, Sent
from central.neighbours.events.signing import headers
from central.neighbours.events.store import Way
from central.neighbours.events.verdicts import LaneDone

ROUND_S = 5.0
"""After so long a round begins nothing new: what it did is noted."""


class Sending:
    """One round to one receiver."""

    def __init__(self, way: Way, poster: Poster, now_ms: Callable[[], int]) -> None:
        self._way, self._poster, self._now_ms = way, poster, now_ms
        self._end_s = time.monotonic() + ROUND_S

    async def post(self, event: Outgoing) -> Sent:
        """One event, signed at this moment."""
        told = headers(event.delivery, self._now_ms() // 1_000, event.body, self._way.secrets)
        return await self._poster.post(self._way.url, told, event.body)

    async def lane(self, batch: Batch) -> LaneDone:
        """What was not taken holds up what came after it at the same gate."""
        through, taken = batch.lane.after, 0
        for event in batch.events:
            if taken and time.monotonic() > self._end_s:
                return LaneDone(batch.lane, through, taken)
            sent = await self.post(event)
            if not sent.is_taken:
                return LaneDone(batch.lane, through, taken, event, sent)
            through, taken = event.sequence, taken + 1
        return LaneDone(batch.lane, batch.reach, taken)

    async def once_more(
        self, wanted: Sequence[Name], again: Sequence[Outgoing]
    ) -> tuple[list[Name], list[tuple[Name, str]]]:
        """Dead letters that a person wants sent: those that are done with, and those that were refused again."""
        gone = [name for name in wanted if name not in {event.name for event in again}]
        refused: list[tuple[Name, str]] = []
        end_s = time.monotonic() + ROUND_S
        for event in again:
            if time.monotonic() > end_s:
                break
            sent = await self.post(event)
            if sent.is_taken:
                gone.append(event.name)
            else:
                refused.append((event.name, sent.problem))
        return gone, refused
