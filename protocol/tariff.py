"""What an entry or an exit costs, and who pays it (SPEC §8.7). Pure: whole dollars, and a point is worth one."""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.history import FORGOTTEN_MS, Mark
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
        rules = self.rules
        before_ms = [mark.at_ms for mark in marks if mark.direction == "in" and mark.rule in rules]
        return self._paid(self._price(before_ms), marks, points_left, 0)

    def leaving(self, entry: Mark, marks: Sequence[Mark], at_ms: int, points_left: int) -> Charge:
        """Of an exit now, for the entry that it ends: the started hours after the first, each as that one."""
        elapsed_ms = at_ms - entry.at_ms
        if self.tariff.per != "started-hour" or elapsed_ms >= FORGOTTEN_MS:
            return FREE
        more = max(0, -(-elapsed_ms // HOUR_MS) - 1)
        return self._paid(more * (entry.points + entry.due), marks, points_left, entry.points)._replace(is_short=False)

    def _price(self, before_ms: list[int]) -> int:
        """`before_ms`: the entries at this tariff."""
        tariff = self.tariff
        if tariff.per == "day" and max(before_ms, default=-1) >= self.day_ms:
            return 0
        if tariff.first_day_price is None or self.day_ms < self.since_ms:
            return tariff.price
        since_ms, day_ms = self.since_ms, self.day_ms
        earlier = [at_ms for at_ms in before_ms if since_ms <= at_ms < day_ms]
        return tariff.price if earlier else tariff.first_day_price

    def _paid(self, price: int, marks: Sequence[Mark], points_left: int, used: int) -> Charge:
        """`used`: points that this use took already."""
        tariff = self.tariff
        if tariff.pay == "due" or not price:
            return Charge(price, 0, price)
        allowed = price
        if tariff.cap_use is not None:
            allowed = min(allowed, max(0, tariff.cap_use - used))
        if tariff.cap_day is not None:
            allowed = min(allowed, max(0, tariff.cap_day - self._spent(marks, self.day_ms)))
        if tariff.cap_month is not None:
            allowed = min(allowed, max(0, tariff.cap_month - self._spent(marks, self.month_ms)))
        ahead = tariff.later_cap if tariff.short == "later" else 0
        points = max(0, min(allowed, points_left + ahead))
        return Charge(price, points, price - points, is_short=tariff.short == "deny" and points < price)

    def _spent(self, marks: Sequence[Mark], since_ms: int) -> int:
        rules = self.rules
        return sum([mark.points for mark in marks if mark.at_ms >= since_ms and mark.rule in rules])


def is_hopeless(tariff: Tariff) -> bool:
    """It denies where points fall short, and its caps see to it that they do."""
    caps = [cap for cap in (tariff.cap_use, tariff.cap_day, tariff.cap_month) if cap is not None]
    price = max(tariff.price, tariff.first_day_price or 0)
    return tariff.pay == "points" and tariff.short == "deny" and any(cap < price for cap in caps)
