"""When a venue closes, by SPEC §8.1's local time: whoever is inside then has left, nobody knows how. Pure."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from protocol.hours import minute_of

ONE_DAY = dt.timedelta(days=1)
LONGEST_MS = 3 * 86_400_000
"""No venue is open for so long without closing, whatever its clocks do."""


class Closings:
    """The closing times of one venue. `changes`: from when on it closes at which local `HH:MM`, rising in time."""

    def __init__(self, zone: ZoneInfo, first: str, changes: Sequence[tuple[int, str]] = ()) -> None:
        self._zone = zone
        self._from_ms = [from_ms for from_ms, _ in changes]
        self._times = [first, *(time for _, time in changes)]

    def after(self, at_ms: int) -> int:
        """The first closing after this instant, by the time that holds at this instant."""
        date = dt.datetime.fromtimestamp(at_ms / 1_000, self._zone).date() - ONE_DAY
        while (closing_ms := self._on(date, at_ms)) <= at_ms:
            date += ONE_DAY
        return closing_ms

    def before(self, at_ms: int) -> int:
        """The last closing at or before this instant, by the time that holds at this instant."""
        date = dt.datetime.fromtimestamp(at_ms / 1_000, self._zone).date() + ONE_DAY
        while (closing_ms := self._on(date, at_ms)) > at_ms:
            date -= ONE_DAY
        return closing_ms

    def _on(self, date: dt.date, at_ms: int) -> int:
        minute = minute_of(self._times[bisect_right(self._from_ms, at_ms)])
        local = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute)
        return int(local.replace(tzinfo=self._zone).timestamp() * 1_000)
