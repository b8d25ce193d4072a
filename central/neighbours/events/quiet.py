"""Quiet hours: no notice wakes anybody. Pure."""

import datetime as dt
from zoneinfo import ZoneInfo

MINUTES = 24 * 60


def is_quiet(now_ms: int, from_minute: int, until_minute: int, time_zone: str) -> bool:
    """Whether it is between the two minutes of the local day, over midnight where the first is the later one."""
    local = dt.datetime.fromtimestamp(now_ms / 1_000, ZoneInfo(time_zone))
    minute = local.hour * 60 + local.minute
    return (minute - from_minute) % MINUTES < (until_minute - from_minute) % MINUTES


def minute_of(text: str) -> int:
    """Of `21:00`. Raises ValueError."""
    hour, minute = map(int, text.split(":"))
    return hour * 60 + minute


def text_of(minute: int) -> str:
    """The other way round."""
    return f"{minute // 60:02}:{minute % 60:02}"
