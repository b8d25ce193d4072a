"""Serves the kiosk page on loopback: the newest view by server-sent events, and what people press.

Only this machine's own browser is served: the address is loopback, the Host header has to be, and what changes
anything needs the token that the page was given over its own stream of events, which no other site's page can read.
A browser that reads slowly, or not at all, gets the newest view when it does; no tap ever waits for one.
"""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import resources
from typing import Any

import msgspec
import structlog
from aiohttp import web

from edge_agent.screen.connections import Connections
from edge_agent.screen.pressed import Admit, Choose, Close, Consent, Open, Undo
from edge_agent.screen.screen import Screen

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
FILES = {
    "/": ("index.html", "text/html"),
    "/screen.css": ("screen.css", "text/css"),
    "/staff.css": ("staff.css", "text/css"),
    "/screen.js": ("screen.js", "text/javascript"),
    "/consent.css": ("consent.css", "text/css"),
    "/consent.js": ("consent.js", "text/javascript"),
    "/staff.js": ("staff.js", "text/javascript"),
    "/sound.js": ("sound.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
OWN = "X-Tapgate-Token"
MAX_BODY_BYTES = 4_096
BODY_S = 5.0
MAX_WATCHING = 8
BEAT_S = 2.0
"""Between two signs of life; the page says that it lost its gate after three of them."""
WRITE_S = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScreenServer:
    """One web server on `port` (0 = any; see `port` once it has started)."""

    def __init__(self, screen: Screen, port: int) -> None:
        self.screen, self.port = screen, port
        self._tokens: list[str] = []
        self._pressed = asyncio.Lock()
        page = resources.files("edge_agent.screen").joinpath("page")
        self._files = {path: (page.joinpath(name).read_bytes(), kind) for path, (name, kind) in FILES.items()}
        self._build = hashlib.sha256(b"".join(body for body, _ in self._files.values())).hexdigest()[:16]
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                *(web.get(path, self._file) for path in FILES),
                web.get("/state", self._state),
                web.get("/events", self._events),
                web.get("/consents", self._consents),
                web.post("/consent", self._consent),
                web.post("/undo", self._undo),
                web.post("/choose", self._choose),
                web.post("/admit", self._admit),
                web.post("/close", self._close),
                web.post("/open", self._open),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=0.5)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """May be tried again where it raises OSError: the port is taken."""
        if self._runner.server is None:
            await self._runner.setup()
        assert self._runner.server is not None
        self._connections = Connections(self._runner.server)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connections, HOST, self.port, backlog=16)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends every connection, each with the last view and a word that nothing follows."""
        self.screen.close()
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    # --- who is served ----------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if why := self._why_not(request):
            return _refused(403, why)
        end = self._connections.begin(request)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            return _refused(error.status, error.reason)
        finally:
            end()
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _why_not(self, request: web.Request) -> str:
        if request.host not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            return "this page is served to this machine's own browser only"
        if request.headers.get("Origin", f"http://{request.host}") != f"http://{request.host}":
            return "another site's page may not ask"
        # the page itself may be gone to from anywhere: the kiosk's waiting page is a file
        if request.path != "/" and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return "another site's page may not ask"
        if request.method == "POST" and not self._is_ours(request.headers.get(OWN, "")):
            return "this page's stream of events has ended: load it again"
        return ""

    def _is_ours(self, token: str) -> bool:
        return any(hmac.compare_digest(token.encode(errors="replace"), each.encode()) for each in self._tokens)

    # --- what is shown ----------------------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _state(self, _request: web.Request) -> web.Response:
        return _json(self.screen.told(self.screen.look()))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The newest streams count: a browser that died must not keep its successor out."""
        headers = HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"}
        response = web.StreamResponse(headers=headers)
        with _let_go(request):
            async with self._token() as token:
                await response.prepare(request)
                hello = msgspec.json.encode({"token": token, "build": self._build})
                await _write(response, b"retry: 1000\nevent: hello\ndata: " + hello + b"\n\n")
                with self.screen.watch() as bell:
                    while not self.screen.is_closed and token in self._tokens:
                        bell.clear()
                        await self._show(response)
                        await _ring(bell, min(self.screen.until_s(), BEAT_S))
                await self._show(response)
                await _write(response, b"event: bye\ndata: {}\n\n")
        return response

    @contextlib.asynccontextmanager
    async def _token(self) -> AsyncIterator[str]:
        token = secrets.token_urlsafe(16)
        self._tokens = [*self._tokens, token][-MAX_WATCHING:]
        try:
            yield token
        finally:
            self._tokens = [each for each in self._tokens if each != token]

    async def _show(self, response: web.StreamResponse) -> None:
        shown = msgspec.json.encode(self.screen.told(self.screen.look()))
        await _write(response, b"data: " + shown + b"\n\n")

    # --- what people press: one at a time, so that no flood of it fills the agent's threads ----------------

    async def _undo(self, request: web.Request) -> web.Response:
        asked = await _body(request, Undo)
        async with self._one():
            return _json({"undone": await asyncio.to_thread(self.screen.undo, asked.sequence)})

    async def _choose(self, request: web.Request) -> web.Response:
        asked = await _body(request, Choose)
        async with self._one():
            return _json({"chosen": await asyncio.to_thread(self.screen.choose, asked.rule)})

    async def _consents(self, _request: web.Request) -> web.Response:
        return _json([msgspec.structs.asdict(notice) for notice in self.screen.notices()])

    async def _consent(self, request: web.Request) -> web.Response:
        asked = await _body(request, Consent)
        async with self._one():
            done = await asyncio.to_thread(self.screen.consent, asked.purpose, asked.version, asked.said)
        return _json({"stating": done})

    async def _admit(self, request: web.Request) -> web.Response:
        asked = await _body(request, Admit)
        async with self._one():
            found = await asyncio.to_thread(self.screen.admit, asked.staff, asked.pin, asked.why, asked.sequence)
        return _json(found)

    async def _close(self, request: web.Request) -> web.Response:
        asked = await _body(request, Close)
        async with self._one():
            found = await asyncio.to_thread(self.screen.close_entry, asked.staff, asked.pin, asked.why, asked.hours)
        return _json(found)

    async def _open(self, request: web.Request) -> web.Response:
        asked = await _body(request, Open)
        async with self._one():
            return _json(await asyncio.to_thread(self.screen.open_entry, asked.staff, asked.pin))

    @contextlib.asynccontextmanager
    async def _one(self) -> AsyncIterator[None]:
        if self._pressed.locked():
            raise web.HTTPTooManyRequests(reason="one at a time")
        async with self._pressed:
            yield


@contextlib.contextmanager
def _let_go(request: web.Request) -> Iterator[None]:
    """Whoever reads no more: what is still to be sent is thrown away."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(data)


async def _ring(bell: asyncio.Event, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await bell.wait()


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        async with asyncio.timeout(BODY_S):
            return msgspec.json.decode(await request.read(), type=kind)
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="the body did not come") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):  # never its own text: it may quote a PIN
        raise web.HTTPBadRequest(reason="the body is not what this page sends") from None


def _json(data: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), content_type="application/json")


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why, headers=HEADERS)
