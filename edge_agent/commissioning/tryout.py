"""One card on one reader, watched closely: what an operator sees who tries a reader out. Nothing is decided, released
or written down."""

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from edge_agent.readers import Answer, CardRead, Reader, ReaderState
from edge_agent.readers.steps import ReadStep, heard

END_S = 2.0


class Step(NamedTuple):
    """`after_ms` counts from the card's arrival."""

    name: str
    after_ms: float


class Tryout(NamedTuple):
    """A stable read and how it came about."""

    read: CardRead
    steps: tuple[Step, ...]


class ReaderFailed(Exception):
    """The reader's own loop ended by an error."""


def try_out(reader: Reader, timeout_s: float, on_state: Callable[[ReaderState, str], None]) -> Tryout | None:
    """The first card within `timeout_s`, or None. `on_state` hears what the reader says of itself meanwhile.

    Raises ReaderFailed.
    """
    found: queue.SimpleQueue[Tryout | Exception] = queue.SimpleQueue()
    watch, stop = _Watch(), threading.Event()

    def on_read(read: CardRead) -> Answer:
        found.put(Tryout(read, watch.steps()))
        return Answer.GRANTED

    def run() -> None:
        try:
            reader.run(on_read, lambda _name, state, why: on_state(state, why), stop)
        except Exception as error:
            found.put(error)

    thread = threading.Thread(target=run, name=f"tryout-{reader.name}", daemon=True)
    with heard(watch.note):
        thread.start()
        try:
            outcome = found.get(timeout=timeout_s)
        except queue.Empty:
            return None
        finally:
            stop.set()
            thread.join(END_S)
    if isinstance(outcome, Exception):
        raise ReaderFailed(f"{type(outcome).__name__}: {outcome}") from outcome
    return outcome


class _Watch:
    """Times the steps of the card that lies there; the next arrival begins anew."""

    def __init__(self) -> None:
        self._steps: list[tuple[ReadStep, float]] = []

    def note(self, step: ReadStep) -> None:
        """In the reader's thread."""
        if step is ReadStep.ARRIVED:
            self._steps = []
        self._steps.append((step, time.perf_counter()))

    def steps(self) -> tuple[Step, ...]:
        """With `stable`, which is now, as the last one."""
        now_s = time.perf_counter()
        begun_s = self._steps[0][1] if self._steps else now_s
        steps = [Step(step.value, (at_s - begun_s) * 1_000) for step, at_s in self._steps]
        return (*steps, Step("stable", (now_s - begun_s) * 1_000))
