"""From when on entries count for who may be inside: the same at a gate and at central."""

import datetime as dt
from zoneinfo import ZoneInfo

AT_LEAST_MS = 6 * 3_600_000
"""Counted from local midnight, but not from less than this ago: a venue may be open past midnight."""


def counted_from_ms(now_ms: int, zone: ZoneInfo) -> int:
    """The beginning of the local day, or six hours ago where the day is younger."""
    today = dt.datetime.fromtimestamp(now_ms / 1_000, zone).date()
    midnight_ms = int(dt.datetime.combine(today, dt.time(), zone).timestamp() * 1_000)
    return min(midnight_ms, now_ms - AT_LEAST_MS)
