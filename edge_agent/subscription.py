"""The download loop: holds a poll open at central and hands what comes to the uptake."""

import asyncio
import os
import time
from collections.abc import Callable

import structlog

from edge_agent import __version__
from edge_agent.journal import outbox
from edge_agent.moments import Moments
from edge_agent.patience import waiting_out
from edge_agent.published.uptake import Uptake
from edge_agent.snapshots import Snapshots
from edge_agent.sync import UNDERSTANDS, Opened, first_of
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Signer
from protocol.messages import Fresh, Manifest, Pending, Poll, Revoked, Trouble

log = structlog.get_logger(__name__)

PENDING_S = 1.0
LOOK_S = 1.0
"""How often it is asked whether what a held poll says is still so."""
HASTY_S = 0.5
"""An answer within this time ought to bring something new."""
LONGEST_PAUSE_S = 5.0
"""Between polls that central answers at once with nothing that can be taken up. A revocation waits no longer."""


class Subscription:
    """`run` goes on for ever; `step` is one poll."""

    def __init__(
        self,
        uptake: Uptake,
        signer: Signer,
        uplink: Uplink,
        moments: Moments,
        snapshots: Snapshots,
        wait_s: int = 30,
    ) -> None:
        self.uptake, self.signer, self.uplink, self.moments = uptake, signer, uplink, moments
        self.snapshots = snapshots
        snapshots.on_applied = self.hurry
        self.wait_s = wait_s
        self.revoked = asyncio.Event()
        self.pending = False
        self.reachable: bool | None = None
        self.answered_s: float | None = None
        """`time.monotonic()` of the last answer to a poll."""
        self.on_restored: Callable[[], None] = lambda: None
        self._held: asyncio.Task[tuple[bytes, ...]] | None = None
        self._hurried = False
        self._idle_answers = 0

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled or revoked. Failures are waited out with jitter, never given up."""
        retrying = waiting_out(longest_wait_s, self._say)
        while not self.revoked.is_set():
            await retrying(self.step)

    def hurry(self) -> None:
        """What the held poll says is no longer so: ask anew."""
        if self._held is not None:
            self._hurried = True
            self._held.cancel()

    async def step(self) -> None:
        """Raises NetworkFailure, Refused, JournalUnwritable."""
        uptake = self.uptake
        if uptake.gate.list_damaged.is_set():
            await asyncio.to_thread(uptake.drop_damaged_list)
            uptake.gate.list_damaged.clear()
        if uptake.statement is None:  # even that it waits for confirmation is signed
            hello, _ = await self.uplink.hello()
            await asyncio.to_thread(uptake.take, (hello.key_statement,), self.moments.now())
        wait_s = 0 if uptake.wants_snapshot and not self.snapshots.is_busy else self.wait_s
        poll = await asyncio.to_thread(self._poll, wait_s)
        asked_s = time.monotonic()
        envelopes = await self._send(poll)
        if envelopes is None:
            return
        self.reachable, self.answered_s = True, time.monotonic()
        held = (uptake.gate.holding, uptake.states.held)
        opened = await asyncio.to_thread(uptake.take, envelopes, self.moments.now())
        self.uplink.pin(uptake.statement, uptake.gate.signed_time.at_ms)
        await self._look(opened)
        if uptake.wants_snapshot:
            self.snapshots.ask()
        hasty = time.monotonic() - asked_s < min(HASTY_S, wait_s)
        is_idle = uptake.gate.holding is held[0] and uptake.states.held is held[1]
        await self._pace(hasty and is_idle)

    async def _send(self, poll: Poll) -> tuple[bytes, ...] | None:
        """The answer, or None when the question was out of date before it came."""
        body = self.signer.seal(poll)
        held = self._held = asyncio.create_task(self.uplink.send("/v1/poll", body, timeout_s=poll.wait_s + 30))
        try:
            while not held.done():
                await asyncio.wait({held}, timeout=LOOK_S)
                if self._is_out_of_date(poll):
                    self.hurry()
            return await held
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._hurried or (task is not None and task.cancelling()):
                raise
            return None
        finally:
            held.cancel()
            self._held, self._hurried = None, False

    def _is_out_of_date(self, poll: Poll) -> bool:
        """The list was found damaged, or something that was taken up was given up again."""
        if self.uptake.gate.list_damaged.is_set():
            return True
        return (poll.parts, poll.troubles) != (self.uptake.held_parts(), self._troubles())

    def _troubles(self) -> tuple[Trouble, ...]:
        return tuple(self.uptake.troubles.values())[:16]

    def _poll(self, wait_s: int) -> Poll:
        holding, uptake = self.uptake.gate.holding, self.uptake
        return Poll(
            device=uptake.identity.device,
            nonce=os.urandom(16),
            at_ms=self.moments.now().wall_ms,
            manifest=holding.manifest.number if holding.manifest else 0,
            keys_number=uptake.statement.number if uptake.statement else 0,
            parts=uptake.held_parts(),
            troubles=self._troubles(),
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
            await asyncio.sleep(PENDING_S)
        word = first_of(opened, Manifest) or first_of(opened, Fresh)
        if word is not None and word.message.generation != self.uptake.generation:
            self.on_restored()  # the upload loop reconciles, and says when it has; a new device does so once

    async def _pace(self, idle: bool) -> None:
        """A central that answers at once, again and again, with nothing that can be taken up, is not stormed."""
        self._idle_answers = self._idle_answers + 1 if idle else 0
        if self._idle_answers > 1:
            await asyncio.sleep(min(LONGEST_PAUSE_S, 0.1 * 2 ** min(self._idle_answers, 8)))

    def _say(self, attempt: int, error: BaseException | None) -> None:
        if isinstance(error, NetworkFailure):
            self.reachable = False
        log.warning("poll-failed", attempt=attempt, error=str(error))
