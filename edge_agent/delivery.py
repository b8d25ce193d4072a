"""The upload loop: batches out, receipts in. Apart from the download loop, so that neither delays the other."""

import asyncio
import os
import time
from collections.abc import Callable

import structlog

from edge_agent.gate import Gate
from edge_agent.journal import outbox
from edge_agent.journal.outbox import Run
from edge_agent.patience import waiting_out
from edge_agent.sync import Opened, open_one
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Keyring, Signer
from protocol.errors import Failure, Refused
from protocol.messages import MAX_BATCH_EVENTS, Holdings, Inventory, Receipt, Resume, Revoked, Upload, encode

log = structlog.get_logger(__name__)

TOO_LARGE = 413


class Delivery:
    """`run` delivers for ever; `step` is one batch and its answer."""

    def __init__(self, gate: Gate, device: str, signer: Signer, uplink: Uplink, ring: Callable[[], Keyring]) -> None:
        self.gate, self.device, self.signer, self.uplink, self.ring = gate, device, signer, uplink, ring
        self.most = MAX_BATCH_EVENTS
        self.wake = asyncio.Event()
        self.revoked = asyncio.Event()
        self._forked: Receipt | None = None
        self.on_reconciled: Callable[[int], None] = lambda generation: None
        self.reachable: bool | None = None
        self.receipted_s: float | None = None
        """`time.monotonic()` of the last receipt that was stored."""
        self._restored = False

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled or revoked. Failures are waited out with jitter, never given up."""
        retrying = waiting_out(longest_wait_s, self._say)
        while not self.revoked.is_set():
            self.wake.clear()
            if not await retrying(self.step):
                await self.wake.wait()

    def restored(self) -> None:
        """Central went back to a backup: before anything else it is asked what it holds (SPEC §7.5)."""
        self._restored = True
        self.wake.set()

    def take_fork(self) -> Receipt | None:
        """Once: central holds other events under the names of ours, so a new epoch has to begin."""
        fork, self._forked = self._forked, None
        return fork

    async def step(self) -> bool:
        """Deliver the oldest run. False when nothing waits. Raises NetworkFailure, Refused, JournalUnwritable."""
        if self._restored:
            await self._reconcile()
        run = await asyncio.to_thread(outbox.next_run, self.gate.store, self.most)
        if run is None:
            return False
        envelope = self.signer.seal(run.batch(self.device))
        try:
            answer = await self.uplink.send("/v1/batches", encode(Upload(envelope, tuple(run.personals))))
        except NetworkFailure as failure:
            if failure.status == TOO_LARGE and len(run.publics) > 1:
                self.most = len(run.publics) // 2
                return True
            raise
        self.reachable = True
        await self._settle(run, [open_one(envelope, self.ring()) for envelope in answer])
        return not self.revoked.is_set()

    async def _settle(self, run: Run, answer: list[Opened]) -> None:
        if len(answer) != 1:
            raise Refused(Failure.MALFORMED, f"{len(answer)} messages answer a batch")
        message, envelope, _ = answer[0]
        if isinstance(message, Receipt):
            if (message.epoch, message.first, message.through) != (run.epoch, run.first, run.last):
                raise Refused(Failure.OTHER_EPOCH, "the receipt is for other events than the batch")
            now_ms = self.gate.now_ms()
            await asyncio.to_thread(outbox.accept_receipt, self.gate.store, self.device, message, envelope, now_ms)
            self.receipted_s = time.monotonic()
            self.most = min(MAX_BATCH_EVENTS, self.most * 2)
            if message.fork and message.epoch == self.gate.store.epoch.epoch:
                self._forked = message
        elif isinstance(message, Resume):
            log.warning("resume", epoch=message.epoch.hex(), next=message.next)
            if not await asyncio.to_thread(outbox.accept_resume, self.gate.store, self.device, message):
                raise Refused(Failure.OTHER_EPOCH, "resuming there would bring nothing that was not sent")
        elif isinstance(message, Revoked) and message.device == self.device:
            self.revoked.set()
        else:
            raise Refused(Failure.WRONG_TYPE, f"{type(message).__name__} answers a batch")

    async def _reconcile(self) -> None:
        epochs = await asyncio.to_thread(outbox.inventory, self.gate.store)
        request = Inventory(self.device, epochs, os.urandom(16))
        answer = await self.uplink.send("/v1/holdings", self.signer.seal(request))
        found = [opened.message for opened in (open_one(envelope, self.ring()) for envelope in answer)]
        if len(found) != 1 or not isinstance(found[0], Holdings) or found[0].nonce != request.nonce:
            raise Refused(Failure.WRONG_TYPE, "this does not answer the inventory")
        back = await asyncio.to_thread(outbox.accept_holdings, self.gate.store, self.device, found[0])
        log.warning("central-restored", generation=found[0].generation, epochs_sent_again=back)
        self._restored = False
        await asyncio.to_thread(self.on_reconciled, found[0].generation)

    def _say(self, attempt: int, error: BaseException | None) -> None:
        self.reachable = False if isinstance(error, NetworkFailure) else self.reachable
        log.warning("delivery-failed", attempt=attempt, error=str(error))
