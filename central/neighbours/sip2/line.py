"""A connection to a library system: one request at a time, and closed at the first doubt.

An answer counts for the request before it only: by its sequence digit, its kind, and because nothing else may have been
waiting on the line when the request went out. After a timeout the late answer would be about the person before, so a
line on which anything went wrong is never used again.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import NoReturn

import structlog

from central.neighbours.settings import Library
from central.neighbours.sip2 import frames
from central.neighbours.sip2.frames import BadFrame, Message, Unsendable
from central.neighbours.sip2.meaning import Service, is_signed_in, service_of
from central.neighbours.sip2.requests import Request, login, status

MOST_RESENT = 2
MOST_JUNK_LINES = 4
PATRONS_REMEMBERED = 256
CLOSE_S = 1.0

log = structlog.get_logger()


class FaultKind(StrEnum):
    """What went wrong, in one word for logs and pages."""

    CONNECT = "connect"
    TLS = "tls"
    LOGIN = "login"
    OFFLINE = "offline"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    STALE = "stale"
    SEQUENCE = "sequence"
    KIND = "kind"
    CHECKSUM = "checksum"
    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    JUNK = "junk"
    RESEND = "resend"
    ANOTHER = "another"
    UNSUITED = "unsuited"
    DOUBTED = "doubted"


class LineFault(Exception):
    """The line is closed. `sent`: the request (its code is `asked`) may have reached the library, and what it did
    is not known."""

    def __init__(self, kind: FaultKind, text: str, *, sent: bool = False) -> None:
        super().__init__(text)
        self.kind, self.sent, self.asked = kind, sent, ""


class Line:
    """Made by `opened`. `ask` is for one caller at a time."""

    def __init__(self, library: Library, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._library, self._reader, self._writer = library, reader, writer
        self._sequence = 0
        self._held = b""
        self._patrons: dict[str, None] = {}
        self._asking = False
        self.service = Service(False, False, False, False, False)

    async def begin(self, password: str) -> None:
        """Sign in and see that the library system is there. Raises LineFault, Unsendable."""
        library = self._library
        if library.user and not is_signed_in(await self.ask(login(library.user, password, library.place))):
            await self._fail(FaultKind.LOGIN, "the library system refuses the login")
        self.service = service_of(await self.ask(status()))
        if not self.service.online:
            await self._fail(FaultKind.OFFLINE, "the library system says that it is off line")

    async def ask(self, request: Request) -> Message:
        """The answer to this request and no other. Raises Unsendable (the line can still be used), LineFault."""
        if self._asking or self._writer.is_closing():
            raise LineFault(FaultKind.CLOSED, "the line is closed, or busy")
        sequence, self._sequence = self._sequence, (self._sequence + 1) % 10
        data = frames.write(request.code, request.header, request.fields, sequence, self._library.encoding)
        self._asking, sent = True, False
        try:
            await self._drop_what_waits()
            sent = True
            async with asyncio.timeout(self._library.answer_s):
                answer = await self._exchange(request, data)
            await self._check(request, answer, sequence)
            return answer
        except LineFault as fault:
            fault.sent, fault.asked = sent, request.code
            raise
        except TimeoutError:
            raise await self._broken(FaultKind.TIMEOUT, "no answer in time", request, sent) from None
        except OSError as error:
            raise await self._broken(FaultKind.CLOSED, f"it broke: {type(error).__name__}", request, sent) from None
        except BaseException:  # cancelled in mid-air: its answer may still come, so nobody else may use the line
            self._writer.transport.abort()
            raise
        finally:
            self._asking = False

    async def close(self) -> None:
        """At once; nothing that comes later is read."""
        self._writer.close()
        with suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def _exchange(self, request: Request, data: bytes) -> Message:
        """Send, and read until the answer's kind is there; what is asked for again is sent again, a few times."""
        for _ in range(MOST_RESENT + 1):
            self._writer.write(data)
            await self._writer.drain()
            frame = await self._answer_line(request.answer)
            if not frames.is_resend(frame):
                return await self._read(frame, request.answer)
            log.info("sip2-resend", library=self._library.id, asked=frames.in_log(data))
        return await self._fail(FaultKind.RESEND, "the library system asks for the same again and again")

    async def _answer_line(self, code: str) -> bytes:
        """The next line that may be an answer: a few short ones of junk before it are passed over."""
        junk_bytes = 0
        for _ in range(MOST_JUNK_LINES + 1):
            frame = await self._next_line()
            if frames.is_resend(frame) or frames.is_answer(frame):
                return frame
            if frame.startswith(code.encode()):
                await self._fail(FaultKind.MALFORMED, "an answer without sequence and checksum")
            junk_bytes += len(frame)
            if junk_bytes > frames.MAX_JUNK_BYTES:
                break
        return await self._fail(FaultKind.JUNK, "too much on the line that is no answer")

    async def _next_line(self) -> bytes:
        """Without its end, and without the line feeds and blanks that some servers put between."""
        while True:
            line, end, rest = self._held.partition(frames.END)
            if end:
                self._held = rest
                line = line.strip(b"\n\0 ")
                if line:
                    return line
                continue
            if len(self._held) > frames.MAX_FRAME_BYTES:
                await self._fail(FaultKind.OVERSIZED, "a line without an end")
            more = await self._reader.read(4_096)
            if not more:
                await self._fail(FaultKind.CLOSED, "the library system hung up")
            self._held += more

    async def _read(self, frame: bytes, code: str) -> Message:
        try:
            return frames.find(frame, code, self._library.encoding)
        except BadFrame as failure:
            log.warning("sip2-bad-line", library=self._library.id, why=failure.kind, line=frames.in_log(frame))
            return await self._fail(FaultKind(failure.kind), str(failure))

    async def _check(self, request: Request, answer: Message, sequence: int) -> None:
        if answer.code != request.answer:
            await self._fail(FaultKind.KIND, f"a {answer.code} in answer to a {request.code}")
        if answer.sequence != sequence:
            await self._fail(FaultKind.SEQUENCE, f"an answer to another request than the {request.code} before it")
        if not request.patron:
            return
        named = answer.one("AA") or ""  # the library's own number, so it need not be what was asked for
        if named != request.patron and named in self._patrons:
            await self._fail(FaultKind.ANOTHER, "an answer about a patron who was asked for before")
        self._patrons[request.patron] = None
        while len(self._patrons) > PATRONS_REMEMBERED:
            self._patrons.pop(next(iter(self._patrons)))

    async def _drop_what_waits(self) -> None:
        """Junk behind the last answer is let go; an answer that nobody waits for ends the line."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                while len(self._held) <= frames.MAX_FRAME_BYTES:
                    more = await self._reader.read(4_096)
                    if not more:
                        await self._fail(FaultKind.CLOSED, "the library system hung up")
                    self._held += more
        if frames.is_answer(self._held) or len(self._held) > frames.MAX_JUNK_BYTES:
            await self._fail(FaultKind.STALE, "something was waiting on the line before it was asked for")
        self._held = b""

    async def _fail(self, kind: FaultKind, text: str) -> NoReturn:
        await self.close()
        raise LineFault(kind, text)

    async def _broken(self, kind: FaultKind, text: str, request: Request, sent: bool) -> LineFault:
        await self.close()
        fault = LineFault(kind, text, sent=sent)
        fault.asked = request.code
        return fault


@asynccontextmanager
async def opened(
    library: Library, password: str, context: Callable[[Library], ssl.SSLContext | None]
) -> AsyncIterator[Line]:
    """A line that is signed in. Where TLS is set, there is no line without it. Raises LineFault, Unsendable."""
    try:
        tls = context(library)
        async with asyncio.timeout(library.connect_s):
            reader, writer = await asyncio.open_connection(
                library.host,
                library.port,
                ssl=tls,
                server_hostname=(library.server_name or library.host) if tls else None,
            )
    except TimeoutError:
        raise LineFault(FaultKind.CONNECT, "cannot be reached in time") from None
    except ssl.SSLError as error:
        raise LineFault(FaultKind.TLS, f"no TLS: {error.reason or type(error).__name__}") from None
    except OSError as error:
        raise LineFault(FaultKind.CONNECT, f"cannot be reached: {error.strerror or type(error).__name__}") from None
    line = Line(library, reader, writer)
    try:
        await line.begin(password)
        yield line
    finally:
        await line.close()


def tls_context(library: Library) -> ssl.SSLContext | None:
    """None: the settings say plain. Raises OSError where the file of authorities cannot be read."""
    if library.tls == "none":
        return None
    context = ssl.create_default_context(cafile=str(library.authorities) if library.authorities else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


__all__ = ["FaultKind", "Line", "LineFault", "Unsendable", "opened", "tls_context"]
