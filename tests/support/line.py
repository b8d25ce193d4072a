"""An uplink without a network: what central says in memory, with whatever a test does to it on the way."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from edge_agent.uplink import NetworkFailure
from protocol.envelope import unwrap
from protocol.messages import Fetch, Hello, KeyStatement, Poll, decode
from tests.support.central_side import CentralSide

Bend = Callable[[str, list[bytes]], Awaitable[list[bytes]]]


class Line:
    """Speaks as `edge_agent.uplink.Uplink` does. `bend` may change, delay or lose an answer; `sent` is a record."""

    def __init__(self, central: CentralSide) -> None:
        self.central = central
        self.bend: Bend | None = None
        self.refuse: Callable[[str, bytes], None] = lambda path, body: None
        self.sent: list[tuple[str, bytes]] = []
        self.cut_after: list[int] = []
        """After how many chunks each next snapshot breaks off."""

    def pin(self, statement: KeyStatement | None, signed_ms: int = 0) -> None:
        pass

    def paths(self) -> list[str]:
        return [path for path, _ in self.sent]

    async def hello(self) -> tuple[Hello, None]:
        self.sent.append(("/v1/hello", b""))
        return Hello(self.central.statement(), bytes(16)), None

    async def send(self, path: str, body: bytes, timeout_s: float = 30) -> tuple[bytes, ...]:
        self.sent.append((path, body))
        self.refuse(path, body)
        answers = {
            "/v1/poll": lambda: self.central.answer(decode(Poll, unwrap(body).payload)),
            "/v1/batches": lambda: self.central.take(body),
            "/v1/holdings": lambda: self.central.holdings(body),
        }
        found = answers[path]()
        if self.bend is not None:
            found = await self.bend(path, found)
        return tuple(found)

    async def snapshot(self, body: bytes) -> AsyncGenerator[bytes]:
        self.sent.append(("/v1/snapshot", body))
        self.refuse("/v1/snapshot", body)
        asked = decode(Fetch, unwrap(body).payload)
        head, chunks = self.central.snapshot(asked.version if asked.first_chunk else 0)
        yield head
        left = self.cut_after.pop(0) if self.cut_after else len(chunks)
        for chunk in chunks[asked.first_chunk :]:
            if not left:
                return
            left -= 1
            yield chunk

    def unreachable(self, path: str, body: bytes) -> None:
        raise NetworkFailure("no route")
