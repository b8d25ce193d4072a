"""When denials have jumped: the share of denied taps since a publication against what it was before. Pure.

Counted are taps that are no repeats. At night all are denied that were let in by day, so they are compared with the
same hours a week before; where too few taps were then, with those of the day before, else with the whole week before.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
GATES_A_DAY = 20
"""Of so many gates a whole day is looked at, of more gates less, so that a look stays quick: at least an hour."""
SURE = 2.6
"""Standard deviations: chance alone gives as much in one comparison of two hundred."""


class Tally(NamedTuple):
    """Taps of some gates in some time, and how many of them were denied."""

    taps: int = 0
    denied: int = 0

    @property
    def share(self) -> float:
        return self.denied / self.taps if self.taps else 0.0


class Window(NamedTuple):
    """A time, its end excluded."""

    from_ms: int
    until_ms: int


class HaltRule(NamedTuple):
    """`points`: so many more of a hundred taps denied halt a publication, 0 = never; `taps`: judged from so many on."""

    points: int
    taps: int


def longest_ms(gates: int) -> int:
    """Only the newest taps are compared: how far back that is."""
    return max(DAY_MS * min(GATES_A_DAY, max(gates, 1)) // max(gates, 1), HOUR_MS)


def since(published_ms: int, now_ms: int, gates: int = 1) -> Window:
    """The time that is looked at."""
    return Window(max(published_ms, now_ms - longest_ms(gates)), now_ms)


def before(published_ms: int, looked_at: Window, gates: int = 1) -> list[Window]:
    """What it may be compared with, the best first. None of them reaches beyond the publication."""
    shifted = (Window(looked_at.from_ms - by_ms, looked_at.until_ms - by_ms) for by_ms in (WEEK_MS, DAY_MS))
    usable = [window for window in shifted if window.until_ms <= published_ms]
    return [*usable, Window(published_ms - 7 * longest_ms(gates), published_ms)]


def expected(tallies: Sequence[Tally], rule: HaltRule) -> Tally:
    """Of the tallies of `before`, the first one that says enough, else the one that says most."""
    enough = (tally for tally in tallies if tally.taps >= rule.taps)
    return next(enough, None) or max(tallies, key=lambda tally: tally.taps, default=Tally())


def has_jumped(was: Tally, now: Tally, rule: HaltRule) -> bool:
    """Where nothing is known of before, nobody is expected to be denied."""
    if not rule.points or now.taps < rule.taps or not now.taps:
        return False
    more = now.share - was.share
    if more * 100 < rule.points:
        return False
    if not was.taps:
        return True
    pooled = (was.denied + now.denied) / (was.taps + now.taps)
    return more > SURE * sqrt(pooled * (1 - pooled) * (1 / was.taps + 1 / now.taps))


def told(was: Tally, now: Tally) -> str:
    """For a person."""
    past = f"{was.share:.0%} of {was.taps} taps before" if was.taps else "nothing is known of before"
    return f"{now.share:.0%} of {now.taps} taps were denied since; {past}"
