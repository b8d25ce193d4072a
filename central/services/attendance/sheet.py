"""A team's month as one sheet: members by days, adjustments apart, totals as the dated rule shows them. Pure."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from central.services.attendance.hours import counted_minutes, rounded
from central.services.attendance.local import date_of
from central.services.attendance.stated import Row


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One member. `days`: exact minutes by local date; `adjustments`: of sessions in locked months, exact."""

    member: str
    days: dict[str, int]
    adjustments: int
    minutes: int
    rounded_minutes: int
    not_counting_minutes: int
    sessions: int
    people: int
    transport: int
    meal: int
    people_abroad: int
    people_home: int


def line(member: str, rows: Sequence[Row], unit_minutes: int, zone: ZoneInfo) -> Line:
    """Of all that is booked for a member in a team's month."""
    own = [row for row in rows if not row.adjustment_of]
    days: dict[str, int] = {}
    for row in own:
        day = date_of(row.at_ms, zone).isoformat()
        days[day] = days.get(day, 0) + counted_minutes([row])
    total = counted_minutes(rows)
    names = ("people", "transport", "meal", "people_abroad", "people_home")
    return Line(
        member=member,
        days=dict(sorted(days.items())),
        adjustments=counted_minutes(row for row in rows if row.adjustment_of),
        minutes=total,
        rounded_minutes=rounded(total, unit_minutes),
        not_counting_minutes=sum(row.minutes for row in rows if row.state == "not-counting"),
        sessions=len(own),
        **{name: sum(getattr(row, name) for row in rows) for name in names},
    )


def lines(
    of_members: Mapping[bytes, Sequence[Row]], names: Mapping[bytes, str], unit_minutes: int, zone: ZoneInfo
) -> list[Line]:
    """By member."""
    found = [line(names.get(who, who.hex()), rows, unit_minutes, zone) for who, rows in of_members.items()]
    return sorted(found, key=lambda each: each.member)
