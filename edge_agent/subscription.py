"""The download loop: holds a poll open at central and hands what comes to the uptake."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import structlog
import tenacity

from edge_agent import __version__, outbox
from edge_agent.database import JournalUnwritable
from edge_agent.list_writer import SnapshotWriter
from edge_agent.moments import Moments
from edge_agent.sync import UNDERSTANDS, Opened, first_of
from edge_agent.uplink import NetworkFailure, Uplink
from edge_agent.uptake import Uptake
from protocol.envelope import Signer, digest
from protocol.errors import Failure, Refused
from protocol.messages import Fetch, Fresh, Manifest, PartName, Pending, Poll, Revoked, Trouble

log = structlog.get_logger(__name__)

MAX_BREAKS = 5
"""Of one snapshot's download, before it is begun anew."""


class Subscription:
    """`run` goes on for ever; `step` is one poll and, where one is due, one snapshot."""

    def __init__(self, uptake: Uptake, signer: Signer, uplink: Uplink, moments: Moments, wait_s: int = 30) -> None:
        self.uptake, self.signer, self.uplink, self.moments = uptake, signer, uplink, moments
        self.wait_s = wait_s
        self.revoked = asyncio.Event()
        self.pending = False
        self.reachable: bool | None = None
        self.on_restored: Callable[[], Awaitable[None]] | None = None

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled or revoked. Failures are waited out with jitter, never given up."""
        retrying = tenacity.AsyncRetrying(
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=longest_wait_s),
            retry=tenacity.retry_if_exception_type((NetworkFailure, Refused, JournalUnwritable)),
            before_sleep=self._say,
        )
        while not self.revoked.is_set():
            await retrying(self.step)

    async def step(self) -> None:
        """Raises NetworkFailure, Refused."""
        if self.uptake.gate.list_damaged.is_set():
            await asyncio.to_thread(self.uptake.drop_damaged_list)
            self.uptake.gate.list_damaged.clear()
        wait_s = 0 if self.uptake.wants_snapshot else self.wait_s
        body = self.signer.seal(await asyncio.to_thread(self._poll, wait_s))
        envelopes = await self.uplink.send("/v1/poll", body, timeout_s=wait_s + 30)
        self.reachable = True
        opened = await asyncio.to_thread(self.uptake.take, envelopes, self.moments.now())
        self.uplink.pin(self.uptake.statement)
        await self._look(opened)
        if self.uptake.wants_snapshot:
            await self._fetch_snapshot()
        if self.uptake.troubles:
            raise Refused(Failure.NOT_SATISFIABLE, next(iter(self.uptake.troubles.values())).why)

    def _poll(self, wait_s: int) -> Poll:
        holding, uptake = self.uptake.gate.holding, self.uptake
        return Poll(
            device=uptake.identity.device,
            nonce=os.urandom(16),
            at_ms=self.moments.now().wall_ms,
            manifest=holding.manifest.number if holding.manifest else 0,
            keys_number=uptake.statement.number if uptake.statement else 0,
            parts=uptake.held_parts(),
            troubles=tuple(uptake.troubles.values()),
            backlog=outbox.backlog(uptake.store),
            wait_s=wait_s,
            version=__version__,
            understands=UNDERSTANDS,
        )

    async def _look(self, opened: list[Opened]) -> None:
        revoked = first_of(opened, Revoked)
        if revoked is not None and revoked.message.device == self.uptake.identity.device:
            self.revoked.set()
            return
        self.pending = first_of(opened, Pending) is not None
        if self.pending:
            await asyncio.sleep(1)
        word = first_of(opened, Manifest) or first_of(opened, Fresh)
        if word is not None and word.message.generation != self.uptake.generation:
            if self.uptake.generation and self.on_restored is not None:
                await self.on_restored()
            await asyncio.to_thread(self.uptake.set_generation, word.message.generation)

    async def _fetch_snapshot(self) -> None:
        """Goes on from the last good chunk after a break; what is not as it was signed ends it."""
        writer: SnapshotWriter | None = None
        try:
            for attempt in range(MAX_BREAKS):
                try:
                    async with contextlib.aclosing(self._frames(writer)) as frames:
                        head = await anext(frames, b"")
                        if writer is None:
                            writer = await asyncio.to_thread(self.uptake.begin_snapshot, head)
                        await _fill(writer, head, frames)
                    break
                except NetworkFailure as failure:
                    if writer is None or attempt == MAX_BREAKS - 1:
                        raise
                    log.warning("snapshot-broke-off", chunk=writer.next_chunk, error=str(failure))
            assert writer is not None
            await asyncio.to_thread(self.uptake.finish_snapshot, writer)
            log.info("snapshot-applied", version=writer.head.version, rows=writer.head.count)
        except BaseException as error:
            if writer is not None:
                await asyncio.to_thread(writer.abandon)
            if isinstance(error, Refused):
                self.uptake.troubles[PartName.ALLOWLIST] = Trouble(PartName.ALLOWLIST, 0, str(error)[:500])
            raise

    def _frames(self, writer: SnapshotWriter | None) -> AsyncGenerator[bytes]:
        version, first = (writer.head.version, writer.next_chunk) if writer else (0, 0)
        request = Fetch(self.uptake.identity.device, os.urandom(16), self.moments.now().wall_ms, version, first)
        return self.uplink.snapshot(self.signer.seal(request))

    def _say(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, NetworkFailure):
            self.reachable = False
        log.warning("poll-failed", attempt=state.attempt_number, error=str(error))


async def _fill(writer: SnapshotWriter, head: bytes, frames: AsyncIterator[bytes]) -> None:
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
