"""How many may be connected to the screen's port at once. Whoever asks for nothing makes room for whoever does."""

import asyncio
from collections.abc import Callable

from aiohttp import web

MOST = 32


class Connections:
    """The protocol factory of the port. A connection is busy while a request of it is being answered."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._busy: dict[object, int] = {}

    def __call__(self) -> asyncio.BaseProtocol:
        """The one that has been idle longest gives way; where all are busy, the new one does."""
        alive = [each for each in self._server.connections if each.transport is not None]
        if len(alive) >= MOST:
            idle = next((each for each in alive if each not in self._busy), None)
            if idle is None:
                return _Closed()
            idle.force_close()
        return self._server()

    def begin(self, request: web.BaseRequest) -> Callable[[], None]:
        """Returns what ends it."""
        protocol = request.protocol
        self._busy[protocol] = self._busy.get(protocol, 0) + 1

        def end() -> None:
            self._busy[protocol] -= 1
            if not self._busy[protocol]:
                del self._busy[protocol]

        return end


class _Closed(asyncio.Protocol):
    """Nobody is answered here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.abort()  # type: ignore[attr-defined]
