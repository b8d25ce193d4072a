"""What this gate knows of the other gates of its domain, and until when (SPEC §7.8)."""

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Name = tuple[bytes, int]
"""Epoch and sequence of an event of this device."""


class Move(NamedTuple):
    """An event of this gate that changed how many are inside its venue."""

    epoch: bytes
    sequence: int
    by: int
    """1: one more; −1: one fewer."""


class Others:
    """As central told last, and what this gate did since. Times are monotonic milliseconds. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard_ms: int | None = None
        self._inside: Mapping[str, int] = {}
        self._counted: Mapping[bytes, int] = {}
        self._moves: list[Move] = []
        self._net = 0

    # --- central's word ---------------------------------------------------------------------------------

    def told(self, inside: Mapping[str, int], counted: Mapping[bytes, int]) -> None:
        """A state message is in use: these many are inside, by venue, this device's own events counted so far."""
        with self._lock:
            self._inside, self._counted = inside, counted
            self._keep(self._moves)

    def heard(self, now_ms: int) -> None:
        """Central answered, and what it told before is all there is to know."""
        self._heard_ms = now_ms

    def forget(self) -> None:
        """What was told is of no use any more."""
        with self._lock:
            self._heard_ms, self._inside, self._counted = None, {}, {}

    # --- this gate's own --------------------------------------------------------------------------------

    def moved(self, move: Move) -> None:
        """Somebody came in or went out here, or is taken not to have."""
        with self._lock:
            if not self._is_counted(move):
                self._moves.append(move)
                self._net += move.by

    def moved_before(self, moves: Iterable[Move]) -> None:
        """All moves of this gate that may not be counted yet, as its journal tells them: in place of those known."""
        with self._lock:
            self._keep(moves)

    def _keep(self, moves: Iterable[Move]) -> None:
        self._moves = [move for move in moves if not self._is_counted(move)]
        self._net = sum(move.by for move in self._moves)

    def _is_counted(self, move: Move) -> bool:
        return move.sequence <= self._counted.get(move.epoch, -1)

    # --- what a decision asks ---------------------------------------------------------------------------

    def is_apart(self, now_ms: int, apart_ms: int) -> bool:
        """What happened elsewhere may be unknown: there was no word, or it is too old."""
        return self._heard_ms is None or now_ms - self._heard_ms >= apart_ms

    def inside(self, venue: str) -> int | None:
        """How many are inside the venue of this gate; None = central said nothing of it."""
        with self._lock:
            told = self._inside.get(venue)
            return None if told is None else max(0, told + self._net)
