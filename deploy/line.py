"""The line between one agent and central, with a switch: bytes pass untouched until somebody cuts it."""

import asyncio
import contextlib


class Line:
    """Listens on a loopback port of its own and carries every connection to central's."""

    def __init__(self, central_port: int) -> None:
        self._central_port = central_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.is_cut = False

    async def open(self) -> None:
        """Listen; the port stays the same through cuts."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self.is_cut = True
        for writer in tuple(self._connections):
            writer.transport.abort()

    def restore(self) -> None:
        self.is_cut = False

    async def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        self._connections.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._central_port)
            self._connections.add(far_writer)
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                self._connections.discard(far_writer)
                far_writer.close()
        except OSError:
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
