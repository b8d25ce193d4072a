"""What an entry or an exit costs, and who pays it (SPEC §8.7). Pure: whole dollars, and a point is worth one."""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.history import Mark
from protocol.policy import Tariff

HOUR_MS = 3_600_000


class Charge(NamedTuple):
    """`price` = `points` + `due`. Below 0 nothing is ever charged."""

    price: int = 0
    points: int = 0
    due: int = 0
    is_short: bool = False
    """The points do not go far enough, and the tariff lets nobody in for cash."""


FREE = Charge()


class DayTariff(NamedTuple):
    """A tariff on one local day."""

    tariff: Tariff
    rules: frozenset[str]
    """The rules that admit at it: their entries are its."""
    since_ms: int
    day_ms: int
    """The beginning of the day."""
    month_ms: int

    def entry(self, marks: Sequence[Mark], points_left: int) -> Charge:
        """Of one more entry now."""
        ours = [mark for mark in marks if mark.rule in self.rules and mark.direction == "in"]
        return self._paid(self._price(ours), marks, points_left, 0)

    def leaving(self, entry: Mark, marks: Sequence[Mark], at_ms: int, points_left: int) -> Charge:
        """Of an exit now, for the entry that it ends: the started hours that were not paid at the door."""
        if self.tariff.per != "started-hour" or not entry.points + entry.due:
            return FREE
        hours = max(1, -(-(at_ms - entry.at_ms) // HOUR_MS))
        price = hours * self.tariff.price - entry.points - entry.due
        return self._paid(price, marks, points_left, entry.points)._replace(is_short=False) if price > 0 else FREE

    def _price(self, ours: Sequence[Mark]) -> int:
        tariff = self.tariff
        if tariff.per == "day" and any(mark.at_ms >= self.day_ms for mark in ours):
            return 0
        is_first_day = not any(self.since_ms <= mark.at_ms < self.day_ms for mark in ours)
        return tariff.price if tariff.first_day_price is None or not is_first_day else tariff.first_day_price

    def _paid(self, price: int, marks: Sequence[Mark], points_left: int, used: int) -> Charge:
        """`used`: points that this use took already."""
        tariff = self.tariff
        if tariff.pay == "due" or not price:
            return Charge(price, 0, price)
        allowed = price
        for cap, spent in (
            (tariff.cap_use, used),
            (tariff.cap_day, self._spent(marks, self.day_ms)),
            (tariff.cap_month, self._spent(marks, self.month_ms)),
        ):
            if cap is not None:
                allowed = min(allowed, max(0, cap - spent))
        ahead = tariff.later_cap if tariff.short == "later" else 0
        points = max(0, min(allowed, points_left + ahead))
        return Charge(price, points, price - points, is_short=tariff.short == "deny" and points < price)

    def _spent(self, marks: Sequence[Mark], since_ms: int) -> int:
        return sum(mark.points for mark in marks if mark.at_ms >= since_ms and mark.rule in self.rules)
