"""A receiver of webhooks on loopback that fails in every way that it is told to. It speaks HTTP/1.1 by hand."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

Act = Callable[["Request", asyncio.StreamWriter], Awaitable[bool]]
"""What is done to a request; whether the connection goes on."""


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def is_signed(self, secret: str) -> bool:
        """By plain hmac, as a receiver would write it."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


class Receiver:
    """`asked`: every request, in order. `act`: what it does; `acts`: what it does first, one after the other."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Request] = []
        self.act: Act = taking
        self.acts: list[Act] = []
        self.connections = self.at_once = self.most_at_once = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [request.event["id"] for request in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        request = Request(lines[0].split(" ")[1], headers, await reader.readexactly(int(headers["content-length"])))
        self.asked.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            act = self.acts.pop(0) if self.acts else self.act
            return await act(request, writer)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """It listens while the block runs."""
    receiver = Receiver()
    receiver.scheme = "https" if context else "http"
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer(writer: asyncio.StreamWriter, status: int, *headers: str, body: bytes = b"") -> bool:
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    return True


async def taking(_request: Request, writer: asyncio.StreamWriter) -> bool:
    return await answer(writer, 204)


def answering(status: int, *headers: str) -> Act:
    async def act(_request: Request, writer: asyncio.StreamWriter) -> bool:
        return await answer(writer, status, *headers)

    return act


def refusing(*ids: str, status: int = 500) -> Act:
    """These events alone."""

    async def act(request: Request, writer: asyncio.StreamWriter) -> bool:
        return await answer(writer, status if request.event["id"] in ids else 204)

    return act


async def hanging(_request: Request, _writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(60)
    return False


async def dripping(_request: Request, writer: asyncio.StreamWriter) -> bool:
    """A status that never comes to its end."""
    for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)
    return False


async def garbage(_request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"\x00\xffSMTP ready?\r\n\r\n" * 10)
    await writer.drain()
    return False


async def closing(_request: Request, _writer: asyncio.StreamWriter) -> bool:
    """It has the event, and does not say so."""
    return False


async def endless(_request: Request, writer: asyncio.StreamWriter) -> bool:
    """A good status, and a body without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    with suppress(OSError):
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
    return False


async def many_headers(_request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    with suppress(OSError):
        for number in range(100_000):
            writer.write(b"x-%d: " % number + b"y" * 1_000 + b"\r\n")
            await writer.drain()
    return False
