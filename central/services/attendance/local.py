"""Local days and months of a time zone, as instants. Pure."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def instant_ms(date: dt.date, minute: int, zone: ZoneInfo) -> int:
    """A minute of a local day, as SPEC §8.1 tells it: one that occurs twice is its first."""
    local = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute)
    return int(local.replace(tzinfo=zone).timestamp() * 1_000)


def date_of(at_ms: int, zone: ZoneInfo) -> dt.date:
    """The local day of an instant."""
    return dt.datetime.fromtimestamp(at_ms / 1_000, zone).date()


def month_of(at_ms: int, zone: ZoneInfo) -> str:
    """The local month of an instant, as `2026-02`."""
    return date_of(at_ms, zone).isoformat()[:7]


def month_after(month: str) -> str:
    """The next one."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def start_of(month: str, zone: ZoneInfo) -> int:
    """The instant at which a local month begins. Raises ValueError for what is no month."""
    if MONTH.fullmatch(month) is None:
        raise ValueError(f"{month!r} is not a month: write 2026-02")
    return instant_ms(dt.date.fromisoformat(f"{month}-01"), 0, zone)


def end_of(month: str, zone: ZoneInfo) -> int:
    """The instant at which it is over."""
    return start_of(month_after(month), zone)
