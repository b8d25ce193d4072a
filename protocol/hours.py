"""Opening hours on a local date, as instants (SPEC §8.1). Pure."""

import datetime as dt

from protocol.errors import Failure, Refused
from protocol.policy import SPAN, Policy, Schedule
from protocol.time_zones import zone_named

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE_MS = 60_000
ONE_DAY = dt.timedelta(days=1)
_DAY_MINUTES = 24 * 60

Spans = tuple[tuple[int, int], ...]
"""From and until, UTC milliseconds, the end excluded."""


class Hours:
    """The schedules, calendar and time zone of one policy."""

    def __init__(self, policy: Policy) -> None:
        """Raises Refused `not-satisfiable` and names the schedule or date that cannot work."""
        self.zone = zone_named(policy.time_zone)
        self._schedules = {name: _week(name, schedule) for name, schedule in policy.schedules.items()}
        self._holidays = frozenset(policy.calendar.holidays)
        self._workdays = frozenset(policy.calendar.workdays)
        both = self._holidays & self._workdays
        if both:
            raise Refused(Failure.NOT_SATISFIABLE, f"calendar: {min(both)} is both a holiday and a workday")

    def spans(self, schedule: str, date: dt.date) -> Spans:
        """The hours that may reach into a date: its own and those of the days beside it."""
        week = self._schedules[schedule]
        return tuple(
            (self.ms(day, start), self.ms(day, end))
            for day in (date - ONE_DAY, date, date + ONE_DAY)
            for start, end in week[self._kind_of(day, week)]
        )

    def ms(self, date: dt.date, minute: int = 0) -> int:
        """A local time that occurs twice is its first; one that is skipped is told by the offset before the gap."""
        local = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minute)
        return int(local.replace(tzinfo=self.zone).timestamp() * 1_000)

    def _kind_of(self, day: dt.date, week: dict[str, tuple[tuple[int, int], ...]]) -> str:
        if day in self._holidays and "holiday" in week:
            return "holiday"
        if day in self._workdays:
            return "workday"
        return WEEKDAYS[day.weekday()]


def minute_of(time: str) -> int:
    """Of the day, of `HH:MM`."""
    return int(time[:2]) * 60 + int(time[3:])


def _week(name: str, schedule: Schedule) -> dict[str, tuple[tuple[int, int], ...]]:
    week = {day: _day(f"schedule {name!r}, {day}", getattr(schedule, day)) for day in WEEKDAYS}
    if schedule.holiday is not None:
        week["holiday"] = _day(f"schedule {name!r}, holiday", schedule.holiday)
    workday = week["mon"] if schedule.workday is None else _day(f"schedule {name!r}, workday", schedule.workday)
    return week | {"workday": workday}


def _day(where: str, spans: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    result: list[tuple[int, int]] = []
    for span in spans:
        match = SPAN.fullmatch(span)
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
