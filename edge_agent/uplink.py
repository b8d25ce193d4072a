"""The one way to central: HTTP over pinned or authority-checked TLS. Says what happened, decides nothing."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from edge_agent.identity import Identity
from edge_agent.sync import split
from protocol.allowlist import accept_keys
from protocol.envelope import Keyring, digest, open_as
from protocol.errors import Failure, Refused
from protocol.messages import MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES, Hello, KeyStatement, Role, decode

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NetworkFailure(Exception):
    """Anything but a signed answer. `status` 0: no answer at all."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class UnknownCertificate(NetworkFailure):
    """The server showed a certificate that the key statement in hand does not name."""


class Pins(aiohttp.Fingerprint):
    """Accepts the certificates that the key statement names, whatever their dates say (SPEC §4.2)."""

    def __init__(self, digests: frozenset[bytes]) -> None:
        super().__init__(bytes(32))
        self.digests = digests

    def check(self, transport: Any) -> None:
        """Called when the connection stands, before a byte of a request is sent on it."""
        secure = transport.get_extra_info("ssl_object")
        found = digest(secure.getpeercert(binary_form=True)) if secure else b""
        if found not in self.digests:
            raise aiohttp.ServerFingerprintMismatch(b"".join(sorted(self.digests)), found, "central", 0)


class Shown(Pins):
    """Accepts any certificate and remembers it: for hello, which brings the statement that it is then judged by."""

    def __init__(self) -> None:
        super().__init__(frozenset())
        self.found = b""

    def check(self, transport: Any) -> None:
        secure = transport.get_extra_info("ssl_object")
        self.found = digest(secure.getpeercert(binary_form=True)) if secure else b""


class Watched(ssl.SSLObject):
    """One connection under a certificate that authorities vouch for: remembers until when."""

    until_ms = 0
    """Of the newest connection. One class a context, so that two uplinks do not share it."""

    def do_handshake(self) -> None:
        super().do_handshake()
        end = (self.getpeercert() or {}).get("notAfter")
        type(self).until_ms = int(ssl.cert_time_to_seconds(str(end))) * 1_000 if end else 0


class Uplink:
    """A session with central. Messages go in as envelopes and come out as envelopes, nothing opened."""

    def __init__(self, identity: Identity, statement: KeyStatement | None) -> None:
        self._root = Keyring.of(identity.root_public)
        self._pinned = identity.pinned
        self.url = identity.url.rstrip("/")
        parts = urlsplit(self.url)
        self._secure = parts.scheme == "https"
        if not self._secure and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
            raise Refused(Failure.NOT_SATISFIABLE, f"{self.url}: plain HTTP is for loopback only")
        self._session: aiohttp.ClientSession | None = None
        self._pins: Pins | None = None
        self._keys_number = self._signed_ms = 0
        self._authorities: ssl.SSLContext | None = None
        self.pin(statement)

    def pin(self, statement: KeyStatement | None, signed_ms: int = 0) -> None:
        """Trust these certificates from the next connection on. One that is to come counts already: the signed time
        of an agent that was away is old. One that has ended by signed time does not."""
        if statement is None:
            return
        self._keys_number, self._signed_ms = max(self._keys_number, statement.number), signed_ms
        named = (key for key in statement.keys if Role.SERVE in key.roles)
        digests = frozenset(key.public for key in named if not key.until_ms or key.until_ms > signed_ms)
        if self._pins is None or self._pins.digests != digests:  # the same object keeps connections in use
            self._pins = Pins(digests)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def hello(self) -> tuple[Hello, KeyStatement]:
        """Central's key statement by way of the root. With pinning the certificate is checked against what the
        statement says, before anything of ours is sent. Raises NetworkFailure, Refused."""
        shown = Shown()
        checked = self._pinned and self._secure
        trust = shown if checked else self._by_authorities() if self._secure else True
        async with self._request("GET", "/v1/hello", None, trust) as response:
            body = await _limited(response)
        hello = decode(Hello, body)
        statement = open_as(KeyStatement, hello.key_statement, self._root)
        accept_keys(self._keys_number, statement)
        self.pin(statement, self._signed_ms)
        if checked and (self._pins is None or shown.found not in self._pins.digests):
            raise Refused(Failure.UNKNOWN_KEY, "the server's certificate is not one that the root vouches for")
        return hello, statement

    async def send(self, path: str, body: bytes, timeout_s: float = 30) -> tuple[bytes, ...]:
        """POST a body, get envelopes. Raises NetworkFailure, Refused."""
        try:
            return await self._send(path, body, timeout_s)
        except UnknownCertificate:
            await self.hello()  # it was changed while this device was away: only the root can vouch for the new one
            return await self._send(path, body, timeout_s)

    async def _send(self, path: str, body: bytes, timeout_s: float) -> tuple[bytes, ...]:
        async with self._request("POST", path, body, await self._trust(), timeout_s) as response:
            return split(await _limited(response))

    async def _trust(self) -> Any:
        if not self._secure:
            return True
        if not self._pinned:
            return self._by_authorities()
        if self._pins is None:
            await self.hello()
        return self._pins

    def _by_authorities(self) -> ssl.SSLContext:
        """Those of this machine."""
        if self._authorities is None:
            self._authorities = ssl.create_default_context()
            self._authorities.sslobject_class = type("Seen", (Watched,), {})
        return self._authorities

    @property
    def certificate_until_ms(self) -> int:
        """When the certificate ends that the newest connection showed; 0 where its dates are not judged."""
        watched = self._authorities.sslobject_class if self._authorities is not None else None
        return watched.until_ms if watched is not None and issubclass(watched, Watched) else 0

    async def snapshot(self, body: bytes) -> AsyncGenerator[bytes]:
        """The frames of a snapshot: its envelope, then chunks, as they arrive. Ends early when the line does."""
        async with self._request("POST", "/v1/snapshot", body, await self._trust()) as response:
            while True:
                try:
                    size = int.from_bytes(await response.content.readexactly(4))
                    if size > max(MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES):
                        raise Refused(Failure.OVERSIZED, f"a frame of {size} bytes")
                    frame = await response.content.readexactly(size)
                except EOFError:
                    return
                yield frame

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: bytes | None, trust: Any, timeout_s: float = 30
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use `async with`")
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=timeout_s)
        headers = {"Content-Type": "application/msgpack"} if body is not None else {}
        try:
            async with self._session.request(
                method, self.url + path, data=body, headers=headers, ssl=trust, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    text = (await response.content.read(500)).decode(errors="replace")
                    raise NetworkFailure(f"{path}: status {response.status} {text}", response.status)
                yield response
        except aiohttp.ServerFingerprintMismatch as error:
            raise UnknownCertificate(f"{path}: the server's certificate is not a pinned one") from error
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError) as error:
            raise NetworkFailure(f"{path}: {type(error).__name__}: {error}") from error


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > 2 * MAX_MESSAGE_BYTES:
            raise Refused(Failure.OVERSIZED, f"an answer of more than {2 * MAX_MESSAGE_BYTES} bytes")
    return bytes(body)
