"""The one way to central: HTTP over pinned or authority-checked TLS. Says what happened, decides nothing."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from edge_agent.identity import Identity
from edge_agent.sync import split
from protocol.envelope import Keyring, digest, open_as
from protocol.errors import Failure, Refused
from protocol.messages import MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES, Hello, KeyStatement, Role, decode

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=30)


class NetworkFailure(Exception):
    """Anything but a signed answer. `status` 0: no answer at all."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Pins(aiohttp.Fingerprint):
    """Accepts the certificates that the key statement names, whatever their dates say (SPEC §4.2)."""

    def __init__(self, digests: frozenset[bytes]) -> None:
        super().__init__(bytes(32))
        self._digests = digests

    def check(self, transport: Any) -> None:
        found = digest(transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
        if found not in self._digests:
            raise aiohttp.ServerFingerprintMismatch(b"".join(sorted(self._digests)), found, "central", 0)


class Uplink:
    """A session with central. Messages go in as envelopes and come out as envelopes, nothing opened."""

    def __init__(self, identity: Identity, statement: KeyStatement | None) -> None:
        self._root = Keyring.of(identity.root_public)
        self._pinned = identity.pinned
        self.url = identity.url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise Refused(Failure.NOT_SATISFIABLE, f"{self.url}: plain HTTP is for loopback only")
        self._session: aiohttp.ClientSession | None = None
        self.pin(statement)

    def pin(self, statement: KeyStatement | None) -> None:
        """Trust these certificates from the next connection on."""
        self._pins = frozenset(key.public for key in statement.keys if Role.SERVE in key.roles) if statement else None

    def _ssl(self, unverified: bool = False) -> Any:
        if not self._pinned:
            return True
        if unverified or self._pins is None:
            return False
        return Pins(self._pins)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=4))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def hello(self) -> tuple[Hello, KeyStatement]:
        """Central's key statement by way of the root. With pinning the certificate is checked against what the
        statement says, before anything of ours is sent. Raises NetworkFailure, Refused."""
        async with self._request("GET", "/v1/hello", None, self._ssl(unverified=True)) as response:
            body = await _limited(response)
            peer = response.connection.transport if response.connection else None
            secure = peer.get_extra_info("ssl_object") if peer else None
            certificate = secure.getpeercert(binary_form=True) if secure else None
        hello = decode(Hello, body)
        statement = open_as(KeyStatement, hello.key_statement, self._root)
        self.pin(statement)
        if self._pinned and certificate is not None and digest(certificate) not in (self._pins or ()):
            raise Refused(Failure.UNKNOWN_KEY, "the server's certificate is not one that the root vouches for")
        return hello, statement

    async def send(self, path: str, body: bytes, timeout_s: float = 30) -> tuple[bytes, ...]:
        """POST a body, get envelopes. Raises NetworkFailure, Refused."""
        if self._pinned and self._pins is None:
            await self.hello()
        async with self._request("POST", path, body, self._ssl(), timeout_s) as response:
            return split(await _limited(response))

    async def snapshot(self, body: bytes) -> AsyncGenerator[bytes]:
        """The frames of a snapshot: its envelope, then chunks, as they arrive."""
        async with self._request("POST", "/v1/snapshot", body, self._ssl()) as response:
            try:
                while True:
                    size = int.from_bytes(await response.content.readexactly(4))
                    if size > max(MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES):
                        raise Refused(Failure.OVERSIZED, f"a frame of {size} bytes")
                    yield await response.content.readexactly(size)
            except EOFError as error:
                if getattr(error, "partial", b""):
                    raise NetworkFailure("the snapshot broke off") from None

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: bytes | None, ssl_: Any, timeout_s: float = 30
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use `async with`")
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=timeout_s)
        headers = {"Content-Type": "application/msgpack"} if body is not None else {}
        try:
            async with self._session.request(
                method, self.url + path, data=body, headers=headers, ssl=ssl_, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    text = (await response.content.read(500)).decode(errors="replace")
                    raise NetworkFailure(f"{path}: status {response.status} {text}", response.status)
                yield response
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError) as error:
            raise NetworkFailure(f"{path}: {type(error).__name__}: {error}") from error


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > 2 * MAX_MESSAGE_BYTES:
            raise Refused(Failure.OVERSIZED, f"an answer of more than {2 * MAX_MESSAGE_BYTES} bytes")
    return bytes(body)
