"""Which purposes a tap serves beside admission. It goes when the rule of each of them says so."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.found import EventName
from central.privacy.retention.rules import received_before
from central.services.attendance.store import SIGNINGS
from central.services.points.accounts import plans_of
from central.store.schema import activities, kept_attendance, marks
from central.store.slices import named

_m = marks.c


class Tap(NamedTuple):
    """A tap of a member, as far as it has to be decided whether it may go. `at_ms`: as its gate said."""

    name: EventName
    at_ms: int
    venue: str


async def bears_points(connection: AsyncConnection, domain: str) -> ColumnElement[bool]:
    """Marks that ledgers follow from, and those that say what is to be paid."""
    return or_(_m.points != 0, _m.due != 0, _m.rule.in_(sorted((await plans_of(connection, domain)).earning)))


def signs() -> ColumnElement[bool]:
    """Marks that volunteers' hours follow from."""
    return _m.reason.in_(SIGNINGS)


def checks_in() -> ColumnElement[bool]:
    """Marks that the attendance of an activity follows from; not of one whose attendance is kept as counts."""
    a = activities.c
    within = (a.venue == _m.venue, a.rule == _m.rule, a.from_ms <= _m.at_ms, a.until_ms > _m.at_ms)
    return exists().where(*within, a.id.not_in(select(kept_attendance.c.activity)))


async def that_are(
    connection: AsyncConnection, names: Collection[EventName], condition: ColumnElement[bool], table: Table = marks
) -> set[EventName]:
    """Of these events, those whose row (their mark) meets the condition."""
    t, found = table.c, set[EventName]()
    for these in named((t.device, t.epoch, t.sequence), names):
        query = select(t.device, t.epoch, t.sequence).where(these, condition)
        found.update((device, epoch, sequence) for device, epoch, sequence in await connection.execute(query))
    return found


async def first_that_stays(
    connection: AsyncConnection, taps: Sequence[Tap], before: Mapping[str, int], serves: ColumnElement[bool]
) -> int | None:
    """The moment of the earliest of these taps that may not go: its venue's rule does not say so, it came too late, or
    it serves another purpose. None: all may."""
    others = await that_are(connection, {tap.name for tap in taps}, serves)
    stay = [tap.at_ms for tap in taps if tap.at_ms >= before.get(tap.venue, 0) or tap.name in others]
    for venue in {tap.venue for tap in taps} & before.keys():
        of = [tap for tap in taps if tap.venue == venue]
        received = await received_before(connection, [tap.name for tap in of], before[venue])
        stay += [tap.at_ms for tap in of if tap.name[2] > received.get(tap.name[:2], -1)]
    return min(stay, default=None)
