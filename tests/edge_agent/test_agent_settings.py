"""The program itself is set by central: configuration, profiles, names; and goes back when it is killed in a trial."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent import identity as identity_file
from edge_agent.journal.verify import verify
from protocol.messages import (
    ConfigDetail,
    Direction,
    Event,
    GateConfig,
    Kind,
    MaskedName,
    Names,
    Profiles,
    ReleaseConfig,
    ScreenConfig,
    decode,
)
from tests.edge_agent.test_agent import Program
from tests.support.central_side import DOMAIN, GATE, CentralSide, serving, subject
from tests.support.edge_side import Edge

GENERIC = resources.files("firmware_profiles").joinpath("generic-pcsc.toml").read_text("utf-8")


@pytest.fixture
def program(tmp_path: Path, central: CentralSide) -> Iterator[Program]:
    """Stocked by an earlier contact, with a configuration that it has run with."""
    made = Program(tmp_path)
    with Edge(made.data, central) as edge:
        edge.take_all()
        edge.prove()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.log.close()


def at(program: Program, url: str) -> None:
    identity = identity_file.load(program.data)
    assert identity is not None
    identity_file.save(program.data, msgspec.structs.replace(identity, url=url))


async def until(program: Program, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The status, once this holds of it."""

    def said() -> dict[str, Any] | None:
        status = program.status()
        return status if status and holds(status) else None

    found: dict[str, Any] = await asyncio.to_thread(program.until, said)
    return found


def told(central: CentralSide) -> list[tuple[str, str, int]]:
    """What central heard of what was put to use."""
    events = [decode(Event, public) for public in central.publics()]
    details = [decode(ConfigDetail, event.detail) for event in events if event.kind == Kind.CONFIG]
    return [(detail.part, detail.what, detail.version) for detail in details]


async def test_everything_that_central_publishes_reaches_the_machine(program: Program, central: CentralSide) -> None:
    central.config = GateConfig(2, GATE, "door", screen=ScreenConfig(names=True))
    central.profiles = Profiles(4, {"generic-pcsc": GENERIC})
    central.names = Names(DOMAIN, 7, (MaskedName(subject(1), "王○明"),))
    central.publish()
    versions = {"config_version": 2, "profiles_version": 4, "names_version": 7}
    async with serving(central.app()) as url:
        at(program, url)
        await asyncio.to_thread(program.start)
        await until(program, lambda status: versions.items() <= status.items() and not status["troubles"])
        central.config = GateConfig(3, GATE, "door", release=ReleaseConfig(passage="door"))
        central.publish()
        found = await until(program, lambda status: status["troubles"])
        assert "config 3: not-satisfiable" in found["troubles"][0]
        assert found["config_version"] == 2
        in_use = [("config", "in-use", 1), ("config", "in-use", 2), ("profiles", "in-use", 4)]
        await asyncio.to_thread(program.until, lambda: told(central) == in_use)
        assert await asyncio.to_thread(program.stop) == 0
    assert verify(program.data) == []


async def test_killed_twice_in_a_trial_it_goes_back_and_says_so(program: Program, central: CentralSide) -> None:
    central.config = GateConfig(2, GATE, "door", direction=Direction.OUT)
    central.publish()
    async with serving(central.app()) as url:
        at(program, url)
        await asyncio.to_thread(program.start)
        await until(program, lambda status: status["on_trial"] == ["config 2"])
        assert "granted leaving" in await asyncio.to_thread(program.tap, 99)
        for _ in range(2):
            await asyncio.to_thread(program.stop, signal.SIGKILL)
            await asyncio.to_thread(program.start)
        found = await until(program, lambda status: status["config_version"] == 1 and not status["on_trial"])
        assert any("config 2" in trouble and "given up" in trouble for trouble in found["troubles"])
        assert "denied unknown-card" in await asyncio.to_thread(program.tap, 99)
        await asyncio.to_thread(program.until, lambda: any(t.version == 2 for t in central.polls[-1].troubles))
        await asyncio.to_thread(program.until, lambda: ("config", "went-back", 2) in told(central))
        central.config = GateConfig(3, GATE, "door")
        central.publish()
        found = await until(program, lambda status: status["config_version"] == 3)
        assert found["troubles"] == []
        assert await asyncio.to_thread(program.stop) == 0
    assert verify(program.data) == []
