"""The misbehaving line itself, against a server that counts what reaches it."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from tests.support.fault_proxy import FaultProxy
from tests.support.fault_proxy_plan import Fault, Plan, script, seeded
from tests.support.fault_proxy_plan import Request as Asked

BROKEN = (aiohttp.ClientError, asyncio.TimeoutError)


@dataclass
class Echo:
    """Answers with what it was sent, and remembers it in order."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append(body)
        self.answered.append(body)
        if request.path == "/stream":
            answer = web.StreamResponse()
            await answer.prepare(request)
            for _ in range(3):
                await answer.write(body)
            await answer.write_eof()
            return answer
        return web.Response(body=body)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async for each in serving(None):
        yield each


async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[Echo]:
    echo = Echo()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{any:.*}", echo.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    echo.port = runner.addresses[0][1]
    yield echo
    await runner.cleanup()


async def post(port: int, body: bytes, path: str = "/", timeout_s: float = 5) -> bytes:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.post(f"http://127.0.0.1:{port}{path}", data=body) as answer,
    ):
        return await answer.read()


async def test_a_good_line_passes_bodies_streams_and_kept_connections_unchanged(echo: Echo) -> None:
    body = bytes(range(256)) * 4_000
    with FaultProxy(echo.port) as proxy:
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.post(f"http://127.0.0.1:{proxy.port}/", data=body) as answer:
                    assert await answer.read() == body
            async with session.post(f"http://127.0.0.1:{proxy.port}/stream", data=body) as answer:
                assert await answer.read() == body * 3
    assert len(proxy.struck) == 4


async def test_a_dropped_request_never_reaches_the_server(echo: Echo) -> None:
    with FaultProxy(echo.port, script([Fault.DROP_REQUEST])) as proxy:
        with pytest.raises(BROKEN):
            await post(proxy.port, b"a")
        assert echo.got == []
        assert await post(proxy.port, b"b") == b"b"


@pytest.mark.parametrize("fault", [Fault.DROP_ANSWER, Fault.TRUNCATE, Fault.RESET])
async def test_a_lost_answer_leaves_the_server_having_answered(echo: Echo, fault: Fault) -> None:
    with FaultProxy(echo.port, script([fault])) as proxy:
        with pytest.raises(BROKEN):
            await post(proxy.port, b"a" * 1000)
        assert echo.answered == [b"a" * 1000]
        assert await post(proxy.port, b"b") == b"b"
        assert proxy.struck_by(fault) == 1


async def test_a_duplicate_reaches_the_server_twice_and_the_client_once(echo: Echo) -> None:
    with FaultProxy(echo.port, script([Fault.DUPLICATE])) as proxy:
        assert await post(proxy.port, b"a") == b"a"
    assert echo.got == [b"a", b"a"]


async def test_reordered_requests_arrive_the_other_way_round(echo: Echo) -> None:
    with FaultProxy(echo.port, script([Fault.REORDER])) as proxy:
        first = asyncio.create_task(post(proxy.port, b"a"))
        await until(lambda: len(proxy.struck) == 1)
        assert await post(proxy.port, b"b") == b"b"
        assert await first == b"a"
    assert echo.got == [b"b", b"a"]


async def test_a_late_request_arrives_after_the_one_that_replaced_it(echo: Echo) -> None:
    with FaultProxy(echo.port, script([Fault.LATE])) as proxy:
        with pytest.raises(BROKEN):
            await post(proxy.port, b"a")
        assert await post(proxy.port, b"again") == b"again"
        await until(lambda: len(echo.got) == 2)
    assert echo.got == [b"again", b"a"]


async def test_a_cut_line_refuses_until_it_is_restored(echo: Echo) -> None:
    with FaultProxy(echo.port) as proxy:
        proxy.cut()
        with pytest.raises(BROKEN):
            await post(proxy.port, b"a")
        proxy.restore()
        assert await post(proxy.port, b"b") == b"b"
    assert echo.got == [b"b"]


async def test_a_cut_ends_a_connection_that_waits(echo: Echo) -> None:
    with FaultProxy(echo.port, script([Fault.DELAY]), delay_s=60) as proxy:
        waiting = asyncio.create_task(post(proxy.port, b"a", timeout_s=30))
        await until(lambda: len(proxy.struck) == 1)
        began = time.monotonic()
        proxy.cut()
        with pytest.raises(BROKEN):
            await waiting
        assert time.monotonic() - began < 5


async def test_a_throttled_line_is_slow_and_whole(echo: Echo) -> None:
    with FaultProxy(echo.port) as proxy:
        proxy.bytes_per_s = 40_000
        began = time.monotonic()
        assert await post(proxy.port, b"x" * 8_000) == b"x" * 8_000
        assert time.monotonic() - began > 0.3


async def test_the_same_seed_strikes_the_same_requests() -> None:
    def struck(plan: Plan) -> list[Fault]:
        return [plan(Asked(number, "POST", "/v1/batches")) for number in range(200)]

    faults = [Fault.DROP_ANSWER, Fault.RESET]
    assert struck(seeded(7, 0.4, faults)) == struck(seeded(7, 0.4, faults)) != struck(seeded(8, 0.4, faults))
    assert 50 < sum(fault is not Fault.NONE for fault in struck(seeded(7, 0.4, faults))) < 110
    assert set(struck(seeded(7, 0.4, faults, path="/v1/poll"))) == {Fault.NONE}


async def test_bytes_pass_untouched_and_break_on_demand(echo: Echo) -> None:
    faults = [Fault.DROP_REQUEST, Fault.DROP_ANSWER, Fault.TRUNCATE, Fault.RESET]
    with FaultProxy(echo.port, script([Fault.NONE, *faults]), http=False) as proxy:
        assert await post(proxy.port, b"fine") == b"fine"
        for fault in faults:
            with pytest.raises(BROKEN):
                await post(proxy.port, fault.encode(), timeout_s=1)
        assert await post(proxy.port, b"fine") == b"fine"
    assert echo.got == [b"fine", b"drop-answer", b"truncate", b"reset", b"fine"]


async def until(condition: object, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)
