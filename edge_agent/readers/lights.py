"""When which step of a light and sound pattern is due, and when to leave the lights alone. Pure: told the time.

A pattern never holds up the reading of cards by more than its longest command: pauses are not waited for, and a newer
answer takes the place of what is left of an older one.
"""

from collections.abc import Mapping

from firmware_profiles import Pattern, PatternName, Step

FAILURES_UNTIL_GIVEN_UP = 3
"""Patterns in a row with a command that failed; then nothing is shown until the reader is opened again."""

HANGS_AFTER_S = 3.0
"""Beyond what a step says that it lasts: then nothing is shown any more at once, for cards were waiting meanwhile."""


class Lights:
    """The patterns of one reader, one of which is shown at a time."""

    def __init__(self, patterns: Mapping[PatternName, Pattern]) -> None:
        self.given_up = ""
        """Why nothing is shown any more; empty while all is well."""
        self._patterns = patterns
        self._left: list[Step] = []
        self._next_s = 0.0
        self._failure = ""
        self._failures = 0

    def show(self, name: PatternName, now_s: float) -> None:
        """From now on this pattern; one that the profile does not have leaves an older one to end."""
        if self.given_up or name not in self._patterns:
            return
        if self._left:
            self._ended()
        self._left, self._next_s = list(self._patterns[name]), now_s

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the next step; None when nothing is being shown."""
        return max(0.0, self._next_s - now_s) if self._left else None

    def due(self, now_s: float) -> Step | None:
        """The step to be sent now, told once."""
        if not self._left or now_s < self._next_s:
            return None
        step = self._left.pop(0)
        self._next_s = now_s + (step.lasts_ms + step.pause_ms) / 1000
        return step

    def sent(self, step: Step, took_s: float, failure: str) -> None:
        """What came of a step: how long its command took, and what went wrong, empty for nothing."""
        self._failure = failure or self._failure
        if took_s > step.lasts_ms / 1000 + HANGS_AFTER_S:
            self.given_up, self._left = f"a command took {took_s:.1f} s", []
        elif not self._left:
            self._ended()

    def _ended(self) -> None:
        self._failures = self._failures + 1 if self._failure else 0
        if self._failures >= FAILURES_UNTIL_GIVEN_UP:
            self.given_up = self._failure
        self._failure = ""
