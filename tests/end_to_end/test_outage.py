"""A line that is cut, and one that carries some things and not others."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from deploy.town import Gate
from edge_agent import identity as identity_file
from edge_agent.gate import Gate as TapPath
from edge_agent.journal.store import Store
from edge_agent.moments import SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.readers import CardRead
from edge_agent.release.dry import DryRelease
from tests.end_to_end.quick_town import (
    ALICE,
    BORIS,
    CHEN,
    SEVEN,
    STRANGER,
    Places,
    QuickTown,
    answers,
    delivered,
    tap,
    until_reason,
)

QUEUED = 5_000


def tap_offline(gate: Gate, times: int) -> None:
    """Taps through the real tap path on a stopped agent's disk, as an agent without a line would have written them."""
    data = gate.directory / "data"
    identity, moments = identity_file.load(data), SystemMoments()
    assert identity is not None
    store, release = Store(data), DryRelease(gate.released)
    path = TapPath(store, release, moments, Holding(identity.device, identity.gate))
    uptake = Uptake(data, path, identity)
    uptake.load()
    moment = moments.now()
    store.begin_epoch(identity.device, identity.gate, identity.signer(), moment, path.clock(moment), "start")
    cards = [CardRead("simulated", bytes.fromhex(uid)) for uid in (ALICE, BORIS, SEVEN, STRANGER)]
    for number in range(times):
        path.tap(cards[number % len(cards)])
    uptake.close()
    release.close()
    store.close()


@pytest.mark.xdist_group("outage-queue")
async def test_five_thousand_taps_of_an_outage_are_delivered_and_receipted_once_the_line_is_back(
    town: QuickTown,
) -> None:
    gate = await town.open_gate()
    await tap(gate, ALICE)
    await delivered(gate)
    gate.line.cut()
    await asyncio.to_thread(gate.process.stop)
    await asyncio.to_thread(tap_offline, gate, QUEUED)

    gate.process.start()
    waiting = await gate.until(lambda status: status["central_reachable"] is False)
    assert waiting["backlog"] >= QUEUED
    assert (await tap_on_top(gate)).reason == "ok", "the queue does not hold up a tap"
    gate.line.restore()
    start_s = time.monotonic()
    await delivered(gate)
    assert time.monotonic() - start_s < 10

    held = await asyncio.to_thread(town.held)
    assert len(held) == len(set(held)) > QUEUED
    assert gate.stop() == 0
    assert await asyncio.to_thread(town.audit, gate) == []
    batches = town.look_up("SELECT through - first + 1 FROM batches ORDER BY received_ms")
    assert max(size for (size,) in batches) == 1_000


async def tap_on_top(gate: Gate) -> object:
    """One more tap behind thousands."""
    before = len(gate.signals())
    gate.tap(CHEN)
    return (await answers(gate, before + 1))[-1]


# --- a line that swallows uploads -------------------------------------------------------------------------------


class Proxy:
    """Passes requests on, but for uploads above `ceiling` bytes: those meet `fate`, a status or "hang"."""

    def __init__(self, central_port: int) -> None:
        self._central_port = central_port
        self.fate: int | str | None = None
        self.ceiling = 0
        self.uploads: list[int] = []
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Proxy"]:
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/v1/batches":
            self.uploads.append(len(body))
        if request.path == "/v1/batches" and len(body) > self.ceiling:
            if self.fate == "hang":
                await asyncio.sleep(3_600)
            if isinstance(self.fate, int):
                return web.Response(status=self.fate, text="not today")
        url = f"http://127.0.0.1:{self._central_port}{request.path}"
        async with self._session.request(request.method, url, data=body) as answer:
            return web.Response(status=answer.status, body=await answer.read())


@pytest.mark.xdist_group("outage-swallow")
@pytest.mark.parametrize("fate", [413, 500, "hang"])
async def test_a_line_that_swallows_uploads_does_not_delay_a_revocation(places: Places, fate: int | str) -> None:
    town = places.settle('tls = "none"\n')
    await town.start_central()
    async with Proxy(town.port).open() as proxy:
        gate = await join_by(town, proxy)
        assert (await tap(gate, CHEN)).reason == "ok"
        await delivered(gate)

        proxy.fate = fate
        tried = len(proxy.uploads)
        for _ in range(8):
            assert (await tap(gate, ALICE)).reason == "ok"
        await gate.until(lambda _: len(proxy.uploads) > tried)
        await town.do("card", "block", CHEN, "--notation", "hex")
        assert await until_reason(gate, CHEN, "card-blocked") < 2
        waiting = await gate.until(lambda status: status["backlog"] >= 9)
        assert waiting["receipted_through"] < waiting["sequence"]

        proxy.fate = None
        if fate == "hang":  # the agent gives the silent connection up by itself only after half a minute
            await asyncio.to_thread(gate.process.stop)
            gate.process.start()
        await delivered(gate)
        await asyncio.to_thread(gate.stop)
        assert await asyncio.to_thread(town.audit, gate) == []


async def join_by(town: QuickTown, proxy: Proxy) -> Gate:
    """A gate whose way to central leads through the proxy."""
    gate = await town.join_at(f"http://127.0.0.1:{proxy.port}")
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0 and status["policy_version"] > 0)
    return gate


@pytest.mark.xdist_group("outage-swallow")
async def test_batches_shrink_until_they_pass_and_then_grow_again(places: Places) -> None:
    """413 comes from a proxy with a small ceiling: the queue goes through it all the same."""
    town = places.settle('tls = "none"\n')
    await town.start_central()
    async with Proxy(town.port).open() as proxy:
        gate = await join_by(town, proxy)
        await delivered(gate)
        await asyncio.to_thread(gate.process.stop)
        await asyncio.to_thread(tap_offline, gate, 600)
        proxy.fate, proxy.ceiling = 413, 40_000
        gate.process.start()
        await delivered(gate)
        sizes = [size for (size,) in town.look_up("SELECT through - first + 1 FROM batches ORDER BY received_ms")]
        assert sum(sizes) > 600
        assert max(sizes) > 50, "not event by event"
