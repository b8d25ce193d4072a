"""What rules ask of what was before (SPEC §8.6): limits, intervals, anti-passback, occupancy. Pure.

Each condition answers `reason`: why it keeps this tap out, or empty where it does not hold and the next rule is tried;
and `told`: what it counted, for `explain`.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from protocol.history import Mark
from protocol.reasons import Reason

MINUTE_MS = 60_000


class Here(NamedTuple):
    """Where and when a tap is judged, and what is known of the others."""

    at_ms: int
    venue: str
    gate: str
    is_apart: bool
    """What happened at other gates may be unknown here."""
    inside: int | None
    """How many are inside the venue; None = nobody can tell."""


class Condition(Protocol):
    """One question about the past."""

    def reason(self, marks: Sequence[Mark], here: Here) -> str: ...

    def told(self, marks: Sequence[Mark], here: Here) -> str: ...


def within(scope: str, marks: Sequence[Mark], here: Here) -> Sequence[Mark]:
    """The marks that count in a scope."""
    if scope == "domain":
        return marks
    if scope == "venue":
        return [mark for mark in marks if mark.venue == here.venue]
    return [mark for mark in marks if mark.gate == here.gate]


def newest(marks: Sequence[Mark]) -> Mark | None:
    """The last one in time; of two at one instant the one that was told last."""
    found: Mark | None = None
    for mark in marks:
        if found is None or mark.at_ms >= found.at_ms:
            found = mark
    return found


def _unknown(scope: str, refuses: bool, here: Here) -> str:
    """What a gate cannot know by itself it may be told to fear."""
    return Reason.HISTORY_UNKNOWN.value if refuses and here.is_apart and scope != "gate" else ""


class LimitReached(NamedTuple):
    """So many entries since a moment, or since the last exit."""

    most: int
    since_ms: int
    """−1: since the last exit."""
    of: frozenset[str]
    scope: str
    refuses_unknown: bool

    def counted(self, marks: Sequence[Mark], here: Here) -> int:
        ours = within(self.scope, marks, here)
        since_ms = self.since_ms
        if since_ms < 0:
            since_ms = max((mark.at_ms for mark in ours if mark.direction == "out"), default=0)
        return sum(
            1
            for mark in ours
            if mark.direction == "in" and mark.at_ms >= since_ms and (not self.of or mark.rule in self.of)
        )

    def reason(self, marks: Sequence[Mark], here: Here) -> str:
        if self.counted(marks, here) >= self.most:
            return Reason.LIMIT_REACHED.value
        return _unknown(self.scope, self.refuses_unknown, here)

    def told(self, marks: Sequence[Mark], here: Here) -> str:
        return f"{self.counted(marks, here)} of {self.most} entries"


class TooSoon(NamedTuple):
    """An entry within the last minutes."""

    minutes: int
    scope: str
    refuses_unknown: bool

    def _last(self, marks: Sequence[Mark], here: Here) -> Mark | None:
        return newest([mark for mark in within(self.scope, marks, here) if mark.direction == "in"])

    def reason(self, marks: Sequence[Mark], here: Here) -> str:
        last = self._last(marks, here)
        if last is not None and here.at_ms - last.at_ms < self.minutes * MINUTE_MS:
            return Reason.TOO_SOON.value
        return _unknown(self.scope, self.refuses_unknown, here)

    def told(self, marks: Sequence[Mark], here: Here) -> str:
        last = self._last(marks, here)
        if last is None:
            return "no entry before"
        return f"{(here.at_ms - last.at_ms) // MINUTE_MS} of {self.minutes} minutes since the last entry"


class AlreadyInside(NamedTuple):
    """An entry that no exit followed, not forgiven since."""

    forgive_ms: int
    """0 = never."""
    resets_ms: tuple[int, ...]
    """The instants, rising, at which everybody counts as outside."""
    scope: str
    refuses_unknown: bool

    def _entry(self, marks: Sequence[Mark], here: Here) -> Mark | None:
        last = newest([mark for mark in within(self.scope, marks, here) if mark.direction])
        if last is None or last.direction != "in":
            return None
        if self.forgive_ms and here.at_ms - last.at_ms >= self.forgive_ms:
            return None
        return None if any(last.at_ms < reset_ms <= here.at_ms for reset_ms in self.resets_ms) else last

    def reason(self, marks: Sequence[Mark], here: Here) -> str:
        if self._entry(marks, here) is not None:
            return Reason.ALREADY_INSIDE.value
        return _unknown(self.scope, self.refuses_unknown, here)

    def told(self, marks: Sequence[Mark], here: Here) -> str:
        entry = self._entry(marks, here)
        return "outside" if entry is None else f"inside since an entry at {entry.gate}"


class Full(NamedTuple):
    """As many inside as the venue may hold."""

    most: int
    refuses_unknown: bool

    def reason(self, _marks: Sequence[Mark], here: Here) -> str:
        if here.inside is None:
            return Reason.HISTORY_UNKNOWN.value if self.refuses_unknown else ""
        return Reason.FULL.value if here.inside >= self.most else ""

    def told(self, _marks: Sequence[Mark], here: Here) -> str:
        return "nobody can tell how many are inside" if here.inside is None else f"{here.inside} of {self.most} inside"
