"""Runs a reader in its thread and keeps what it says, so that tests wait for conditions instead of time."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from edge_agent.readers import Answer, CardRead, Reader, ReaderState

DEADLINE_S = 20.0


class ReaderRun:
    """A running reader. `on_tap`, when given, is called in the reader's thread, as the gate would be.

    `answer` is what the reader is then told to show.
    """

    def __init__(self, reader: Reader, on_tap: Callable[[CardRead], None] | None = None) -> None:
        self.reader = reader
        self.answer = Answer.GRANTED
        self.taps: list[CardRead] = []
        self.states: list[tuple[ReaderState, str]] = []
        self.stop = threading.Event()
        self._on_tap = on_tap
        self._news = threading.Condition()
        self._thread = threading.Thread(target=reader.run, args=(self._tapped, self._stated, self.stop), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        took_s = self.end()
        if error is None:
            assert took_s < 5, "the reader did not end soon after stop was set"

    def end(self) -> float:
        """Stops the reader; the seconds that took. Fails when it had died before."""
        alive = self._thread.is_alive() or self.stop.is_set()
        started_s = time.monotonic()
        self.stop.set()
        self._thread.join(DEADLINE_S)
        assert alive, "the reader's thread died"
        return time.monotonic() - started_s

    def _tapped(self, read: CardRead) -> Answer:
        with self._news:
            self.taps.append(read)
            self._news.notify_all()
        if self._on_tap is not None:
            self._on_tap(read)
        return self.answer

    def _stated(self, reader: str, state: ReaderState, why: str) -> None:
        with self._news:
            self.states.append((state, why))
            self._news.notify_all()

    @property
    def uids(self) -> list[bytes]:
        return [tap.raw for tap in self.taps]

    def wait_for_taps(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.taps) >= count, DEADLINE_S), f"{len(self.taps)} of {count} taps"

    def wait_for_state(self, state: ReaderState) -> None:
        """Until the reader's present state is `state`."""
        with self._news:
            reached = self._news.wait_for(lambda: bool(self.states) and self.states[-1][0] is state, DEADLINE_S)
            assert reached, f"no {state}: {self.states}"

    def wait_until(self, holds: Callable[[], object]) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end_s, self.states
            time.sleep(0.005)
