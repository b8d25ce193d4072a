"""The door side of a gate: frees the way for who is granted, reads the contacts, and tells what became of them.

One thread does it, so that neither a board that does not answer nor a disk that is slow holds up anything else: a tap
waits for it a fraction of a second at most, and `outcomes` writes down what it saw.
"""

import functools
import queue
import threading
import time
from collections.abc import Callable, Mapping

import structlog

from edge_agent import inside
from edge_agent.contacts import EXIT, FIRE, TAMPER, Contacts
from edge_agent.door_state import DoorState, Shown
from edge_agent.fitness import CONTACT, judge
from edge_agent.gate import Gate
from edge_agent.lock import Lock
from edge_agent.outcomes import Outcomes
from edge_agent.passage import Busy, Effect, Ended, Free, Relock, Told, Way
from edge_agent.passage.door import DoorWay
from edge_agent.passage.turnstile import TurnstileWay
from edge_agent.passage.unseen import UnseenWay
from edge_agent.release import Input, Output, Release, ReleaseFailed, Signal
from protocol.messages import GateConfig, Outcome, ReleaseConfig

log = structlog.get_logger(__name__)

ANSWER_S = 0.3
"""How long a tap waits to hear that the way is free."""
READ_S = 0.02
LOOK_S = 1.0
"""How often a lock without contacts is asked how it is."""
IDLE_S = 60.0
CLOSE_S = 3.0
BLIND_MS = 5_000
TELL_AGAIN_MS = 60_000
"""What comes and goes is told of so often at most."""

WAYS: dict[str, Callable[[ReleaseConfig], Way[Signal]]] = {
    "none": UnseenWay,
    "door": DoorWay,
    "turnstile": TurnstileWay,
}


class _Asked:
    """A granted tap, and who waits for the lock to move."""

    def __init__(self, signal: Signal) -> None:
        self.signal, self.error = signal, ""
        self.done = threading.Event()


Message = _Asked | tuple[bytes, int] | None
"""To the thread: somebody is let through; a tap was taken back; look again."""


class Door:
    """`start` with its gate before the first tap. `signal` may be called by several threads."""

    def __init__(
        self, lock: Output | None = None, inputs: Mapping[str, Input] | None = None, lines: Release | None = None
    ) -> None:
        self._output, self._lock, self._lines = lock, Lock(lock), lines
        self._contacts = Contacts(inputs or {})
        self._wanted: GateConfig | None = None
        self._release = ReleaseConfig()
        self._way: Way[Signal] = UnseenWay(self._release)
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopping = False
        self._shown = Shown()
        self.on_change = self._shown.listeners
        """Functions that are told of every `DoorState`, in the door's thread."""
        self._seen_ms = self._told_ms = 0
        self._is_told = False
        self._thread: threading.Thread | None = None

    # --- life -------------------------------------------------------------------------------------------

    def start(self, gate: Gate) -> None:
        self._gate = gate
        gate.on_undo = lambda epoch, sequence: self._inbox.put((epoch, sequence))
        self._outcomes = Outcomes(gate)
        self._seen_ms = _now_ms()
        self._told_ms = self._seen_ms - TELL_AGAIN_MS
        self._turn(self._seen_ms)
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Locks, and says of everybody on their way that nobody saw what became of them."""
        self._stopping = True
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)
            self._outcomes.close()
        if self._lines is not None:
            self._lines.close()

    def state(self) -> DoorState:
        """May be asked from any thread."""
        return self._shown.state

    def inside(self) -> list[inside.Inside]:
        """Who may be inside, as this gate's journal tells. Raises OSError."""
        return inside.inside(self._gate.store.directory, self._gate.moments.now().wall_ms)

    def count_inside(self) -> int | None:
        """None: the journal cannot be read."""
        try:
            return len(self.inside())
        except OSError as error:
            log.error("inside-not-known", error=str(error))
            return None

    # --- configuration ----------------------------------------------------------------------------------

    def accepts(self, config: GateConfig) -> None:
        """Raises Refused `not-satisfiable`, naming what this machine lacks. Changes nothing."""
        judge(config.release, self._output, self._contacts.inputs)

    def use(self, config: GateConfig | None) -> None:
        """All of it, as soon as nobody is on their way; None = as without one. Raises Refused as `accepts` does."""
        if config is not None:
            self.accepts(config)
        self._wanted = config
        self._inbox.put(None)

    def _take_config(self, now_ms: int) -> None:
        release = self._wanted.release if self._wanted else ReleaseConfig()
        if release is self._release or release == self._release or self._way.pending:
            return
        before, self._release = self._release, release
        if release.passage == before.passage:
            self._way.config = release
            return
        self._way = WAYS[release.passage](release)
        self._do(self._way.level(self._contacts.level(CONTACT.get(release.passage, "")), now_ms), now_ms)
        self._do(self._way.fire(self._shown.state.fire, now_ms), now_ms)
        self._gate.awaits_passage = release.passage != "none"
        self._shown.change(passage=release.passage)

    # --- what the gate asks -----------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """Frees the way for a granted tap. Raises ReleaseFailed when that did not happen in time."""
        try:
            if self._lines is not None:
                self._lines.signal(signal)
        finally:
            if signal.outcome is Outcome.GRANTED and (self._output is not None or self._gate.awaits_passage):
                self._let_through(_Asked(signal))

    def _let_through(self, asked: _Asked) -> None:
        self._inbox.put(asked)
        if not asked.done.wait(ANSWER_S):
            raise ReleaseFailed(f"the lock did not answer in {ANSWER_S:g} s")
        if asked.error:
            raise ReleaseFailed(asked.error)

    # --- the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            messages = self._wait()
            try:
                self._turn(_now_ms(), messages)
            except Exception:  # of ours: nobody is to stand before a dead door
                log.exception("door-failed")
                time.sleep(READ_S)
        now_ms = _now_ms()
        self._do(self._way.stop(), now_ms)
        self._lock.relock(now_ms)

    def _wait(self) -> list[Message]:
        """Until somebody asks for something, an input is to be read, or time is up."""
        wait_s = READ_S if self._contacts.inputs else LOOK_S if self._output is not None else IDLE_S
        for due_ms in (self._way.next_ms(), self._lock.next_ms()):
            if due_ms is not None:
                wait_s = min(wait_s, max(0.0, (due_ms - _now_ms()) / 1_000))
        found: list[Message] = []
        try:
            found.append(self._inbox.get(timeout=wait_s))
            while True:
                found.append(self._inbox.get_nowait())
        except queue.Empty:
            return found

    def _turn(self, now_ms: int, messages: list[Message] | None = None) -> None:
        self._take_config(now_ms)
        for message in messages or []:
            if isinstance(message, _Asked):
                self._let_go(message, now_ms)
            elif message is not None:
                self._take_back(message, now_ms)
        for name, on in self._contacts.read(now_ms):
            self._heard(name, on, now_ms)
        self._do(self._way.tick(now_ms), now_ms)
        self._lock.tend(now_ms)
        self._show(now_ms)

    def _let_go(self, asked: _Asked, now_ms: int) -> None:
        try:
            asked.error = self._do(self._way.granted(asked.signal, now_ms), now_ms, asked.signal)
        finally:
            asked.done.set()

    def _take_back(self, name: tuple[bytes, int], now_ms: int) -> None:
        for ticket in self._way.pending:
            if (ticket.epoch, ticket.sequence) == name:
                self._do(self._way.undone(ticket, now_ms), now_ms)

    # --- what is heard ----------------------------------------------------------------------------------

    def _heard(self, name: str, on: bool | None, now_ms: int) -> None:
        """A contact. The fire alarm and tampering are believed to go on while they cannot be read."""
        state = self._shown.state
        if name == CONTACT.get(state.passage):
            self._do(self._way.level(on, now_ms), now_ms)
        elif name == EXIT and on:
            self._do(self._way.exit(now_ms), now_ms)
            self._outcomes.put(functools.partial(self._gate.input_changed, EXIT, True))
        elif name == FIRE and on is not None and on is not state.fire:
            self._shown.change(fire=on)
            self._do(self._way.fire(on, now_ms), now_ms)
            self._outcomes.put(functools.partial(self._tell_fire, on))
        elif name == TAMPER and on is not None and on is not state.tamper:
            self._shown.change(tamper=on)
            self._outcomes.put(functools.partial(self._gate.input_changed, TAMPER, on))

    def _tell_fire(self, on: bool) -> bool:
        """With how many may be inside: the hardware has freed the way, here it is only written down."""
        count = (self.count_inside() if on else 0) or 0
        log.warning("fire-alarm", on=on, inside=count)
        return self._gate.input_changed(FIRE, on, count)

    # --- what is done -----------------------------------------------------------------------------------

    def _do(self, effects: list[Effect[Signal]], now_ms: int, asking: Signal | None = None) -> str:
        """Returns why the way was not freed for who asks; empty = it was, or will be when it is their turn."""
        error = ""
        for effect in effects:
            match effect:
                case Free(ticket):
                    error = self._free_for(ticket, now_ms, asking) or error
                case Relock():
                    self._lock.relock(now_ms)
                case Busy():
                    error = "others are on their way through: tap again when they are in"
                case Ended(ticket, passage) if ticket.awaited:
                    self._outcomes.put(functools.partial(self._gate.passage, ticket, passage))
                case Told(passage):
                    self._outcomes.put(functools.partial(self._gate.passage, None, passage))
        return error

    def _free_for(self, ticket: Signal | None, now_ms: int, asking: Signal | None) -> str:
        why = self._lock.free(self._release.pulse_ms, now_ms)
        if why:
            self._is_told, self._told_ms = True, now_ms
            if ticket is not None:
                self._way.failed(ticket)
            if ticket is None or ticket is not asking:  # else the gate writes it down with the tap
                self._tell_failed(ticket.sequence if ticket else -1, why)
        return why

    def _tell_failed(self, sequence: int, why: str) -> None:
        self._outcomes.put(functools.partial(self._gate.release_failed, sequence, why))

    # --- what is shown ----------------------------------------------------------------------------------

    def _show(self, now_ms: int) -> None:
        trouble, blind = self._lock.trouble(), self._contacts.blind()
        if not blind:
            self._seen_ms = now_ms
        missing = f"cannot be read: {', '.join(blind)}" if now_ms - self._seen_ms > BLIND_MS else ""
        if not trouble and not missing:
            self._is_told = False
        elif not self._is_told and now_ms - self._told_ms >= TELL_AGAIN_MS:
            self._is_told, self._told_ms = True, now_ms
            self._tell_failed(-1, trouble or missing)
        self._shown.change(
            free=self._lock.is_free(now_ms),
            pending=len(self._way.pending),
            alarm=self._way.alarm,
            lock_trouble=trouble,
            blind=blind,
        )


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
