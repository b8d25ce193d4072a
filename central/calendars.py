"""Public holidays and make-up workdays: of a country by the `holidays` library, or of a table that it publishes."""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import holidays

SATURDAY = 5


class Days(NamedTuple):
    """The days of some years that are not what their weekday says, rising."""

    holidays: tuple[dt.date, ...]
    workdays: tuple[dt.date, ...]


def of_country(country: str, years: Iterable[int]) -> Days:
    """`country`: ISO 3166 code. Raises NotImplementedError for one that the library does not know."""
    wanted = sorted(set(years))
    found = holidays.country_holidays(country, years=wanted)
    workdays = {day for day in found.weekend_workdays if day.year in wanted}
    return Days(tuple(sorted(set(found) - workdays)), tuple(sorted(workdays)))


def of_rows(rows: Iterable[tuple[dt.date, bool, str]]) -> Days:
    """Of `(date, is a day off, remark)` for every day of a year, as the 行政院人事行政總處 publishes them: a day off
    counts as a holiday on a weekday, and at a weekend where a remark says what it is."""
    off, on = set(), set()
    for date, is_off, remark in rows:
        if is_off and (date.weekday() < SATURDAY or remark):
            off.add(date)
        elif not is_off and date.weekday() >= SATURDAY:
            on.add(date)
    return Days(tuple(sorted(off)), tuple(sorted(on)))


def merged(held: Days, loaded: Days, years: Iterable[int]) -> Days:
    """What was loaded in place of what was held of those years; other years stay as they are."""
    replaced = set(years)
    kept = [tuple(day for day in days if day.year not in replaced) for days in held]
    return Days(*(tuple(sorted({*old, *new})) for old, new in zip(kept, loaded, strict=True)))
