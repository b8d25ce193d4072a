"""The program itself with two readers of two kinds: a FIFO, and a PN532 on a serial line."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge_agent.test_agent import Program
from tests.support.central_side import CentralSide, uid
from tests.support.edge_side import Edge
from tests.support.emulated_pn532 import EmulatedPn532


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[EmulatedPn532]:
    with EmulatedPn532(tmp_path) as made:
        yield made


@pytest.fixture
def program(tmp_path: Path, chip: EmulatedPn532, central: CentralSide) -> Iterator[Program]:
    made = Program(tmp_path)
    with made.settings.open("a") as settings:
        settings.write(f'[[readers]]\nname = "side"\nkind = "nfc"\npath = "{chip.nfcpy_path}"\n')
    with Edge(made.data, central) as edge:
        edge.take_all()
        edge.prove()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.log.close()


def side(program: Program) -> dict[str, Any]:
    return next(row for row in (program.status() or {}).get("readers", []) if row["name"] == "side")


def card_on(program: Program, chip: EmulatedPn532, number: int) -> str:
    """The line that the release wrote for it."""
    before = len(program.lines())
    chip.card = uid(number)
    line = program.until(lambda: program.lines()[before:])[0]
    chip.card = None
    return str(line)


def test_both_are_served_one_is_unplugged_and_the_chip_is_left_as_it_was_found(
    program: Program, chip: EmulatedPn532
) -> None:
    program.start()
    program.until(lambda: side(program)["state"] == "ready")
    row = side(program)
    assert (row["profile"], row["firmware"], row["alarm"]) == ("pn532-uart", "1.6", "")
    assert "granted ok" in card_on(program, chip, 1)
    chip.unplug()
    program.until(lambda: side(program)["state"] == "absent")
    assert "granted ok" in program.tap(2)
    chip.plug()
    program.until(lambda: side(program)["state"] == "ready")
    assert "granted ok" in card_on(program, chip, 3)
    assert program.stop() == 0
    assert (chip.speed, chip.asleep) == (115_200, True)


def test_a_chip_left_by_an_agent_that_was_killed_serves_the_next_one(program: Program, chip: EmulatedPn532) -> None:
    program.start()
    program.until(lambda: side(program)["state"] == "ready")
    program.stop(signal.SIGKILL)
    assert chip.speed == 921_600
    program.start()
    program.until(lambda: side(program)["state"] == "ready")
    assert "granted ok" in card_on(program, chip, 3)
    assert program.stop() == 0
