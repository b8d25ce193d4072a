"""Lines of the machine, at the border of libgpiod: its own settings and values, with a chip of ours behind them (not
every kernel can simulate one)."""

from typing import Any

import gpiod
import pytest
from gpiod.line import Bias, Direction, Value

from edge_agent.release import ReleaseFailed
from edge_agent.release.gpio import GpioInput, GpioOutput
from edge_agent.release.settings import GpioInputSettings, GpioOutputSettings


class Chip:
    """Stands in for the kernel: who holds a line, and its value."""

    def __init__(self) -> None:
        self.values: dict[Any, Value] = {}
        self.held: dict[Any, gpiod.LineSettings] = {}
        self.path = "/dev/gpiochip0"
        self.is_there = True

    def request_lines(self, path: str, config: dict[Any, gpiod.LineSettings], consumer: str) -> "Request":
        if path != self.path or not self.is_there:
            raise FileNotFoundError(2, "No such file or directory")
        ((line, settings),) = config.items()
        if line in self.held:
            raise OSError(16, "Device or resource busy")
        assert consumer == "tapgate"
        self.held[line] = settings
        if settings.direction is Direction.OUTPUT:
            self.values[line] = settings.output_value
        return Request(self, line)


class Request:
    """One line that is held."""

    def __init__(self, chip: Chip, line: Any) -> None:
        self.chip, self.line = chip, line

    def _check(self, line: Any) -> None:
        assert line == self.line
        if not self.chip.is_there:
            raise OSError(19, "No such device")

    def get_value(self, line: Any) -> Value:
        self._check(line)
        return self.chip.values.get(line, Value.INACTIVE)

    def set_value(self, line: Any, value: Value) -> None:
        self._check(line)
        self.chip.values[line] = value

    def release(self) -> None:
        self.chip.held.pop(self.line, None)
        self.chip.values.pop(self.line, None)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    made = Chip()
    monkeypatch.setattr(gpiod, "request_lines", made.request_lines)
    return made


def test_a_pulse_is_held_until_off_and_the_line_reverts_with_its_holder(chip: Chip) -> None:
    output = GpioOutput("lock", GpioOutputSettings(17))
    assert (output.times_itself, output.reverts, output.rests_free) == (False, True, False)
    output.pulse(3_000)
    assert chip.values[17] is Value.ACTIVE
    assert chip.held[17].direction is Direction.OUTPUT
    output.off()
    assert chip.values[17] is Value.INACTIVE
    output.on()
    output.close()
    assert 17 not in chip.held


def test_a_line_that_holds_a_lock_is_active_at_rest(chip: Chip) -> None:
    output = GpioOutput("lock", GpioOutputSettings(17, active_low=True, at_rest="energised"))
    assert output.rests_free
    output.off()
    assert chip.values[17] is Value.ACTIVE
    assert (chip.held[17].output_value, chip.held[17].active_low) == (Value.ACTIVE, True)
    output.pulse(1_000)
    assert chip.values[17] is Value.INACTIVE


@pytest.mark.parametrize(
    ("normally_closed", "value", "level"),
    [
        (False, Value.ACTIVE, True),
        (False, Value.INACTIVE, False),
        (True, Value.ACTIVE, False),
        (True, Value.INACTIVE, True),
    ],
)
def test_a_contact_is_read_as_a_level(chip: Chip, normally_closed: bool, value: Value, level: bool) -> None:
    wanted = GpioInputSettings("DOOR", bias="pull-up", active_low=True, normally_closed=normally_closed, debounce_ms=30)
    contact = GpioInput("door", wanted)
    chip.values["DOOR"] = value
    assert contact.level() is level
    held = chip.held["DOOR"]
    assert (held.direction, held.bias, held.active_low) == (Direction.INPUT, Bias.PULL_UP, True)
    assert contact.debounce_ms == 30
    contact.close()
    assert chip.held == {}


def test_a_chip_that_goes_is_named_and_asked_again_until_it_is_back(chip: Chip) -> None:
    output, contact = GpioOutput("lock", GpioOutputSettings(17)), GpioInput("door", GpioInputSettings(27))
    output.off()
    assert contact.level() is False
    chip.is_there = False
    with pytest.raises(ReleaseFailed, match=r"output 'lock': line 17 of /dev/gpiochip0.*No such device"):
        output.pulse(1_000)
    assert contact.level() is None
    with pytest.raises(ReleaseFailed, match="No such file"):
        output.off()
    assert "line 17" in output.trouble()
    chip.is_there = True
    output.pulse(1_000)
    assert chip.values[17] is Value.ACTIVE
    assert contact.level() is False
    assert output.trouble() == ""


def test_a_line_that_another_program_holds_is_a_failure_with_its_name(chip: Chip) -> None:
    GpioOutput("other", GpioOutputSettings(17)).off()
    with pytest.raises(ReleaseFailed, match=r"'lock'.*busy"):
        GpioOutput("lock", GpioOutputSettings(17)).off()


def test_without_a_chip_the_real_library_says_so() -> None:
    with pytest.raises(ReleaseFailed, match="/dev/gpiochip-none"):
        GpioOutput("lock", GpioOutputSettings(1, chip="/dev/gpiochip-none")).off()
    assert GpioInput("door", GpioInputSettings(2, chip="/dev/gpiochip-none")).level() is None
