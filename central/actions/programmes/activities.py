"""Activities: who is registered, how many may come, and who checked in: a granted tap by a rule at a gate."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.list_keys import After, key_of, parts_of
from central.actions.places.places import Id, must_exist
from central.actions.table_file import Cells, TableFile
from central.actions.table_rows import REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.policies import admitting_rules, read_policies
from central.privacy.retention.attending import REGISTERED, attendance_of, registered_for
from central.store.put_rows import put_rows
from central.store.schema import activities, gates, kept_attendance, members, registrations, subjects, venues
from protocol.wire import Millis, Name, Text

MOST = 10_000
MOST_PEOPLE = 100_000
ADDED, UNCHANGED = "added", "unchanged"
YES, NO = frozenset({"", "add", "報名"}), frozenset({"remove", "取消"})


class ActivityPutParams(Params, frozen=True, kw_only=True):
    """An activity, whole. `rule`: an entry by it at any gate of the venue is a check-in, from `since` until `until`
    (local times). `capacity` 0 = any number."""

    id: Id
    venue: Id
    rule: Name
    since: str
    until: str
    title_zh: Text = ""
    title_en: Text = ""
    capacity: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    walk_ins: bool = True
    who: str = ""


class RegisterParams(TableParams, frozen=True, kw_only=True):
    """A list of members for an activity; of whom it says so, the registration is taken back."""

    domain: str = ""
    activity: str


class ActivityParams(Params, frozen=True):
    """Which activity. `after`: `next` of the page before."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    after: After = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_PEOPLE)] = MOST_PEOPLE


class ActivitiesParams(Params, frozen=True):
    """One, or those of a venue; empty = all. `since_ms`: that are not over by then. `after`: `next` of the page
    before."""

    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    since_ms: Millis = 0
    after: After = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = MOST


class ActivityShown(Result, frozen=True):
    """One activity."""

    id: str
    venue: str
    rule: str
    title_zh: str
    title_en: str
    from_ms: int
    until_ms: int
    capacity: int
    walk_ins: bool
    registered: int
    gates: list[str]
    """Of the venue, whose policy has the rule now: nobody can check in at another one."""


class ActivitiesListed(Result, frozen=True):
    """By their beginnings. `more`: others are behind `next`."""

    activities: list[ActivityShown]
    more: bool = False
    next: str = ""


class PersonAttended(msgspec.Struct, frozen=True):
    """Somebody who came, or was to come. `came`: came, absent, walk-in, not-registered, over-capacity."""

    member: str
    came: str
    at_ms: int


class Attendance(Result, frozen=True):
    """How many of each; the people by the time at which they came. `more`: others are behind `next`."""

    id: str
    registered: int
    counts: dict[str, int]
    people: list[PersonAttended]
    more: bool = False
    next: str = ""


@action("activity.put", ActivityPutParams, writes=True)
async def activity_put(context: Context, params: ActivityPutParams) -> ActivityShown:
    """A new activity, or an old one as it is from now on; registrations stay."""
    async with context.database.write() as connection:
        await must_exist(connection, venues, params.venue, "venue")
        await _must_not_be_counted(connection, params.id)
        zone = await _zone(connection, params.venue)
        from_ms, until_ms = _at_ms("from", params.since, zone), _at_ms("until", params.until, zone)
        if until_ms <= from_ms:
            raise ActionFailed(f"until: {params.until} is not after {params.since}")
        registered = await _registered(connection, params.id)
        if params.capacity and len(registered) > params.capacity:
            raise ActionFailed(f"capacity: {len(registered)} are registered already")
        row = {
            **{name: getattr(params, name) for name in ("id", "venue", "rule", "title_zh", "title_en", "capacity")},
            **{"walk_ins": params.walk_ins, "from_ms": from_ms, "until_ms": until_ms},
            **{"at_ms": context.now_ms, "who": params.who},
        }
        await put_rows(connection, activities, [row])
        row = await _activity(connection, params.id)
        return _shown(row, len(registered), await _gates(connection, [row]))


@action("activity.register", RegisterParams, writes=True)
async def activity_register(context: Context, params: RegisterParams) -> TableDone:
    """Plan, and with `apply` write, a list; beyond the capacity nobody is registered."""
    file = TableFile(context.attached(), ("member",), ("action",), params.encoding, params.delimiter)
    run = TableRun(context, params, file, (ADDED, "removed", UNCHANGED))
    planned: dict[bytes, bool] = {}
    async for block in run.blocks():
        await _block(run, params.activity, block, planned)
    return run.done()


async def _block(run: TableRun, activity: str, block: Sequence[Cells], planned: dict[bytes, bool]) -> None:
    said: list[RowSaid] = []
    async with run.transaction() as connection:
        row = await _activity(connection, activity)
        domain = await _domain(connection, row.venue)
        known = await members_by_reference(connection, [cells[0] for _, cells, _ in block])
        within = await subjects_within(connection, domain, known.values())
        held = dict.fromkeys(await _registered(connection, activity), True) | planned
        there = {member for member, is_in in held.items() if is_in}
        before = set(there)
        for number, (reference, what), _ in block:
            member = known.get(reference, b"")
            try:
                said.append(RowSaid(number, _follow(what, member, member in within, there, row.capacity)))
            except ValueError as error:
                said.append(RowSaid(number, REFUSED, str(error)))
        new, gone = sorted(there - before), sorted(before - there)
        planned.update({**dict.fromkeys(new, True), **dict.fromkeys(gone, False)})
        if run.params.apply:
            r = registrations.c
            if gone:
                await connection.execute(delete(registrations).where(r.activity == activity, r.member.in_(gone)))
            if new:
                at_ms = run.context.now_ms
                rows = [{"activity": activity, "member": member, "at_ms": at_ms} for member in new]
                await connection.execute(insert(registrations), rows)
    await run.say(said)


def _follow(what: str, member: bytes, is_within: bool, there: set[bytes], capacity: int) -> str:
    """The verdict on a row; `there` follows. Raises ValueError."""
    if what.lower() not in YES | NO:
        raise ValueError(f"action: {what[:20]!r} is neither add nor remove (報名, 取消)")
    if not is_within:
        raise ValueError("member: not in the domain of the activity's venue; import the member's card first")
    if what.lower() in NO:
        if member not in there:
            return UNCHANGED
        there.discard(member)
        return "removed"
    if member in there:
        return UNCHANGED
    if capacity and len(there) >= capacity:
        raise ValueError(f"capacity: {capacity} are registered")
    there.add(member)
    return ADDED


@action("activity.list", ActivitiesParams, writes=False)
async def activity_list(context: Context, params: ActivitiesParams) -> ActivitiesListed:
    """Every activity, over or to come."""
    a, k = activities.c, kept_attendance.c
    number = select(func.count()).where(registrations.c.activity == a.id).scalar_subquery()
    kept = select(k.people).where(k.activity == a.id, k.came == REGISTERED).scalar_subquery()
    query = select(activities, func.coalesce(kept, number).label("registered")).where(a.until_ms > params.since_ms)
    if params.id:
        query = query.where(a.id == params.id)
    if params.venue:
        query = query.where(a.venue == params.venue)
    if context.scope.venues is not None:
        query = query.where(a.venue.in_(sorted(context.scope.venues)))
    if params.after:
        query = query.where(tuple_(a.from_ms, a.id) > parts_of(params.after, tuple[Millis, str]))
    async with context.database.read() as connection:
        page = query.order_by(a.from_ms, a.id).limit(params.limit + 1)
        rows = (await connection.execute(page)).all()
        more, rows = len(rows) > params.limit, rows[: params.limit]
        open_at = await _gates(connection, rows)
    listed = [_shown(row, row.registered, open_at) for row in rows]
    return ActivitiesListed(activities=listed, more=more, next=key_of(rows[-1].from_ms, rows[-1].id) if more else "")


@action("activity.attendance", ActivityParams, writes=False)
async def activity_attendance(context: Context, params: ActivityParams) -> Attendance:
    """Out of what is settled: a late gate's check-ins come when the gate does."""
    async with context.database.read() as connection:
        row = await _activity(connection, params.id)
        domain = await _domain(connection, row.venue)
        registered = await registered_for(connection, row)
        found = await attendance_of(connection, row, registered)
        who = await _who(connection, domain, [each.subject for each in found])
        kept = await _kept(connection, params.id)
    counts: dict[str, int] = dict(kept)
    number = counts.pop(REGISTERED, len(registered))
    if not kept:
        for each in found:
            counts[each.came.value] = counts.get(each.came.value, 0) + 1
    people = [PersonAttended(who.get(each.subject, each.subject.hex()), each.came.value, each.at_ms) for each in found]
    if params.after:  # somebody who came late by a late gate may move others; nobody is shown twice
        last = parts_of(params.after, tuple[Millis, str, str])
        places = [place for place, each in enumerate(people) if (each.at_ms, each.member, each.came) == last]
        people = (
            people[places[0] + 1 :]
            if places
            else [each for each in people if not each.at_ms or 0 < last[0] < each.at_ms]
        )
    page = people[: params.limit]
    more = len(people) > len(page)
    behind = key_of(page[-1].at_ms, page[-1].member, page[-1].came) if more else ""
    return Attendance(id=params.id, registered=number, counts=counts, people=page, more=more, next=behind)


async def _activity(connection: AsyncConnection, id_: str) -> Any:
    row = (await connection.execute(select(activities).where(activities.c.id == id_))).first()
    if row is None:
        raise ActionFailed(f"there is no activity {id_!r}: put it first (`activity put`)")
    return row


async def _must_not_be_counted(connection: AsyncConnection, id_: str) -> None:
    if await _kept(connection, id_):
        raise ActionFailed(f"{id_} is over and kept as counts alone: put another activity")


async def _kept(connection: AsyncConnection, id_: str) -> dict[str, int]:
    """How many came of an activity whose people are not known any more."""
    k = kept_attendance.c
    query = select(k.came, k.people).where(k.activity == id_).order_by(k.came)
    return {row.came: row.people for row in await connection.execute(query)}


async def _registered(connection: AsyncConnection, id_: str) -> list[bytes]:
    query = select(registrations.c.member).where(registrations.c.activity == id_)
    return list((await connection.execute(query.order_by(registrations.c.member))).scalars())


async def _domain(connection: AsyncConnection, venue: str) -> str:
    return str((await connection.execute(select(venues.c.domain).where(venues.c.id == venue))).scalar_one())


async def _zone(connection: AsyncConnection, venue: str) -> ZoneInfo:
    return ZoneInfo((await connection.execute(select(venues.c.time_zone).where(venues.c.id == venue))).scalar_one())


async def _gates(connection: AsyncConnection, rows: Sequence[Any]) -> dict[tuple[str, str], list[str]]:
    """Of a venue and a rule, the gates that admit by it."""
    g, wanted = gates.c, {(row.venue, row.rule) for row in rows}
    there = (await connection.execute(select(g.id, g.venue, g.policy).order_by(g.id))).all()
    held = await read_policies(connection, {row.id: row.policy for row in there})
    admitting = {gate: admitting_rules(payload.body) for gate, payload in held.items()}
    return {
        (venue, rule): [row.id for row in there if row.venue == venue and rule in admitting.get(row.id, ())]
        for venue, rule in wanted
    }


async def _who(connection: AsyncConnection, domain: str, asked: Sequence[bytes]) -> dict[bytes, str]:
    query = select(subjects.c.subject, members.c.reference).join(members, members.c.id == subjects.c.member)
    rows = await connection.execute(query.where(subjects.c.domain == domain, subjects.c.subject.in_(asked)))
    return {row.subject: row.reference for row in rows}


def _at_ms(column: str, text: str, zone: ZoneInfo) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
        at_ms = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise ActionFailed(f"{column}: {text!r} is not a time such as 2026-09-01T12:00") from None
    if at_ms <= 0:
        raise ActionFailed(f"{column}: {text} is before 1970")
    return at_ms


def _shown(row: Any, registered: int, open_at: Mapping[tuple[str, str], list[str]]) -> ActivityShown:
    return ActivityShown(
        id=row.id,
        venue=row.venue,
        rule=row.rule,
        title_zh=row.title_zh,
        title_en=row.title_en,
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        capacity=row.capacity,
        walk_ins=row.walk_ins,
        registered=registered,
        gates=open_at[row.venue, row.rule],
    )
