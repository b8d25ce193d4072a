"""Dates as allowlists say them: not to the millisecond. A moment that stands on lists of two domains would tell that
their subjects are one person. Pure.

What is planned begins and ends at midnight in some time zone, which is a quarter hour everywhere. Any other moment is
that of a statement: somebody gave or ended something there and then. For a gate that is as good as the beginning of
the day, since it hears of it afterwards.
"""

QUARTER_MS = 15 * 60_000
DAY_MS = 86_400_000
AHEAD_MS = 8 * 3_600_000
"""Of the city's midnight before that of UTC."""


def published(at_ms: int) -> int:
    """A date of a card or a class; 0 = open."""
    return at_ms if at_ms % QUARTER_MS == 0 else at_ms - (at_ms + AHEAD_MS) % DAY_MS


def midnight_after(at_ms: int, days: int) -> int:
    """The end of the city's day that comes so many days after a moment's: for what is planned from a moment on."""
    return at_ms - (at_ms + AHEAD_MS) % DAY_MS + (days + 1) * DAY_MS


def quarter_after(at_ms: int) -> int:
    """The quarter hour that does not come before a moment: for what is planned to end at a minute of the clock."""
    return -(-at_ms // QUARTER_MS) * QUARTER_MS


def is_nothing(from_ms: int, until_ms: int) -> bool:
    """Given and ended within a day: no span is left of it."""
    return 0 < until_ms <= from_ms
