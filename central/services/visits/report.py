"""Visits counted by hour or day, in one pass over them in the order of their entries. Pure."""

import datetime as dt
from heapq import heappop, heappush
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Counted(NamedTuple):
    """A visit, as far as it is counted. `end_ms`: when it ended, or will at the latest."""

    subject: bytes
    """Empty: let in by hand, nobody knows who."""
    in_ms: int
    end_ms: int
    ended: str
    corrected: int = 0
    """−1: a corrected policy would have denied it."""


class Line:
    """What is counted of one hour, of one day, or of all the time."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.visits = self.corrected = self.by_hand = self.exits_unknown = self.open = self.peak = self.peak_ms = 0
        self.members: set[bytes] = set()

    def count(self, visit: Counted, now_ms: int) -> None:
        self.visits += 1
        self.corrected += visit.corrected
        if visit.subject:
            self.members.add(visit.subject)
        else:
            self.by_hand += 1
        if visit.ended != "out":
            self.exits_unknown += visit.end_ms <= now_ms
            self.open += visit.end_ms > now_ms

    def reached(self, inside: int, at_ms: int) -> None:
        if inside > self.peak:
            self.peak, self.peak_ms = inside, at_ms


class Sweep:
    """How many are inside, from entry to entry. `by`: hour, day, or whole (one line for all the time)."""

    def __init__(self, by: str, zone: ZoneInfo, since_ms: int, now_ms: int, label: str = "") -> None:
        self._by, self._zone, self._since_ms, self._now_ms, self._label = by, zone, since_ms, now_ms, label
        self._ends: list[int] = []
        self._lines: dict[str, Line] = {}

    def add(self, visit: Counted) -> None:
        """By rising `in_ms`. Those that began before the time that is asked for are inside, and not counted."""
        while self._ends and self._ends[0] <= visit.in_ms:
            at_ms = self._ends[0]
            self._reached(at_ms, len(self._ends))
            heappop(self._ends)
        heappush(self._ends, visit.end_ms)
        self._reached(visit.in_ms, len(self._ends))
        if visit.in_ms >= self._since_ms:
            self._line(visit.in_ms).count(visit, self._now_ms)

    def lines(self) -> list[Line]:
        """Of each hour or day in which somebody came."""
        return [line for line in self._lines.values() if line.visits]

    def _reached(self, at_ms: int, inside: int) -> None:
        """An end is the last moment of those who were inside until then."""
        if at_ms >= self._since_ms and at_ms <= self._now_ms:
            self._line(at_ms).reached(inside, at_ms)

    def _line(self, at_ms: int) -> Line:
        label = self._label or self._name(at_ms)
        if label not in self._lines:
            self._lines[label] = Line(label)
        return self._lines[label]

    def _name(self, at_ms: int) -> str:
        local = dt.datetime.fromtimestamp(at_ms / 1_000, self._zone)
        return local.strftime("%Y-%m-%dT%H%z") if self._by == "hour" else local.date().isoformat()
