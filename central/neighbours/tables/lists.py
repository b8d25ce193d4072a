"""Lists as the tables that their imports read: what leaves by one comes in again by the other.

Days are local. Of what begins or ends within a day, the first day is whole and the last one is left out, since a table
has no hours.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.neighbours.vols.roc import slashed
from central.store.schema import (
    member_classes,
    member_flags,
    member_numbers,
    members,
    offers,
    registrations,
    subjects,
)

ROWS_AT_ONCE = 1_000


class Wanted(NamedTuple):
    """Of which domain, activity and class; what a list does not go by is empty."""

    domain: str
    zone: ZoneInfo
    activity: str
    class_name: str


class ListLine(NamedTuple):
    """A row of the table; or why there is none for what `whose` names."""

    cells: list[str]
    whose: str = ""
    why: str = ""


Lines = AsyncIterator[ListLine]


class List(NamedTuple):
    """One list. `by`: what must be stated of `Wanted`; `imported_by`: the action that reads it."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    imported_by: str
    read: Callable[[AsyncConnection, Keys, Wanted], Lines]


_LASTING = members.c.reference.not_like("day/%")
"""Day cards are nobody's and come back: they stand in no list."""


async def _classes(connection: AsyncConnection, _keys: Keys, wanted: Wanted) -> Lines:
    c = member_classes.c
    query = select(members.c.reference, c.name, c.from_ms, c.until_ms).join(members, members.c.id == c.member)
    query = query.join(subjects, subjects.c.member == c.member).where(subjects.c.domain == wanted.domain, _LASTING)
    async for row in _rows(connection, query.order_by(c.member, c.name, c.from_ms)):
        since, until = _days(row.from_ms, row.until_ms, wanted.zone)
        if since and until and until < since:
            yield ListLine([], row.reference, f"{row.name} lasts less than a day")
        else:
            yield ListLine([row.reference, "add", row.name, _iso(since), _iso(until)])


async def _flags(connection: AsyncConnection, _keys: Keys, wanted: Wanted) -> Lines:
    c = member_flags.c
    query = select(members.c.reference, c.flag, c.until_ms).join(members, members.c.id == c.member)
    query = query.where(c.domain == wanted.domain, _LASTING).order_by(c.member, c.flag)
    held: list[Any] = []
    async for row in _rows(connection, query):
        if held and held[0].reference != row.reference:
            yield _of_flags(held, wanted.zone)
            held = []
        held.append(row)
    if held:
        yield _of_flags(held, wanted.zone)


def _of_flags(held: list[Any], zone: ZoneInfo) -> ListLine:
    ends = {_days(0, row.until_ms, zone)[1] for row in held}
    if len(ends) > 1:
        return ListLine([], held[0].reference, "its notices end on different days, and a row has one day")
    return ListLine([held[0].reference, "|".join(row.flag for row in held), _iso(ends.pop())])


async def _offers(connection: AsyncConnection, _keys: Keys, _wanted: Wanted) -> Lines:
    query = select(offers).order_by(offers.c.id, offers.c.class_name)
    found = [row async for row in _rows(connection, query)]
    for id_, rows in groupby(found, key=lambda row: row.id):
        first, *others = rows
        classes = "|".join(filter(None, (row.class_name for row in (first, *others))))
        yield ListLine([id_, first.partner, first.title_zh, first.title_en, classes, first.first_day, first.last_day])


async def _registrations(connection: AsyncConnection, _keys: Keys, wanted: Wanted) -> Lines:
    r = registrations.c
    query = select(members.c.reference).join(registrations, r.member == members.c.id)
    async for row in _rows(connection, query.where(r.activity == wanted.activity).order_by(members.c.reference)):
        yield ListLine([row.reference, "add"])


async def _volunteers(connection: AsyncConnection, keys: Keys, wanted: Wanted) -> Lines:
    c, n = member_classes.c, member_numbers.c
    number = (n.member == c.member) & (n.kind == "volunteer-number")
    query = select(c.member, members.c.reference, c.from_ms, c.until_ms, n.sealed)
    query = query.join(members, members.c.id == c.member).outerjoin(member_numbers, number)
    query = query.join(subjects, subjects.c.member == c.member).where(subjects.c.domain == wanted.domain)
    seen = None
    async for row in _rows(connection, query.where(c.name == wanted.class_name).order_by(c.member, c.from_ms.desc())):
        if row.member == seen:
            yield ListLine([], row.reference, "an earlier time: the list has one for each volunteer")
            continue
        seen = row.member
        held = keys.open_number(row.sealed, "volunteer-number", row.member) if row.sealed else ""
        since, until = _days(row.from_ms, row.until_ms, wanted.zone)
        yield ListLine([held, row.reference, slashed(since) if since else "", slashed(until) if until else ""])


LISTS: dict[str, List] = {
    "classes": List(("member", "action", "class", "from", "until"), ("domain",), "member.classes", _classes),
    "flags": List(("member", "flags", "until"), ("domain",), "card.flags", _flags),
    "offers": List(("id", "partner", "title_zh", "title_en", "class", "from", "until"), (), "offer.import", _offers),
    "registrations": List(("member", "action"), ("activity",), "activity.register", _registrations),
    "volunteers": List(
        ("紀錄冊號", "會員編號", "加入日期", "退出日期"), ("domain", "class_name"), "volunteer.roster", _volunteers
    ),
}


async def _rows(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[Any]:
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for row in result:
        yield row


def _days(from_ms: int, until_ms: int, zone: ZoneInfo) -> tuple[dt.date | None, dt.date | None]:
    """The first day, and the last whole one; None = open."""
    first = _at(from_ms, zone).date() if from_ms else None
    last = (_at(until_ms, zone).date() - dt.timedelta(days=1)) if until_ms else None
    return first, last


def _at(at_ms: int, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1_000, zone)


def _iso(day: dt.date | None) -> str:
    return day.isoformat() if day else ""
