"""Dates as agencies write them, ISO or of the Republic (民國), to instants at a venue's midnight. Pure."""

import datetime as dt
import re
from functools import lru_cache
from zoneinfo import ZoneInfo

_FORMS = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})[/.](?P<m>\d{1,2})[/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)"),
    re.compile(r"(?P<roc>\d{3})[/.-](?P<m>\d{1,2})[/.-](?P<d>\d{1,2})"),
    re.compile(r"(?P<roc>\d{3})(?P<m>\d\d)(?P<d>\d\d)"),
    re.compile(r"(?:中華)?民國\s*(?P<roc>\d{1,3})\s*年\s*(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*日?"),
)
_TWO_DIGIT_YEAR = re.compile(r"\d{2}[/.-]\d{1,2}[/.-]\d{1,2}|\d{6}|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}")
_ROC_OFFSET = 1911
_ONE_DAY = dt.timedelta(days=1)


def parse_date(text: str) -> dt.date:
    """A date of one meaning only. Raises ValueError that says what is wrong with it, or why it is ambiguous."""
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            found = match.groupdict()
            year = int(found["roc"]) + _ROC_OFFSET if found.get("roc") else int(found["y"])
            try:
                return dt.date(year, int(found["m"]), int(found["d"]))
            except ValueError:
                raise ValueError(f"{text!r}: there is no such day") from None
    if _TWO_DIGIT_YEAR.fullmatch(text):
        raise ValueError(f"{text!r} could be several dates: write 2026-01-31, or 115/01/31 with three digits of year")
    raise ValueError(f"{text!r} is not a date: write 2026-01-31 or 115/01/31")


@lru_cache(maxsize=4096)
def start_ms(text: str, zone: ZoneInfo) -> int:
    """The instant at which the day of `text` begins; 0 (open) where it is empty. Raises ValueError."""
    return _midnight_ms(parse_date(text), zone) if text else 0


@lru_cache(maxsize=4096)
def end_ms(text: str, zone: ZoneInfo) -> int:
    """The instant at which the day of `text`, the last valid one, is over; 0 (open) where it is empty."""
    if not text:
        return 0
    last = parse_date(text)
    if last == dt.date.max:
        raise ValueError(f"{text!r}: no day comes after it")
    return _midnight_ms(last + _ONE_DAY, zone)


def _midnight_ms(day: dt.date, zone: ZoneInfo) -> int:
    at_ms = int(dt.datetime.combine(day, dt.time(), zone).timestamp() * 1_000)
    if at_ms <= 0:
        raise ValueError(f"{day.isoformat()} is before 1970")
    return at_ms
