"""A system on loopback that is told of things by HTTP, and can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class WebhookSink:
    """`bodies`: what came, in order. `status`: what it answers; `delay_s`: after so long."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Any] = []
        self.deliveries: list[str] = []
        self.paths: list[str] = []
        self.status = 204
        self.delay_s = 0.0

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.bodies.append(await request.json() if request.can_read_body else None)
        self.deliveries.append(request.headers.get("Tapgate-Delivery", ""))
        await asyncio.sleep(self.delay_s)
        headers = {"Location": "/elsewhere"} if 300 <= self.status < 400 else {}
        return web.Response(status=self.status, headers=headers)


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[WebhookSink]:
    """It listens while the block runs."""
    sink = WebhookSink()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", sink.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield sink
    finally:
        await runner.cleanup()
