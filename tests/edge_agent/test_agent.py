"""The program itself, as a process: started, tapped through a FIFO, stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import identity as identity_file
from edge_agent import status
from edge_agent.journal.verify import verify
from tests.support.central_side import DEVICE, GATE, CentralSide, serving, uid
from tests.support.edge_side import Edge, identity_for

PATIENCE_S = 20.0


class Program:
    """`tapgate-edge run` over a folder, with a FIFO for a reader."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "edge"
        self.settings, self.taps, self.released = folder / "edge.toml", folder / "taps", folder / "released"
        self.log = (folder / "log").open("ab")
        os.mkfifo(self.taps)
        self.settings.write_text(
            'data_dir = "edge"\npoll_wait_s = 1\nretry_max_s = 0.2\n[journal]\nreserve_mib = 1\n'
            '[[readers]]\nname = "front"\nkind = "simulated"\npath = "taps"\n[release]\npath = "released"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "edge_agent", "--config", str(self.settings), *arguments]

    def start(self) -> None:
        self.process = subprocess.Popen(self.command("run"), stderr=self.log, stdout=self.log)
        self.until(lambda: self.status() is not None)

    def until(self, holds: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)
        return found

    def status(self) -> dict[str, Any] | None:
        return asyncio.run(status.ask(self.data)) if self.data.exists() else None

    def tap(self, number: int) -> str:
        """The line that the release wrote for it."""
        before = self.lines()
        with self.taps.open("w") as fifo:
            fifo.write(uid(number).hex() + " sak=20\n")
        return str(self.until(lambda: self.lines()[len(before) :])[0])

    def lines(self) -> list[str]:
        return self.released.read_text().splitlines() if self.released.exists() else []

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(name)
        return self.process.wait(PATIENCE_S)

    def events(self) -> list[tuple[str, int]]:
        return [(line.split()[0], int(line.split()[1])) for line in self.lines()]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.log.close()


@pytest.fixture
def alone(program: Program, central: CentralSide) -> Program:
    """Stocked by an earlier contact; central is not there now."""
    with Edge(program.data, central) as edge:
        edge.take_all()
        edge.prove()
    return program


def test_it_decides_alone_and_closes_cleanly_in_time(alone: Program) -> None:
    started = time.monotonic()
    alone.start()
    assert "granted ok" in alone.tap(1)
    assert time.monotonic() - started < 5
    assert "denied unknown-card" in alone.tap(99)
    found = alone.status()
    assert found is not None
    assert (found["running"], found["device"], found["gate"]) == (True, DEVICE, GATE)
    (reader,) = found["readers"]
    assert (reader["name"], reader["kind"], reader["state"], reader["alarm"]) == ("front", "simulated", "ready", "")
    assert reader["hardware"] == str(alone.taps)
    alone.until(lambda: alone.status()["central_reachable"] is False)  # type: ignore[index]
    began = time.monotonic()
    assert alone.stop() == 0
    assert time.monotonic() - began < 3
    assert verify(alone.data) == []
    assert not (alone.data / status.SOCKET).exists()
    log = (alone.folder / "log").read_text()
    assert uid(1).hex() not in log.lower()
    assert uid(99).hex() not in log.lower()
    for line in log.splitlines():
        json.loads(line)


def test_a_second_agent_on_the_same_data_is_turned_away(alone: Program) -> None:
    alone.start()
    second = subprocess.run(alone.command("run"), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    export = subprocess.run(
        alone.command("journal", "export", "x"), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert export.returncode == 1
    assert "already runs" in export.stderr


def test_decide_and_verify_work_beside_a_running_agent(alone: Program) -> None:
    alone.start()
    alone.tap(1)
    for arguments in (["decide", uid(1).hex(), "--json"], ["journal", "verify"], ["status", "--json"], ["readers"]):
        found = subprocess.run(alone.command(*arguments), capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == 0, found.stderr
    assert alone.stop(signal.SIGINT) == 0


def test_what_it_was_told_survives_a_kill(alone: Program) -> None:
    alone.start()
    for number in (1, 2, 99):
        alone.tap(number)
    alone.stop(signal.SIGKILL)
    alone.start()
    assert "granted" in alone.tap(3)
    assert alone.stop() == 0
    assert verify(alone.data) == []
    found = json.loads(subprocess.run(alone.command("status", "--json"), capture_output=True, check=True).stdout)
    assert found["backlog"] >= 2 + 4


async def test_it_joins_is_confirmed_delivers_and_is_revoked(program: Program, central: CentralSide) -> None:
    central.state = "pending"
    async with serving(central.app()) as url:
        identity_for(central, program.data, url)
        await asyncio.to_thread(program.start)
        await asyncio.to_thread(
            program.until,
            lambda: any("confirm" in trouble for trouble in program.status()["troubles"]),  # type: ignore[index]
        )
        assert "denied list-missing" in await asyncio.to_thread(program.tap, 1)
        central.state = "active"
        await asyncio.to_thread(program.until, lambda: program.status()["allowlist_rows"] == 5)  # type: ignore[index]
        assert "granted ok" in await asyncio.to_thread(program.tap, 1)
        await asyncio.to_thread(program.until, lambda: program.status()["backlog"] == 0)  # type: ignore[index]
        found = await asyncio.to_thread(program.status)
        assert found is not None
        assert found["central_reachable"] is True
        assert found["troubles"] == []
        assert len(central.publics()) == found["sequence"] + 1
        central.state = "revoked"
        await asyncio.to_thread(
            program.until,
            lambda: any("revoked" in trouble for trouble in program.status()["troubles"]),  # type: ignore[index]
        )
        assert "denied not-enrolled" in await asyncio.to_thread(program.tap, 1)
        assert await asyncio.to_thread(program.stop) == 0
    assert identity_file.load(program.data) is None
    assert not list(program.data.glob("list-*"))
    assert verify(program.data) == []


async def test_taps_of_an_outage_arrive_when_the_line_is_back(alone: Program, central: CentralSide) -> None:
    app = central.app()
    async with serving(app) as url:
        pass
    port = int(url.rsplit(":", 1)[1])
    identity = identity_file.load(alone.data)
    assert identity is not None
    import msgspec

    identity_file.save(alone.data, msgspec.structs.replace(identity, url=url))
    await asyncio.to_thread(alone.start)
    for number in (1, 2, 3):
        await asyncio.to_thread(alone.tap, number)
    from aiohttp import web

    runner = web.AppRunner(central.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.to_thread(alone.until, lambda: alone.status()["backlog"] == 0)  # type: ignore[index]
    assert await asyncio.to_thread(alone.stop) == 0
    await runner.cleanup()
    assert len(central.publics()) >= 4


def test_at_rest_it_is_small_and_writes_nothing(alone: Program) -> None:
    alone.start()
    alone.tap(1)
    assert alone.process is not None
    pid = alone.process.pid
    alone.until(lambda: alone.status()["sequence"] >= 3)  # type: ignore[index]
    words = Path(f"/proc/{pid}/status").read_text().split()
    assert int(words[words.index("VmRSS:") + 1]) < 70 * 1024
    before = written(alone.data)
    polls = Path(alone.log.name).read_text().count("poll-failed")
    alone.until(lambda: Path(alone.log.name).read_text().count("poll-failed") >= polls + 5)
    assert written(alone.data) == before


def written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_it_runs_in_a_folder_whose_name_is_longer_than_a_socket_s_may_be(tmp_path: Path, central: CentralSide) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    program = Program(folder)
    with Edge(program.data, central) as edge:
        edge.take_all()
    program.start()
    assert "granted" in program.tap(1)
    assert program.stop() == 0
    program.log.close()
