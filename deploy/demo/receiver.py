"""A system of somebody else's that is called by webhook: it takes what is signed for it, after the Standard Webhooks
specification, and nothing else. All that a receiver has to do stands in `_is_signed`.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TOLERANCE_S = 300
"""An older signature is somebody's who recorded one."""


class Receiver:
    """`events`: CloudEvents whose signature held, by id, in their order. `refused`: how many others came."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        """As it was printed once: `whsec_…`. Until it is known nothing is taken, and comes again later."""
        self.events: dict[str, dict[str, Any]] = {}
        self.refused = 0

    async def take(self, request: web.Request) -> web.Response:
        """204, or 503 before the secret is known, or 401."""
        body = await request.read()
        if not self.secret:
            return web.Response(status=503)
        if not self._is_signed(request.headers, body):
            self.refused += 1
            return web.Response(status=401)
        event = json.loads(body)
        self.events.setdefault(event["id"], event)  # at least once: what is known is dropped
        return web.Response(status=204)

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        delivery, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not at.isdigit() or abs(time.time() - int(at)) > TOLERANCE_S:
            return False
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = hmac.digest(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256)
        wanted = "v1," + base64.b64encode(digest).decode()
        given = headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(wanted.encode(), each.encode()) for each in given)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """It listens on loopback while the block runs."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/events", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    try:
        yield receiver
    finally:
        await runner.cleanup()
