"""Rules, schedules, tariffs and calendars as dated data (SPEC §8.1). `plan.py` makes of them what a tap is tried by.

A policy is a map on the wire, because people write it (in TOML). To add a kind of rule: a struct in the
`Rule` union, its test in `conditions.py` or its branch in `plan.py`, and its paragraph and vector in the SPEC.
"""

import datetime as dt
import re
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from protocol.time_zones import CITY_ZONE
from protocol.wire import Count, Name

MAX_CLASSES = 256
"""A policy's classes become the bits of a number; more than any city has, few enough to stay quick."""
MAX_SPANS = 16
SPAN = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
Span = Annotated[str, Meta(pattern=rf"\A{SPAN.pattern}\Z")]
"""`HH:MM-HH:MM`, end excluded; an end past `24:00` runs into the next day (`20:00-26:00`)."""
Spans = Annotated[tuple[Span, ...], Meta(max_length=MAX_SPANS)]
Classes = Annotated[tuple[Name, ...], Meta(max_length=MAX_CLASSES)]
Minutes = Annotated[int, Meta(ge=0, le=1_440)]
Money = Annotated[int, Meta(ge=0, le=1_000_000)]
Scope = Literal["gate", "venue", "domain"]
TimeOfDay = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
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


class Tariff(_Map, frozen=True):
    """What an entry costs, in whole dollars; a point is worth one. `tariff.py` says how it is worked out."""

    price: Money = 0
    per: Literal["entry", "day", "started-hour"] = "entry"
    """`day`: one price for all entries of a local day. `started-hour`: the first at the entry, the rest at the exit."""
    first_day_price: Money | None = None
    """In place of the price on the local day of the member's first entry."""
    since: dt.date | None = None
    """There is no first day before this local date."""
    pay: Literal["due", "points"] = "due"
    """`due`: shown to be paid in cash or from a purse. `points`: taken from the member's points as far as they go."""
    short: Literal["due", "later", "deny"] = "due"
    """Where the points that are reserved to the gate do not go far enough: the rest is due; or is spent ahead, up to
    `later_cap`, and settled by central; or nobody enters."""
    later_cap: Money = 0
    cap_use: Money | None = None
    """At most so many points for one use; the rest is due."""
    cap_day: Money | None = None
    cap_month: Money | None = None
    """At most so many points in a local day or month, over all entries at this tariff."""


class _Conditions(_Map, frozen=True):
    id: Name
    classes: Classes = ()
    """Any of these, valid at the tap; none named = anybody on the list."""
    schedule: Name | None = None
    """Only in these hours; not given = at any time."""
    opens_early_minutes: Minutes = 0
    """The hours begin so much earlier."""
    last_entry_minutes: Minutes = 0
    """The hours end so much earlier."""
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None
    """Local dates, the last one excluded."""


class Admit(_Conditions, tag_field="kind", tag="admit", frozen=True):
    """Lets in who meets the conditions."""

    tariff: Name | None = None
    """What it costs; not given = nothing."""


class Refuse(_Conditions, tag_field="kind", tag="refuse", frozen=True):
    """Keeps out who meets the conditions: a closed day, a class under renovation."""

    reason: Literal["closed", "class-not-admitted", "outside-hours"] = "closed"


class _LooksBack(_Conditions, frozen=True):
    """Keeps out by what was before. A condition like any other: where it does not hold, the next rule is tried."""

    scope: Scope = "domain"
    """Which gates count: this one, those of its venue, those of its domain."""
    when_unknown: Literal["admit", "refuse"] = "admit"
    """Where this gate cannot know what happened at the others: pass the rule over, or keep everybody out."""


class Limit(_LooksBack, tag_field="kind", tag="limit", frozen=True, kw_only=True):
    """Keeps out who entered `most` times already. `visit`: since the last exit. `period`: since `valid_from`."""

    most: Annotated[int, Meta(ge=1, le=200)]
    per: Literal["day", "week", "month", "period", "visit"] = "day"
    of: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    """Only entries by these rules count; none named = any."""


class Interval(_LooksBack, tag_field="kind", tag="interval", frozen=True, kw_only=True):
    """Keeps out who entered less than so many minutes ago."""

    minutes: Annotated[int, Meta(ge=1, le=44_640)]


class Passback(_LooksBack, tag_field="kind", tag="passback", frozen=True):
    """Keeps out who is inside already, so that a card handed back over the fence opens nothing."""

    mode: Literal["hard", "soft"] = "hard"
    """`soft`: lets in and says so, for a person to look at."""
    forgive_minutes: Annotated[int, Meta(ge=0, le=44_640)] = 0
    """After so long an entry without an exit is forgotten; 0 = after 31 days, the longest."""
    resets_at: TimeOfDay | None = None
    """Every day at this local time everybody counts as outside."""


class Occupancy(_Conditions, tag_field="kind", tag="occupancy", frozen=True, kw_only=True):
    """Keeps everybody out while `most` are inside the venue."""

    most: Annotated[int, Meta(ge=1, le=1_000_000)]
    when_unknown: Literal["admit", "refuse"] = "admit"


Rule = Admit | Refuse | Limit | Interval | Passback | Occupancy

RULE_KINDS = ("admit", "refuse", "limit", "interval", "passback", "occupancy", "tariff", "session")
"""What this version can evaluate; agents report it so that central never publishes more."""


class Session(_Map, frozen=True):
    """At such a gate a tap signs in and the next one signs out: a volunteers' kiosk."""

    double_tap_s: Annotated[int, Meta(ge=1, le=3_600)] = 60
    """A second tap so soon is a repeat and never the other way."""
    longest_hours: Annotated[int, Meta(ge=1, le=48)] = 16
    """A session that was begun so long ago was forgotten: the next tap begins another one."""


class Policy(_Map, frozen=True):
    """An ordered list of rules: the first one whose conditions hold decides; none = denied."""

    TYPE: ClassVar[str] = "tapgate.policy.v1"
    MAX_BYTES: ClassVar[int] = 1024 * 1024
    version: Count
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=1_000)]
    schedules: dict[Name, Schedule] = {}
    tariffs: dict[Name, Tariff] = {}
    calendar: Calendar = Calendar()
    time_zone: Name = CITY_ZONE
    repeat_window_s: Annotated[int, Meta(ge=0, le=3_600)] = 10
    """A second tap of the same member within it gets the same answer, marked as a repeat."""
    untrusted_clock: Literal["deny", "ignore-dates"] = "deny"
    """`ignore-dates`: admit by class and state alone while the clock cannot be trusted."""
    restricted: Classes = ()
    """Classes that still enter while the list is past its `restrict` age."""
    apart_s: Annotated[int, Meta(ge=10, le=86_400)] = 120
    """Without central's word on histories for so long, what happened at other gates is unknown."""
    session: Session | None = None


def kinds_of(policy: Policy) -> frozenset[str]:
    """What a gate must be able to evaluate, as a poll's `understands` names it."""
    kinds = {str(rule.__struct_config__.tag) for rule in policy.rules}
    if policy.tariffs:
        kinds.add("tariff")
    if policy.session is not None:
        kinds.add("session")
    return frozenset(f"rule:{kind}" for kind in kinds)
