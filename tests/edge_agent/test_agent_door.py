"""The program beside a real relay board: killed in mid-pulse, with a board that is away, with a door that opens."""

import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.journal.verify import verify
from protocol.messages import Event, InputDetail, PassageDetail, ReaderDetail, ReleaseConfig, decode
from tests.edge_agent.test_agent import Program
from tests.support.central_side import CentralSide, subject
from tests.support.edge_side import Edge
from tests.support.relay_board import RelayBoard

DETAILS = {"passage": PassageDetail, "input": InputDetail, "release-failed": ReaderDetail}


class Gate(Program):
    """With a lock on relay 0 of a board, a door contact on its input 0 and a fire alarm on its input 1."""

    def __init__(self, folder: Path, board: RelayBoard, timing: str = "flash", lock: str = "") -> None:
        super().__init__(folder)
        self.board = board
        text = (
            self.settings.read_text()
            + f"""output = "lock"
            [boards.relays]
            host = "127.0.0.1"
            port = {board.port}
            timing = "{timing}"
            poll_ms = 20
            [outputs.lock]
            kind = "modbus"
            board = "relays"
            relay = 0
            {lock}
            [inputs.door]
            kind = "modbus"
            board = "relays"
            input = 0
            [inputs.fire-alarm]
            kind = "modbus"
            board = "relays"
            input = 1
        """
        )
        self.settings.write_text(text)

    def stocked(self, central: CentralSide, **release: Any) -> "Gate":
        wanted = msgspec.structs.replace(central.config, version=2, release=ReleaseConfig(**release))
        central.config = wanted
        central.publish()
        with Edge(self.data, central) as edge:
            edge.take_all()
            edge.prove()
        return self

    def told(self, kind: str) -> list[Any]:
        """What events of a kind say, with the name of the epoch that they stand in."""
        with closing(sqlite3.connect(f"file:{self.data / 'agent.db'}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "SELECT e.public, p.epoch FROM events e JOIN epochs p ON p.number = e.id >> 40 ORDER BY e.id"
            ).fetchall()
        events = [(decode(Event, public), epoch) for public, epoch in rows]
        return [(decode(DETAILS[kind], event.detail), epoch) for event, epoch in events if event.kind == kind]

    def passages(self) -> list[tuple[int, str]]:
        return [(detail.sequence, detail.passage) for detail, _ in self.told("passage")]

    def seen(self, name: str) -> Any:
        found = self.status()
        return found and found["door"][name]


@pytest.fixture
def board() -> Iterator[RelayBoard]:
    with RelayBoard() as made:
        yield made


@pytest.fixture
def gate(tmp_path: Path, board: RelayBoard, central: CentralSide) -> Iterator[Gate]:
    made = Gate(tmp_path, board)
    made.stocked(central, passage="door", pulse_ms=1_500, passage_ms=60_000)
    yield made
    end(made)


def end(gate: Gate) -> None:
    if gate.process is not None and gate.process.poll() is None:
        gate.process.kill()
        gate.process.wait()
    gate.log.close()


def ready(gate: Gate) -> None:
    """Started; it sees its door and knows its configuration."""
    gate.start()
    gate.until(lambda: gate.seen("passage") == "door" and not gate.seen("blind"))


def test_killed_in_mid_pulse_it_leaves_the_gate_locked(gate: Gate, board: RelayBoard) -> None:
    """By the board's own timer; and the next run says that nobody saw who went through."""
    ready(gate)
    line = gate.tap(1)
    board.until(board.on)
    gate.stop(signal.SIGKILL)
    assert board.on(), "killed in mid-pulse"
    board.until(lambda: not board.on())
    assert board.pulses()[0] < 10, "nobody was there to end it"
    epoch, sequence = line.split()[:2]
    assert gate.passages() == []
    ready(gate)
    gate.until(gate.passages)
    ((detail, told_in),) = gate.told("passage")
    assert (detail.sequence, detail.passage, detail.epoch.hex()) == (int(sequence), "unknown", epoch)
    assert told_in.hex() != epoch
    assert gate.stop() == 0
    assert verify(gate.data) == []


def test_who_opens_has_passed_and_the_door_locks_behind_them(gate: Gate, board: RelayBoard) -> None:
    ready(gate)
    sequence = int(gate.tap(1).split()[1])
    board.until(board.on)
    board.tell(inputs={0: True})
    gate.until(lambda: gate.passages() == [(sequence, "taken")])
    board.until(lambda: not board.on())
    board.tell(inputs={0: False})
    gate.until(lambda: gate.seen("open") is False)
    board.tell(inputs={0: True})
    gate.until(lambda: gate.passages() == [(sequence, "taken"), (-1, "forced")])
    command = gate.command("inside", "--json")
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    (inside,) = found["inside"]
    assert (inside["who"], inside["passage"]) == (subject(1)[:4].hex(), "taken")
    board.tell(inputs={1: True})
    gate.until(lambda: gate.seen("fire"))
    gate.until(lambda: gate.told("input"))
    assert gate.told("input")[0][0] == InputDetail("fire-alarm", True, 1)
    status = gate.status()
    assert status is not None
    assert (status["inside"], status["door"]["alarm"]) == (1, "")


def test_stopped_in_mid_pulse_it_locks_at_once(gate: Gate, board: RelayBoard) -> None:
    ready(gate)
    sequence = int(gate.tap(1).split()[1])
    board.until(board.on)
    assert gate.stop() == 0
    assert not board.on()
    assert gate.passages() == [(sequence, "unknown")]


def test_a_board_that_is_away_is_an_error_at_once_and_used_when_it_is_back(gate: Gate, board: RelayBoard) -> None:
    board.tell(dead=True)
    gate.start()
    gate.until(lambda: gate.seen("lock_trouble"))
    gate.tap(1)
    gate.until(lambda: any(detail.reader != "-1" for detail, _ in gate.told("release-failed")))
    board.tell(dead=False)
    gate.until(lambda: not gate.seen("lock_trouble") and not gate.seen("blind"))
    gate.tap(2)
    board.until(board.on)
    log = (gate.folder / "log").read_text()
    assert "board-gone" in log
    for line in log.splitlines():
        json.loads(line)


def test_a_board_that_times_nothing_stays_free_when_killed_until_the_next_start(
    tmp_path: Path, board: RelayBoard, central: CentralSide
) -> None:
    """Which is why the settings have to say that somebody takes it upon themselves."""
    gate = Gate(tmp_path, board, "none", "allow_untimed = true").stocked(central, pulse_ms=2_000)
    gate.start()
    gate.until(lambda: not gate.seen("blind"))
    gate.tap(1)
    board.until(board.on)
    gate.stop(signal.SIGKILL)
    assert board.on()
    gate.start()
    board.until(lambda: not board.on())
    gate.tap(2)
    board.until(board.on)
    board.until(lambda: not board.on())
    end(gate)


def test_a_board_that_times_nothing_is_refused_for_a_fail_secure_gate(
    tmp_path: Path, board: RelayBoard, central: CentralSide
) -> None:
    gate = Gate(tmp_path, board, "none").stocked(central, passage="door")
    gate.start()
    gate.until(lambda: "allow_untimed" in str((gate.status() or {})["troubles"]))
    assert gate.seen("passage") == "none"
    end(gate)
