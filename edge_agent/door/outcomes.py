"""Writes down what happens at a door, in order, in a thread of its own: no disk holds up a lock."""

import queue
import threading
import time
from collections.abc import Callable

import structlog

from edge_agent.gate import Gate

log = structlog.get_logger(__name__)

RETRY_S = 1.0
MOST = 1_000
"""So many may wait for a journal that takes nothing. A passage that is dropped is `unknown` at the next start."""
FLUSH_S = 2.0

Write = Callable[[], bool]
"""Writes one event down; False = not on disk, so it is tried again."""


class Outcomes:
    """Begins with what an earlier run left open."""

    def __init__(self, gate: Gate) -> None:
        self._writes: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._deadline_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="door-outcomes", daemon=True)
        self._writes.put(gate.amends.end_what_was_left)
        self._thread.start()

    def put(self, write: Write) -> None:
        if self._writes.qsize() < MOST:
            self._writes.put(write)
        else:
            log.error("door-event-dropped", waiting=MOST)

    def close(self) -> None:
        """What waits is written, as far as the journal takes it."""
        self._deadline_s = time.monotonic() + FLUSH_S
        self._closing.set()
        self._writes.put(None)
        self._thread.join(FLUSH_S + RETRY_S)

    def _run(self) -> None:
        while (write := self._writes.get()) is not None:
            while not _written(write) and time.monotonic() < self._deadline_s:
                self._closing.wait(RETRY_S)
                if self._closing.is_set():
                    time.sleep(0.05)


def _written(write: Write) -> bool:
    try:
        return write()
    except Exception:  # of ours: one event, not all that follow
        log.exception("door-event-failed")
        return True
