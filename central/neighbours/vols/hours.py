"""What of a team's months goes into the ministry's table, and what does not, with the reason. Pure."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from central.neighbours.vols.layout import Column, Layout
from central.neighbours.vols.roc import compact
from central.services.attendance.stated import AMOUNTS, Row

Reason = Literal[
    "in-review",
    "not-approved",
    "not-counting",
    "zero-minutes",
    "takes-back",
    "not-known",
    "no-number",
    "no-identity",
    "no-name",
    "not-encodable",
    "no-code",
]
MINUTES_AN_HOUR = 60
Cell = str | int


class Person(NamedTuple):
    """A volunteer. `identity`: what stands for them in the table. `lacks`: why they cannot be in it, and in words."""

    member: str
    name: str
    identity: str
    lacks: tuple[Reason, str] | None = None


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is not in the table. `minutes`: what it would have come to; `why`: in words, for a person."""

    member: str
    session: str
    month: str
    day: str
    minutes: int
    reason: Reason
    why: str


class Service(NamedTuple):
    """What a team states of its service: codes, or texts that codes are known for."""

    item: str
    content: str
    area: str


class Table(NamedTuple):
    """Rows in the order of the layout's columns; minutes in all of them together."""

    rows: list[list[Cell]]
    minutes: int
    left_out: list[LeftOut]


def table(
    booked: Mapping[bytes, Sequence[Row]],
    people: Mapping[bytes, Person],
    service: Service,
    layout: Layout,
    zone: ZoneInfo,
) -> Table:
    """Out of rows of approved months and of what is in review, by subject. A session and its corrections within the
    span are one row, exact to the minute."""
    found = Table([], 0, [])
    rows: list[tuple[Any, list[Cell], int]] = []
    for subject, some in booked.items():
        person = people[subject]
        of_session: dict[tuple[bytes, str], list[Row]] = {}
        for row in some:
            of_session.setdefault((row.key, row.state), []).append(row)
        for (key, state), parts in of_session.items():
            whole = _together(parts)
            refusal = _refusal(whole, state, person)
            cells: list[Cell] = []
            if refusal is None:
                try:
                    cells = _cells(whole, person, service, layout, zone)
                except _Unfit as unfit:
                    refusal = unfit.reason, str(unfit)
            if refusal is not None:
                found.left_out.append(left_out(whole, person.member, zone, *refusal))
            else:
                rows.append(((person.member, whole.at_ms, key), cells, whole.minutes))
    rows.sort(key=lambda each: each[0])
    found.left_out.sort(key=lambda each: (each.reason, each.member, each.day, each.session))
    return Table([cells for _, cells, _ in rows], sum(minutes for *_, minutes in rows), found.left_out)


def left_out(row: Row, member: str, zone: ZoneInfo, reason: Reason, why: str) -> LeftOut:
    """What is said of a session that is in no table."""
    day = _day(row.at_ms, zone).isoformat()
    return LeftOut(
        member=member,
        session=row.key.hex(),
        month=row.month or day[:7],
        day=day,
        minutes=row.minutes,
        reason=reason,
        why=why,
    )


class _Unfit(Exception):
    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason: Reason = reason


def _together(parts: Sequence[Row]) -> Row:
    """The newest word on a session, with the sums of what is booked of it."""
    newest = max(parts, key=lambda row: (row.month, bool(row.adjustment_of)))
    return msgspec.structs.replace(newest, **{name: sum(getattr(row, name) for row in parts) for name in AMOUNTS})


def _refusal(row: Row, state: str, person: Person) -> tuple[Reason, str] | None:
    if state in ("review", "open"):
        return "in-review", "nobody has settled what it was: `volunteer review`"
    if state == "not-counting":
        return "not-counting", f"{row.activity or 'its activity'} is kept and counts as no service"
    if any(getattr(row, name) < 0 for name in AMOUNTS):
        return "takes-back", "it takes back what an earlier month holds: correct that in the ministry's system by hand"
    if row.minutes == 0:
        return "zero-minutes", "it has no whole minute"
    return person.lacks


def _cells(row: Row, person: Person, service: Service, layout: Layout, zone: ZoneInfo) -> list[Cell]:
    hours, minutes = divmod(row.minutes, MINUTES_AN_HOUR)
    start = row.in_ms if row.in_ms is not None else row.at_ms
    end = row.out_ms if row.out_ms is not None else start
    values: dict[str, Cell] = {
        "name": person.name,
        "identity": person.identity,
        "first_day": compact(_day(start, zone)),
        "last_day": compact(_day(end, zone)),
        "hours": hours,
        "minutes": minutes,
        "remark": row.remark,
        **service._asdict(),
        **{name: getattr(row, name) for name in AMOUNTS[1:]},
    }
    return [_cell(column, values, layout) for column in layout.columns]


def _cell(column: Column, values: Mapping[str, Cell], layout: Layout) -> Cell:
    value = column.fixed if column.value == "fixed" else values[column.value]
    if column.number and isinstance(value, int):
        return value
    text = str(value)
    text = layout.codes[column.codes].get(text, text) if column.codes else text
    if column.needed and not text:
        raise _Unfit("no-name" if column.value == "name" else "no-code", f"{column.title}: nothing is stated")
    if text and column.pattern and re.fullmatch(column.pattern, text) is None:
        reason: Reason = "no-code" if column.codes else "no-identity"
        shown = repr(text) if column.codes else "what is stated"  # an identity stands in no message
        raise _Unfit(reason, f"{column.title}: {shown} is no code of the ministry's, and none is known for it")
    lacking = _unencodable(text, layout.encoding)
    if lacking:
        raise _Unfit("not-encodable", f"{column.title}: {layout.encoding} has no {lacking} (U+{ord(lacking):04X})")
    return text


def _unencodable(text: str, encoding: str) -> str:
    """The first character that an encoding lacks; empty where it has all."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError as error:
        return text[error.start]
    return ""


def _day(at_ms: int, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(at_ms / 1_000, zone).date()
