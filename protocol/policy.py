"""Rules, schedules and calendars as dated data, and the plan of one day that they compile to (SPEC §8).

A policy is a map on the wire, because people write it (in TOML). To add a kind of rule: a struct in the
`Rule` union, one branch in `_row`, and its paragraph and vector in the SPEC.
"""

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from typing import Annotated, Any, ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.reasons import Reason
from protocol.wire import LAST_MS, Count, Name

MAX_CLASSES = 256
"""A policy's classes become the bits of a number; more than any city has, few enough to stay quick."""
MAX_SPANS = 16
_SPAN = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
Span = Annotated[str, Meta(pattern=rf"\A{_SPAN.pattern}\Z")]
"""`HH:MM-HH:MM`, end excluded; an end past `24:00` runs into the next day (`20:00-26:00`)."""
Spans = Annotated[tuple[Span, ...], Meta(max_length=MAX_SPANS)]
Classes = Annotated[tuple[Name, ...], Meta(max_length=MAX_CLASSES)]
Dates = Annotated[tuple[dt.date, ...], Meta(max_length=10_000)]


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Schedule(_Map, frozen=True):
    """Opening hours by weekday; a day that is not named is closed."""

    mon: Spans = ()
    tue: Spans = ()
    wed: Spans = ()
    thu: Spans = ()
    fri: Spans = ()
    sat: Spans = ()
    sun: Spans = ()
    holiday: Spans | None = None
    """Hours on public holidays; not given = as on that weekday."""
    workday: Spans | None = None
    """Hours on make-up workdays; not given = as on a Monday."""


class Calendar(_Map, frozen=True):
    """The days that are not what their weekday says."""

    holidays: Dates = ()
    workdays: Dates = ()


class _Conditions(_Map, frozen=True):
    id: Name
    classes: Classes = ()
    """Any of these, valid at the tap; none named = anybody on the list."""
    schedule: Name | None = None
    """Only in these hours; not given = at any time."""
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None
    """Local dates, the last one excluded."""


class Admit(_Conditions, tag_field="kind", tag="admit", frozen=True):
    """Lets in who meets the conditions."""


class Refuse(_Conditions, tag_field="kind", tag="refuse", frozen=True):
    """Keeps out who meets the conditions: a closed day, a class under renovation."""

    reason: Literal["closed", "class-not-admitted", "outside-hours"] = "closed"


Rule = Admit | Refuse

RULE_KINDS = ("admit", "refuse")
"""What this version can evaluate; agents report it so that central never publishes more."""


class Policy(_Map, frozen=True):
    """An ordered list of rules: the first one whose conditions hold decides; none = denied."""

    TYPE: ClassVar[str] = "tapgate.policy.v1"
    MAX_BYTES: ClassVar[int] = 1024 * 1024
    version: Count
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=1_000)]
    schedules: dict[Name, Schedule] = {}
    calendar: Calendar = Calendar()
    time_zone: Name = "Asia/Taipei"
    repeat_window_s: Annotated[int, Meta(ge=0, le=3_600)] = 10
    """A second tap of the same member within it gets the same answer, marked as a repeat."""
    untrusted_clock: Literal["deny", "ignore-dates"] = "deny"
    """`ignore-dates`: admit by class and state alone while the clock cannot be trusted."""
    restricted: Classes = ()
    """Classes that still enter while the list is past its `restrict` age."""


class Row(NamedTuple):
    """One rule on one day, ready to be tried in a few instructions."""

    mask: int
    spans: tuple[tuple[int, int], ...] | None
    grants: bool
    reason: str
    rule: str


class Hour(NamedTuple):
    """A stretch of a day in which nothing changes for one combination of classes."""

    decides: Row | None
    """The first rule that speaks of these classes and whose hours hold."""
    closed_rule: str
    """The first rule in force that day that would admit them in its hours, if any."""


class Day:
    """The plan of one local day: from `start_ms` until `end_ms` only these rules can decide.

    What one combination of classes meets is worked out at its first tap of the day, so that a decision
    costs the same with 2 rules as with 200; few combinations occur.
    """

    def __init__(self, start_ms: int, end_ms: int, rows: tuple[Row, ...]) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self._rows = rows
        self._by_mask: dict[int, tuple[list[int], list[Hour]]] = {}

    def rows_for(self, mask: int) -> tuple[Row, ...]:
        """The rules that speak of any of these classes, in order, whatever the hour."""
        return tuple(row for row in self._rows if row.mask & mask)

    def hour(self, mask: int, at_ms: int) -> Hour:
        """What these classes meet at this instant of the day."""
        plan = self._by_mask.get(mask)
        if plan is None:
            if len(self._by_mask) >= 256:
                self._by_mask.clear()
            plan = self._by_mask[mask] = self._hours(mask)
        starts, hours = plan
        return hours[max(0, bisect_right(starts, at_ms) - 1)]

    def _hours(self, mask: int) -> tuple[list[int], list[Hour]]:
        rows = self.rows_for(mask)
        edges = {edge for row in rows if row.spans is not None for span in row.spans for edge in span}
        starts = sorted({self.start_ms} | {edge for edge in edges if self.start_ms < edge < self.end_ms})
        first: list[Row | None] = [None] * len(starts)
        for row in rows:
            for a, b in ((self.start_ms, self.end_ms),) if row.spans is None else row.spans:
                for at in range(bisect_left(starts, a), bisect_left(starts, b)):
                    first[at] = first[at] or row
        closed_rule = next((row.rule for row in rows if row.grants), "")
        return starts, [Hour(row, closed_rule) for row in first]


ANYBODY = 1
"""The class bit that every listed card has."""


class CompiledPolicy:
    """A checked policy with the current day's plan kept at hand. The plan is a pure function of the day."""

    def __init__(self, policy: Policy) -> None:
        """Raises Refused `not-satisfiable` and names the rule that cannot work."""
        self.policy = policy
        self.repeat_window_ms = policy.repeat_window_s * 1_000
        self._zone = zone_named(policy.time_zone)
        self._hours = {name: _hours(name, schedule) for name, schedule in policy.schedules.items()}
        self._holidays = frozenset(policy.calendar.holidays)
        self._workdays = frozenset(policy.calendar.workdays)
        self._check()
        names = dict.fromkeys((*(name for rule in policy.rules for name in rule.classes), *policy.restricted))
        self.bits: dict[str, int] = {name: 2 << index for index, name in enumerate(names)}
        self.restricted_mask = sum(self.bits[name] for name in set(policy.restricted))
        self._day = Day(0, 0, ())

    def day(self, at_ms: int) -> Day:
        """The plan of the local day that holds this instant."""
        day = self._day
        if not day.start_ms <= at_ms < day.end_ms:
            within_s = min(max(0, at_ms), LAST_MS) // 1_000
            day = self._day = self._plan(dt.datetime.fromtimestamp(within_s, self._zone).date())
        return day

    def _plan(self, date: dt.date) -> Day:
        spans = {name: self._spans(name, date) for name in self.policy.schedules}
        rows = tuple(
            self._row(rule, spans)
            for rule in self.policy.rules
            if (rule.valid_from is None or rule.valid_from <= date)
            and (rule.valid_until is None or date < rule.valid_until)
        )
        return Day(self._ms(date, 0), self._ms(date + _ONE_DAY, 0), rows)

    def _row(self, rule: Rule, all_spans: dict[str, tuple[tuple[int, int], ...]]) -> Row:
        mask = sum(self.bits[name] for name in set(rule.classes)) or ANYBODY
        spans = None if rule.schedule is None else all_spans[rule.schedule]
        if isinstance(rule, Admit):
            return Row(mask, spans, True, Reason.OK.value, rule.id)
        return Row(mask, spans, False, rule.reason, rule.id)

    def _spans(self, schedule: str, date: dt.date) -> tuple[tuple[int, int], ...]:
        """Open instants of this day in UTC ms, with what yesterday's hours carry over midnight."""
        hours, spans = self._hours[schedule], []
        for day in (date - _ONE_DAY, date):
            for start, end in hours[self._kind_of(day, hours)]:
                if day == date or end > _DAY_MINUTES:
                    spans.append((self._ms(day, start), self._ms(day, end)))
        return tuple(spans)

    def _kind_of(self, day: dt.date, hours: dict[str, Any]) -> str:
        if day in self._holidays and "holiday" in hours:
            return "holiday"
        if day in self._workdays:
            return "workday"
        return WEEKDAYS[day.weekday()]

    def _ms(self, date: dt.date, minute: int) -> int:
        """A local time that occurs twice is its first; one that is skipped is told by the offset before the gap."""
        local = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute)
        return int(local.replace(tzinfo=self._zone).timestamp() * 1_000)

    def _check(self) -> None:
        seen: set[str] = set()
        classes = set(self.policy.restricted)
        for rule in self.policy.rules:
            classes.update(rule.classes)
            if len(classes) > MAX_CLASSES:
                raise Refused(Failure.NOT_SATISFIABLE, f"rule {rule.id!r}: more than {MAX_CLASSES} classes are named")
            if rule.id in seen:
                raise Refused(Failure.NOT_SATISFIABLE, f"rule {rule.id!r} stands twice")
            seen.add(rule.id)
            if rule.schedule is not None and rule.schedule not in self._hours:
                raise Refused(Failure.NOT_SATISFIABLE, f"rule {rule.id!r}: there is no schedule {rule.schedule!r}")
            if rule.valid_from and rule.valid_until and rule.valid_from >= rule.valid_until:
                raise Refused(Failure.NOT_SATISFIABLE, f"rule {rule.id!r} ends before it begins")
        both = self._holidays & self._workdays
        if both:
            raise Refused(Failure.NOT_SATISFIABLE, f"calendar: {min(both)} is both a holiday and a workday")


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ONE_DAY = dt.timedelta(days=1)
_DAY_MINUTES = 24 * 60
_NO_ZONES = ("localtime", "posixrules", "Factory")
"""Names that mean another thing on each machine."""


def zone_named(name: str) -> ZoneInfo:
    """A zone of the IANA database that is the same on each machine. Raises Refused `not-satisfiable`."""
    try:
        if name in _NO_ZONES or name.startswith(("posix/", "right/")):
            raise ValueError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(Failure.NOT_SATISFIABLE, f"there is no time zone {name!r}") from None


def _hours(name: str, schedule: Schedule) -> dict[str, tuple[tuple[int, int], ...]]:
    hours = {day: _day_hours(f"schedule {name!r}, {day}", getattr(schedule, day)) for day in WEEKDAYS}
    if schedule.holiday is not None:
        hours["holiday"] = _day_hours(f"schedule {name!r}, holiday", schedule.holiday)
    workday = hours["mon"] if schedule.workday is None else _day_hours(f"schedule {name!r}, workday", schedule.workday)
    return hours | {"workday": workday}


def _day_hours(where: str, spans: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    result: list[tuple[int, int]] = []
    for span in spans:
        match = _SPAN.fullmatch(span)
        if match is None:
            raise Refused(Failure.NOT_SATISFIABLE, f"{where}: {span!r} is not HH:MM-HH:MM")
        h1, m1, h2, m2 = map(int, match.groups())
        start, end = h1 * 60 + m1, h2 * 60 + m2
        if m1 > 59 or m2 > 59 or start >= _DAY_MINUTES or not start < end <= 2 * _DAY_MINUTES:
            raise Refused(Failure.NOT_SATISFIABLE, f"{where}: {span!r} is no span of hours")
        if result and start < result[-1][1]:
            raise Refused(Failure.NOT_SATISFIABLE, f"{where}: {span!r} overlaps the span before it")
        result.append((start, end))
    return tuple(result)
