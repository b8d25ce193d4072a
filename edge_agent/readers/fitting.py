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
    """`judge` is asked now and then, and says when the reader goes back to the profiles before."""

    def __init__(self, book: ProfileBook, fallback: ProfileBook, version: int, ready_within_s: float) -> None:
        self.book, self.version = book, version
        self.stage = Stage.UNPROVEN
        self._good = fallback, 0
        self._ready_within_s = ready_within_s
        self._until_s = 0.0
        self._could_read = self._can_read = False
        self._unreadable = 0
        self._failed = ""

    def use(self, book: ProfileBook, version: int, state: ReaderState, now_s: float) -> None:
        """Other profiles are given to the reader now, while it is in `state`."""
        if self.stage is Stage.FITTING:
            self._good = self.book, self.version
        if self.stage in (Stage.FITTING, Stage.UNPROVEN):
            self._could_read = self._can_read
        was_ready = state is ReaderState.READY or self.stage in (Stage.MUST_START, Stage.MUST_READ)
        self._begin(book, version, Stage.MUST_START if was_ready else Stage.UNPROVEN)
        self._until_s = now_s + self._ready_within_s

    def _begin(self, book: ProfileBook, version: int, stage: Stage) -> None:
        self.book, self.version, self.stage = book, version, stage
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
            self._begin(*self._good, Stage.FITTING)
        return why

    def _judge(self, state: ReaderState, profile: str, alarm: str, now_s: float) -> str:
        match self.stage:
            case Stage.FITTING:
                return ""
            case _ if self._can_read:
                self.stage = Stage.FITTING
            case Stage.UNPROVEN if state is ReaderState.READY:
                self.stage = Stage.FITTING
            case Stage.UNPROVEN:
                return alarm if profile.endswith(")") else ""
            case Stage.MUST_START if self._failed:
                return f"the reader does not start: {self._failed}"
            case Stage.MUST_START if now_s >= self._until_s:
                if state is not ReaderState.READY:
                    return f"the reader was not ready again within {self._ready_within_s:g} s"
                self.stage = Stage.MUST_READ if self._could_read else Stage.FITTING
            case Stage.MUST_READ if self._unreadable >= UNREADABLE_TAPS:
                return f"none of {self._unreadable} taps could be read"
        return ""
