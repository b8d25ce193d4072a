"""The upload loop: batches out, receipts in. Apart from the download loop, so that neither delays the other."""

import asyncio
import os
from collections.abc import Callable

import structlog
import tenacity

from edge_agent import outbox
from edge_agent.database import JournalUnwritable
from edge_agent.moments import Moments
from edge_agent.outbox import Run
from edge_agent.store import Store
from edge_agent.sync import Opened, open_one
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Keyring, Signer
from protocol.errors import Failure, Refused
from protocol.messages import MAX_BATCH_EVENTS, Holdings, Inventory, Receipt, Resume, Revoked, Upload, encode

log = structlog.get_logger(__name__)

TOO_LARGE = 413


class Delivery:
    """`run` delivers for ever; `step` is one batch and its answer."""

    def __init__(
        self, store: Store, device: str, signer: Signer, uplink: Uplink, moments: Moments, ring: Callable[[], Keyring]
    ) -> None:
        self.store, self.device, self.signer = store, device, signer
        self.uplink, self.moments, self.ring = uplink, moments, ring
        self.most = MAX_BATCH_EVENTS
        self.wake = asyncio.Event()
        self.revoked = asyncio.Event()
        self.forked = asyncio.Event()
        self.reachable: bool | None = None
        self.refused: str = ""

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled or revoked. Failures are waited out with jitter, never given up."""
        retrying = tenacity.AsyncRetrying(
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=longest_wait_s),
            retry=tenacity.retry_if_exception_type((NetworkFailure, Refused, JournalUnwritable)),
            before_sleep=self._say,
        )
        while not self.revoked.is_set():
            self.wake.clear()
            if not await retrying(self.step):
                await self.wake.wait()

    async def step(self) -> bool:
        """Deliver the oldest run. False when nothing waits. Raises NetworkFailure, Refused."""
        run = await asyncio.to_thread(outbox.next_run, self.store, self.most)
        if run is None:
            return False
        envelope = self.signer.seal(run.batch(self.device))
        try:
            answer = await self.uplink.send("/v1/batches", encode(Upload(envelope, tuple(run.personals))))
        except NetworkFailure as failure:
            if failure.status == TOO_LARGE and len(run.publics) > 1:
                self.most = max(1, len(run.publics) // 2)
                return True
            raise
        self.reachable = True
        await self._settle(run, [open_one(envelope, self.ring()) for envelope in answer])
        return True

    async def _settle(self, run: Run, answer: list[Opened]) -> None:
        if len(answer) != 1:
            raise Refused(Failure.MALFORMED, f"{len(answer)} messages answer a batch")
        message, envelope, _ = answer[0]
        self.refused = ""
        if isinstance(message, Receipt):
            if message.epoch != run.epoch:
                raise Refused(Failure.OTHER_EPOCH, "the receipt is for another epoch than the batch")
            now_ms = self.moments.now().wall_ms
            await asyncio.to_thread(outbox.accept_receipt, self.store, self.device, message, envelope, now_ms)
            self.most = min(MAX_BATCH_EVENTS, self.most * 2)
            if message.fork:
                self.forked.set()
        elif isinstance(message, Resume):
            log.warning("resume", epoch=message.epoch.hex(), next=message.next)
            await asyncio.to_thread(outbox.accept_resume, self.store, self.device, message)
        elif isinstance(message, Revoked) and message.device == self.device:
            self.revoked.set()
        else:
            raise Refused(Failure.WRONG_TYPE, f"{type(message).__name__} answers a batch")

    async def reconcile(self) -> None:
        """Central was restored: ask what it holds and go back to there (SPEC §7.5)."""
        epochs = await asyncio.to_thread(outbox.inventory, self.store)
        request = Inventory(self.device, epochs, os.urandom(16))
        answer = await self.uplink.send("/v1/holdings", self.signer.seal(request))
        holdings = [opened.message for opened in (open_one(envelope, self.ring()) for envelope in answer)]
        if len(holdings) != 1 or not isinstance(holdings[0], Holdings) or holdings[0].nonce != request.nonce:
            raise Refused(Failure.WRONG_TYPE, "this does not answer the inventory")
        back = await asyncio.to_thread(outbox.accept_holdings, self.store, self.device, holdings[0])
        log.warning("central-restored", generation=holdings[0].generation, epochs_sent_again=back)
        self.wake.set()

    def _say(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.reachable = False if isinstance(error, NetworkFailure) else self.reachable
        self.refused = str(error)
        log.warning("delivery-failed", attempt=state.attempt_number, error=str(error))
