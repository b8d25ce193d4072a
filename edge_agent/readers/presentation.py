"""When a stream of UID reads becomes a tap, and when a reader's state is worth telling. Pure; no hardware."""

from enum import Enum

from edge_agent.readers import OnState, ReaderState
from protocol.uid import Problem, judge

PATIENCE_READS = 8
"""Reads without a stable UID before the card counts as unreadable: 0.2 s at `RETRY_PAUSE_S`."""

RETRY_PAUSE_S = 0.025
"""Pause before a failed read is tried again: a card entering the field often fails once or twice."""


class Verdict(Enum):
    """What a reader does after one read."""

    AGAIN = "not settled: read again at once"
    KNOWN = "the card that was told already lies there"
    TAP = "a new tap: tell `Presentation.raw`"


class Presentation:
    """One card lying on one reader, from arrival to removal; tells each card once.

    A UID is accepted after `stable_reads` equal reads in a row. A different UID, equally stable, is another
    card even though no removal was seen. A read that gives no UID is a hiccup once a card is accepted; before
    that it becomes one unreadable tap after `PATIENCE_READS`, and so do two cards answering in turn. A random
    UID (ISO/IEC 14443-3: four bytes, first 08) differs at every activation, so all of them count as equal.
    """

    def __init__(self, stable_reads: int) -> None:
        self.raw = b""
        self.stable_reads = stable_reads
        self.gone()

    def gone(self) -> None:
        """The card left: whatever is read next is a new presentation, even of the same card."""
        self._told: bytes | Problem | None = None
        self._candidate: bytes | Problem | None = None
        self._equal = 0
        self._unsettled = 0

    def see(self, raw: bytes) -> Verdict:
        """Judges one read; `raw` is what the reader gave, empty where it gave an error."""
        key = _identity(raw)
        self._equal = self._equal + 1 if key == self._candidate else 1
        self._candidate = key
        hiccup = key is Problem.UNREADABLE and self._told is not None
        if key == self._told or hiccup:
            self._unsettled = 0
            return Verdict.KNOWN
        if key is not Problem.UNREADABLE and self._equal >= self.stable_reads:
            return self._tell(key, raw)
        self._unsettled += 1
        if self._unsettled < PATIENCE_READS:
            return Verdict.AGAIN
        self._unsettled = 0
        if self._told is not None:  # a second card came beside the known one: wait for either to leave
            return Verdict.KNOWN
        return self._tell(Problem.UNREADABLE, raw if key is Problem.UNREADABLE else b"")

    def _tell(self, key: bytes | Problem, raw: bytes) -> Verdict:
        self._told, self.raw, self._unsettled = key, raw, 0
        return Verdict.TAP


def _identity(raw: bytes) -> bytes | Problem:
    problem = judge(raw)
    return problem if problem in (Problem.RANDOM, Problem.UNREADABLE) else raw


class StateReport:
    """Passes a reader's state on when it, or the reason for it, has changed."""

    def __init__(self, reader: str, on_state: OnState) -> None:
        self._reader = reader
        self._on_state = on_state
        self._last: tuple[ReaderState, str] | None = None

    def say(self, state: ReaderState, why: str = "") -> None:
        if (state, why) != self._last:
            self._last = (state, why)
            self._on_state(self._reader, state, why)
