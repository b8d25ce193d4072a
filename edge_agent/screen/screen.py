"""The state behind the page: the last answer, who watches, and what people press. Signals come from readers' threads;
everything else happens in the event loop, or in a thread of its own where it writes to the journal."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from edge_agent.gate import Gate
from edge_agent.release import Signal
from edge_agent.screen.closing import day_end_ms
from edge_agent.screen.pins import Checked, Pins
from edge_agent.screen.situation import Answer, Surroundings, Undo
from edge_agent.screen.view import View, next_ms, view
from edge_agent.screen.wording import NOTHING, said_of
from protocol.consent import ConsentNotice, Said
from protocol.messages import Outcome
from protocol.reasons import Reason
from protocol.time_zones import CITY_ZONE

LONGEST_S = 60.0
HOUR_MS = 3_600_000
DENIED = 16
"""So many denied taps are remembered, for those that staff then admit."""


class Screen:
    """One gate's. `surroundings` is asked for at every look; it must be quick. `keys`: the domain's."""

    def __init__(
        self, gate: Gate, surroundings: Callable[[], Surroundings], keys: Callable[[], Iterable[bytes]]
    ) -> None:
        self._gate, self._surroundings = gate, surroundings
        self._pins = Pins(gate, keys)
        self._answer: Answer | None = None
        self._denied: deque[tuple[bytes, int]] = deque(maxlen=DENIED)
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._bells: set[asyncio.Event] = set()
        self.is_closed = False
        gate.watchers.append(self.signal)

    # --- from the gate ----------------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """A new answer stands until the next one. From any thread."""
        name = self._gate.holding.names.get(signal.subject, "") if signal.subject else ""
        stated = said_of(signal.stated, self._gate.holding.notices) if signal.stated else NOTHING
        if signal.outcome is Outcome.DENIED and signal.stated is None:
            self._denied.append((signal.epoch, signal.sequence))
        with self._lock:
            number = self._answer.number + 1 if self._answer else 1
            self._answer = Answer(number, self._now_ms(), signal, name, stated)
        self.changed()

    def changed(self, *_: object) -> None:
        """Something that the view is made from is another. From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def close(self) -> None:
        """Whoever watches is let go. May be said twice."""
        self.is_closed = True
        with contextlib.suppress(ValueError):
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
        return view(self._surroundings(), self._standing(), self._now_ms())

    def _standing(self) -> Answer | None:
        """The last answer, and whether it can still be taken back: whoever has gone through cannot."""
        answer = self._answer
        if answer is None or answer.undo is not Undo.NOT_ASKED or answer.signal.outcome is not Outcome.GRANTED:
            return answer
        name = (answer.signal.epoch, answer.signal.sequence)
        can_undo = bool(self._gate.granted.undoable(name, self._now_ms()))
        return msgspec.structs.replace(answer, can_undo=can_undo)

    def told(self, shown: View) -> dict[str, Any]:
        """For the page, whose clock is not ours: times as milliseconds from now."""
        data: dict[str, Any] = msgspec.to_builtins(shown)
        now_ms = self._now_ms()
        undo_ms, stating_ms = data.pop("undo_until_ms") - now_ms, data.pop("stating_until_ms") - now_ms
        return data | {
            "undo_left_ms": max(0, undo_ms) if shown.undo >= 0 else 0,
            "stating_left_ms": max(0, stating_ms) if shown.stating else 0,
        }

    def notices(self) -> tuple[ConsentNotice, ...]:
        """What may be agreed to or taken back here just now; a page that is about to ask reads it anew."""
        return self._gate.consenting.asks() if self.look().can_consent else ()

    def until_s(self) -> float:
        """For how long the view stays as it is by itself."""
        now_ms = self._now_ms()
        due_ms = next_ms(self._surroundings(), self._answer, now_ms)
        return LONGEST_S if due_ms is None else max(0.0, (due_ms - now_ms) / 1_000)

    # --- what people press: called in a thread ----------------------------------------------------------

    def undo(self, sequence: int) -> bool:
        """Take back the tap that the page shows. False, and said on the screen: too late. False: not allowed here."""
        answer, config = self._answer, self._gate.holding.config
        if answer is None or answer.signal.sequence != sequence or config is None or not config.screen.undo:
            return False
        if answer.undo is not Undo.NOT_ASKED or answer.signal.epoch != self._gate.store.epoch.epoch:
            return False
        done = self._gate.amends.undo(sequence)
        with self._lock:
            if self._answer is answer:
                outcome = Undo.DONE if done else Undo.TOO_LATE
                self._answer = Answer(answer.number + 1, self._now_ms(), answer.signal, undo=outcome)
        self.changed()
        return done

    def choose(self, rule: str) -> bool:
        """By this rule the next card is to be judged; empty = by none. False: it is not among those that are shown."""
        offered = {choice.rule for choice in self._surroundings().choices}
        if rule and rule not in offered:
            return False
        self._gate.choose(rule)
        self.changed()
        return True

    def consent(self, purpose: str, version: int, said: str) -> bool:
        """The next card states this; an empty purpose: it does not any more. False: that is not what is shown here."""
        if not purpose:
            self._gate.consenting.state_nothing()
        elif not self.look().can_consent or not self._gate.consenting.state(purpose, version, Said(said)):
            return False
        self.changed()
        return True

    def admit(self, staff: str, pin: str, why: str, sequence: int) -> dict[str, Any]:
        """Let somebody in: who, with a PIN, and why; `sequence`: the denied tap before it, −1 = none.

        `wait_ms`: nothing is looked at before that.
        """
        checked = self._pins.check(staff, pin)
        if not checked.staff:
            return {"admitted": False} | _refused(checked)
        if (self._gate.store.epoch.epoch, sequence) not in self._denied:
            sequence = -1
        signal = self._gate.admit(checked.staff, why, sequence)
        return {"admitted": signal.outcome is Outcome.GRANTED, "why": signal.reason, "wait_ms": 0}

    def close_entry(self, staff: str, pin: str, why: str, hours: int) -> dict[str, Any]:
        """Close the way in for so many hours; 0 = until the end of the local day."""
        checked = self._pins.check(staff, pin, "staff_close")
        if not checked.staff:
            return {"done": False} | _refused(checked)
        config = self._gate.holding.config
        now_ms = self._gate.now_ms()
        day_end = day_end_ms(now_ms, config.time_zone if config else CITY_ZONE)
        for_ms = hours * HOUR_MS if hours else day_end - now_ms
        with self._gate.paused():
            done = self._gate.closing.close_entry(checked.staff, why, for_ms)
        return self._closed(done)

    def open_entry(self, staff: str, pin: str) -> dict[str, Any]:
        """Open what staff closed."""
        checked = self._pins.check(staff, pin, "staff_close")
        if not checked.staff:
            return {"done": False} | _refused(checked)
        with self._gate.paused():
            done = self._gate.closing.open_entry(checked.staff)
        return self._closed(done)

    def _closed(self, done: bool) -> dict[str, Any]:
        self.changed()
        return {"done": done, "why": "" if done else Reason.JOURNAL_UNWRITABLE.value, "wait_ms": 0}

    def _now_ms(self) -> int:
        return self._gate.moments.now().monotonic_ms


def _refused(checked: Checked) -> dict[str, Any]:
    return {"why": "wait" if checked.wait_ms else "pin", "wait_ms": checked.wait_ms}
