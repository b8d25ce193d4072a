"""A line that misbehaves on demand: a loopback proxy, in a thread of its own, between an agent and central.

In HTTP mode faults strike messages; in byte mode (`http=False`, for TLS, which passes untouched) they strike
connections. What strikes is said by a plan: a function of the request, called once for each in order of arrival.
`fault_proxy_plan` makes plans. The line as a whole can be cut, restored and throttled at any time.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from tests.support.fault_proxy_http import read_message
from tests.support.fault_proxy_plan import Fault, Plan, Request

PATIENCE_S = 2.0
"""How long a request is held back for a later one to overtake it."""


class FaultProxy:
    """A context manager; the client connects to `port`. Everything public may be called from any thread."""

    def __init__(
        self, upstream_port: int, plan: Plan = lambda _: Fault.NONE, *, http: bool = True, delay_s: float = 0.3
    ) -> None:
        self.plan, self.delay_s = plan, delay_s
        self.struck: list[tuple[Request, Fault]] = []
        self.bytes_per_s: float | None = None
        self.port = 0
        self._upstream_port, self._http = upstream_port, http
        self._up = True
        self._number = 0
        self._answered = 0
        self._overtaken = asyncio.Condition()
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the proxy did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self) -> None:
        """Reset every connection and every new one, until `restore`."""
        self._call(self._cut)

    def restore(self) -> None:
        """The line is whole again."""
        self._up = True

    def redirect(self, upstream_port: int) -> None:
        """Central came back on another port."""
        self._upstream_port = upstream_port

    def struck_by(self, fault: Fault) -> int:
        """How many requests met this fault so far."""
        return sum(each is fault for _, each in self.struck)

    # --- the thread -----------------------------------------------------------------------------------------

    def _call(self, work: Callable[[], None]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (work(), done.set()))
        done.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    def _cut(self) -> None:
        self._up = False
        for writer in list(self._connections):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            if not self._up:
                _reset(writer)
            elif self._http:
                while await self._one_request(reader, writer):
                    pass
            else:
                await self._bytes(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _next_fault(self, method: str = "", path: str = "") -> Fault:
        request = Request(self._number, method, path)
        self._number += 1
        fault = self.plan(request)
        self.struck.append((request, fault))
        return fault

    # --- HTTP mode ------------------------------------------------------------------------------------------

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await read_message(reader)
        if request is None:
            return False
        method, path, _ = request.first_line.split(" ", 2)
        fault = self._next_fault(method, path)
        match fault:
            case Fault.DROP_REQUEST:
                return False
            case Fault.LATE:
                self._spawn(self._after_another(request.raw))
                return False
            case Fault.REORDER:
                await self._another_answered()
            case Fault.DELAY:
                await asyncio.sleep(self.delay_s)
            case Fault.DUPLICATE:
                await self._ask(request.raw)
        if fault is Fault.RESET:
            self._spawn(self._ask(request.raw))
            await asyncio.sleep(0.02)
            _reset(writer)
            return False
        answer = await self._ask(request.raw)
        if fault is Fault.DROP_ANSWER:
            return False
        await self._send(writer, answer[: len(answer) // 2] if fault is Fault.TRUNCATE else answer)
        return fault is not Fault.TRUNCATE

    async def _ask(self, request: bytes) -> bytes:
        """Central's answer, over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        self._connections.add(writer)
        try:
            await self._send(writer, request)
            answer = await read_message(reader, answer=True)
        finally:
            self._connections.discard(writer)
            writer.close()
        if answer is None:
            raise ConnectionError("central closed the connection")
        async with self._overtaken:
            self._answered += 1
            self._overtaken.notify_all()
        return answer.raw

    async def _another_answered(self) -> None:
        before = self._answered
        with contextlib.suppress(TimeoutError):
            async with self._overtaken, asyncio.timeout(PATIENCE_S):
                await self._overtaken.wait_for(lambda: self._answered > before)

    async def _after_another(self, request: bytes) -> None:
        await self._another_answered()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._ask(request)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await work

        task = self._loop.create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- bytes ----------------------------------------------------------------------------------------------

    async def _bytes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._next_fault()
        if fault is Fault.DELAY:
            await asyncio.sleep(self.delay_s)
        from_central, to_central = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        self._connections.add(to_central)
        try:
            ask = asyncio.create_task(self._pump(reader, None if fault is Fault.DROP_REQUEST else to_central))
            answer = asyncio.create_task(self._answer(fault, from_central, writer))
            await asyncio.wait({ask, answer}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({answer}, timeout=0.2)  # what central said last still goes through
            for task in (ask, answer):
                task.cancel()
            await asyncio.gather(ask, answer, return_exceptions=True)
        finally:
            self._connections.discard(to_central)
            to_central.close()

    async def _answer(self, fault: Fault, from_central: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if fault in (Fault.TRUNCATE, Fault.RESET):
            first = await from_central.read(65536)
            await self._send(writer, first[: len(first) // 2])
            if fault is Fault.RESET:
                _reset(writer)
            return
        await self._pump(from_central, None if fault is Fault.DROP_ANSWER else writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
        while data := await reader.read(65536):
            if writer is not None:
                await self._send(writer, data)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while data:
            if self.bytes_per_s is None:
                writer.write(data)
                await writer.drain()
                return
            piece = max(1, int(self.bytes_per_s / 20))
            writer.write(data[:piece])
            await writer.drain()
            data = data[piece:]
            await asyncio.sleep(0.05)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST, not FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
