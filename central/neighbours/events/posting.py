"""Send one event to one receiver over HTTP. The only file here that does.

Whatever answers is not trusted: its address is judged at the connection, no redirect is followed, no name or proxy of
the environment is asked, and of what it says only the status is kept.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from central.neighbours.events.cloud_events import CONTENT_TYPE
from central.neighbours.events.targets import Network, address_of, may_be_called, url_fault

TIMEOUT_S = 10.0
"""Of one request, from the name to the status: a receiver queues, and works later."""
CONNECT_S = 5.0
READ_BYTES, READ_S = 4_096, 1.0
"""Of an answer so much is read, and thrown away, to use the connection again; a longer one is hung up on."""
NAMES_AT_ONCE = 16
GONE = 410
LATER = (429, 503)


class Sent(NamedTuple):
    """What became of it. `status` 0: nobody answered. `asked_ms`: how long the receiver wants us to wait."""

    status: int
    problem: str = ""
    asked_ms: int = 0

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing more, ever."""
        return self.status == GONE

    @property
    def is_of_the_event(self) -> bool:
        """It may be this event that the receiver cannot take, rather than any."""
        return self.status >= 400 and self.status not in (GONE, *LATER)


class _Refused(Exception):
    """The name leads to an address that may not be called."""


class _Resolver(AbstractResolver):
    """Names as the system has them, but no address that may not be called. In threads of its own: a name server that
    hangs shall not take those that other work waits for."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE, thread_name_prefix="receiver-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        kept = [each for each in found if self._may(str(each[4][0]))]
        if found and not kept:
            raise _Refused
        return [_resolved(host, port, *each) for each in kept]

    def _may(self, host: str) -> bool:
        address = address_of(host)
        return address is not None and may_be_called(address, self._allowed)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolved(host: str, port: int, family: int, _kind: int, proto: int, _name: str, at: Any) -> ResolveResult:
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=str(at[0]), port=port, family=family, proto=proto, flags=numeric)


class Poster:
    """Connections to receivers, to be closed by whoever opens it."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> "Poster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Never raises for what the receiver does."""
        fault = url_fault(url, self._allowed)
        if fault:
            return Sent(0, fault)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(url, headers, body)
        except _Refused:
            return Sent(0, "the receiver leads to an address that may not be called: see events.networks")
        except aiohttp.ClientConnectorCertificateError:
            return Sent(0, "the receiver did not prove who it is")
        except aiohttp.ClientConnectorError as error:
            return Sent(0, f"the receiver was not reached ({type(error.os_error).__name__})")
        except TimeoutError:
            return Sent(0, f"the receiver did not answer within {TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Sent(0, f"the receiver broke off ({type(error).__name__})")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        told = {"Content-Type": CONTENT_TYPE, "User-Agent": "Tapgate", **headers}
        target = URL(url)
        literal = address_of(target.host or "")  # as the client reads it, who asks no name server for an address
        if literal is not None and not may_be_called(literal, self._allowed):
            raise _Refused
        request = self._opened().post(target, data=body, headers=told, allow_redirects=False)
        async with request as response:
            await _drop(response)
            return _sent(response)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(resolver=_Resolver(self._allowed), use_dns_cache=False, limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            )
        return self._session


async def _drop(response: aiohttp.ClientResponse) -> None:
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(READ_S):
            left = READ_BYTES
            while left > 0 and not response.content.at_eof():
                left -= len(await response.content.read(left))
    if not response.content.at_eof():
        response.close()


def _sent(response: Any) -> Sent:
    status = response.status
    if 200 <= status < 300:
        return Sent(status)
    more = ": redirects are not followed" if 300 <= status < 400 else ""
    asked = response.headers.get("Retry-After", "") if status in LATER else ""
    asked_ms = int(asked) * 1_000 if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    return Sent(status, f"the receiver answered {status}{more}", asked_ms)
