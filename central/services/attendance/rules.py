"""How totals are rounded and when a certificate is due: dated data of the whole city. Pure."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from central.services.attendance.hours import COUNTED
from central.services.attendance.stated import Row


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Rounding(_Map, frozen=True):
    """From that local date on totals are cut off to whole units; what a total is made of never is."""

    valid_from: dt.date
    unit_minutes: Annotated[int, Meta(ge=1, le=1_440)]


class Certificate(_Map, frozen=True):
    """The honour card (榮譽卡): for so many hours, good for so many years."""

    hours: Annotated[int, Meta(ge=1, le=100_000)] = 300
    years: Annotated[int, Meta(ge=1, le=100)] = 3


class Rules(_Map, frozen=True):
    """The city's rules of volunteering. As they come, nothing is rounded."""

    rounding: tuple[Rounding, ...] = ()
    certificate: Certificate = Certificate()

    def unit_of(self, month: str) -> int:
        """Of the totals of a month, by the rule in force on its first day; 1 = exact."""
        first = dt.date.fromisoformat(f"{month}-01")
        return self._unit(first)

    def unit_of_year(self, year: int) -> int:
        """Of the totals of a year, by the rule in force on its last day."""
        return self._unit(dt.date(year, 12, 31))

    def _unit(self, day: dt.date) -> int:
        in_force = [rule for rule in self.rounding if rule.valid_from <= day]
        return max(in_force, key=lambda rule: rule.valid_from).unit_minutes if in_force else 1


class Reached(NamedTuple):
    """Hours since the last certificate; `at_ms`: when they were enough for another one, None = they are not."""

    minutes: int
    at_ms: int | None


def reached(rows: Iterable[Row], since_ms: int, certificate: Certificate) -> Reached:
    """Of all of one member's rows; sessions that ended by `since_ms` went into an earlier certificate."""
    of_session: dict[bytes, tuple[int, int]] = {}
    for row in rows:
        if row.state != COUNTED or (row.out_ms or row.at_ms) <= since_ms:
            continue
        at_ms, minutes = of_session.get(row.key, (0, 0))
        of_session[row.key] = (max(at_ms, row.out_ms or row.at_ms), minutes + row.minutes)
    total, at_needed_ms = 0, None
    for at_ms, minutes in sorted(of_session.values()):
        total += minutes
        if at_needed_ms is None and total >= certificate.hours * 60:
            at_needed_ms = at_ms
    return Reached(total, at_needed_ms)


def valid_until(day: dt.date, certificate: Certificate) -> dt.date:
    """The first day on which a certificate of that day is no longer good; one of 29 February ends with February."""
    try:
        return day.replace(year=day.year + certificate.years)
    except ValueError:
        return dt.date(day.year + certificate.years, 3, 1)
