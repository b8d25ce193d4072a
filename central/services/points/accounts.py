"""Members' ledgers out of the database: what they follow from, read many at a time, and their lines written again."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import Fact, read
from central.services.attendance.stated import MemberMonthLocked
from central.services.points.books import Line, open_lines
from central.services.points.ledger import Given, Kept, Taken, keep, venue_account, venue_loss
from central.services.points.plans import Plan, Tap, earned
from central.services.points.stated import ENTRIES, entry_of
from central.services.points.volunteering import locked_of, of_hours
from central.store.schema import (
    batches,
    ledger,
    marks,
    point_books,
    point_closings,
    point_months,
    point_plans,
)
from protocol.time_zones import CITY_ZONE
from protocol.wire import MAX_BATCH_EVENTS

AT_ONCE = 200
"""Members in one transaction."""


@dataclass(frozen=True)
class DomainPlans:
    """The plans in force in a domain, by name, and the version of each."""

    plans: Mapping[str, Plan]
    versions: Mapping[str, int]

    @property
    def earning(self) -> set[str]:
        """Rules by which an entry earns points."""
        return {line.rule for plan in self.plans.values() for line in plan.earn}

    @property
    def rewards_hours(self) -> bool:
        """Whether volunteers' hours earn points."""
        return any(plan.hours for plan in self.plans.values())

    @property
    def time_zone(self) -> str:
        """All plans of a domain are in one."""
        return next((plan.time_zone for plan in self.plans.values()), CITY_ZONE)

    @property
    def reserve(self) -> int:
        return max((plan.reserve for plan in self.plans.values()), default=0)

    @property
    def reserves_to_all(self) -> bool:
        return any(plan.ahead == "all" for plan in self.plans.values())


@dataclass
class Member:
    """What one member's ledger follows from. `closed_ms`: months before it are closed."""

    given: list[Given] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    booked: list[Line] = field(default_factory=list)
    closed_ms: int = 0

    @property
    def entries(self) -> list[Given | Taken]:
        """All of both."""
        return [*self.given, *self.taken]

    @property
    def through_ms(self) -> int:
        """Until when its lines are written: its newest cause, or the end of the closed months."""
        given = max((each.at_ms for each in self.given), default=0)
        taken = max((each.at_ms for each in self.taken), default=0)
        return max(self.closed_ms - 1, given, taken)

    def kept(self, through_ms: int) -> Kept:
        return keep(self.given, self.taken, through_ms)

    def open_lines(self, through_ms: int) -> list[Line]:
        """Of months that are not closed."""
        return open_lines(self.kept(max(through_ms, self.closed_ms - 1)).postings, self.booked, self.closed_ms)

    def lines(self, through_ms: int) -> list[Line]:
        """All that is booked."""
        return [*self.booked, *self.open_lines(through_ms)]


async def plans_of(connection: AsyncConnection, domain: str) -> DomainPlans:
    """The newest version of each of a domain's plans."""
    newest = select(point_plans.c.id, func.max(point_plans.c.version).label("version")).group_by(point_plans.c.id)
    these = newest.subquery()
    query = select(point_plans.c.id, point_plans.c.version, point_plans.c.body)
    query = query.join(these, and_(point_plans.c.id == these.c.id, point_plans.c.version == these.c.version))
    rows = (await connection.execute(query.where(point_plans.c.domain == domain).order_by(point_plans.c.id))).all()
    return DomainPlans({row.id: _plan(row.body) for row in rows}, {row.id: row.version for row in rows})


@lru_cache(maxsize=256)
def _plan(body: bytes) -> Plan:
    return msgspec.msgpack.decode(body, type=Plan)


# --- reading ------------------------------------------------------------------------------------------------


async def read_members(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes], plans: DomainPlans | None = None
) -> dict[bytes, Member]:
    """Everything that these members' ledgers follow from; one who has nothing is empty."""
    plans = plans or await plans_of(connection, domain)
    found = {subject: Member() for subject in sorted(subjects)}
    if not found:
        return found
    for row in await connection.execute(_of(point_months, domain, found)):
        cause = f"plan {row.plan} {row.month}"
        found[row.subject].given.append(Given(row.at_ms, row.points, row.expires_ms, cause, "month"))
    for fact in await read(connection, ENTRIES, domain=domain, subjects=found):
        entry = entry_of(fact)
        if isinstance(entry, Given):
            found[fact.subject].given.append(entry)
        else:
            found[fact.subject].taken.append(entry)
    for subject, taps in (await _taps(connection, domain, found, plans.earning)).items():
        found[subject].given += earned(plans.plans.values(), taps)
        found[subject].taken += [_spent(tap) for tap in taps if tap.points > 0]
    if plans.rewards_hours:
        await _read_hours(connection, domain, found, plans)
    for row in await connection.execute(_of(point_books, domain, found)):
        found[row.subject].booked.append(_line(row))
    await _read_closings(connection, domain, found)
    return found


def _of(table: Any, domain: str, subjects: Iterable[bytes]) -> Any:
    return select(table).where(table.c.domain == domain, table.c.subject.in_(sorted(subjects)))


def _line(row: Any) -> Line:
    return Line(row.booked_ms, row.at_ms, row.what, row.cause, row.source, row.target, row.points)


def _spent(tap: Tap) -> Taken:
    return Taken(tap.at_ms, tap.points, venue_account(tap.venue), venue_loss(tap.venue), tap.cause, "spent")


_m = marks.c
# Nothing can have happened after central heard of it: a gate whose clock is years ahead shall not spend, nor make be
# written, what is not given yet. The batch that brought an event begins at most a batch's length before it.
_HEARD = (
    select(func.min(batches.c.received_ms))
    .where(
        batches.c.device == _m.device,
        batches.c.epoch == _m.epoch,
        batches.c.first <= _m.sequence,
        batches.c.first > _m.sequence - MAX_BATCH_EVENTS,
        batches.c.through >= _m.sequence,
    )
    .scalar_subquery()
    .label("heard_ms")
)
HEARD_MARKS = select(
    *(_m.subject, _m.at_ms, _m.venue, _m.gate, _m.direction, _m.rule, _m.points),
    *(_m.device, _m.epoch, _m.sequence, _HEARD),
)
"""What points go by, and when central heard of it."""


async def _taps(
    connection: AsyncConnection, domain: str, subjects: Iterable[bytes], earning: Collection[str]
) -> dict[bytes, list[Tap]]:
    bears = or_(_m.points > 0, _m.rule.in_(sorted(earning))) if earning else _m.points > 0
    query = HEARD_MARKS.where(_m.domain == domain, _m.subject.in_(sorted(subjects)), _m.fate == "counts", bears)
    found: dict[bytes, list[Tap]] = defaultdict(list)
    for row in await connection.execute(query):
        at_ms = row.at_ms if row.heard_ms is None else min(row.at_ms, row.heard_ms)
        cause = f"event {row.device} {row.epoch.hex()} {row.sequence}"
        found[row.subject].append(Tap(at_ms, row.venue, row.gate, row.direction, row.rule, row.points, cause))
    return found


async def _read_hours(
    connection: AsyncConnection, domain: str, found: Mapping[bytes, Member], plans: DomainPlans
) -> None:
    stated: dict[bytes, list[Fact]] = defaultdict(list)
    for fact in await read(connection, [MemberMonthLocked], domain=domain, subjects=found):
        stated[fact.subject].append(fact)
    for subject, facts in stated.items():
        given, taken = of_hours(plans.plans, locked_of(facts))
        found[subject].given += given
        found[subject].taken += taken


async def _read_closings(connection: AsyncConnection, domain: str, found: Mapping[bytes, Member]) -> None:
    for closing in await connection.execute(select(point_closings).where(point_closings.c.domain == domain)):
        for subject, member in found.items():
            if closing.closed_ms is not None or subject <= closing.cursor:
                member.closed_ms = max(member.closed_ms, closing.until_ms)


# --- writing ------------------------------------------------------------------------------------------------


async def write_members(connection: AsyncConnection, domain: str, members: Mapping[bytes, Member]) -> None:
    """Write the open lines of these members again, where they are not what they should be."""
    query = _of(ledger, domain, members).order_by(ledger.c.subject, ledger.c.line)
    held: dict[bytes, list[Line]] = defaultdict(list)
    for row in await connection.execute(query):
        held[row.subject].append(_line(row))
    wanted = {subject: member.open_lines(member.through_ms) for subject, member in members.items()}
    changed = [subject for subject in members if held[subject] != wanted[subject]]
    if changed:
        await connection.execute(delete(ledger).where(ledger.c.domain == domain, ledger.c.subject.in_(changed)))
        await insert_lines(connection, ledger, {"domain": domain}, {subject: wanted[subject] for subject in changed})


async def insert_lines(
    connection: AsyncConnection, table: Any, key: Mapping[str, Any], lines: Mapping[bytes, Sequence[Line]]
) -> None:
    """Lines by member, numbered in their order."""
    rows = [
        {**key, "subject": subject, "line": number, **line._asdict()}
        for subject, own in lines.items()
        for number, line in enumerate(own)
    ]
    if rows:
        await connection.execute(insert(table), rows)
