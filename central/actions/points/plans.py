"""Plans of points, the day's round, closing of months, totals, and reservations that a person writes off."""

from collections import Counter
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.dates import end_ms
from central.actions.places.places import Id, NamedParams, must_exist
from central.actions.points.members import Who, Why
from central.facts import About, append
from central.services.attendance.stated import MemberMonthLocked
from central.services.points import rounds
from central.services.points.accounts import AT_ONCE, plans_of, read_members, write_members
from central.services.points.books import totals
from central.services.points.closing import NotClosed, begin, close, closed_until_ms, members_after
from central.services.points.plans import Month, Plan, check, month_span
from central.services.points.returns import write_off
from central.services.points.stated import ReservationsWrittenOff
from central.services.turns import one_at_a_time
from central.store.schema import domains, facts, gates, marks, point_books, point_plans, subjects, venues
from protocol.errors import Refused


class PlanParams(Params, frozen=True):
    """A plan's body: a map as in the plan file."""

    id: Id
    body: dict[str, object]


class PlanPut(Result, frozen=True):
    """The version now in force, and how many members' ledgers were settled again for it."""

    id: str
    version: int
    settled: int


class PlanShown(Result, frozen=True):
    """The version in force, as a map like the file it came from."""

    id: str
    version: int
    at_ms: int
    body: dict[str, object]


class NoParams(Params, frozen=True):
    """Nothing to say."""


class PlanListed(msgspec.Struct, frozen=True):
    """One plan, and since when it is in force."""

    id: str
    domain: str
    version: int
    at_ms: int


class PlansListed(Result, frozen=True):
    """By domain and name."""

    plans: list[PlanListed]


class RoundParams(Params, frozen=True):
    """Of which domain."""

    domain: str


class Gone(Result, frozen=True):
    """How many members were gone through."""

    members: int


class TotalsParams(Params, frozen=True):
    """Of which domain and month."""

    domain: str
    month: Month


class CloseParams(TotalsParams, frozen=True):
    """Which month, and who closes it."""

    who: Who


class Totals(Result, frozen=True):
    """By account, what the month moved; all together are 0. `closed`: nothing in it changes any more."""

    domain: str
    month: str
    closed: bool
    accounts: dict[str, int]


class WriteOffParams(Params, frozen=True):
    """What lapsed at a gate through the local day `before`."""

    gate: str
    before: Annotated[str, msgspec.Meta(min_length=1)]
    who: Who
    why: Why


class WrittenOff(Result, frozen=True):
    """How many reservations ended, and how many points went back to members."""

    gate: str
    reservations: int
    points: int


# --- plans --------------------------------------------------------------------------------------------------


@action("points.plan.put", PlanParams, writes=True)
async def plan_put(context: Context, params: PlanParams) -> PlanPut:
    """Put a plan in force. What months gave already stays; what entries and hours earned is counted anew, and where it
    differs in a closed month, adjusted in an open one."""
    plan = _checked(params.body)
    async with context.database.write() as connection:
        await must_exist(connection, domains, plan.domain, "domain")
        held = (await connection.execute(_newest(params.id))).first()
        if held is not None and held.domain != plan.domain:
            raise ActionFailed(f"plan {params.id!r} is of domain {held.domain!r}: put this one under another name")
        before = await plans_of(connection, plan.domain)
        others = {name: each for name, each in before.plans.items() if name != params.id}
        if any(each.time_zone != plan.time_zone for each in others.values()):
            raise ActionFailed(f"time_zone: the other plans of {plan.domain} are in {before.time_zone}")
        version = max((held.version if held else 0) + 1, context.now_ms)
        body = msgspec.msgpack.encode(plan)
        row = {"id": params.id, "version": version, "domain": plan.domain, "at_ms": context.now_ms, "body": body}
        await connection.execute(insert(point_plans).values(row))
        await rounds.begin_again(connection, plan.domain)
        earning = before.earning | {line.rule for line in plan.earn}
        rewards_hours = before.rewards_hours or bool(plan.hours)
    settled = await _settle_earners(context, plan.domain, earning, rewards_hours)
    return PlanPut(id=params.id, version=version, settled=settled)


def _checked(body: dict[str, object]) -> Plan:
    try:
        plan = msgspec.convert(body, Plan)
        check(plan)
    except msgspec.ValidationError as error:
        raise ActionFailed(f"plan: {error}") from None
    except Refused as refused:
        raise ActionFailed(f"plan: {refused.detail}") from None
    return plan


async def _settle_earners(context: Context, domain: str, earning: set[str], rewards_hours: bool) -> int:
    """Whoever entered by a rule, or served hours, that earned before or earn now."""
    m, f, cursor, done = marks.c, facts.c, b"", 0
    asked: list[tuple[Any, ColumnElement[bool]]] = []
    if earning:
        asked.append((m, (m.domain == domain) & m.rule.in_(sorted(earning))))
    if rewards_hours:
        asked.append((f, (f.domain == domain) & (f.kind == MemberMonthLocked.KIND)))
    while asked:
        async with context.database.write() as connection:
            await one_at_a_time(connection)
            found: set[bytes] = set()
            for c, these in asked:
                query = select(c.subject).where(these, c.subject > cursor).distinct()
                found.update((await connection.execute(query.order_by(c.subject).limit(AT_ONCE))).scalars())
            members = sorted(found)[:AT_ONCE]
            if not members:
                break
            await write_members(connection, domain, await read_members(connection, domain, members))
        cursor, done = members[-1], done + len(members)
        await context.progress("settling", done, 0)
    return done


@action("points.plan.show", NamedParams, writes=False)
async def plan_show(context: Context, params: NamedParams) -> PlanShown:
    """The version in force."""
    async with context.database.read() as connection:
        row = (await connection.execute(_newest(params.id))).first()
    if row is None:
        raise ActionFailed(f"there is no plan {params.id!r}: put one first (`points plan put`)")
    body = msgspec.to_builtins(msgspec.msgpack.decode(row.body, type=Plan))
    return PlanShown(id=row.id, version=row.version, at_ms=row.at_ms, body=body)


@action("points.plan.list", NoParams, writes=False)
async def plan_list(context: Context, _params: NoParams) -> PlansListed:
    """Every plan, in the version in force."""
    p = point_plans.c
    newest = select(p.id, func.max(p.version).label("version")).group_by(p.id).subquery()
    query = select(point_plans).join(newest, (p.id == newest.c.id) & (p.version == newest.c.version))
    async with context.database.read() as connection:
        rows = (await connection.execute(query.order_by(p.domain, p.id))).all()
    return PlansListed(plans=[PlanListed(row.id, row.domain, row.version, row.at_ms) for row in rows])


def _newest(id_: str) -> Any:
    return select(point_plans).where(point_plans.c.id == id_).order_by(point_plans.c.version.desc()).limit(1)


@action("points.round", RoundParams, writes=True)
async def points_round(context: Context, params: RoundParams) -> Gone:
    """The day's round again: who came or got a class since gets the month's points and reservations."""
    async with context.database.write() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        if not (await plans_of(connection, params.domain)).plans:
            raise ActionFailed(f"domain {params.domain!r} has no plan: put one first (`points plan put`)")
        total = (await connection.execute(select(func.count()).where(subjects.c.domain == params.domain))).scalar_one()
        await rounds.begin_again(connection, params.domain)
    done = 0
    while members := await rounds.step(context.database, params.domain, context.now_ms):
        done += members
        await context.progress("round", done, total)
    return Gone(members=done)


# --- months -------------------------------------------------------------------------------------------------


@action("points.close", CloseParams, writes=True)
async def points_close(context: Context, params: CloseParams) -> Totals:
    """Close a month that is over; what becomes known of it later is booked as adjustments in the first open month."""
    async with context.database.write() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        try:
            await begin(connection, params.domain, params.month, params.who, context.now_ms)
        except NotClosed as refused:
            raise ActionFailed(str(refused)) from None
    await close(context.database, params.domain, params.month, context.now_ms, context.progress)
    return await points_totals(context, TotalsParams(domain=params.domain, month=params.month))  # type: ignore[no-any-return]


@action("points.totals", TotalsParams, writes=False)
async def points_totals(context: Context, params: TotalsParams) -> Totals:
    """Per account, of every member; of an open month through now."""
    async with context.database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        zone = ZoneInfo((await plans_of(connection, params.domain)).time_zone)
        from_ms, until_ms = month_span(params.month, zone)
        is_closed = until_ms <= await closed_until_ms(connection, params.domain)
        found = await (_closed if is_closed else _open)(context, connection, params.domain, (from_ms, until_ms))
    moved = {account: found[account] for account in sorted(found)}
    return Totals(domain=params.domain, month=params.month, closed=is_closed, accounts=moved)


async def _closed(_context: Context, connection: AsyncConnection, domain: str, span: tuple[int, int]) -> Counter[str]:
    b, found = point_books.c, Counter[str]()
    query = select(b.source, b.target, func.sum(b.points)).where(b.domain == domain)
    query = query.where(b.booked_ms >= span[0], b.booked_ms < span[1]).group_by(b.source, b.target)
    for source, target, points in await connection.execute(query):
        found[source] -= int(points)
        found[target] += int(points)
    return found


async def _open(context: Context, connection: AsyncConnection, domain: str, span: tuple[int, int]) -> Counter[str]:
    plans = await plans_of(connection, domain)
    cursor, done, found = b"", 0, Counter[str]()
    while members := await members_after(connection, domain, cursor):
        for account in (await read_members(connection, domain, members, plans)).values():
            lines = account.lines(min(context.now_ms, span[1] - 1))
            found.update(totals(line for line in lines if span[0] <= line.booked_ms < span[1]))
        cursor, done = members[-1], done + len(members)
        await context.progress("adding up", done, 0)
    return found


# --- reservations -------------------------------------------------------------------------------------------


@action("points.write-off", WriteOffParams, writes=True)
async def points_write_off(context: Context, params: WriteOffParams) -> WrittenOff:
    """Give members back what a gate holds reserved that nobody hears of."""
    async with context.database.write() as connection:
        await must_exist(connection, gates, params.gate, "gate")
        query = select(venues.c.domain).join(gates, gates.c.venue == venues.c.id).where(gates.c.id == params.gate)
        domain = (await connection.execute(query)).scalar_one()
        try:
            before_ms = end_ms(params.before, ZoneInfo((await plans_of(connection, domain)).time_zone))
        except ValueError as error:
            raise ActionFailed(f"before: {error}") from None
        ended, points = await write_off(connection, domain, params.gate, before_ms, context.now_ms)
        if ended:
            said = ReservationsWrittenOff(
                gate=params.gate, before_ms=before_ms, reservations=ended, points=points, why=params.why
            )
            await append(connection, About(params.who, context.now_ms, domain), said, context.now_ms)
    return WrittenOff(gate=params.gate, reservations=ended, points=points)
