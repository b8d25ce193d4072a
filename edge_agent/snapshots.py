"""Fetches whole lists, beside the download loop: a long download delays neither a policy nor a revocation."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import structlog

from edge_agent.moments import Moments
from edge_agent.patience import waiting_out
from edge_agent.published.list_uptake import NothingNewer
from edge_agent.published.list_writer import SnapshotWriter
from edge_agent.published.lists import ListDamaged
from edge_agent.published.uptake import Uptake
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Signer, digest
from protocol.errors import Failure, Refused
from protocol.messages import Fetch

log = structlog.get_logger(__name__)

MAX_BREAKS = 5
"""Of one snapshot's download, before it is begun anew."""


class Snapshots:
    """`run` waits until it is asked, for ever; `step` is one snapshot."""

    def __init__(self, uptake: Uptake, signer: Signer, uplink: Uplink, moments: Moments) -> None:
        self.uptake, self.signer, self.uplink, self.moments = uptake, signer, uplink, moments
        self.on_applied: Callable[[], None] = lambda: None
        self._due = asyncio.Event()
        self._writer: SnapshotWriter | None = None

    @property
    def is_busy(self) -> bool:
        """One was asked for and has not arrived."""
        return self._due.is_set()

    def ask(self) -> None:
        """The list cannot be brought up to date by deltas."""
        self._due.set()

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled. Failures are waited out with jitter, never given up."""
        retrying = waiting_out(longest_wait_s, _say, ListDamaged)
        while True:
            await self._due.wait()
            await retrying(self.step)
            self._due.clear()
            self.on_applied()

    async def step(self) -> None:
        """Fetch one, unless a delta was quicker. Raises NetworkFailure, Refused, ListDamaged, JournalUnwritable."""
        if not self.uptake.wants_snapshot:
            return
        try:
            writer = await self._download()
            await asyncio.to_thread(self.uptake.finish_snapshot, writer)
            log.info("snapshot-applied", version=writer.head.version, rows=writer.head.count)
        except Exception as error:  # a download that is cancelled leaves its file to the next start
            if self._writer is not None:
                await asyncio.to_thread(self._writer.abandon)
            if isinstance(error, Refused | ListDamaged) and not isinstance(error, NothingNewer):
                await asyncio.to_thread(self.uptake.snapshot_refused, error)
            raise
        finally:
            self._writer = None

    async def _download(self) -> SnapshotWriter:
        """Goes on from the last good chunk after a break; what is not as it was signed ends it."""
        for attempt in range(MAX_BREAKS):
            try:
                async with contextlib.aclosing(self._frames()) as frames:
                    return await self._fill(frames)
            except NetworkFailure as failure:
                if self._writer is None or attempt == MAX_BREAKS - 1:
                    raise
                log.warning("snapshot-broke-off", chunk=self._writer.next_chunk, error=str(failure))
        raise AssertionError("unreachable")

    def _frames(self) -> AsyncGenerator[bytes]:
        """Without one begun, any that is no step back will do."""
        writer = self._writer
        version, first = (writer.head.version, writer.next_chunk) if writer else (self.uptake.list_floor, 0)
        request = Fetch(self.uptake.identity.device, os.urandom(16), self.moments.now().wall_ms, version, first)
        return self.uplink.snapshot(self.signer.seal(request))

    async def _fill(self, frames: AsyncIterator[bytes]) -> SnapshotWriter:
        head = await anext(frames, b"")
        if not head:
            raise NetworkFailure("the snapshot broke off before it began")
        if self._writer is None:
            self._writer = await asyncio.to_thread(self.uptake.begin_snapshot, head)
        writer = self._writer
        if digest(head) != writer.head_digest:
            raise Refused(Failure.WRONG_DIGEST, "another snapshot was served than the one begun")
        async for chunk in frames:
            if writer.next_chunk >= len(writer.head.chunks):
                raise Refused(Failure.WRONG_COUNT, f"snapshot {writer.head.version} has more chunks than its head says")
            if digest(chunk) != writer.head.chunks[writer.next_chunk]:
                raise Refused(Failure.WRONG_DIGEST, f"snapshot {writer.head.version}, chunk {writer.next_chunk}")
            await asyncio.to_thread(writer.add, chunk)
        if writer.next_chunk < len(writer.head.chunks):
            raise NetworkFailure("the snapshot broke off")
        return writer


def _say(attempt: int, error: BaseException | None) -> None:
    log.warning("snapshot-failed", attempt=attempt, error=str(error))
