"""The port of the screen: for this machine's own page and nobody else, and nothing it is sent holds up a tap."""

import asyncio
import contextlib
import gc
import json
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from edge_agent.screen import server as serving
from edge_agent.screen.connections import MOST
from edge_agent.screen.server import FILES, MAX_BODY_BYTES, MAX_WATCHING, OWN
from tests.edge_agent.screen.kiosk import PIN, STAFF, STRANGER, Kiosk, kiosk

ADMIT = {"staff": STAFF, "pin": PIN, "why": "group", "sequence": -1}


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with kiosk(tmp_path / "edge") as made:
        yield made


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as made:
        yield made


class Stream:
    """A page's stream of events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> tuple[str, Any]:
        """Kind and content of the next event."""
        kind, data = "message", ""
        while line := (await self.response.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            kind, data = (value, data) if name == "event" else (kind, value if name == "data" else data)
        return (kind, json.loads(data)) if data else await self.next()

    async def until(self, **wanted: Any) -> Any:
        while True:
            kind, view = await self.next()
            if kind == "message" and all(view[name] == value for name, value in wanted.items()):
                return view


@contextlib.asynccontextmanager
async def watching(gate: Kiosk, client: aiohttp.ClientSession) -> AsyncIterator[tuple[Stream, str]]:
    """A stream, and the token that it begins with."""
    async with client.get(f"{gate.url}/events") as response:
        stream = Stream(response)
        kind, hello = await stream.next()
        assert kind == "hello"
        yield stream, hello["token"]


async def post(client: aiohttp.ClientSession, gate: Kiosk, path: str, body: Any, **headers: str) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(gate.url + path, data=data, headers=headers) as response:
        return response.status, await response.text()


# --- what a page gets -------------------------------------------------------------------------------------------


async def test_a_page_and_its_files_come_from_this_agent_alone(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    for path in FILES:
        async with client.get(gate.url + path) as response:
            text = await response.text()
            policy = response.headers["Content-Security-Policy"]
        assert response.status == 200
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "://" not in text.replace("http://127.0.0.1", "")
        assert " style=" not in text
        assert " onclick" not in text
        assert response.headers["Cache-Control"] == "no-store"
    async with client.get(gate.url + "/..%2f..%2fpins.py") as response:
        assert response.status == 404


async def test_a_stream_tells_every_answer_at_once_and_lives_on_without_any(
    gate: Kiosk, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BEAT_S", 0.05)
    async with watching(gate, client) as (stream, _):
        assert (await stream.next())[1]["mode"] == "ready"
        gate.tap(STRANGER)
        assert (await stream.until(mode="denied"))["headline"] == ["這張卡尚未登記", "This card is not registered"]
        gate.wait(4_000)
        await stream.until(mode="ready")
        for _ in range(3):
            assert (await stream.next())[1]["mode"] == "ready"


async def test_state_says_the_same_as_the_stream(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    gate.tap()
    async with watching(gate, client) as (stream, _), client.get(gate.url + "/state") as response:
        _, told = await stream.next()
        assert await response.json() == told
    assert (told["undo_left_ms"], told["mode"]) == (10_000, "granted")


async def test_the_end_is_told(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    async with watching(gate, client) as (stream, _):
        await stream.next()
        closing = asyncio.create_task(gate.server.close())
        kinds = []
        while "bye" not in kinds:
            kinds.append((await stream.next())[0])
        await closing


# --- who is served ----------------------------------------------------------------------------------------------


async def test_it_listens_on_loopback_alone(gate: Kiosk) -> None:
    port = f"{gate.server.port:04X}"
    lines = [*Path("/proc/net/tcp").read_text().splitlines(), *Path("/proc/net/tcp6").read_text().splitlines()]
    listening = [line.split()[1] for line in lines if f":{port} " in line and line.split()[3] == "0A"]
    assert listening == [f"0100007F:{port}"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "gate.example.tw"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.example.tw:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://example.tw"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_sites_page_reads_nothing(
    gate: Kiosk, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    """Names stand on the screen, and the stream begins with the token."""
    said = {name: value.format(port=gate.server.port) for name, value in headers.items()}
    for path in ("/state", "/events"):
        async with client.get(gate.url + path, headers=said) as response:
            assert response.status in (400, 403), path
            assert "ready" not in await response.text()
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_page_may_be_gone_to_from_the_waiting_page(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    async with client.get(gate.url + "/", headers={"Sec-Fetch-Site": "cross-site"}) as response:
        assert response.status == 200
    async with client.get(f"http://localhost:{gate.server.port}/") as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/undo", "/admit", "/choose"])
async def test_nothing_is_pressed_without_the_token_of_a_stream_that_lives(
    gate: Kiosk, client: aiohttp.ClientSession, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BEAT_S", 0.05)
    body = {"/undo": {"sequence": gate.tap().sequence}, "/choose": {"rule": ""}}.get(path, ADMIT)
    events = len(gate.edge.events())
    async with watching(gate, client) as (_, token):
        wrong = ({}, {OWN: ""}, {OWN: "x" * 22}, {OWN: token[:-1]}, {OWN: "é" * 22})
        for headers in wrong:
            assert (await post(client, gate, path, body, **headers))[0] == 403
        assert (await post(client, gate, path, body, **{OWN: token, "Origin": "http://example.tw"}))[0] == 403
        assert (await post(client, gate, path, body, **{OWN: token, "Host": "example.tw"}))[0] == 403
    async with asyncio.timeout(10):
        while gate.server._tokens:
            await asyncio.sleep(0.01)
    assert (await post(client, gate, path, body, **{OWN: token}))[0] == 403
    assert len(gate.edge.events()) == events


async def test_what_is_pressed_with_it_happens(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    sequence = gate.tap().sequence
    async with watching(gate, client) as (stream, token):
        origin = {OWN: token, "Origin": gate.url}
        assert json.loads((await post(client, gate, "/undo", {"sequence": sequence}, **origin))[1]) == {"undone": True}
        await stream.until(mode="undone")
        found = json.loads((await post(client, gate, "/admit", ADMIT, **origin))[1])
        assert found == {"admitted": True, "why": "staff-admitted", "wait_ms": 0}
        assert (await stream.until(mode="granted"))["headline"][1] == "Admitted by staff"


BAD = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"sequence": "1"}',
    b'{"sequence": -1}',
    b'{"sequence": 1e400}',
    b'{"sequence": 1, "more": 2}',
    json.dumps(ADMIT | {"why": ""}).encode(),
    json.dumps(ADMIT | {"staff": "x" * 65}).encode(),
    json.dumps(ADMIT | {"pin": int(PIN)}).encode(),
    b"[" * 2_000,
]


@pytest.mark.parametrize("path", ["/undo", "/admit", "/choose"])
async def test_a_body_that_the_page_does_not_send_is_refused_and_not_repeated(
    gate: Kiosk, client: aiohttp.ClientSession, path: str
) -> None:
    with capture_logs() as logged:
        async with watching(gate, client) as (_, token):
            for body in BAD:
                status, text = await post(client, gate, path, body, **{OWN: token})
                assert (status, PIN in text) == (400, False), body
            assert (await post(client, gate, path, b" " * (MAX_BODY_BYTES + 1), **{OWN: token}))[0] == 413
    assert PIN not in repr(logged)


async def test_an_endless_body_is_cut_off(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    async with watching(gate, client) as (_, token):

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65_536

        with contextlib.suppress(aiohttp.ClientError):
            async with client.post(gate.url + "/admit", data=endless(), headers={OWN: token}) as response:
                assert response.status == 413
    assert gate.tap().sequence >= 0


async def test_a_body_that_does_not_come_is_not_waited_for(
    gate: Kiosk, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BODY_S", 0.1)
    async with watching(gate, client) as (_, token):
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.server.port)
        head = f"POST /admit HTTP/1.1\r\nHost: 127.0.0.1:{gate.server.port}\r\n{OWN}: {token}\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_a_flood_of_pins_is_looked_at_one_at_a_time(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    """So that the agent's own threads stay free for lists and deliveries."""
    async with watching(gate, client) as (_, token):
        body = ADMIT | {"pin": "111111"}
        found = await asyncio.gather(*(post(client, gate, "/admit", body, **{OWN: token}) for _ in range(12)))
    statuses = [status for status, _ in found]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= 6


# --- who reads slowly, or not at all ------------------------------------------------------------------------------


async def test_a_hundred_idle_connections_keep_no_page_out(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    async with watching(gate, client) as (stream, _):
        idle = [await asyncio.open_connection("127.0.0.1", gate.server.port) for _ in range(100)]
        idle[50][1].write(b"GET / HTTP/1.1\r\nHost: ")  # one that never says all of it
        async with client.get(gate.url + "/state") as response:
            assert response.status == 200
        assert len(gate.server._runner.server.connections) <= MOST + 17  # type: ignore[union-attr]
        gate.tap()
        await stream.until(mode="granted")
        for _, writer in idle:
            writer.close()


async def test_the_newest_page_takes_the_place_of_the_oldest(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    """A browser that died and whose connection still stands must not keep its successor out."""
    async with contextlib.AsyncExitStack() as stack:
        streams = [(await stack.enter_async_context(watching(gate, client)))[0] for _ in range(MAX_WATCHING + 1)]
        gate.tap()
        await streams[-1].until(mode="granted")
        kinds = []
        while "bye" not in kinds:
            kinds.append((await streams[0].next())[0])


async def test_a_page_that_reads_nothing_costs_no_tap_and_is_let_go(
    gate: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "WRITE_S", 0.3)
    monkeypatch.setattr(serving, "BEAT_S", 0.001)
    gate.configure(title_zh="總" * 500, title_en="m" * 500)  # the more there is to send the sooner it is too much
    with socket.create_connection(("127.0.0.1", gate.server.port)) as dead:
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        dead.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{gate.server.port}\r\n\r\n".encode())
        deadline = time.monotonic() + 60
        seen = False
        while not seen or gate.server._tokens:
            seen = seen or bool(gate.server._tokens)
            assert time.monotonic() < deadline
            started = time.monotonic()
            await asyncio.to_thread(gate.tap, STRANGER)
            assert time.monotonic() - started < 5
            await asyncio.sleep(0)
    assert gate.screen.look().mode == "denied"


async def test_a_port_that_is_taken_is_tried_again(gate: Kiosk, tmp_path: Path, client: aiohttp.ClientSession) -> None:
    other = Kiosk(tmp_path / "other", port=gate.server.port)
    with pytest.raises(OSError, match="in use"):
        await other.start()
    await gate.server.close()
    await other.server.start()
    async with client.get(f"http://127.0.0.1:{other.server.port}/state") as response:
        assert response.status == 200
    await other.close()


# --- for ever ---------------------------------------------------------------------------------------------------


async def test_what_is_shown_leaves_nothing_behind_in_the_agent(gate: Kiosk, client: aiohttp.ClientSession) -> None:
    signals = [gate.tap(), gate.tap(STRANGER)]
    async with watching(gate, client) as (stream, _):

        async def show(count: int) -> None:
            for number in range(count):
                gate.screen.signal(signals[number % 2])
                await stream.until(answer=gate.screen.look().answer)

        await show(200)
        tracemalloc.start()
        try:
            await show(200)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await show(2_000)
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - before < 40_000
        finally:
            tracemalloc.stop()


def test_an_agent_without_a_screen_loads_nothing_that_serves_pages() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, edge_agent.agent; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"aiohttp.web", "edge_agent.screen.server"} & set(found.stdout.split())
