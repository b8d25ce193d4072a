"""What rules ask of what was before (SPEC §8.6): limits, intervals, anti-passback, occupancy. Pure.

Each condition answers `reason`: why it keeps this tap out, or empty where it does not hold and the next rule is tried;
and `told`: what it counted, for `explain`.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from protocol.history import FORGOTTEN_MS, Mark
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
        venue = here.venue
        return [mark for mark in marks if mark.venue == venue]
    gate = here.gate
    return [mark for mark in marks if mark.gate == gate]


def newest(marks: Sequence[Mark]) -> Mark | None:
    """The last one in time; of two at one instant the one of the larger name, whoever was told of first."""
    if not marks:
        return None
    moments = [mark.at_ms for mark in marks]
    last_ms = max(moments)
    if moments.count(last_ms) == 1:
        return marks[moments.index(last_ms)]
    return max((mark for mark in marks if mark.at_ms == last_ms), key=lambda mark: mark.name)


def is_after(mark: Mark, other: Mark) -> bool:
    """The order of marks, the same at every gate and at central."""
    return mark.at_ms > other.at_ms or (mark.at_ms == other.at_ms and mark.name > other.name)


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
            exit_ = newest([mark for mark in ours if mark.direction == "out"])
            if exit_ is not None:
                exit_ms = exit_.at_ms
                ours = [mark for mark in ours if mark.at_ms >= exit_ms and is_after(mark, exit_)]
            since_ms = here.at_ms - FORGOTTEN_MS + 1
        entries = [mark.rule for mark in ours if mark.at_ms >= since_ms and mark.direction == "in"]
        of = self.of
        return len([rule for rule in entries if rule in of]) if of else len(entries)

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

    def _last_ms(self, marks: Sequence[Mark], here: Here) -> int | None:
        entries = [mark.at_ms for mark in within(self.scope, marks, here) if mark.direction == "in"]
        return max(entries, default=None)

    def reason(self, marks: Sequence[Mark], here: Here) -> str:
        last_ms = self._last_ms(marks, here)
        if last_ms is not None and here.at_ms - last_ms < self.minutes * MINUTE_MS:
            return Reason.TOO_SOON.value
        return _unknown(self.scope, self.refuses_unknown, here)

    def told(self, marks: Sequence[Mark], here: Here) -> str:
        last_ms = self._last_ms(marks, here)
        if last_ms is None:
            return "no entry before"
        return f"{(here.at_ms - last_ms) // MINUTE_MS} of {self.minutes} minutes since the last entry"


class AlreadyInside(NamedTuple):
    """An entry that no exit followed, not forgiven since."""

    forgive_ms: int
    resets_ms: tuple[int, ...]
    """The instants, rising, at which everybody counts as outside."""
    scope: str
    refuses_unknown: bool

    def _entry(self, marks: Sequence[Mark], here: Here) -> Mark | None:
        last = newest([mark for mark in within(self.scope, marks, here) if mark.direction])
        if last is None or last.direction != "in":
            return None
        if here.at_ms - last.at_ms >= self.forgive_ms:
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
