"""The state behind the page: the last answer, who watches, and what people press. Signals come from readers' threads;
everything else happens in the event loop, or in a thread of its own where it writes to the journal."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from edge_agent.gate import Gate
from edge_agent.release import Signal
from edge_agent.screen.pins import Pins
from edge_agent.screen.view import Answer, Surroundings, View, next_ms, view
from protocol.messages import Outcome

LONGEST_S = 60.0


class Screen:
    """One gate's. `surroundings` is asked for at every look; it must be quick."""

    def __init__(self, gate: Gate, surroundings: Callable[[], Surroundings]) -> None:
        self._gate, self._surroundings = gate, surroundings
        self._pins = Pins(gate)
        self._answer: Answer | None = None
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._bells: set[asyncio.Event] = set()
        self.is_closed = False
        gate.watchers.append(self.signal)

    # --- from the gate ----------------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """A new answer stands until the next one. From any thread."""
        name = self._gate.holding.names.get(signal.subject, "") if signal.subject else ""
        with self._lock:
            number = self._answer.number + 1 if self._answer else 1
            self._answer = Answer(number, self._now_ms(), signal, name)
        self.changed()

    def changed(self) -> None:
        """Something that the view is made from is another. From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def close(self) -> None:
        """Whoever watches is let go."""
        self.is_closed = True
        self._gate.watchers.remove(self.signal)
        self._ring()

    # --- for the page -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)

    def look(self) -> View:
        """What to show now."""
        return view(self._surroundings(), self._answer, self._now_ms())

    def told(self, shown: View) -> dict[str, Any]:
        """For the page, whose clock is not ours: times as milliseconds from now."""
        data: dict[str, Any] = msgspec.to_builtins(shown)
        until_ms = data.pop("undo_until_ms")
        return data | {"undo_left_ms": max(0, until_ms - self._now_ms()) if shown.undo >= 0 else 0}

    def until_s(self) -> float:
        """For how long the view stays as it is by itself."""
        now_ms = self._now_ms()
        due_ms = next_ms(self._surroundings(), self._answer, now_ms)
        return LONGEST_S if due_ms is None else max(0.0, (due_ms - now_ms) / 1_000)

    # --- what people press: called in a thread ----------------------------------------------------------

    def staff(self) -> list[str]:
        """Who may admit by hand here."""
        config = self._gate.holding.config
        return [person.id for person in config.staff] if config and config.screen.staff_admit else []

    def undo(self, sequence: int) -> bool:
        """Take back the tap that the page shows; False where that is too late or not allowed here."""
        answer, config = self._answer, self._gate.holding.config
        if answer is None or answer.signal.sequence != sequence or config is None or not config.screen.undo:
            return False
        if not self._gate.undo(sequence):
            return False
        with self._lock:
            if self._answer is answer:
                self._answer = Answer(answer.number + 1, self._now_ms(), answer.signal, undone=True)
        self.changed()
        return True

    def admit(self, staff: str, pin: str, why: str, sequence: int) -> dict[str, Any]:
        """Let somebody in: who, with a PIN, and why. `wait_ms`: nobody may try before that."""
        checked = self._pins.check(staff, pin)
        if not checked.fits:
            return {"admitted": False, "why": "wait" if checked.wait_ms else "pin", "wait_ms": checked.wait_ms}
        signal = self._gate.admit(staff, why, sequence)
        return {"admitted": signal.outcome is Outcome.GRANTED, "why": signal.reason, "wait_ms": 0}

    def _now_ms(self) -> int:
        return self._gate.moments.now().monotonic_ms
