"""One reader of an agent: its thread, what it says, and what is done when it does not work."""

import functools
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from edge_agent.readers import Answer, CardRead, OnState, Reader, ReaderFacts, ReaderState
from edge_agent.readers.answering import answer_to
from edge_agent.readers.case import WORDS, Case, Patience
from edge_agent.readers.recovery import StepFailed
from edge_agent.readers.supervision import Help, Input, Step
from edge_agent.release import ReleaseFailed, Signal

START_AGAIN_S = 1.0
"""Until a reader whose loop ended is started again."""

STEP_LIMIT_S = 120.0
"""A step that has not ended by then counts as failed. Above what any of them allows itself."""

TELL_AGAIN_S = 5.0
"""A state that could not be written down is told again, as it is then."""

MOST_LEFT_BEHIND = 4
"""Threads that hang in a driver and were replaced. No more are made: each holds memory until the agent ends."""

log = structlog.get_logger(__name__)


class GateSide(Protocol):
    """What readers need of the gate; `edge_agent.gate.Gate` has it."""

    def tap(self, read: CardRead) -> Signal: ...

    def reader_changed(self, reader: str, state: ReaderState, why: str, facts: ReaderFacts) -> bool:
        """False: the event could not be written down."""
        ...


class Watched:
    """`make` gives a reader that has not begun, and is asked again when one hangs for good.

    Its words come in the reader's own thread, the rest in the supervisor's. Both write the event of a change
    before anything else is told, one at a time.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        make: Callable[[], Reader],
        gate: GateSide,
        patience: Patience,
        helps: Callable[["Watched"], Help | None],
        outside: Mapping[Step, Callable[[], None]],
    ) -> None:
        self.name, self.kind, self.reader = name, kind, make()
        self.on_read: Callable[[CardRead], None] = lambda read: None
        self.on_word: Callable[[ReaderState, str], None] = lambda state, why: None
        self.case = Case(patience, time.monotonic())
        self.word: tuple[ReaderState, str] = ReaderState.STARTING, ""
        """What the reader itself said last, and why."""
        self._make, self._gate, self._patience, self._helps = make, gate, patience, helps
        self._steps = {Step.REOPEN: self._reopen, Step.RE_ESTABLISH: self._re_establish, **outside}
        self._lock = threading.RLock()
        self._stop, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._left_behind: list[threading.Thread] = []
        self._told_facts = "", ""
        self._tell_again_s = math.inf
        self._deciding = False
        self._decided_s = 0.0
        self._hangs = False
        self._at_work: tuple[threading.Thread, float] | None = None

    # --- its thread -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins a thread; one that was there before is not listened to any more."""
        with self._lock:
            if self._ended:
                return
            self._stop.set()
            self._stop = threading.Event()
            self._decided_s = time.monotonic()
            arguments = (self.reader, self._stop)
            thread = threading.Thread(target=self._live, args=arguments, name=f"reader-{self.name}", daemon=True)
            thread.start()
            self._thread = thread

    def stop(self) -> None:
        """For good."""
        with self._lock:
            self._ended = True
            self._stop.set()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _live(self, reader: Reader, stop: threading.Event) -> None:
        """A reader never ends the agent: whatever it raises is said, and it is started again."""
        while not stop.is_set():
            try:
                reader.run(functools.partial(self._tapped, stop), self._ear(stop), stop)
                why = "its loop ended"
            except Exception as error:
                log.exception("reader-failed", reader=self.name)
                why = f"{type(error).__name__}: {error}"
            self._said(stop, ReaderState.WEDGED, why)
            stop.wait(START_AGAIN_S)

    def _tapped(self, stop: threading.Event, read: CardRead) -> Answer:
        if stop.is_set():  # a thread that hung, was replaced, and came back to life: nobody stands there
            return Answer.NOT_READY
        self._deciding = True
        try:
            answer = answer_to(self._gate.tap(read))
        finally:
            self._decided_s = time.monotonic()
            self._deciding = False
        self.on_read(read)
        return answer

    def _ear(self, stop: threading.Event) -> OnState:
        return lambda _name, state, why: self._said(stop, state, why)

    def _said(self, stop: threading.Event, state: ReaderState, why: str) -> None:
        with self._lock:
            if stop.is_set():
                return
            self.word = state, why
            self._feed(WORDS[state], why)
        self.on_word(state, why)

    # --- what the supervisor asks and does --------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """What time alone brings."""
        self._listen(now_s)
        due = self.case.due(now_s)
        help_ = self._helps(self) if due in (Input.OVERDUE, Input.WAITED) else None  # may take a moment: no lock
        with self._lock:
            if self._ended:
                return
            if due is self.case.due(now_s):
                self._pass(due, help_)
            if self._at_work is not None and now_s >= self._at_work[1]:
                self._at_work = None
                self._feed(Input.STEP_FAILED, "it did not end")
            has_news = self.case.state is ReaderState.READY and _in_events(self.reader.facts()) != self._told_facts
            if has_news or now_s >= self._tell_again_s:
                self._tell()

    def _pass(self, due: Input | None, help_: Help | None) -> None:
        if due is Input.OVERDUE:
            if help_ is not None:
                self._feed(due, help_.why, help_.steps)
        elif due is Input.WAITED and (help_ is None or not help_.is_there):
            self._feed(Input.UNPLUGGED, self.word[1])
        elif due is not None:
            self._feed(due, "")

    def _listen(self, now_s: float) -> None:
        """A thread that is silent hangs in a driver, unless a tap is being decided."""
        alive_s = max(self.reader.beat_s(), self._decided_s)
        hangs = not self._deciding and now_s - alive_s >= self._patience.hung_s
        with self._lock:
            if hangs and not self._hangs:
                self._feed(Input.HUNG, f"it has not moved for {self._patience.hung_s:g} s: it hangs in its driver")
            elif self._hangs and not hangs:
                self._feed(WORDS[self.word[0]], self.word[1])
            self._hangs = hangs

    def _feed(self, what: Input, why: str, steps: tuple[Step, ...] = ()) -> None:
        with self._lock:
            if self._ended:  # the journal may be closed already
                return
            before = self.case.state
            changed = self.case.feed(what, why, time.monotonic(), steps)
            if changed.told:
                log.info("reader", reader=self.name, was=before, now=self.case.state, why=self.case.why)
                self._tell()
            if changed.step is not None:
                self._carry_out(changed.step)

    def _tell(self) -> None:
        facts = self.reader.facts()
        self._told_facts = _in_events(facts)
        told = self._gate.reader_changed(self.name, self.case.state, self.case.why, facts)
        self._tell_again_s = math.inf if told else time.monotonic() + TELL_AGAIN_S

    # --- steps ------------------------------------------------------------------------------------------

    def _carry_out(self, step: Step) -> None:
        """In a thread of its own: a service takes seconds to restart, and other readers have taps."""
        log.warning("reader-recovery", reader=self.name, step=step, why=self.case.why)
        worker = threading.Thread(target=self._work, args=(step,), name=f"recovery-{self.name}", daemon=True)
        self._at_work = worker, time.monotonic() + STEP_LIMIT_S
        worker.start()

    def _work(self, step: Step) -> None:
        try:
            self._steps[step]()
            what, why = Input.STEP_DONE, ""
        except (StepFailed, ReleaseFailed, OSError) as error:
            what, why = Input.STEP_FAILED, str(error)
        except Exception as error:
            log.exception("reader-recovery-failed", reader=self.name, step=step)
            what, why = Input.STEP_FAILED, f"{type(error).__name__}: {error}"
        with self._lock:
            if self._at_work is not None and self._at_work[0] is threading.current_thread():
                self._at_work = None
                self._feed(what, why)

    def _reopen(self) -> None:
        if self._hangs:
            raise StepFailed("its thread hangs")
        self.reader.reopen()

    def _re_establish(self) -> None:
        """A thread that hangs hears nothing: it is left behind, and another one begins."""
        if not self._hangs:
            self.reader.re_establish()
            return
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        if len(self._left_behind) >= MOST_LEFT_BEHIND:
            raise StepFailed(f"{len(self._left_behind)} threads hang already")
        with self._lock:
            if self._thread is not None:
                self._left_behind.append(self._thread)
            self.reader = self._make()
            self.reader.re_establish()
            self.word, self._hangs = (ReaderState.STARTING, ""), False
            self.start()


def _in_events(facts: ReaderFacts) -> tuple[str, str]:
    """What a change of is told by an event of its own: a local profile in use, a firmware that was read."""
    return facts.profile, facts.firmware
