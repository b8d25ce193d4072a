"""A reader that does as a test says, and the gate's side as readers see it."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from edge_agent.readers import Answer, CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.release import Signal
from firmware_profiles import ProfileBook
from protocol.messages import Direction, Outcome

DEADLINE_S = 20.0


def until(holds: Callable[[], Any], what: Callable[[], Any] = lambda: "") -> Any:
    """What `holds` gives as soon as it is true."""
    end_s = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < end_s, what()
        time.sleep(0.002)
    return found


class ReaderDouble:
    """Its own thread takes one order after another; `on_step` is called when a recovery step reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known = ReaderFacts("a double", "generic-pcsc", "no other profile fits")
        self.answers: list[Answer] = []
        self.books: list[ProfileBook] = []
        self.on_step: Callable[[str], None] = lambda step: None
        self.on_profiles: Callable[[ProfileBook], None] = lambda book: None
        self.runs = 0
        self._orders: queue.Queue[Callable[[OnRead, OnState], None]] = queue.Queue()
        self._beat_s = time.monotonic()

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        self.runs += 1
        on_state(self.name, ReaderState.STARTING, "")
        while not stop.is_set():
            self._beat_s = time.monotonic()
            try:
                order = self._orders.get(timeout=0.005)
            except queue.Empty:
                continue
            order(on_read, on_state)

    def facts(self) -> ReaderFacts:
        return self.known

    def beat_s(self) -> float:
        return self._beat_s

    def reopen(self) -> None:
        self.on_step("reopen")

    def re_establish(self) -> None:
        self.on_step("re-establish")

    def use_profiles(self, book: ProfileBook) -> None:
        self.books.append(book)
        self.on_profiles(book)

    # --- orders ---------------------------------------------------------------------------------------------------

    def say(self, state: str, why: str = "") -> None:
        self._orders.put(lambda on_read, on_state: on_state(self.name, ReaderState(state), why))

    def tap(self, raw: bytes = bytes.fromhex("2A83155E")) -> None:
        self._orders.put(lambda on_read, on_state: self.answers.append(on_read(CardRead(self.name, raw))))

    def fail(self, error: Exception) -> None:
        def order(on_read: OnRead, on_state: OnState) -> None:
            raise error

        self._orders.put(order)

    def hang(self, until_set: threading.Event) -> None:
        """Its thread does not move."""
        self._orders.put(lambda on_read, on_state: bool(until_set.wait(DEADLINE_S)) and None)

    def hang_with_a_card(self, until_set: threading.Event) -> None:
        """Its thread does not move, and then goes on with what it was about."""

        def order(on_read: OnRead, on_state: OnState) -> None:
            until_set.wait(DEADLINE_S)
            on_state(self.name, ReaderState.WEDGED, "a ghost")
            self.answers.append(on_read(CardRead(self.name, bytes.fromhex("2A83155E"))))

        self._orders.put(order)


class GateDouble:
    """Decides every tap as granted; keeps what it is told, as the journal would."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.facts: list[ReaderFacts] = []
        self.taps: list[CardRead] = []
        self.outcome, self.reason = Outcome.GRANTED, "ok"
        self.on_tap: Callable[[], None] = lambda: None
        self.writable = True

    def tap(self, read: CardRead) -> Signal:
        self.on_tap()
        self.taps.append(read)
        return Signal(b"epoch", len(self.taps), self.outcome, self.reason, Direction.IN)

    def reader_changed(self, reader: str, state: ReaderState, why: str, facts: ReaderFacts) -> bool:
        if self.writable:
            self.events.append((reader, state.value, why))
            self.facts.append(facts)
        return self.writable

    def states(self, reader: str) -> list[str]:
        return [state for name, state, _ in self.events if name == reader]
