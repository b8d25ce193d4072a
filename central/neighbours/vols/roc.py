"""Days as the Republic counts its years (民國), the way the ministry's files write them. Pure.

`central.actions.dates` reads them: `1070701`, `107/07/01`.
"""

import datetime as dt

FIRST_YEAR = 1912
_OFFSET = 1911


def compact(day: dt.date) -> str:
    """`1070701`. Raises ValueError for a day before the first year."""
    return f"{_year(day.year):03}{day:%m%d}"


def slashed(day: dt.date) -> str:
    """`107/07/01`."""
    return f"{_year(day.year):03}/{day:%m/%d}"


def month_slashed(month: str) -> str:
    """`107/07` of a month `2018-07`."""
    return f"{_year(int(month[:4])):03}/{month[5:]}"


def _year(year: int) -> int:
    if year < FIRST_YEAR:
        raise ValueError(f"{year} is before the Republic's first year")
    return year - _OFFSET
