"""Staff close a gate by PIN while central is away: it holds through a kill, and central hears of it afterwards."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from deploy.town import Gate
from tests.end_to_end.quick_town import ALICE, DOOR, QuickTown, delivered, tap, until_reason

PIN = "246813"
OFFERED = "screen = {staff_close = true}\n"


@contextlib.asynccontextmanager
async def page(gate: Gate) -> AsyncIterator[Any]:
    """What the gate's own page does: the token of its stream, and what is pressed."""
    url = f"http://127.0.0.1:{gate.screen_port}"
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/events") as stream:
        token = ""
        while not token:
            line = (await stream.content.readline()).decode()
            if line.startswith("data: "):
                token = json.loads(line[6:])["token"]

        async def press(path: str, **body: Any) -> Any:
            headers = {"X-Tapgate-Token": token}
            async with session.post(url + path, json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        yield press


@pytest.mark.xdist_group("closing-by-pin")
async def test_a_gate_closed_by_pin_without_central_stays_closed_and_central_hears_who_did_it(town: QuickTown) -> None:
    (town.directory / "screen.toml").write_text(OFFERED)
    (town.directory / "pin").write_text(PIN)
    await town.do("gate", "config", "put", DOOR.gate, town.directory / "screen.toml")
    await town.do("staff", "add", DOOR.venue, "lin", "--title", "Lin", "--pin-file", town.directory / "pin")
    gate = await town.join(DOOR, has_screen=True)
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0 and status["config_version"] > 0)
    assert (await tap(gate, ALICE)).reason == "ok"

    gate.line.cut()
    async with page(gate) as press:
        wrong = await press("/close", staff="lin", pin="111111", why="typhoon", hours=4)
        assert (wrong["done"], wrong["why"]) == (False, "pin")
        assert not (await press("/admit", staff="lin", pin=PIN, why="group"))["admitted"], "that is not offered here"
        assert (await press("/close", staff="lin", pin=PIN, why="typhoon", hours=4))["done"]
    assert (await tap(gate, ALICE)).reason == "closed"
    os.kill(gate.process.pid, signal.SIGKILL)
    await asyncio.to_thread(gate.process.stop)
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0)
    assert (await tap(gate, ALICE)).reason == "closed"

    gate.line.restore()
    await delivered(gate)
    (shown,) = json.loads(await town.do("closure", "list", "--json"))["gates"]
    assert (shown["gate"], shown["staff"], shown["why"], shown["opened_by"]) == (DOOR.gate, "lin", "typhoon", "")
    assert shown["until_ms"] - shown["from_ms"] == 4 * 3_600_000
    texts = ("--why-zh", "颱風", "--why-en", "Typhoon", "--who", "mayor")
    closed = json.loads(
        await town.do("closure", "add", "--city", "--from", "2026-01-01", "--until", "2126-09-01", *texts, "--json")
    )
    await town.do("closure", "end", closed["closure"]["id"], "--who", "mayor")
    assert (await tap(gate, ALICE)).reason == "closed", "central opens nothing that staff closed"

    async with page(gate) as press:
        assert (await press("/open", staff="lin", pin=PIN))["done"]
    await until_reason(gate, ALICE, "ok")
    await delivered(gate)
    assert json.loads(await town.do("closure", "list", "--json"))["gates"] == []
    (shown,) = json.loads(await town.do("closure", "list", "--all", "--json"))["gates"]
    assert shown["opened_by"] == "lin"
    assert "closed by lin" in await town.do("closure", "list", "--all")
    assert gate.stop() == 0
    assert await asyncio.to_thread(town.audit, gate) == []
