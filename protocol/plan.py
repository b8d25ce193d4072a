"""What a policy comes to on one local day: which rules can decide, hour by hour (SPEC §8). Pure."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from protocol.conditions import Condition
from protocol.hours import Spans
from protocol.tariff import DayTariff

Tariffs = dict[str, DayTariff]
"""By the rule that admits at it."""


class Row(NamedTuple):
    """One rule on one day, ready to be tried in a few instructions."""

    mask: int
    spans: Spans | None
    grants: bool
    reason: str
    rule: str
    condition: Condition | None = None
    """What it asks of the past; None = nothing, so it decides whenever it is reached."""
    is_soft: bool = False
    """It never decides: where it holds, who is admitted after it is admitted with its remark."""
    tariff: DayTariff | None = None


class Hour(NamedTuple):
    """A stretch of a day in which nothing changes for one combination of classes."""

    rows: tuple[Row, ...]
    """The rules that speak of these classes and whose hours hold, in order, up to the first that asks nothing more."""
    closed_rule: str
    """The first rule in force that day that would admit them in its hours, if any."""


class Day:
    """The plan of one local day: from `start_ms` until `end_ms` only these rules can decide.

    What one combination of classes meets is worked out at its first tap of the day, so that a decision
    costs the same with 2 rules as with 200; few combinations occur.
    """

    def __init__(self, start_ms: int, end_ms: int, rows: tuple[Row, ...], since_ms: int, tariffs: Tariffs) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self.rows, self.tariffs = rows, tariffs
        self.since_ms = since_ms
        """What was before this moment bears on no decision of the day or of a later one."""
        self._by_mask: dict[int, tuple[list[int], list[Hour]]] = {}

    def rows_for(self, mask: int) -> tuple[Row, ...]:
        """The rules that speak of any of these classes, in order, whatever the hour."""
        return tuple(row for row in self.rows if row.mask & mask)

    def hour(self, mask: int, at_ms: int) -> Hour:
        """What these classes meet at this instant of the day."""
        plan = self._by_mask.get(mask)
        if plan is None:
            if len(self._by_mask) >= 256:
                self._by_mask.clear()
            plan = self._by_mask[mask] = self._hours(mask)
        starts, hours = plan
        return hours[max(0, bisect_right(starts, at_ms) - 1)]

    def _hours(self, mask: int) -> tuple[list[int], list[Hour]]:
        rows = self.rows_for(mask)
        edges = {edge for row in rows if row.spans is not None for span in row.spans for edge in span}
        starts = sorted({self.start_ms} | {edge for edge in edges if self.start_ms < edge < self.end_ms})
        reached: list[list[Row]] = [[] for _ in starts]
        for row in rows:
            for a, b in ((self.start_ms, self.end_ms),) if row.spans is None else row.spans:
                for found in reached[bisect_left(starts, a) : bisect_left(starts, b)]:
                    if not found or (found[-1].condition is not None and found[-1] is not row):
                        found.append(row)
        closed_rule = next((row.rule for row in rows if row.grants), "")
        return starts, [Hour(tuple(found), closed_rule) for found in reached]
