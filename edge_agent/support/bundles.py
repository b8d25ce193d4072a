"""Answers an ask for a support bundle: gathers it once, and sends it until central has it or wants it no more."""

import asyncio
from collections.abc import Callable

import structlog

from edge_agent.patience import waiting_out
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Signer, digest
from protocol.fleet import Ask, Bundle, BundleUpload
from protocol.messages import encode

log = structlog.get_logger(__name__)

SEND_S = 120.0
PASSING = frozenset((408, 425, 429))
"""Refusals that say nothing of the bundle."""


class Bundles:
    """One at a time; a newer ask waits for the one before it. `gather` runs in a worker thread."""

    def __init__(
        self, device: str, signer: Signer, uplink: Uplink, gather: Callable[[], bytes], now_ms: Callable[[], int]
    ) -> None:
        self._device, self._signer, self._uplink = device, signer, uplink
        self._gather, self._now_ms = gather, now_ms
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Queue[Ask] = asyncio.Queue()

    def take(self, ask: Ask) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._asked.put_nowait, ask)

    async def run(self, longest_wait_s: float) -> None:
        """Until cancelled."""
        while True:
            ask = await self._asked.get()
            body = await asyncio.to_thread(self._made, ask)
            await waiting_out(longest_wait_s, self._say)(self._send, ask, body)

    def _made(self, ask: Ask) -> bytes:
        """The body of the upload. That it cannot be made is an answer, too."""
        try:
            content, why = self._gather(), ""
        except Exception as error:
            log.error("bundle-not-made", error=type(error).__name__)
            content, why = b"", f"{type(error).__name__}: see the device's own log"
        made = Bundle(self._device, ask.ask, self._now_ms(), len(content), digest(content), why)
        return encode(BundleUpload(self._signer.seal(made), content))

    async def _send(self, ask: Ask, body: bytes) -> None:
        """Raises NetworkFailure, Refused while it is worth trying again."""
        if self._now_ms() >= ask.until_ms:
            log.warning("bundle-too-late", version=ask.version)
            return
        try:
            await self._uplink.send("/v1/bundle", body, timeout_s=SEND_S)
        except NetworkFailure as failure:
            if not 400 <= failure.status < 500 or failure.status in PASSING:
                raise
            log.warning("bundle-refused", status=failure.status)
        else:
            log.info("bundle-sent", version=ask.version)

    def _say(self, attempt: int, error: BaseException | None) -> None:
        log.warning("bundle-not-sent", attempt=attempt, error=str(error))
