"""What citizens who are signed in to another city system see there of themselves: visits, hours, points, who looked.

The system answers for who is signed in; each look stands in the audit log as made on behalf of the member.
"""

from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import ASKED, LOOKED
from central.access.looks import came_to_nothing, rows_about
from central.access.rates import wait_s
from central.access.rules import ON_BEHALF
from central.actions.action import ActionFailed, AskedTooOften, Context, Params, Result, action
from central.actions.cards.named import members_by_reference
from central.actions.list_keys import After, key_of, parts_of
from central.references import references_held
from central.services.attendance.hours import counted_minutes
from central.services.attendance.store import read_rows
from central.services.points.accounts import plans_of, read_members
from central.store.schema import attendance_sessions, cards, subjects, visits

Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class CitizenParams(Params, frozen=True):
    """The city's reference of whoever is signed in there."""

    member: Reference


class PageParams(CitizenParams, frozen=True):
    """The newest first; `after`: `next` of the page before."""

    after: After = ""
    limit: Limit = 100


class HoursParams(CitizenParams, frozen=True):
    """Of which year."""

    year: Annotated[int, msgspec.Meta(ge=2000, le=2999)]


class CitizenVisit(msgspec.Struct, frozen=True):
    """`out_ms` 0: no exit is known."""

    venue: str
    in_ms: int
    out_ms: int


class CitizenVisits(Result, frozen=True):
    """As far as gates have told until now. `next` empty: that was all."""

    visits: list[CitizenVisit]
    next: str


class CitizenMonth(msgspec.Struct, frozen=True):
    """Exact minutes that count."""

    month: str
    team: str
    minutes: int


class CitizenHours(Result, frozen=True):
    """`review`: sessions that a coordinator must settle before they count."""

    minutes: int
    months: list[CitizenMonth]
    review: int


class CitizenLot(msgspec.Struct, frozen=True):
    """Points that are gone at the same moment; 0: they stay."""

    points: int
    expires_ms: int


class CitizenAccount(msgspec.Struct, frozen=True):
    """Points in one domain."""

    domain: str
    points: int
    lots: list[CitizenLot]


class CitizenPoints(Result, frozen=True):
    """By domain."""

    accounts: list[CitizenAccount]


class CitizenLook(msgspec.Struct, frozen=True):
    """Somebody looked at the record or changed it. `on_behalf`: a system that the citizen was signed in to."""

    at_ms: int
    who: str
    action: str
    changed: bool
    on_behalf: bool


class CitizenLooks(Result, frozen=True):
    """`next` empty: that was all."""

    looks: list[CitizenLook]
    next: str


class _Citizen(NamedTuple):
    id: bytes
    reference: str
    subjects: dict[str, bytes]
    """By domain."""


@action("citizen.visits", PageParams, writes=False)
async def citizen_visits(context: Context, params: PageParams) -> CitizenVisits:
    """Where they were."""
    await _in_time(context)
    v = visits.c
    async with context.database.read() as connection:
        citizen = await _citizen(connection, params.member)
        query = select(v.venue, v.in_ms, v.out_ms, v.epoch, v.sequence)
        query = query.where(v.subject.in_(sorted(citizen.subjects.values())))
        if params.after:
            at_ms, epoch, sequence = parts_of(params.after, tuple[int, bytes, int])
            same = (v.in_ms == at_ms) & ((v.epoch < epoch) | ((v.epoch == epoch) & (v.sequence < sequence)))
            query = query.where(or_(v.in_ms < at_ms, same))
        query = query.order_by(v.in_ms.desc(), v.epoch.desc(), v.sequence.desc()).limit(params.limit + 1)
        rows = (await connection.execute(query)).all()
    last = rows[params.limit - 1] if len(rows) > params.limit else None
    return CitizenVisits(
        visits=[CitizenVisit(row.venue, row.in_ms, row.out_ms or 0) for row in rows[: params.limit]],
        next=key_of(last.in_ms, last.epoch, last.sequence) if last is not None else "",
    )


@action("citizen.hours", HoursParams, writes=False)
async def citizen_hours(context: Context, params: HoursParams) -> CitizenHours:
    """What they served as volunteers."""
    await _in_time(context)
    c = attendance_sessions.c
    of_month: dict[tuple[str, str], list[Any]] = {}
    review = 0
    async with context.database.read() as connection:
        citizen = await _citizen(connection, params.member)
        wanted = or_(c.month.between(f"{params.year:04}-01", f"{params.year:04}-12"), c.state == "review")
        for domain, subject in sorted(citizen.subjects.items()):
            held = await read_rows(connection, c.domain == domain, wanted, subjects=[subject])
            for row in held.get(subject, []):
                review += row.state == "review"
                if row.month:
                    of_month.setdefault((row.month, row.team), []).append(row)
    months = [CitizenMonth(*key, counted_minutes(rows)) for key, rows in sorted(of_month.items())]
    return CitizenHours(minutes=sum(each.minutes for each in months), months=months, review=review)


@action("citizen.points", CitizenParams, writes=False)
async def citizen_points(context: Context, params: CitizenParams) -> CitizenPoints:
    """What they have, and when it is gone."""
    await _in_time(context)
    found = []
    async with context.database.read() as connection:
        citizen = await _citizen(connection, params.member)
        for domain, subject in sorted(citizen.subjects.items()):
            plans = await plans_of(connection, domain)
            kept = (await read_members(connection, domain, [subject], plans))[subject].kept(context.now_ms)
            going: dict[int, int] = {}
            for lot in kept.lots:
                going[lot.expires_ms] = going.get(lot.expires_ms, 0) + lot.points
            if plans.plans or kept.postings:
                lots = [CitizenLot(points, expires_ms) for expires_ms, points in sorted(going.items())]
                found.append(CitizenAccount(domain, kept.balance, lots))
    return CitizenPoints(accounts=found)


@action("citizen.looks", PageParams, writes=False)
async def citizen_looks(context: Context, params: PageParams) -> CitizenLooks:
    """Who looked at their record or changed it, as far as the audit log names them or their cards."""
    await _in_time(context)
    async with context.database.read() as connection:
        citizen = await _citizen(connection, params.member)
        held = await connection.execute(select(cards.c.id).where(cards.c.member == citizen.id))
        ids = [citizen.id, *held.scalars()]
        (before,) = parts_of(params.after, tuple[int]) if params.after else (None,)
        references = await references_held(connection, citizen.id, citizen.reference)
        rows, more = await rows_about(connection, references, ids, (LOOKED, ASKED), before, params.limit)
        failed = await came_to_nothing(connection, rows)
    looks = [_look(row, row.phase == ASKED and row.number not in failed) for row in rows]
    return CitizenLooks(looks=looks, next=key_of(rows[-1].number) if more else "")


def _look(row: Any, is_change: bool) -> CitizenLook:
    body = msgspec.json.decode(row.body)
    return CitizenLook(row.at_ms, row.who, row.action, is_change, body.get("why") == ON_BEHALF)


async def _in_time(context: Context) -> None:
    too_early_s = await wait_s(context.database, context.caller, context.now_ms)
    if too_early_s:
        raise AskedTooOften(too_early_s)


async def _citizen(connection: AsyncConnection, reference: str) -> _Citizen:
    id_ = (await members_by_reference(connection, [reference])).get(reference)
    if id_ is None:
        raise ActionFailed("the city has no such member")
    s = subjects.c
    rows = await connection.execute(select(s.domain, s.subject).where(s.member == id_))
    return _Citizen(id_, reference, {row.domain: row.subject for row in rows})
