"""Times in which nothing is published: on some weekdays, or from one instant to another; at a venue or the city. Pure.

Only policies and configurations that people write are kept back. What revokes, blocks or closes never waits.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from protocol.hours import WEEKDAYS
from protocol.policy import SPAN
from protocol.time_zones import CITY_ZONE

MINUTE_MS = 60_000


class Freeze(NamedTuple):
    """`venue` empty: the whole city. `days` empty: dated, else weekly with a span as schedules have it."""

    id: str
    venue: str
    why: str
    days: tuple[str, ...] = ()
    span: str = ""
    time_zone: str = CITY_ZONE
    from_ms: int = 0
    until_ms: int = 0


class Frozen(NamedTuple):
    """What holds a publication back, and until when."""

    freeze: Freeze
    until_ms: int

    @property
    def told(self) -> str:
        """For a person."""
        zone = ZoneInfo(self.freeze.time_zone)
        until = dt.datetime.fromtimestamp(self.until_ms / 1_000, zone)
        where = self.freeze.venue or "the whole city"
        return f"{where} is frozen until {until:%Y-%m-%d %H:%M} ({self.freeze.id}: {self.freeze.why})"


def minutes(span: str) -> tuple[int, int] | None:
    """Of the local day; None where it ends before it begins, or after the next day does."""
    found = SPAN.fullmatch(span)
    if found is None:
        return None
    hours, past, until_hours, until_past = map(int, found.groups())
    start, end = hours * 60 + past, until_hours * 60 + until_past
    is_good = past < 60 and until_past < 60 and start < 24 * 60 and start < end <= 48 * 60
    return (start, end) if is_good else None


def end_ms(freeze: Freeze, at_ms: int) -> int | None:
    """When the freeze that holds at an instant is over; None where it does not hold then."""
    if not freeze.days:
        return freeze.until_ms if freeze.from_ms <= at_ms < freeze.until_ms else None
    span = minutes(freeze.span)
    if span is None:
        return None
    zone = ZoneInfo(freeze.time_zone)
    today = dt.datetime.fromtimestamp(at_ms / 1_000, zone).date()
    ends = []
    for date in (today, today - dt.timedelta(days=1)):  # one of yesterday's may run into today
        if WEEKDAYS[date.weekday()] in freeze.days:
            first_ms, last_ms = (_instant_ms(date, each, zone) for each in span)
            if first_ms <= at_ms < last_ms:
                ends.append(last_ms)
    return max(ends, default=None)


def _instant_ms(date: dt.date, minute: int, zone: ZoneInfo) -> int:
    wall = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute)
    return int(wall.replace(tzinfo=zone).timestamp()) * 1_000


def frozen(freezes: Iterable[Freeze], venues: Collection[str], at_ms: int) -> Frozen | None:
    """What keeps the gates of these venues as they are at an instant; of several, what does so longest."""
    holding = [
        Frozen(freeze, until_ms)
        for freeze in freezes
        if (not freeze.venue or freeze.venue in venues) and (until_ms := end_ms(freeze, at_ms)) is not None
    ]
    return max(holding, key=lambda each: (each.until_ms, each.freeze.id), default=None)
