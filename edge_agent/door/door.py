"""The door side of a gate, in a thread of its own, so that neither a board that does not answer nor a disk that is slow
holds up anything else: a tap waits for it a fraction of a second at most."""

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from edge_agent.door import inside
from edge_agent.door.contacts import Contacts
from edge_agent.door.door_state import DoorState, Shown
from edge_agent.door.doorway import Asked, Doorway
from edge_agent.door.fitness import judge
from edge_agent.door.lock import Lock
from edge_agent.gate import Gate
from edge_agent.release import Input, Output, Release, ReleaseFailed, Signal
from protocol.messages import GateConfig, Outcome, ReleaseConfig

log = structlog.get_logger(__name__)

ANSWER_S = 0.3
"""How long a tap waits to hear that the way is free."""
READ_S = 0.02
LOOK_S = 1.0
"""How often a lock without contacts is asked how it is."""
IDLE_S = 60.0
CLOSE_S = 5.0


class _Waiting(Asked):
    """A granted tap whose thread waits."""

    def __init__(self, signal: Signal) -> None:
        super().__init__(signal)
        self.done = threading.Event()


class _TakenBack(NamedTuple):
    epoch: bytes
    sequence: int


class _Failed(NamedTuple):
    """What pulsing in another thread came to."""

    ticket: Signal | None
    why: str
    is_told: bool


Message = _Waiting | _TakenBack | _Failed | None
"""To the thread; None = look again."""


class Door:
    """`start` with its gate before the first tap. `signal` may be called by several threads."""

    def __init__(
        self, lock: Output | None = None, inputs: Mapping[str, Input] | None = None, lines: Release | None = None
    ) -> None:
        self._output, self._lines = lock, lines
        self._contacts = Contacts(inputs or {})
        self._wanted = ReleaseConfig()
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._shown = Shown()
        self.on_change = self._shown.listeners
        """Functions that are told of every `DoorState`, in the door's thread."""

    # --- life -------------------------------------------------------------------------------------------

    def start(self, gate: Gate) -> None:
        self._gate = gate
        gate.amends.on_undo = lambda epoch, sequence: self._inbox.put(_TakenBack(epoch, sequence))
        self._doorway = Doorway(
            gate, Lock(self._output), self._contacts, self._shown, self.count_inside, self._pulse_aside, _now_ms()
        )
        self._turn(_now_ms(), [])
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Locks, and says of everybody on their way that nobody saw what became of them."""
        self._stopping = True
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)
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
        self._wanted = config.release if config is not None else ReleaseConfig()
        self._inbox.put(None)

    # --- what the gate asks -----------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """Frees the way for a granted tap. Raises ReleaseFailed when that did not happen in time."""
        try:
            if self._lines is not None:
                self._lines.signal(signal)
        finally:
            wants_way = signal.frees and signal.outcome is Outcome.GRANTED
            if wants_way and (self._output is not None or self._gate.amends.awaits_passage):
                self._let_through(_Waiting(signal))

    def _let_through(self, asked: _Waiting) -> None:
        self._inbox.put(asked)
        if not asked.done.wait(ANSWER_S):
            raise ReleaseFailed(f"the lock did not answer in {ANSWER_S:g} s")
        if asked.error:
            raise ReleaseFailed(asked.error)
        if asked.pulse_here:
            self._pulse(asked.signal, is_told=True)

    def _pulse(self, ticket: Signal | None, is_told: bool) -> None:
        """In whatever thread but the door's: it waits for nobody."""
        try:
            if self._output is not None:
                self._output.pulse(self._doorway.release.pulse_ms)
        except ReleaseFailed as error:
            self._inbox.put(_Failed(ticket, str(error), is_told))
            raise

    def _pulse_aside(self, ticket: Signal | None) -> None:
        def work() -> None:
            with contextlib.suppress(ReleaseFailed):
                self._pulse(ticket, is_told=False)

        threading.Thread(target=work, name="pulse", daemon=True).start()

    # --- the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            messages = self._wait()
            try:
                self._turn(_now_ms(), messages)
            except Exception:  # of ours: nobody is to stand before a dead door
                log.exception("door-failed")
                time.sleep(READ_S)
        self._doorway.close(_now_ms())

    def _wait(self) -> list[Message]:
        """Until somebody asks for something, an input is to be read, or time is up."""
        wait_s = READ_S if self._contacts.inputs else LOOK_S if self._output is not None else IDLE_S
        due_ms = self._doorway.next_ms()
        if due_ms is not None:
            wait_s = min(wait_s, max(0.0, (due_ms - _now_ms()) / 1_000))
        found: list[Message] = []
        try:
            found.append(self._inbox.get(timeout=wait_s))
            while True:
                found.append(self._inbox.get_nowait())
        except queue.Empty:
            return found

    def _turn(self, now_ms: int, messages: list[Message]) -> None:
        self._doorway.use(self._wanted, now_ms)
        for message in messages:
            match message:
                case _Waiting():
                    try:
                        self._doorway.let_through(message, now_ms)
                    finally:
                        message.done.set()
                case _TakenBack(epoch, sequence):
                    self._doorway.take_back(epoch, sequence, now_ms)
                case _Failed(ticket, why, is_told):
                    self._doorway.pulse_failed(ticket, why, is_told, now_ms)
        self._doorway.turn(now_ms)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
