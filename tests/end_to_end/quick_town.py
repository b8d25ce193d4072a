"""A town whose founding costs next to nothing: its records are copied, its commands run in this process.

Central and the agents are real processes all the same, with real TLS between them. `Town` and `Gate` of `deploy` do
the work; here is what tests ask of them besides.
"""

import asyncio
import json
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner, Result

from central.__main__ import cli as central_cli
from central.keys import Keys
from deploy.line import Line
from deploy.town import CommandFailed, Gate, Process, Spot, Town
from edge_agent.__main__ import cli as edge_cli
from protocol.envelope import Keyring
from tests.support.auditor import audit, released

DEADLINE_S = 30.0
DOOR = Spot("library-door", "central-library", "library", "door", "open-house", "圖書館入口", "Library door")
DESK = Spot("library-desk", "central-library", "library", "counter", "open-house", "圖書館櫃檯", "Library desk")
SPOTS = (DOOR, DESK)

ALICE, BORIS, CHEN, SEVEN = "2A83155E", "9B3C7D21", "7186A61E", "04A1B2C3D4E5F6"
STRANGER = "DEADBEEF"
POLICY = 'repeat_window_s = 0\n[[rules]]\nkind = "admit"\nid = "members"\nclasses = ["citizen"]\n'
CARDS = "uid,member,class,valid_from,valid_until\n" + "".join(
    f"{uid},M-{number},citizen,,\n" for number, uid in enumerate((ALICE, BORIS, CHEN, SEVEN))
)

_one_command_at_a_time = threading.Lock()


def invoke(program: str, *arguments: str | Path) -> Result:
    """A command line in this process, to its end: exit code, stdout, stderr. From an event loop, call it in a thread
    when the command needs the loop, as one that talks through a `Line` does."""
    cli = {"tapgate-central": central_cli, "tapgate-edge": edge_cli}[program]
    with _one_command_at_a_time, ThreadPoolExecutor(1) as thread:  # a thread that runs no event loop yet
        work = thread.submit(CliRunner().invoke, cli, [str(part) for part in arguments], prog_name=program)
        result = work.result()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_here(*command: str | Path) -> str:
    """In the place of `deploy.town.run`."""
    program, *arguments = command
    result = invoke(Path(program).name, *arguments)
    if result.exit_code != 0:
        raise CommandFailed(f"{' '.join(map(str, arguments[2:4]))}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def found(directory: Path, database: str = "") -> None:
    """Keys, places, a policy and four cards, by the commands that operators use."""
    town = QuickTown(directory, database)
    (directory / "policy.toml").write_text(POLICY)
    (directory / "cards.csv").write_text(CARDS)
    town.command("init", "--domain", DOOR.domain, "--venue", DOOR.venue)
    town.command("policy", "put", DOOR.policy, directory / "policy.toml")
    for spot in SPOTS:
        town.command("gate", "add", spot.gate, "--venue", spot.venue, "--policy", spot.policy, "--kind", spot.kind)
    town.command("card", "import", directory / "cards.csv", "--domain", DOOR.domain, "--notation", "hex", "--apply")


class Answer(NamedTuple):
    """What a gate answered to one tap."""

    epoch: str
    sequence: int
    outcome: str
    reason: str


class QuickTown(Town):
    """`database`: of a PostgreSQL; not given: SQLite. `settings`: further lines of central's settings."""

    def __init__(self, directory: Path, database: str = "", settings: str = "") -> None:
        super().__init__(directory, database, settings=settings)

    def command(self, *arguments: str | Path) -> str:
        return run_here("tapgate-central", "--config", self.config, *arguments)

    def fails(self, *arguments: str | Path) -> Result:
        """A command that is expected not to do what it was asked."""
        result = invoke("tapgate-central", "--config", self.config, *arguments)
        assert result.exit_code != 0, result.stdout
        return result

    @property
    def data(self) -> Path:
        return self.directory / "central"

    @property
    def keys(self) -> Keys:
        return Keys(self.data / "keys")

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.command("log", "--json").splitlines()]

    def held(self) -> list[tuple[str, str, int]]:
        """Every event in custody, as often as it counts; those of forked batches are evidence and do not count."""
        return [(e["device"], e["epoch"], e["sequence"]) for e in self.log() if e["outcome"] != "forked"]

    def look_up(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Central's SQLite, read beside the running server."""
        with closing(sqlite3.connect(f"file:{self.data / 'central.db'}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def evidence(self) -> list[str]:
        return [kind for (kind,) in self.look_up("SELECT kind FROM evidence ORDER BY kind")]

    async def do(self, *arguments: str | Path) -> str:
        return await asyncio.to_thread(self.command, *arguments)

    async def new_gate(self, spot: Spot = DOOR, name: str = "") -> Gate:
        """An agent with settings and nothing else."""
        line = Line(self.port)
        await line.open()
        gate = Gate(spot, self.directory / (name or spot.gate), line, has_card_reader=False)
        gate.config.write_text(gate.config.read_text().replace("poll_wait_s = 20", "poll_wait_s = 2"))
        self.gates[name or spot.gate] = gate
        return gate

    async def invite(self, url: str, spot: Spot = DOOR) -> str:
        return str(json.loads(await self.do("device", "invite", spot.gate, "--url", url, "--json"))["token"])

    async def join_at(self, url: str, spot: Spot = DOOR) -> Gate:
        """As `join`, by way of something that stands between gate and central."""
        gate = await self.new_gate(spot)
        joined = json.loads(await asyncio.to_thread(gate.command, "enrol", await self.invite(url, spot), "--json"))
        await self.do("device", "confirm", joined["device"], "--words", joined["words"])
        return gate

    async def open_gate(self, spot: Spot = DOOR) -> Gate:
        """Enrolled, confirmed, running, and holding the list."""
        gate = await self.join(spot)
        gate.process.start()
        await gate.until(lambda status: status["allowlist_version"] > 0 and status["policy_version"] > 0)
        return gate

    async def restart_central(self) -> None:
        await asyncio.to_thread(self.central.stop)
        await self.start_central()

    def audit(self, gate: Gate, data: Path | None = None, told: Path | None = None) -> list[str]:
        """What an auditor finds who knows only what was released and what was receipted. Empty is good."""
        device = self.device_of(gate)
        ring = Keyring.of(self.keys.receipt.public)
        seen = released(told or gate.released)
        return audit(seen, data or gate.directory / "data", self.data / "central.db", ring, device)

    def device_of(self, gate: Gate) -> str:
        return str(json.loads(gate.command("status", "--json"))["device"])


async def tap(gate: Gate, uid: str) -> Answer:
    """One tap at the simulated reader, and its answer."""
    before = len(gate.signals())
    gate.tap(uid)
    return (await answers(gate, before + 1))[before]


async def answers(gate: Gate, number: int) -> list[Answer]:
    """The gate's answers, once there are so many."""
    await until(lambda: len(gate.signals()) >= number, f"{number} answers of {gate.spot.gate}")
    return [Answer(epoch, int(sequence), *rest) for epoch, sequence, *rest in gate.signals()]


async def delivered(gate: Gate, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
    """The gate's status once everything that it wrote down has a receipt."""
    return await gate.until(
        lambda status: status["backlog"] == 0 and status["receipted_through"] == status["sequence"], timeout_s
    )


async def until(condition: Callable[[], Any], what: str, timeout_s: float = DEADLINE_S) -> Any:
    """The first truthy answer. Fails with what was waited for."""
    end_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not in {timeout_s:g} s: {what}"
        await asyncio.sleep(0.01)
    return found


async def until_reason(gate: Gate, uid: str, reason: str, timeout_s: float = DEADLINE_S) -> float:
    """Taps until the gate answers with this reason; the seconds that took."""
    start_s = time.monotonic()
    while (answer := await tap(gate, uid)).reason != reason:
        assert time.monotonic() < start_s + timeout_s, f"{gate.spot.gate} still says {answer.reason}, not {reason}"
        await asyncio.sleep(0.02)
    return time.monotonic() - start_s


class Crowd:
    """People who tap at these gates for as long as the block runs, and do not care what else goes on."""

    def __init__(self, *gates: Gate, pause_s: float = 0.03) -> None:
        self._gates, self._pause_s = gates, pause_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Crowd":
        self._task = asyncio.create_task(self._tap())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _tap(self) -> None:
        for number in count():
            for gate in self._gates:
                gate.tap((ALICE, BORIS, SEVEN, STRANGER)[number % 4])
            await asyncio.sleep(self._pause_s)


class Places:
    """Copies of one founded town; everything that was started has ended when the block has."""

    def __init__(self, template: Path) -> None:
        self._template = template
        self._directories: list[Path] = []
        self._towns: list[Town] = []
        self._processes: list[Process] = []

    def directory(self) -> Path:
        """A short path: sockets live in it."""
        self._directories.append(Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp")))
        return self._directories[-1]

    def settle(self, settings: str = "", database: str = "") -> QuickTown:
        """A town of its own with the template's places and cards. Nothing runs yet."""
        directory = self.directory()
        shutil.copytree(self._template / "central", directory / "central")
        return self.look_after(QuickTown(directory, database, settings))

    def look_after(self, town: QuickTown) -> QuickTown:
        self._towns.append(town)
        return town

    def process(self, command: Iterable[str | Path], log: Path) -> Process:
        self._processes.append(Process(list(command), log))
        return self._processes[-1]

    async def __aenter__(self) -> "Places":
        return self

    async def __aexit__(self, *_: object) -> None:
        ends: list[Awaitable[Any]] = [asyncio.to_thread(process.stop) for process in self._processes]
        await asyncio.gather(*ends)
        for town in self._towns:
            for gate in town.gates.values():
                await asyncio.to_thread(gate.stop)
            await town.__aexit__()
        for directory in self._directories:
            shutil.rmtree(directory, ignore_errors=True)
