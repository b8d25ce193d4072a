"""Local hours and days that taps and visits are counted by, and the visits of one day counted. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import NamedTuple
from zoneinfo import ZoneInfo

from central.services.visits.report import Counted

WHOLE_DAY = -1
"""In place of an hour."""
EVERYBODY = ""
"""In place of a class."""
NO_CLASS = "–"
HOUR_MS = 3_600_000


@lru_cache(maxsize=16_384)
def _hour_of(hour_ms: int, zone: ZoneInfo) -> tuple[str, int]:
    local = dt.datetime.fromtimestamp(hour_ms / 1_000, zone)
    return local.date().isoformat(), local.hour


def local_hour(at_ms: int, zone: ZoneInfo) -> tuple[str, int]:
    """Local date and hour of an instant. Zones differ from UTC by whole quarters of an hour."""
    return _hour_of(at_ms - at_ms % (HOUR_MS // 4), zone)


def hour_span(day: str, hour: int, zone: ZoneInfo) -> tuple[int, int]:
    """First instant of a local hour and the first one after it. An hour that the clocks repeat is one span; one that
    they leave out is empty."""
    return _start_ms(day, hour, zone), _start_ms(day, hour + 1, zone)


def day_span(day: str, zone: ZoneInfo) -> tuple[int, int]:
    """First instant of a local day and the first one after it."""
    return _start_ms(day, 0, zone), _start_ms(day, 24, zone)


def _start_ms(day: str, hour: int, zone: ZoneInfo) -> int:
    local = dt.datetime.combine(dt.date.fromisoformat(day), dt.time()) + dt.timedelta(hours=hour)
    return int(local.replace(tzinfo=zone).timestamp() * 1_000)


def days_between(since: str, until: str) -> Iterable[str]:
    """Every local date from the first through the last one."""
    day, last = dt.date.fromisoformat(since), dt.date.fromisoformat(until)
    while day <= last:
        yield day.isoformat()
        day += dt.timedelta(days=1)


class Held(NamedTuple):
    """A class of a member, and when; 0 = open."""

    name: str
    from_ms: int
    until_ms: int


class Cell(NamedTuple):
    """What is counted of an hour (or the whole day) and a class (or everybody). `peak`: of everybody only."""

    hour: int
    class_name: str
    visits: int
    members: int
    by_hand: int
    corrected: int
    without_exit: int
    peak: int
    peak_ms: int


class _Tally:
    def __init__(self) -> None:
        self.visits = self.by_hand = self.corrected = self.without_exit = self.peak = self.peak_ms = 0
        self.members: set[bytes] = set()

    def count(self, visit: Counted) -> None:
        self.visits += 1
        self.corrected += visit.corrected
        self.without_exit += visit.ended != "out"
        if visit.subject:
            self.members.add(visit.subject)
        else:
            self.by_hand += 1

    def reached(self, inside: int, at_ms: int) -> None:
        if inside > self.peak:
            self.peak, self.peak_ms = inside, at_ms

    def cell(self, hour: int, class_name: str) -> Cell:
        counts = (self.visits, len(self.members), self.by_hand, self.corrected, self.without_exit)
        return Cell(hour, class_name, *counts, self.peak, self.peak_ms)


def count_day(
    day: str, zone: ZoneInfo, visits: Iterable[Counted], classes: Mapping[bytes, Sequence[Held]]
) -> list[Cell]:
    """The visits that began on a local day. `visits`: by rising `in_ms`, with those of before that may not be over. A
    member of several classes counts in each. Hours and classes without a visit have no cell."""
    start_ms, end_ms = day_span(day, zone)
    tallies: dict[tuple[int, str], _Tally] = {}
    ends: list[int] = []

    def of(hour: int, name: str) -> _Tally:
        return tallies.setdefault((hour, name), _Tally())

    def reached(at_ms: int) -> None:
        """As many are inside as have not left; who leaves was inside until that very moment."""
        if start_ms <= at_ms < end_ms:
            for hour in (local_hour(at_ms, zone)[1], WHOLE_DAY):
                of(hour, EVERYBODY).reached(len(ends), at_ms)

    for visit in visits:
        while ends and ends[0] <= visit.in_ms:
            reached(ends[0])
            heappop(ends)
        heappush(ends, visit.end_ms)
        reached(visit.in_ms)
        if not start_ms <= visit.in_ms < end_ms:
            continue
        names = {held.name for held in classes.get(visit.subject, ()) if _holds(held, visit.in_ms)} or {NO_CLASS}
        for name in (EVERYBODY, *names):
            of(local_hour(visit.in_ms, zone)[1], name).count(visit)
            of(WHOLE_DAY, name).count(visit)
    return [tally.cell(*key) for key, tally in sorted(tallies.items(), key=lambda each: each[0]) if tally.visits]


def _holds(held: Held, at_ms: int) -> bool:
    return held.from_ms <= at_ms and not 0 < held.until_ms <= at_ms
