"""Who is given how many points when, as dated data. Pure.

A plan is written in TOML and belongs to one domain: points are given, spent and settled within it.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from central.services.points.ledger import Given
from protocol.errors import Failure, Refused
from protocol.time_zones import CITY_ZONE, zone_named
from protocol.wire import Name

Points = Annotated[int, Meta(ge=1, le=1_000_000)]
Month = Annotated[str, Meta(pattern=r"\A(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])\Z")]
"""`YYYY-MM`, of the years 1970 to 2999."""
ONE_DAY = dt.timedelta(days=1)
_FOREVER = dt.date.max


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    points: Points
    valid_from: dt.date
    valid_until: dt.date | None = None
    """Local dates, the last one excluded."""
    expire_months: Annotated[int, Meta(ge=0, le=120)] = 1
    """The end of which month takes them, counted from the one they are given in; 0 = they stay."""
    expire_on: dt.date | None = None
    """From this local date on they are gone, in place of `expire_months`."""


class Monthly(_Line, frozen=True, kw_only=True):
    """So many points on the first of each month to those who are of the class in its first instant."""

    class_: Name = msgspec.field(name="class")


class Earn(_Line, frozen=True, kw_only=True):
    """So many points for an entry by a rule: a health check attended, an activity. Exits earn nothing."""

    rule: Name
    venue: Name | None = None
    """Only there; not given = at any venue of the domain."""
    most: Annotated[int, Meta(ge=1, le=1_000)] = 1
    per: Literal["day", "month"] = "day"
    """At most so often in a local day or month; the first ones in time count."""


class Hours(_Line, frozen=True, kw_only=True):
    """So many points for each full hour of volunteers' service in months that are locked. The day on which a session
    began decides which line it counts for; points are given, and their months counted, when its month is locked."""

    team: Name | None = None
    """Only its; not given = any team of the domain."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is given in a domain. Of `monthly` the first line that fits a person decides."""

    domain: Name
    time_zone: Name = CITY_ZONE
    monthly: Annotated[tuple[Monthly, ...], Meta(max_length=200)] = ()
    earn: Annotated[tuple[Earn, ...], Meta(max_length=200)] = ()
    hours: Annotated[tuple[Hours, ...], Meta(max_length=200)] = ()
    reserve: Annotated[int, Meta(ge=0, le=1_000_000)] = 200
    """At most so many points of a member are reserved to one gate for a day."""
    ahead: Literal["used", "all"] = "used"
    """`used`: to the gates at which the member was in the last 31 days. `all`: then to all others that take points."""


class Held(NamedTuple):
    """A class of a member and when it is valid; 0 = open."""

    name: str
    from_ms: int
    until_ms: int

    def holds_at(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms and (not self.until_ms or at_ms < self.until_ms)


class Tap(NamedTuple):
    """A mark that counts, as far as points go."""

    at_ms: int
    venue: str
    gate: str
    direction: str
    rule: str
    points: int
    cause: str


def check(plan: Plan) -> None:
    """Whether a plan can work. Raises Refused `not-satisfiable` and names the line."""
    zone_named(plan.time_zone)
    if not plan.monthly and not plan.earn and not plan.hours:
        raise Refused(Failure.NOT_SATISFIABLE, "the plan gives nothing: it has no `monthly`, `earn` or `hours`")
    lines: list[tuple[str, Monthly | Earn | Hours]] = [
        *((f"monthly {number}", each) for number, each in enumerate(plan.monthly, 1)),
        *((f"earn {number}", each) for number, each in enumerate(plan.earn, 1)),
        *((f"hours {number}", each) for number, each in enumerate(plan.hours, 1)),
    ]
    for where, line in lines:
        if line.valid_until is not None and line.valid_until <= line.valid_from:
            raise Refused(Failure.NOT_SATISFIABLE, f"{where} ends before it begins")
        if line.expire_on is not None and line.expire_on < (line.valid_until or _FOREVER):
            raise Refused(Failure.NOT_SATISFIABLE, f"{where} gives points after they expire: state its valid_until")
    for number, line in enumerate(plan.monthly, 1):
        for earlier in plan.monthly[: number - 1]:
            if earlier.class_ == line.class_ and _overlap(earlier, line):
                raise Refused(Failure.NOT_SATISFIABLE, f"monthly {number} overlaps an earlier line of {line.class_!r}")
    for number, hours in enumerate(plan.hours, 1):
        for before in plan.hours[: number - 1]:
            is_of_the_same = None in (before.team, hours.team) or before.team == hours.team
            if is_of_the_same and _overlap(before, hours):
                raise Refused(Failure.NOT_SATISFIABLE, f"hours {number} gives for the same hours as an earlier line")


def _overlap(one: _Line, other: _Line) -> bool:
    return one.valid_from < (other.valid_until or _FOREVER) and other.valid_from < (one.valid_until or _FOREVER)


# --- local months -------------------------------------------------------------------------------------------


def date_of(at_ms: int, zone: ZoneInfo) -> dt.date:
    """The local date of an instant."""
    return dt.datetime.fromtimestamp(at_ms / 1_000, zone).date()


def day_ms(date: dt.date, zone: ZoneInfo) -> int:
    """The first instant of a local date."""
    return int(dt.datetime.combine(date, dt.time(), zone).timestamp() * 1_000)


def month_of(at_ms: int, zone: ZoneInfo) -> str:
    """The local month of an instant."""
    return date_of(at_ms, zone).isoformat()[:7]


def month_span(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """From its first instant until the next month's."""
    first = dt.date.fromisoformat(f"{month}-01")
    return day_ms(first, zone), day_ms(months_later(first, 1), zone)


def months_later(first: dt.date, months: int) -> dt.date:
    """The first of the month so much later."""
    years, month = divmod(first.month - 1 + months, 12)
    return dt.date(first.year + years, month + 1, 1)


# --- what is given ------------------------------------------------------------------------------------------


def of_month(plan: Plan, month: str, classes: Collection[Held], cause: str) -> Given | None:
    """What a member with these classes is given on the first of a month."""
    zone, first = ZoneInfo(plan.time_zone), dt.date.fromisoformat(f"{month}-01")
    at_ms = day_ms(first, zone)
    valid = {held.name for held in classes if held.holds_at(at_ms)}
    for line in plan.monthly:
        if line.class_ in valid and in_force(line, first):
            return Given(at_ms, line.points, expires_ms(line, first, zone), cause, "month")
    return None


def earned(plans: Iterable[Plan], taps: Sequence[Tap]) -> list[Given]:
    """What a member earned by these taps, in whatever order they stand."""
    found: list[Given] = []
    ordered = sorted((tap for tap in taps if tap.direction == "in"), key=lambda tap: (tap.at_ms, tap.cause))
    for plan in plans:
        zone = ZoneInfo(plan.time_zone)
        for line in plan.earn:
            times: Counter[str] = Counter()
            for tap in ordered:
                date = date_of(tap.at_ms, zone)
                if tap.rule != line.rule or line.venue not in (None, tap.venue) or not in_force(line, date):
                    continue
                within = date.isoformat() if line.per == "day" else date.isoformat()[:7]
                times[within] += 1
                if times[within] <= line.most:
                    until_ms = expires_ms(line, date, zone)
                    found.append(Given(tap.at_ms, line.points, until_ms, tap.cause, "earned"))
    return found


def in_force(line: _Line, date: dt.date) -> bool:
    """On this local date."""
    return line.valid_from <= date < (line.valid_until or _FOREVER)


def expires_ms(line: _Line, date: dt.date, zone: ZoneInfo) -> int:
    """From when on points are gone that are given on this local date; 0 = they stay."""
    if line.expire_on is not None:
        return day_ms(line.expire_on, zone)
    return day_ms(months_later(date.replace(day=1), line.expire_months), zone) if line.expire_months else 0
