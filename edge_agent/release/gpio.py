"""Lines of the machine itself, by libgpiod 2.

A line goes back to what it is without a holder when its holder ends, a killed one too: the kernel lets go of it. On
the chips of small boards that is an input with the board's own pull, so wire the relay such that it rests there: a
strike on NO, a maglock on NC.
"""

import threading
from typing import Any

import gpiod
import structlog
from gpiod.line import Bias, Direction, Value

from edge_agent.release import Output, ReleaseFailed
from edge_agent.release.settings import GpioInputSettings, GpioOutputSettings

log = structlog.get_logger(__name__)

CONSUMER = "tapgate"
ERRORS = (OSError, ValueError, RuntimeError)
"""Of libgpiod: no chip, no such line, held by another process, let go of."""

BIASES = {"as-is": Bias.AS_IS, "pull-up": Bias.PULL_UP, "pull-down": Bias.PULL_DOWN, "disabled": Bias.DISABLED}


class _Line:
    """One line, asked for again whenever it is not held: a chip on USB comes and goes."""

    def __init__(self, name: str, chip: str, line: int | str, settings: "gpiod.LineSettings") -> None:
        self.name, self._chip, self._line, self._settings = name, chip, line, settings
        self._request: Any = None
        self._lock = threading.Lock()
        self.trouble = ""

    def get(self) -> bool:
        return bool(self._with(lambda request: request.get_value(self._line) is Value.ACTIVE))

    def set(self, active: bool) -> None:
        value = Value.ACTIVE if active else Value.INACTIVE
        self._with(lambda request: request.set_value(self._line, value))

    def _with(self, use: Any) -> Any:
        with self._lock:
            try:
                if self._request is None:
                    self._request = gpiod.request_lines(self._chip, {self._line: self._settings}, CONSUMER)
                found = use(self._request)
            except ERRORS as error:
                self._let_go()
                why = f"{self.name}: line {self._line} of {self._chip}: {error}"
                if not self.trouble:
                    log.error("gpio-failed", line=self.name, error=str(error))
                self.trouble = why
                raise ReleaseFailed(why) from error
            self.trouble = ""
            return found

    def _let_go(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            try:
                request.release()
            except ERRORS as error:
                log.debug("gpio-not-released", line=self.name, error=str(error))

    def close(self) -> None:
        with self._lock:
            self._let_go()


class GpioOutput(Output):
    """A relay on a line."""

    reverts = True

    def __init__(self, name: str, settings: GpioOutputSettings) -> None:
        self.rests_free = settings.at_rest == "energised"
        at_rest = Value.ACTIVE if self.rests_free else Value.INACTIVE
        wanted = gpiod.LineSettings(direction=Direction.OUTPUT, active_low=settings.active_low, output_value=at_rest)
        self._line = _Line(f"output {name!r}", settings.chip, settings.line, wanted)

    def pulse(self, ms: int) -> None:
        self.on()

    def on(self) -> None:
        self._line.set(not self.rests_free)

    def off(self) -> None:
        self._line.set(self.rests_free)

    def trouble(self) -> str:
        return self._line.trouble

    def close(self) -> None:
        """The line reverts."""
        self._line.close()


class GpioInput:
    """A contact on a line."""

    def __init__(self, name: str, settings: GpioInputSettings) -> None:
        self.debounce_ms = settings.debounce_ms
        self._opens = settings.normally_closed
        wanted = gpiod.LineSettings(
            direction=Direction.INPUT, active_low=settings.active_low, bias=BIASES[settings.bias]
        )
        self._line = _Line(f"input {name!r}", settings.chip, settings.line, wanted)

    def level(self) -> bool | None:
        try:
            return self._line.get() is not self._opens
        except ReleaseFailed:
            return None

    def close(self) -> None:
        self._line.close()
