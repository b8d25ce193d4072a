"""Teams of volunteers and their shifts as dated data, and which team a signing speaks for. Pure."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from central.services.attendance.local import instant_ms
from protocol.hours import WEEKDAYS
from protocol.policy import SPAN, Minutes, Span
from protocol.wire import Name, Text

MAX_ENTRIES = 1_000
SERVICE = "service"
"""The activity of a rule or session that names none."""

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
People = Annotated[tuple[Name, ...], Meta(max_length=MAX_ENTRIES)]


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Shift(_Map, frozen=True):
    """When people of a team are expected: on weekdays, or on dates of their own."""

    id: Name
    hours: Span
    """Local time of the team's venue; an end past `24:00` runs into the next day."""
    days: Annotated[tuple[Weekday, ...], Meta(max_length=7)] = ()
    dates: Annotated[tuple[dt.date, ...], Meta(max_length=MAX_ENTRIES)] = ()


class TeamRule(_Map, frozen=True):
    """A rule of kiosks' policies by which members sign in to the team."""

    id: Name
    shift: str = ""
    """Empty: told by the schedule."""
    activity: Name = SERVICE


class Team(_Map, frozen=True):
    """One team. The codes are those that the ministry's sheet asks for."""

    venue: Name
    """Where it belongs: its coordinators' days and months are this venue's. Its members may sign at any kiosk of the
    venue's domain."""
    rules: Annotated[tuple[TeamRule, ...], Meta(max_length=MAX_ENTRIES)]
    title_zh: Text = ""
    title_en: Text = ""
    shifts: Annotated[tuple[Shift, ...], Meta(max_length=MAX_ENTRIES)] = ()
    coordinators: People = ()
    admins: People = ()
    """They may do for every team of the domain what coordinators may for their own."""
    not_counting: People = ("training", "meeting", "travel")
    """Activities whose time is kept and never counted."""
    may_sign_out_minutes: Minutes = 0
    """After so long a kiosk says that one may sign out; 0 = never."""
    early_minutes: Minutes = 60
    """Who signs in so long before a shift comes for that shift."""
    item: Text = ""
    """服務項目"""
    content: Text = ""
    """服務內容"""
    area: Text = ""
    """服務區域"""


class Version(NamedTuple):
    """A team as it was stated once, good from `from_ms` on."""

    id: str
    number: int
    from_ms: int
    body: Team
    zone: ZoneInfo


class Meant(NamedTuple):
    """What a rule stands for at a moment."""

    team: str
    shift: str
    activity: str


NOBODY = Meant("", "", SERVICE)


class Teams:
    """The teams of a domain in all their versions: of a moment, the newest stated that was good then counts."""

    def __init__(self, versions: Iterable[Version]) -> None:
        self._versions: dict[str, list[Version]] = {}
        self._by_rule: dict[str, set[str]] = {}
        for version in sorted(versions, key=lambda each: -each.number):
            self._versions.setdefault(version.id, []).append(version)
            for rule in version.body.rules:
                self._by_rule.setdefault(rule.id, set()).add(version.id)

    def at(self, team: str, at_ms: int) -> Version | None:
        """As it was then."""
        return next((each for each in self._versions.get(team, ()) if each.from_ms <= at_ms), None)

    def newest(self, team: str) -> Version | None:
        """As it was stated last."""
        return next(iter(self._versions.get(team, ())), None)

    def every(self) -> list[Version]:
        """As each was stated last, by name."""
        return [self._versions[team][0] for team in sorted(self._versions)]

    def meant_by(self, rule: str, venue: str, at_ms: int) -> Meant:
        """Which team a signing by this rule at a venue's kiosk speaks for: one that belongs there before others, and
        nobody where there are several."""
        found = []
        for team in self._by_rule.get(rule, ()):
            version = self.at(team, at_ms)
            for each in version.body.rules if version is not None else ():
                if each.id == rule and version is not None:
                    found.append((version.body.venue == venue, Meant(team, each.shift, each.activity)))
        for is_of_venue in (True, False):
            meant = [each for own, each in found if own is is_of_venue]
            if meant:
                return meant[0] if len(meant) == 1 else NOBODY
        return NOBODY

    def counts(self, team: str, activity: str, at_ms: int) -> bool:
        """Whether time spent so counts as service."""
        version = self.at(team, at_ms)
        return version is None or activity not in version.body.not_counting

    def may_act(self, who: str, team: str) -> bool:
        """Coordinators may for their own team, admins for every one."""
        own = self.newest(team)
        if own is not None and who in own.body.coordinators:
            return True
        return any(who in each.body.admins for each in self.every())

    def shift_at(self, team: str, shift: str, at_ms: int) -> tuple[str, int | None]:
        """The shift that somebody comes for who signs in then, and its end. `shift`: chosen, else empty."""
        version = self.at(team, at_ms)
        if version is None or not version.body.shifts:
            return shift, None
        day = dt.datetime.fromtimestamp(at_ms / 1_000, version.zone).date()
        early_ms = version.body.early_minutes * 60_000
        found = [
            (abs(at_ms - start_ms), each.id, end_ms)
            for each in version.body.shifts
            if shift in ("", each.id)
            for start_ms, end_ms in _turns(each, day, version.zone)
            if start_ms - early_ms <= at_ms < end_ms
        ]
        if not found:
            return shift, None
        _, name, until_ms = min(found)
        return name, until_ms


def _turns(shift: Shift, day: dt.date, zone: ZoneInfo) -> list[tuple[int, int]]:
    """Its turns that may reach into a day: the one of that day and of those beside it."""
    days = [day + dt.timedelta(days=offset) for offset in (-1, 0, 1)]
    days = [each for each in days if each in shift.dates or WEEKDAYS[each.weekday()] in shift.days]
    start, end = minutes_of(shift.hours) if days else (0, 0)
    return [(instant_ms(each, start, zone), instant_ms(each, end, zone)) for each in days]


def minutes_of(hours: str) -> tuple[int, int]:
    """Start and end in minutes of the day. Raises ValueError for what is no span of hours."""
    match = SPAN.fullmatch(hours)
    if match is None:
        raise ValueError(f"{hours!r} is not HH:MM-HH:MM")
    h1, m1, h2, m2 = map(int, match.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or start >= 1_440 or not start < end <= 2_880:
        raise ValueError(f"{hours!r} is no span of hours")
    return start, end


def check(team: Team) -> None:
    """Raises ValueError that names what cannot work."""
    names = [shift.id for shift in team.shifts]
    for what, ids in (("rule", [rule.id for rule in team.rules]), ("shift", names)):
        twice = {each for each in ids if ids.count(each) > 1}
        if twice:
            raise ValueError(f"{what} {min(twice)!r} stands twice")
    for shift in team.shifts:
        try:
            minutes_of(shift.hours)
        except ValueError as error:
            raise ValueError(f"shift {shift.id!r}: {error}") from None
        if not shift.days and not shift.dates:
            raise ValueError(f"shift {shift.id!r} is on no day: state days or dates")
    for rule in team.rules:
        if rule.shift and rule.shift not in names:
            raise ValueError(f"rule {rule.id!r}: there is no shift {rule.shift!r}")
    if not team.coordinators and not team.admins:
        raise ValueError("it has no coordinators: nobody could approve its months")
