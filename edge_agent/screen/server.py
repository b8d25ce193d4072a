"""Serves the kiosk page on loopback: the newest view by server-sent events, and what people press.

Only this machine's own browser is served: the address is loopback, the Host header has to be, and what changes
anything needs a header that another site's page cannot send. A browser that reads slowly, or not at all, gets the
newest view when it does; no tap ever waits for one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta

from edge_agent.screen.screen import Screen

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
PAGE = "edge_agent.screen"
FILES = {
    "/": ("index.html", "text/html"),
    "/screen.css": ("screen.css", "text/css"),
    "/screen.js": ("screen.js", "text/javascript"),
    "/staff.js": ("staff.js", "text/javascript"),
    "/sound.js": ("sound.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OWN = "X-Tapgate-Screen"
"""Sent by our own page. Another origin could send it only after a preflight, which is never granted."""
MAX_BODY_BYTES = 4_096
MAX_WATCHING = 16
BEAT_S = 2.0
"""Between two signs of life; the page says that it lost its gate after three of them."""
WRITE_S = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take back a granted tap."""

    sequence: Annotated[int, Meta(ge=0)]


class Admit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let somebody in by hand."""

    staff: Annotated[str, Meta(min_length=1, max_length=64)]
    pin: Annotated[str, Meta(max_length=32)]
    why: Annotated[str, Meta(min_length=1, max_length=200)]
    sequence: Annotated[int, Meta(ge=-1)] = -1

    def __repr__(self) -> str:  # a PIN never reaches a log
        return f"<Admit by {self.staff}>"


class ScreenServer:
    """One web server on `port` (0 = any; see `port` once it has started)."""

    def __init__(self, screen: Screen, port: int) -> None:
        self.screen, self.port = screen, port
        self._watching = 0
        self._files = {
            path: (resources.files(PAGE).joinpath("page", name).read_bytes(), kind)
            for path, (name, kind) in FILES.items()
        }
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                *(web.get(path, self._file) for path in FILES),
                web.get("/state", self._state),
                web.get("/events", self._events),
                web.get("/staff", self._staff),
                web.post("/undo", self._undo),
                web.post("/admit", self._admit),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=0.5)

    async def start(self) -> None:
        """Raises OSError where the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Ends every connection."""
        self.screen.close()
        await self._runner.cleanup()

    # --- who is served ----------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            return _refused(421, "this page is served to this machine's own browser only")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.host}":
            return _refused(403, "another site's page may not ask")
        if request.method != "GET" and request.headers.get(OWN) != "1":
            return _refused(403, f"the header {OWN} is missing")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            return _refused(error.status, error.reason)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    # --- what is shown ----------------------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _state(self, _request: web.Request) -> web.Response:
        return _json(self.screen.told(self.screen.look()))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._watching >= MAX_WATCHING:
            return _refused(503, "too many screens are open")
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"})
        self._watching += 1
        try:
            with self.screen.watch() as bell:
                await response.prepare(request)
                await self._write(response, b"retry: 1000\n\n")
                while not self.screen.is_closed:
                    bell.clear()
                    shown = msgspec.json.encode(self.screen.told(self.screen.look()))
                    await self._write(response, b"data: " + shown + b"\n\n")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(self.screen.until_s(), BEAT_S)):
                            await bell.wait()
        except (ConnectionError, TimeoutError):
            log.debug("screen-gone")
        finally:
            self._watching -= 1
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await response.write(data)

    # --- what people press ------------------------------------------------------------------------------

    async def _staff(self, _request: web.Request) -> web.Response:
        return _json({"staff": self.screen.staff()})

    async def _undo(self, request: web.Request) -> web.Response:
        asked = await _body(request, Undo)
        return _json({"undone": await asyncio.to_thread(self.screen.undo, asked.sequence)})

    async def _admit(self, request: web.Request) -> web.Response:
        asked = await _body(request, Admit)
        found = await asyncio.to_thread(self.screen.admit, asked.staff, asked.pin, asked.why, asked.sequence)
        return _json(found)


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.MsgspecError:  # never its own text: it may quote a PIN
        raise web.HTTPBadRequest(reason="the body is not what this page sends") from None


def _json(data: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), content_type="application/json")


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why, headers=HEADERS)
