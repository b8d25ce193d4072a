"""One reader under supervision: its state since when, which steps were tried, what is due. Pure: `now_s` is given."""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from edge_agent.readers import ReaderState
from edge_agent.readers.supervision import TABLE, Action, Input, Step

WORDS = {
    ReaderState.READY: Input.SAID_READY,
    ReaderState.STARTING: Input.SAID_STARTING,
    ReaderState.ABSENT: Input.SAID_ABSENT,
    ReaderState.WEDGED: Input.SAID_WEDGED,
    ReaderState.RECOVERING: Input.SAID_STARTING,
}
"""What a reader's own word of its state is to the table."""

FLAPPING_TIMES = 5
"""A reader that came back so often within `Patience.flapping_s` has to stay before it is believed again."""

MOST_DOUBLINGS = 16


class Patience(msgspec.Struct, frozen=True):
    """How long is waited for what, in seconds."""

    hung_s: float = 15.0
    """Above what drivers take for a card that was pulled (libccid 3 s, some readers 10 s)."""
    starting_s: float = 30.0
    wedged_s: float = 5.0
    absent_s: float = 15.0
    firm_s: float = 60.0
    """Ready for so long means cured; at a relapse before that, the steps go on where they were."""
    again_s: float = 60.0
    """From an alarm to the next attempt; doubled each time, up to `again_most_s`."""
    again_most_s: float = 3_600.0
    flapping_s: float = 60.0
    steady_s: float = 10.0
    profile_s: float = 15.0
    """A reader that was ready has to be so again this soon after it got other profiles."""
    reopen_s: float = 5.0
    """With the next three: what a step is given to show what it did, from when it was carried out."""
    re_establish_s: float = 8.0
    restart_service_s: float = 15.0
    power_cycle_s: float = 15.0

    def after(self, step: Step) -> float:
        given: Mapping[Step, float] = {
            Step.REOPEN: self.reopen_s,
            Step.RE_ESTABLISH: self.re_establish_s,
            Step.RESTART_SERVICE: self.restart_service_s,
            Step.POWER_CYCLE: self.power_cycle_s,
        }
        return given[step]


class Changed(NamedTuple):
    """What an input brought about."""

    told: bool
    """The state changed, an alarm began, or it was the first word: one event."""
    step: Step | None = None
    """To be carried out now."""


class Case:
    """`feed` takes what was heard and seen, `due` says what time alone brings."""

    def __init__(self, patience: Patience, now_s: float) -> None:
        self.state, self.why, self.alarm = ReaderState.STARTING, "", ""
        self._patience = patience
        self._cause = ""
        self._since_s = self._down_s = now_s
        self._steps: tuple[Step, ...] = ()
        self._tried: dict[Step, str] = {}
        """With why it could not be carried out, empty where it was."""
        self._waits_until_s = math.inf
        self._rounds = 0
        self._returns_s: deque[float] = deque(maxlen=FLAPPING_TIMES + 1)
        self._doubted_s: float | None = None
        self._unheard = True

    def feed(self, what: Input, why: str, now_s: float, steps: tuple[Step, ...] = ()) -> Changed:
        """Takes one input. `steps` are those that can be tried, given with `OVERDUE`."""
        before, alarm_before = self.state, self.alarm
        if what is Input.SAID_READY and not self._believed(now_s):
            return Changed(False)
        if what in WORDS.values():
            self._doubted_s = None
        if why and what not in (Input.STEP_FAILED, Input.SAID_READY):
            self._cause = why
        if what is Input.OVERDUE and before is not ReaderState.RECOVERING:
            self._steps = steps
        if what is Input.STEP_FAILED and before is ReaderState.RECOVERING:
            self._tried[self._last()] = why
        state, action = TABLE[before, what]
        self._move(state, now_s)
        step = self._act(action, now_s)
        self.why = self._reason(before, why)
        told = self._unheard or self.state is not before or (not alarm_before and bool(self.alarm))
        self._unheard = False
        return Changed(told, step)

    def due(self, now_s: float) -> Input | None:
        """`OVERDUE` is to be fed when the reader can be helped, with the steps that can be tried."""
        if self._doubted_s is not None:
            return Input.SAID_READY if now_s - self._doubted_s >= self._patience.steady_s else None
        if self.state is ReaderState.RECOVERING:
            return Input.WAITED if now_s >= self._waits_until_s else None
        return Input.OVERDUE if now_s - self._down_s >= self._patient_s() else None

    def _patient_s(self) -> float:
        patience = self._patience
        first_s = {
            ReaderState.STARTING: patience.starting_s,
            ReaderState.WEDGED: patience.wedged_s,
            ReaderState.ABSENT: patience.absent_s,
        }.get(self.state, math.inf)
        if not self._rounds:
            return first_s
        again_s = patience.again_s * 2.0 ** min(self._rounds - 1, MOST_DOUBLINGS)
        return max(first_s, min(again_s, patience.again_most_s))

    def _believed(self, now_s: float) -> bool:
        """Whether a reader that says "ready" is to be taken by its word: not one that comes and goes."""
        if self.state is ReaderState.READY:
            return True
        if self._doubted_s is None:
            self._returns_s.append(now_s)
            if len(self._returns_s) > FLAPPING_TIMES and now_s - self._returns_s[0] < self._patience.flapping_s:
                self._doubted_s, self._cause = now_s, "it comes and goes"
        return self._doubted_s is None or now_s - self._doubted_s >= self._patience.steady_s

    def _move(self, state: ReaderState, now_s: float) -> None:
        """When patience begins: on leaving ready, and when a reader that was away for long is plugged in again."""
        if state is self.state:
            return
        spent_s = now_s - self._since_s
        cured = self.state is ReaderState.READY and spent_s >= self._patience.firm_s
        was_away = self.state is ReaderState.ABSENT and spent_s >= self._patience.absent_s
        if cured or (was_away and state is not ReaderState.RECOVERING):
            self._rounds, self._tried = 0, {}
        if self.state is ReaderState.READY or (was_away and state is not ReaderState.RECOVERING):
            self._down_s = now_s
        self.state, self._since_s = state, now_s

    def _act(self, action: Action, now_s: float) -> Step | None:
        match action:
            case Action.NEXT_STEP:
                left = [step for step in self._steps if step not in self._tried]
                self._waits_until_s = math.inf
                if left:
                    self._tried[left[0]] = ""
                    return left[0]
                state, action = TABLE[self.state, Input.EXHAUSTED]
                self._move(state, now_s)
                return self._act(action, now_s)
            case Action.GIVE_TIME:
                self._waits_until_s = now_s + self._patience.after(self._last())
            case Action.RAISE_ALARM:
                self.alarm = f"{self._what_was_tried()} did not help: {self._cause}"
                self._later(now_s)
            case Action.LEAVE_OFF:
                self._later(now_s)
            case Action.SETTLE:
                self.alarm = ""
        return None

    def _later(self, now_s: float) -> None:
        self._rounds, self._down_s, self._tried = self._rounds + 1, now_s, {}

    def _last(self) -> Step:
        return list(self._tried)[-1]

    def _what_was_tried(self) -> str:
        return ", ".join(f"{step} ({why})" if why else step for step, why in self._tried.items()) or "nothing"

    def _reason(self, before: ReaderState, why: str) -> str:
        if self.state is ReaderState.READY:
            if before is ReaderState.READY:
                return why or self.why
            return f"after {self._last()}" if before is ReaderState.RECOVERING else why
        if self.state is ReaderState.RECOVERING:
            return f"{self._cause}; trying {self._last()}" if self._cause else f"trying {self._last()}"
        return f"alarm: {self.alarm}" if self.alarm and self.state is ReaderState.WEDGED else self._cause
