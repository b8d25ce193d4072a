"""The profiles of one reader: those in use, those it last worked with, and the trial between. Pure.

A reader that was ready has to become ready again with new profiles, and where it could read cards before, it has to
read one again. One that was not ready when they came goes back when nothing else has helped it.
"""

from enum import Enum

from edge_agent.readers import ReaderState
from firmware_profiles import ProfileBook

UNREADABLE_TAPS = 5
"""So many, and no readable one since the change, are the profile's fault: its UID command, say."""


class Stage(Enum):
    """How well the profiles in use are known to fit."""

    UNPROVEN = "the reader has not been ready with them"
    MUST_START = "it was ready before them, and has to be again"
    MUST_READ = "it is ready with them; it could read before, and has to again"
    FITTING = "it worked with them"


class Fitting:
    """`judge` is asked now and then, and says when the reader goes back to the profiles before.

    `fallback`: what there is to go back to while the reader has not been ready with anything.
    """

    def __init__(self, book: ProfileBook, fallback: ProfileBook, ready_within_s: float) -> None:
        self.book, self.version = book, 0
        self.stage = Stage.UNPROVEN
        self._before = [(fallback, 0, Stage.UNPROVEN)]
        """To go back to, the last one first."""
        self._ready_within_s = ready_within_s
        self._until_s = 0.0
        self._could_read = self._can_read = False
        self._unreadable = 0
        self._failed = ""

    def use(self, book: ProfileBook, version: int, state: ReaderState, now_s: float) -> None:
        """Other profiles are given to the reader now, while it is in `state`."""
        on_trial = self.stage in (Stage.MUST_START, Stage.MUST_READ)
        if self.stage is Stage.FITTING:
            self._before = []
        if not on_trial:
            self._before = [*self._before[:2], (self.book, self.version, self.stage)]
            self._could_read = self._can_read
        must_start = on_trial or state is ReaderState.READY
        self._begin(book, version, Stage.MUST_START if must_start else Stage.UNPROVEN, now_s)

    def _begin(self, book: ProfileBook, version: int, stage: Stage, now_s: float) -> None:
        self.book, self.version, self.stage = book, version, stage
        self._until_s = now_s + self._ready_within_s
        self._can_read, self._unreadable, self._failed = False, 0, ""

    def said(self, state: ReaderState, why: str) -> None:
        """The reader's own word."""
        if state is ReaderState.WEDGED:
            self._failed = self._failed or why

    def read(self, readable: bool) -> None:
        """A tap on the reader."""
        self._can_read = self._can_read or readable
        self._unreadable += not readable

    def judge(self, state: ReaderState, profile: str, alarm: str, now_s: float) -> str:
        """Why the reader goes back; `book` is then the one that it goes back to. Empty: nothing changes.

        `profile`: label of the one in use; where it is a shipped one, an alarm is no fault of other profiles.
        """
        why = self._judge(state, profile, alarm, now_s)
        if why:
            book, version, stage = self._before.pop() if len(self._before) > 1 else self._before[0]
            self._begin(book, version, stage, now_s)
        return why

    def _judge(self, state: ReaderState, profile: str, alarm: str, now_s: float) -> str:
        in_time = now_s < self._until_s
        match self.stage:
            case Stage.FITTING:
                return ""
            case _ if self._can_read:
                self.stage = Stage.FITTING
            case Stage.UNPROVEN if state is ReaderState.READY:
                self.stage = Stage.FITTING
            case Stage.UNPROVEN:
                return alarm if not in_time and profile.endswith(")") else ""
            case Stage.MUST_START if self._failed:
                return f"the reader does not start: {self._failed}"
            case Stage.MUST_START if not in_time:
                if state is not ReaderState.READY:
                    return f"the reader was not ready again within {self._ready_within_s:g} s"
                self.stage = Stage.MUST_READ if self._could_read else Stage.FITTING
            case Stage.MUST_READ if self._unreadable >= UNREADABLE_TAPS:
                return f"none of {self._unreadable} taps could be read"
        return ""
