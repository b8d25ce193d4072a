"""One HTTP/1.1 message off a stream, whole and as its very bytes: nothing is re-encoded on the way through."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A request or an answer; `raw` is head and body as they came."""

    first_line: str
    raw: bytes


async def read_message(reader: asyncio.StreamReader, *, answer: bool = False) -> Message | None:
    """The next message, or None when the other end closed before one began.

    Raises IncompleteReadError when it closes in the middle.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line and not head:
            return None
        if not line:
            raise asyncio.IncompleteReadError(head, None)
        head += line
    first_line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Message(first_line, head + await _body(reader, first_line, headers, answer))


async def _body(reader: asyncio.StreamReader, first_line: str, headers: dict[str, str], answer: bool) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if answer and first_line.split()[1] not in ("204", "304") and not first_line.split()[1].startswith("1"):
        return await reader.read()  # to the end of the connection
    return b""


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = await reader.readline()
        body += size
        length = int(size.split(b";")[0], 16)
        body += await reader.readexactly(length + 2)
        if length == 0:
            return body
