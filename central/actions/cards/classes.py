"""Classes of members by the feed of whoever keeps the register (household, social affairs, schools, personnel)."""

import asyncio
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.class_store import Stated, held_classes, put_classes
from central.actions.cards.import_store import zone_of
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.dates import end_ms, start_ms
from central.actions.places.publishing import publish_members
from central.actions.table_file import Cells, TableFile
from central.actions.table_rows import BLOCK_ROWS, REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.people.class_feed import DEEDS, Change, Classes, Deed, changed, moved
from central.store.schema import member_class_history, member_classes, members, subjects

CHANGED, UNCHANGED = "changed", "unchanged"
NOT_KNOWN = "member: not known here; import the member's card first"


class ClassesParams(TableParams, frozen=True):
    """A feed: rows of member, action, class and dates, followed in their order."""

    time_zone: str = ""
    why: str = ""


class MoveParams(Params, frozen=True):
    """Everybody of a domain who is in one class on a day is in another one from that day on."""

    domain: str
    from_class: str
    to_class: str
    on: str = ""
    """A local date; empty = today."""
    why: str = ""
    who: str = ""
    apply: bool = False


class Moved(Result, frozen=True):
    """How many members, and how many of them could not be moved."""

    from_class: str
    to_class: str
    members: int
    left_out: int
    applied: bool


class MemberParams(Params, frozen=True):
    """Which member, by the city's reference."""

    member: str


class ClassKnown(msgspec.Struct, frozen=True):
    """When it is true, and from when until when that was known. 0 = open; `until_known_ms` 0 = it is known now."""

    name: str
    from_ms: int
    until_ms: int
    known_ms: int
    until_known_ms: int
    who: str
    why: str


class ClassHistory(Result, frozen=True):
    """Of one member, the newest knowledge first."""

    member: str
    classes: list[ClassKnown]


@action("member.classes", ClassesParams, writes=True)
async def member_classes_feed(context: Context, params: ClassesParams) -> TableDone:
    """Plan, and with `apply` write, what a feed says, a block of rows at a time; every row that could not be applied
    is named with the reason."""
    async with context.database.read() as connection:
        zone = await zone_of(connection, params.domain, params.time_zone)
    columns = ("member", "action", "class"), ("from", "until", "date")
    file = TableFile(context.attached(), *columns, params.encoding, params.delimiter)
    run = TableRun(context, params, file, (CHANGED, UNCHANGED))
    planned: dict[bytes, Classes] = {}
    async for block in run.blocks():
        await _block(run, params, zone, block, planned)
    return run.done()


async def _block(
    run: TableRun, params: ClassesParams, zone: ZoneInfo, block: Sequence[Cells], planned: dict[bytes, Classes]
) -> None:
    context, said = run.context, list[RowSaid]()
    async with run.transaction() as connection:
        known = await members_by_reference(connection, [cells[0] for _, cells, _ in block])
        within = await subjects_within(connection, params.domain, known.values())
        held = await held_classes(connection, within)
        if not params.apply:  # what earlier blocks would have written
            held |= {member: classes for member, classes in planned.items() if member in within}
        wanted: dict[bytes, Classes] = {}
        for number, cells, _ in block:
            member = known.get(cells[0], b"")
            before = wanted.get(member, held.get(member, {}))
            try:
                if member not in within:
                    raise ValueError(f"member: not in {params.domain}" if member else NOT_KNOWN)
                after = changed(before, _change(cells, zone), context.now_ms)
            except ValueError as error:
                said.append(RowSaid(number, REFUSED, str(error)))
                continue
            said.append(RowSaid(number, UNCHANGED if after == before else CHANGED))
            wanted[member] = after
        if params.apply:
            stated = Stated(params.who, params.why or "a feed", context.now_ms)
            await publish_members(context, connection, await put_classes(connection, wanted, stated))
        else:
            planned.update(wanted)
    await run.say(said)


def _change(cells: Sequence[str], zone: ZoneInfo) -> Change:
    """Raises ValueError, which names the column."""
    _, what, name, since, until, day = cells
    deed = DEEDS.get(what.lower())
    if deed is None:
        raise ValueError(f"action: {what[:20]!r} is not one of {', '.join(DEEDS)}")
    if day and (since or until):
        raise ValueError("date: stands for from (add) or for the day after until (end, move-out); state one of them")
    if len(name) > 64:
        raise ValueError(f"class: {len(name)} characters, 64 allowed")
    first, last, on = _at("from", since, zone), _at("until", until, zone), _at("date", day, zone)
    if deed is Deed.ADD:
        if not name:
            raise ValueError("class: empty; an add names the class")
        if last and last <= (first or on):
            raise ValueError(f"until: {until} is before from {since}")
        return Change(deed, name, first or on, last)
    if deed is Deed.END and not name:
        raise ValueError("class: empty; an end names the class, a move-out ends all")
    if since:
        raise ValueError("from: an end and a move-out have until, the last day, or date, the first day without")
    if not last and not on:
        raise ValueError("until: empty, and no date; when does it end?")
    return Change(deed, name, 0, last or on)


def _at(column: str, text: str, zone: ZoneInfo) -> int:
    try:
        return end_ms(text, zone) if column == "until" else start_ms(text, zone)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{column}: {error}") from None


@action("member.move", MoveParams, writes=True)
async def member_move(context: Context, params: MoveParams) -> Moved:
    """Without a card being issued anew: expo cards become citizen cards. A few hundred members a transaction."""
    async with context.database.read() as connection:
        zone = await zone_of(connection, params.domain, "")
        try:
            at_ms = start_ms(params.on, zone) or context.now_ms
        except ValueError as error:
            raise ActionFailed(f"on: {error}") from None
        concerned = await _in_class(connection, params.domain, params.from_class)
    if not 0 < len(params.to_class) <= 64 or params.to_class == params.from_class:
        raise ActionFailed("--to-class: another class of 1 to 64 characters")
    stated = Stated(params.who, params.why or f"{params.from_class} became {params.to_class}", context.now_ms)
    done = left_out = 0
    for at in range(0, len(concerned), BLOCK_ROWS):
        some = concerned[at : at + BLOCK_ROWS]
        async with context.database.write() if params.apply else context.database.read() as connection:
            held = await held_classes(connection, some)
            wanted = _moves(held, params, at_ms, context.now_ms)
            if params.apply:
                await publish_members(context, connection, await put_classes(connection, wanted, stated))
        done, left_out = done + len(wanted), left_out + len(some) - len(wanted)
        await asyncio.sleep(0)
        await context.progress("moving members", at + len(some), len(concerned))
    return Moved(
        from_class=params.from_class, to_class=params.to_class, members=done, left_out=left_out, applied=params.apply
    )


def _moves(held: Mapping[bytes, Classes], params: MoveParams, at_ms: int, now_ms: int) -> dict[bytes, Classes]:
    found: dict[bytes, Classes] = {}
    for member, classes in held.items():
        try:
            found[member] = moved(classes, params.from_class, params.to_class, at_ms, now_ms)
        except ValueError:  # not in the class on that day, or no room: counted as left out
            continue
    return found


async def _in_class(connection: AsyncConnection, domain: str, name: str) -> list[bytes]:
    """Members of a domain who are, were or will be in a class."""
    query = select(member_classes.c.member).join(subjects, subjects.c.member == member_classes.c.member)
    query = query.where(subjects.c.domain == domain, member_classes.c.name == name).distinct()
    return list((await connection.execute(query.order_by(member_classes.c.member))).scalars())


@action("member.history", MemberParams, writes=False)
async def member_history(context: Context, params: MemberParams) -> ClassHistory:
    """Every class that the member was ever known to be in, with both times."""
    h = member_class_history.c
    async with context.database.read() as connection:
        query = select(members.c.id, members.c.created_ms).where(members.c.reference == params.member)
        row = (await connection.execute(query)).first()
        if row is None:
            raise ActionFailed(f"there is no member {params.member!r}")
        past = (await connection.execute(select(member_class_history).where(h.member == row.id))).all()
        told = {(each.name, each.from_ms) for each in past if each.until_known_ms == 0}
        now = (await connection.execute(select(member_classes).where(member_classes.c.member == row.id))).all()
    found = [
        ClassKnown(each.name, each.from_ms, each.until_ms, each.known_ms, each.until_known_ms, each.who, each.why)
        for each in past
    ]
    found += [
        ClassKnown(each.name, each.from_ms, each.until_ms, row.created_ms, 0, "", "")
        for each in now
        if (each.name, each.from_ms) not in told
    ]
    found.sort(key=lambda each: (each.until_known_ms != 0, -each.known_ms, each.name, each.from_ms))
    return ClassHistory(member=params.member, classes=found)
