"""A page that stays open: its block `live` is rendered again here, and sent when it is another."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from central.console.guard import harden

BEAT_S = 15.0
"""A comment at least so often, so that proxies keep the line and a browser that went away is noticed."""
WHOLE_S = 3_600.0
"""Then the browser asks again: nobody's line stays for ever."""

Draw = Callable[[], Awaitable[str | None]]
"""The block as it is now; None: whoever looks has nothing to look at any more."""


async def send(request: web.Request, draw: Draw, every_s: float, closing: Callable[[], bool]) -> web.StreamResponse:
    """Server-sent events: the first at once, then one for every change. The data is the block's HTML as a JSON text."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    harden(request, response)
    await response.prepare(request)
    last, spoke_s, until_s = b"", time.monotonic(), time.monotonic() + WHOLE_S
    while time.monotonic() < until_s and not closing():
        block = await draw()
        if block is None:
            await response.write(b"event: over\ndata: \n\n")
            break
        digest = hashlib.sha256(block.encode()).digest()
        try:
            if digest != last:
                await response.write(b"data: " + msgspec.json.encode(block) + b"\n\n")
                last, spoke_s = digest, time.monotonic()
            elif time.monotonic() - spoke_s > BEAT_S:
                await response.write(b":\n\n")
                spoke_s = time.monotonic()
        except ConnectionResetError:
            break
        await asyncio.sleep(every_s)
    return response
