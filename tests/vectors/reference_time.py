"""Local times and opening hours, worked out from SPEC §8.1: slow and plain on purpose."""

import datetime as dt
import functools
from typing import Any
from zoneinfo import ZoneInfo

UTC = dt.UTC
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Json = dict[str, Any]


def local_date(policy: Json, at_ms: int) -> dt.date:
    """The date on the wall of the venue."""
    return dt.datetime.fromtimestamp(at_ms // 1000, ZoneInfo(policy.get("time_zone", "Asia/Taipei"))).date()


@functools.cache
def instant_ms(zone: str, local: dt.datetime) -> int:
    """The first instant that this local time names; a skipped one by the offset that held before the gap."""
    offsets = {
        (local.replace(tzinfo=UTC) + dt.timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset()
        for hours in range(-40, 41)
    }
    guesses = [local.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None]
    named = [guess for guess in guesses if guess.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local]
    if named:
        return _ms(min(named))
    before = (local.replace(tzinfo=UTC) - dt.timedelta(hours=40)).astimezone(ZoneInfo(zone)).utcoffset()
    assert before is not None
    return _ms(local.replace(tzinfo=UTC) - before)


def _ms(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(milliseconds=1)


def spans(policy: Json, schedule: Json, day: dt.date) -> list[str]:
    """The hours that begin on a day."""
    calendar = policy.get("calendar", {})
    if day.isoformat() in calendar.get("holidays", ()) and "holiday" in schedule:
        return list(schedule["holiday"])
    if day.isoformat() in calendar.get("workdays", ()):
        return list(schedule.get("workday", schedule.get("mon", ())))
    return list(schedule.get(DAYS[day.weekday()], ()))
