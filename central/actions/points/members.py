"""Points of members: what they have, what named persons give, correct and redeem."""

from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference, references_of, subjects_within
from central.actions.dates import start_ms
from central.actions.list_keys import After, key_of, parts_of
from central.actions.places.places import must_exist
from central.facts import About, FactBody, append
from central.services.points.accounts import Member, plans_of, read_members
from central.services.points.allotment import free
from central.services.points.books import balance
from central.services.points.plans import Month, month_span
from central.services.points.reservations import open_ones
from central.services.points.service import overspent
from central.services.points.stated import PointsAdjusted, PointsGranted, PointsRedeemed
from central.services.projector import settle
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.schema import domains, subjects

Who = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
MOST = 10_000
Amount = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class MemberParams(Params, frozen=True):
    """A member, by the city's reference, in a domain."""

    member: str
    domain: str


class StatementParams(MemberParams, frozen=True):
    """Of which month: `2026-07`. `after`: `next` of the page before."""

    month: Month
    after: After = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = MOST


class RedeemParams(MemberParams, frozen=True):
    """How many points, who says so and what for."""

    points: Amount
    who: Who
    why: Why


class GrantParams(RedeemParams, frozen=True):
    """`until`: the local date from which they are gone; empty = they stay."""

    until: str = ""


class AdjustParams(MemberParams, frozen=True):
    """Below 0: taken back. `of`: the cause that is corrected, as a statement shows it."""

    points: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]
    who: Who
    why: Why
    of: Annotated[str, msgspec.Meta(max_length=128)] = ""
    until: str = ""


class OverspentParams(Params, frozen=True):
    """In which domain."""

    domain: str


class Lot(msgspec.Struct, frozen=True):
    """Points that go together; `expires_ms` 0 = they stay."""

    points: int
    expires_ms: int
    cause: str


class Balance(Result, frozen=True):
    """What a member has now. `reserved`: what gates may still spend or have spent unseen; `free` is for anything."""

    member: str
    domain: str
    points: int
    reserved: int
    free: int
    lots: list[Lot]


class Statement(Result, frozen=True):
    """A month as it is booked: lines with the balance after each. `closed`: nothing in it changes any more. `more`:
    other lines are behind `next`."""

    member: str
    domain: str
    month: str
    closed: bool
    opening: int
    closing: int
    lines: list[dict[str, Any]]
    more: bool = False
    next: str = ""


class Overspends(Result, frozen=True):
    """What loss accounts paid, by member and cause."""

    rows: list[dict[str, Any]]


class Place(NamedTuple):
    """A member in a domain, and everything that the ledger there follows from."""

    subject: bytes
    account: Member
    zone: ZoneInfo


@action("points.balance", MemberParams, writes=False)
async def points_balance(context: Context, params: MemberParams) -> Balance:
    """Now, with what expires when."""
    async with context.database.read() as connection:
        place = await _place(connection, params)
        return await _balance(connection, params, place, context.now_ms)


@action("points.statement", StatementParams, writes=False)
async def points_statement(context: Context, params: StatementParams) -> Statement:
    """Every posting of a month; of one that is not closed, through now."""
    async with context.database.read() as connection:
        place = await _place(connection, params)
    from_ms, until_ms = month_span(params.month, place.zone)
    lines = [line for line in place.account.lines(min(context.now_ms, until_ms - 1)) if line.booked_ms < until_ms]
    before = [line for line in lines if line.booked_ms < from_ms]
    opening = balance(before)
    rows, so_far = [], opening
    for line in lines:
        if line.booked_ms >= from_ms:
            so_far += balance([line])
            rows.append({**line._asdict(), "balance": so_far})
    rows, behind = _page(rows, params)
    return Statement(
        member=params.member,
        domain=params.domain,
        month=params.month,
        closed=until_ms <= place.account.closed_ms,
        opening=opening,
        closing=so_far,
        lines=rows,
        more=bool(behind),
        next=behind,
    )


_KEY = ("booked_ms", "what", "cause", "source", "target")


def _page(rows: list[dict[str, Any]], params: StatementParams) -> tuple[list[dict[str, Any]], str]:
    """Behind the line that was read last, or where that one is booked otherwise by now, behind its moment."""
    if params.after:
        last = parts_of(params.after, tuple[int, str, str, str, str])
        keys = [tuple(row[name] for name in _KEY) for row in rows]
        at = next((place for place, key in enumerate(keys) if key == last), -1)
        rows = rows[at + 1 :] if at >= 0 else [row for row in rows if row["booked_ms"] > last[0]]
    page = rows[: params.limit]
    return page, key_of(*(page[-1][name] for name in _KEY)) if len(rows) > len(page) else ""


@action("points.grant", GrantParams, writes=True)
async def points_grant(context: Context, params: GrantParams) -> Balance:
    """A named person gives points."""
    body = PointsGranted(points=params.points, why=params.why)
    return await _stated(context, params, body, params.until)


@action("points.adjust", AdjustParams, writes=True)
async def points_adjust(context: Context, params: AdjustParams) -> Balance:
    """A named person corrects what was given or taken; nothing that was booked is changed."""
    if not params.points:
        raise ActionFailed("points: 0 corrects nothing")
    if params.until and params.points < 0:
        raise ActionFailed("until: points that are taken back do not expire")
    body = PointsAdjusted(points=params.points, why=params.why, of=params.of)
    return await _stated(context, params, body, params.until)


@action("points.redeem", RedeemParams, writes=True)
async def points_redeem(context: Context, params: RedeemParams) -> Balance:
    """Exchange free points for what the city pays: a transit subsidy. Refused where they do not go far enough."""
    return await _stated(context, params, PointsRedeemed(points=params.points, why=params.why))


@action("points.overspent", OverspentParams, writes=False)
async def points_overspent(context: Context, params: OverspentParams) -> Overspends:
    """Points that were spent and nobody had: after a restored disk, or at a gate that may spend ahead."""
    async with context.database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        found = await overspent(connection, params.domain)
        named = await _references(connection, params.domain, list(found))
    rows = [
        {"member": named.get(subject, subject.hex()), **one._asdict()}
        for subject, lost in found.items()
        for one in lost
    ]
    return Overspends(rows=rows)


async def _stated(
    context: Context, params: GrantParams | AdjustParams | RedeemParams, body: FactBody, until: str = ""
) -> Balance:
    """Append the fact, settle, and say what the member has then."""
    async with context.database.write() as connection:
        place = await _place(connection, params, lock=True)
        expires_ms = _until_ms(until, place.zone, context.now_ms)
        if expires_ms:
            body = msgspec.structs.replace(body, expires_ms=expires_ms)
        before = await _balance(connection, params, place, context.now_ms)
        takes = params.points if isinstance(body, PointsRedeemed) else -params.points
        if takes > before.free:
            raise ActionFailed(
                f"points: {params.member} has {before.points}, of which {before.reserved} are reserved to gates;"
                f" {before.free} are free"
            )
        about = About(params.who, context.now_ms, params.domain, place.subject)
        await append(connection, about, body, context.now_ms)
        touched = [Touched(params.domain, place.subject, context.now_ms)]
        await settle(connection, touched, context.now_ms)
        after = place._replace(account=(await read_members(connection, params.domain, [place.subject]))[place.subject])
        return await _balance(connection, params, after, context.now_ms)


def _until_ms(until: str, zone: ZoneInfo, now_ms: int) -> int:
    try:
        expires_ms = start_ms(until, zone)
    except ValueError as error:
        raise ActionFailed(f"until: {error}") from None
    if until and expires_ms <= now_ms:
        raise ActionFailed(f"until: {until} is over, so the points would be gone already")
    return expires_ms


async def _place(connection: AsyncConnection, params: MemberParams, *, lock: bool = False) -> Place:
    """`lock`: nobody else takes or promises points until the transaction ends."""
    await must_exist(connection, domains, params.domain, "domain")
    member = (await members_by_reference(connection, [params.member])).get(params.member)
    if member is None:
        raise ActionFailed(f"member: {params.member!r} is not known here; import the member's card first")
    subject = (await subjects_within(connection, params.domain, [member])).get(member)
    if subject is None:
        raise ActionFailed(f"member: {params.member!r} is not in domain {params.domain!r}")
    if lock:
        await one_at_a_time(connection)
    plans = await plans_of(connection, params.domain)
    account = (await read_members(connection, params.domain, [subject], plans))[subject]
    return Place(subject, account, ZoneInfo(plans.time_zone))


async def _balance(connection: AsyncConnection, params: MemberParams, place: Place, now_ms: int) -> Balance:
    kept = place.account.kept(now_ms)
    held = (await open_ones(connection, params.domain, [place.subject])).get(place.subject, [])
    promises = [each.promise for each in held]
    left = free(place.account.given, place.account.taken, promises, now_ms, now_ms)
    return Balance(
        member=params.member,
        domain=params.domain,
        points=kept.balance,
        reserved=kept.balance - left,
        free=left,
        lots=[Lot(lot.points, lot.expires_ms, lot.cause) for lot in kept.lots],
    )


async def _references(connection: AsyncConnection, domain: str, of: list[bytes]) -> dict[bytes, str]:
    query = subjects.select().where(subjects.c.domain == domain, subjects.c.subject.in_(of))
    member_of = {row.subject: row.member for row in await connection.execute(query)}
    names = await references_of(connection, list(member_of.values()))
    return {subject: names[member] for subject, member in member_of.items()}
