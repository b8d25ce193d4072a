"""A whole town on one machine: central and gates as real processes, driven by the commands that operators use."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.line import Line
from deploy.ports import Port

START_S = 90
BIN = Path(sys.executable).parent


class CommandFailed(Exception):
    """A command of ours did not do what it was asked; the text is its own."""


class Spot(NamedTuple):
    """Where a gate stands and what it goes by."""

    gate: str
    venue: str
    domain: str
    kind: str
    policy: str
    title_zh: str
    title_en: str


def run(*command: str | Path) -> str:
    """A command to its end. Raises CommandFailed with what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise CommandFailed(
            f"{' '.join(str(part) for part in command[1:4])}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


class Process:
    """One process of ours, ended by its id and no other way."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self.command, self.log = [str(part) for part in command], log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """The end of its log."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-3:]) or "without a word"

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM, then wait. Returns the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Gate:
    """One agent with a simulated reader, behind a line of its own."""

    def __init__(
        self, spot: Spot, directory: Path, line: Line, has_card_reader: bool, has_screen: bool = False
    ) -> None:
        self.spot, self.directory, self.line = spot, directory, line
        self.screen_port = Port.free() if has_screen else 0
        directory.mkdir(parents=True, exist_ok=True)
        self.fifo, self.released = directory / "reader", directory / "released"
        if not self.fifo.exists():
            os.mkfifo(self.fifo, 0o600)
        self.config = directory / "edge.toml"
        reader = '\n[[readers]]\nname = "card reader"\nkind = "pcsc"\n' if has_card_reader else ""
        screen = f"\n[screen]\nport = {self.screen_port}\n" if has_screen else ""
        self.config.write_text(
            'data_dir = "data"\nretry_max_s = 1.0\npoll_wait_s = 20\n'
            f'\n[release]\nkind = "dry"\npath = "{self.released}"\n'
            f'\n[[readers]]\nname = "simulated"\nkind = "simulated"\npath = "{self.fifo}"\n{reader}{screen}'
        )
        self.process = Process([BIN / "tapgate-edge", "--config", self.config, "run"], directory / "log")
        self._fifo = -1

    def command(self, *arguments: str) -> str:
        return run(BIN / "tapgate-edge", "--config", self.config, *arguments)

    def tap(self, uid: str) -> None:
        """Hold a card to the reader."""
        if self._fifo < 0:
            self._fifo = os.open(self.fifo, os.O_RDWR)
        os.write(self._fifo, f"{uid}\n".encode())

    def signals(self) -> list[list[str]]:
        """What the release was told so far: epoch, sequence, outcome, reason."""
        try:
            return [line.split() for line in self.released.read_text().splitlines()]
        except FileNotFoundError:
            return []

    async def status(self) -> dict[str, Any] | None:
        """What the agent says of itself; None while it does not answer."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_unix_connection(self.directory / "data" / "agent.sock")
                line = await reader.readline()
                writer.close()
            return json.loads(line) if line else None
        except (OSError, TimeoutError, ValueError):
            return None

    async def until(self, condition: Any, timeout_s: float = START_S) -> dict[str, Any]:
        """The first status that meets the condition. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                status = await self.status()
                if status is not None and condition(status):
                    return status
                if not self.process.is_running:
                    raise CommandFailed(f"{self.spot.gate} ended: {self.process.last_words()}")
                await asyncio.sleep(0.05)

    def stop(self) -> int:
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
        return self.process.stop()


class Town:
    """Use as an async context: everything that it started has ended afterwards."""

    def __init__(
        self, directory: Path, database: str = "", tls: bool = True, lines: bool = True, settings: str = ""
    ) -> None:
        """`lines` False: agents reach central without a line that can be cut, as figures want it. `settings`: further
        lines of central's settings."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.port, self.tls, self.lines = Port.free(), tls, lines
        self.console_port = Port.free()
        self.config = directory / "central.toml"
        self.config.write_text(
            f'data_dir = "{directory / "central"}"\nport = {self.port}\nconsole_port = {self.console_port}\n'
            + (f'database = "{database}"\n' if database else "")
            + ("" if tls else 'tls = "none"\n')
            + settings
        )
        self.central = Process([BIN / "tapgate-central", "--config", self.config, "serve"], directory / "central.log")
        self.gates: dict[str, Gate] = {}

    @property
    def console_url(self) -> str:
        """Where people look, in plain HTTP on this machine."""
        return f"http://127.0.0.1:{self.console_port}/console/"

    def command(self, *arguments: str | Path) -> str:
        return run(BIN / "tapgate-central", "--config", self.config, *arguments)

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.command(*arguments, "--json"))

    async def start_central(self) -> None:
        """Returns when devices are served."""
        self.central.start()
        async with asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                if not self.central.is_running:
                    raise CommandFailed(f"central ended: {self.central.last_words()}")
                await asyncio.sleep(0.05)

    async def join(self, spot: Spot, has_card_reader: bool = False, has_screen: bool = False) -> Gate:
        """Invite, enrol, compare the words, confirm: as an operator would. The agent is not started yet."""
        line = Line(self.port)
        await line.open()
        gate = Gate(spot, self.directory / spot.gate, line, has_card_reader, has_screen)
        self.gates[spot.gate] = gate
        url = f"{'https' if self.tls else 'http'}://127.0.0.1:{line.port if self.lines else self.port}"
        token = (await asyncio.to_thread(self.json, "device", "invite", spot.gate, "--url", url))["token"]
        answer = json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json"))
        await asyncio.to_thread(self.command, "device", "confirm", answer["device"], "--words", answer["words"])
        return gate

    async def __aenter__(self) -> "Town":
        return self

    async def __aexit__(self, *_: object) -> None:
        for gate in self.gates.values():
            await asyncio.to_thread(gate.stop)
            await gate.line.close()
        await asyncio.to_thread(self.central.stop)
