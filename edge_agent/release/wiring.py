"""What hangs on this machine, as its settings name it. The library of a kind is loaded only where it is used."""

import contextlib
import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol

from edge_agent.release import Input, Output, ReleaseFailed
from edge_agent.release.dry import DryOutput
from edge_agent.release.reader import ReaderRelay
from edge_agent.release.settings import (
    BoardSettings,
    GpioInputSettings,
    GpioOutputSettings,
    InputSettings,
    ModbusInputSettings,
    ModbusOutputSettings,
    OutputSettings,
    ReaderOutputSettings,
)


class Wired(Protocol):
    """The part of the settings that this needs."""

    @property
    def boards(self) -> dict[str, BoardSettings]: ...
    @property
    def outputs(self) -> dict[str, OutputSettings]: ...
    @property
    def inputs(self) -> dict[str, InputSettings]: ...


LIBRARIES = {"gpio": "gpiod", "modbus": "pymodbus"}
"""By the kind, which is the name of the extra too."""


class Wiring:
    """Boards, outputs and inputs by their names; the boards run from the start, every output is at rest.

    Raises ImportError, naming what needs a library that is not installed.
    """

    def __init__(self, settings: Wired) -> None:
        _look_for_libraries(settings)
        used = {each.board for each in _modbus(settings)}
        self.boards = {name: _board(name, settings.boards[name]) for name in sorted(used)}
        self.outputs: dict[str, Output] = {name: self._output(name, each) for name, each in settings.outputs.items()}
        self.inputs: dict[str, Input] = {name: self._input(name, each) for name, each in settings.inputs.items()}
        for board in self.boards.values():
            board.start()
        for output in self.outputs.values():
            with contextlib.suppress(ReleaseFailed):  # whoever uses it meets that again
                output.off()

    def _output(self, name: str, settings: OutputSettings) -> Output:
        if isinstance(settings, GpioOutputSettings):
            from edge_agent.release.gpio import GpioOutput

            return GpioOutput(name, settings)
        if isinstance(settings, ModbusOutputSettings):
            from edge_agent.release.modbus import ModbusOutput

            return ModbusOutput(name, settings, self.boards[settings.board])
        if isinstance(settings, ReaderOutputSettings):
            return ReaderRelay(name, settings.reader)
        return DryOutput()

    def _input(self, name: str, settings: InputSettings) -> Input:
        if isinstance(settings, GpioInputSettings):
            from edge_agent.release.gpio import GpioInput

            return GpioInput(name, settings)
        from edge_agent.release.modbus import ModbusInput

        return ModbusInput(settings, self.boards[settings.board])

    def drive_relays(self, play: Callable[[str], None]) -> None:
        """`play` has the relay command of the named reader sent. Raises ReleaseFailed."""
        for output in self.outputs.values():
            if isinstance(output, ReaderRelay):
                output.play = functools.partial(play, output.driven_by)

    def close(self) -> None:
        """Every output at rest, everything let go of."""
        for each in (*self.outputs.values(), *self.inputs.values(), *self.boards.values()):
            each.close()


def _look_for_libraries(settings: Wired) -> None:
    for table, named in (("outputs", settings.outputs), ("inputs", settings.inputs)):
        for name, each in named.items():
            kind = str(each.__struct_config__.tag)
            if kind in LIBRARIES and find_spec(LIBRARIES[kind]) is None:
                raise ImportError(f"{table}.{name} needs {LIBRARIES[kind]}, which is not installed: the extra {kind!r}")


def _modbus(settings: Wired) -> list[ModbusOutputSettings | ModbusInputSettings]:
    named = (*settings.outputs.values(), *settings.inputs.values())
    return [each for each in named if isinstance(each, ModbusOutputSettings | ModbusInputSettings)]


def _board(name: str, settings: BoardSettings) -> Any:
    from edge_agent.release.modbus import Board

    return Board(name, settings)
