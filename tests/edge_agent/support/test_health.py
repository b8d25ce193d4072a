"""What a device tells of itself: when it starts, when it changes, now and then; never more, and nothing is written."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from edge_agent.support import health
from edge_agent.support.health import HealthReports, Looked, Room, disk_room, memory_room, readers_of
from edge_agent.uplink import Uplink
from protocol.fleet import ReaderHealth
from protocol.messages import Clock, Poll
from tests.support.central_side import DEVICE, CentralSide, serving
from tests.support.certificates import authority_context
from tests.support.edge_side import Edge

GIB = 1024**3
READER = ReaderHealth("front", "pcsc", "ready", "ACR1252", "acr1252u", "V106")
LOOKED = Looked(Room(20 * GIB, 30 * GIB), Room(500, 1_000), Clock.TRUSTED, (READER,), 60, 1_790_000_000_000)


class Reporter:
    """The reports of one device, at a central that answers with `status`."""

    def __init__(self, central: CentralSide, uplink: Uplink) -> None:
        self.found, self.known, self.status = LOOKED, True, 200
        self.reports = HealthReports(DEVICE, central.device_signer, uplink, lambda: self.found, lambda: self.known)


@pytest.fixture
async def reporter(edge: Edge, central: CentralSide) -> AsyncIterator[Reporter]:
    app = central.app()

    @web.middleware
    async def refuse(request: web.Request, handler: Any) -> Any:
        return await handler(request) if made.status == 200 else web.Response(status=made.status)

    app.middlewares.append(refuse)
    async with serving(app) as url:
        identity = msgspec.structs.replace(edge.uptake.identity, url=url)
        async with Uplink(identity, None) as uplink:
            made = Reporter(central, uplink)
            yield made


async def test_the_first_look_is_told_and_the_same_again_is_not(reporter: Reporter, central: CentralSide) -> None:
    assert await reporter.reports.step()
    assert not await reporter.reports.step()
    (told,) = central.healths
    assert (told.device, told.readers, told.disk_free_bytes, told.clock) == (DEVICE, (READER,), 20 * GIB, Clock.TRUSTED)
    assert told.certificate_until_ms == 0


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"readers": (msgspec.structs.replace(READER, state="wedged"),)}, True),
        ({"readers": (msgspec.structs.replace(READER, firmware="V107"),)}, True),
        ({"clock": Clock.BEHIND}, True),
        ({"disk": Room(18 * GIB, 30 * GIB)}, True),
        ({"disk": Room(19 * GIB, 30 * GIB)}, False),
        ({"disk": Room(20 * GIB, 60 * GIB)}, True),
        ({"memory": Room(250, 1_000)}, True),
        ({"memory": Room(400, 1_000)}, False),
        ({"machine_s": 90, "at_ms": 1_790_000_030_000}, False),
    ],
)
async def test_only_what_is_worth_it_is_told_before_it_is_due(
    reporter: Reporter, changes: dict[str, Any], is_told: bool
) -> None:
    await reporter.reports.step()
    reporter.found = LOOKED._replace(**changes)
    assert await reporter.reports.step() is is_told


async def test_it_is_told_again_when_it_is_due(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "EVERY_S", 0.0)
    assert [await reporter.reports.step() for _ in range(3)] == [True, True, True]


async def test_what_could_not_be_sent_is_told_by_the_next_look(reporter: Reporter, central: CentralSide) -> None:
    reporter.status = 503
    assert not await reporter.reports.step()
    reporter.status = 200
    assert await reporter.reports.step()
    assert len(central.healths) == 1


async def test_a_central_that_does_not_take_it_is_left_alone(reporter: Reporter, central: CentralSide) -> None:
    reporter.status = 404
    await reporter.reports.step()
    reporter.status = 200
    assert not await reporter.reports.step()
    assert central.healths == []


async def test_nothing_is_told_before_the_device_is_known(
    reporter: Reporter, central: CentralSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter.known = False
    task = asyncio.create_task(reporter.reports.run())
    await asyncio.sleep(0.05)
    assert central.healths == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_what_cannot_be_read_of_the_machine_is_not_known(tmp_path: Path) -> None:
    assert disk_room(tmp_path / "nowhere") == Room()
    assert memory_room(tmp_path / "nowhere") == Room()
    (tmp_path / "meminfo").write_text("MemTotal: lots\n")
    assert memory_room(tmp_path / "meminfo") == Room()
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\nHugePages_Total: 0\n")
    assert memory_room(tmp_path / "meminfo") == Room(409_600, 1_024_000)
    assert 0 < disk_room(tmp_path).free <= disk_room(tmp_path).whole


def test_what_a_reader_does_not_tell_is_empty() -> None:
    row = {"name": "r" * 99, "kind": "nfc", "state": "absent", "hardware": "", "profile": None, "firmware": "v" * 999}
    (told,) = readers_of([row])
    assert (told.name, told.model, told.profile, len(told.firmware)) == ("r" * 64, "", "", 500)
    assert len(readers_of([row] * 99)) == 64


async def test_the_end_of_a_certificate_that_authorities_vouch_for_is_known(
    edge: Edge, central: CentralSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, bundle, until_ms = authority_context(tmp_path)
    trusted = ssl.create_default_context(cafile=bundle)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusted)
    async with serving(central.app(), context) as url:
        identity = msgspec.structs.replace(
            edge.uptake.identity, url=url.replace("127.0.0.1", "localhost"), pinned=False
        )
        async with Uplink(identity, None) as uplink:
            assert uplink.certificate_until_ms == 0
            poll = Poll(DEVICE, bytes(16), 0, central.number, 1, (), (), 0, 0, "t", ())
            assert await uplink.send("/v1/poll", central.device_signer.seal(poll))
            assert uplink.certificate_until_ms == until_ms
