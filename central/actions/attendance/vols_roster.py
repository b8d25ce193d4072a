"""The ministry's list of a team's volunteers: who of them is known here gets the class by which kiosks let them in."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, action
from central.actions.attendance.access import OfTeam, find_team
from central.actions.attendance.vols_export import layout_of
from central.actions.cards.class_store import Stated, held_classes, put_classes
from central.actions.cards.member_index import VOLUNTEER_NUMBER, owners_of, put_number
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.dates import end_ms, start_ms
from central.actions.places.publishing import publish_members
from central.actions.table_file import Cells
from central.actions.table_rows import REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.neighbours.vols.identity import looks_like_identity
from central.neighbours.vols.roster import RosterFile
from central.people.class_feed import Change, Classes, Deed, changed
from central.people.search_keys import number_form, number_problem

ADDED, CHANGED, UNCHANGED = "added", "changed", "unchanged"
IDENTITY = (
    "number: it is an identity number, and none is kept here; the list must have 紀錄冊號, or the member's reference"
)


class RosterParams(TableParams, frozen=True, kw_only=True):
    """The list, as `.xls` or CSV, of a team. `class_name`: what its members are from then on; a row's days say from
    when until when. The domain is the team's."""

    team: Annotated[str, Meta(max_length=64)]
    class_name: Annotated[str, Meta(min_length=1, max_length=64)]
    domain: str = ""
    why: Annotated[str, Meta(max_length=500)] = ""


class _Wish(NamedTuple):
    """A row that can be read. `number`: as it is written, empty where the row has none."""

    row: int
    number: str
    member: str
    from_ms: int
    until_ms: int


class _Seen:
    """What earlier rows said: members by row, and numbers that a plan has given away."""

    def __init__(self) -> None:
        self.members: dict[str, int] = {}
        self.numbers: dict[str, str] = {}


@action("volunteer.roster", RosterParams, writes=True)
async def volunteer_roster(context: Context, params: RosterParams) -> TableDone:
    """Plan, and with `apply` write, a list. Members are found by volunteer number or by reference; where a row has
    both, the number is kept. Nobody is made, and who is not in the list stays as they are."""
    layout = layout_of(context)
    async with context.database.read() as connection:
        found = await find_team(connection, params.team)
    attached = context.attached()
    file = await asyncio.to_thread(RosterFile, attached, layout.roster, params.encoding, params.delimiter)
    run = TableRun(context, params, file, (ADDED, CHANGED, UNCHANGED))
    seen = _Seen()
    async for block in run.blocks():
        await _block(run, params, found, block, seen)
    return run.done()


async def _block(run: TableRun, params: RosterParams, found: OfTeam, block: Sequence[Cells], seen: _Seen) -> None:
    context, said, wishes = run.context, list[RowSaid](), list[_Wish]()
    for number, cells, _ in block:
        try:
            wishes.append(_wish(number, cells, found))
        except (ValueError, OverflowError) as error:
            said.append(RowSaid(number, REFUSED, str(error)))
    async with run.transaction() as connection:
        forms = {(VOLUNTEER_NUMBER, number_form(wish.number)) for wish in wishes if wish.number}
        owners = {form: owner for (_, form), owner in (await owners_of(connection, context.keys, forms)).items()}
        known = await members_by_reference(connection, [*owners.values(), *(wish.member for wish in wishes)])
        within = await subjects_within(connection, found.domain, known.values())
        held = await held_classes(connection, within)
        wanted: dict[bytes, Classes] = {}
        numbers: dict[bytes, str] = {}
        for wish in wishes:
            try:
                reference, is_new_number = _whose(wish, {**owners, **seen.numbers}, seen)
                member = known.get(reference, b"")
                if member not in within:
                    raise ValueError(f"member: not in {found.domain}; import the member's card first")
                before = held.get(member, {})
                after = _classes(before, params.class_name, wish, context.now_ms)
            except ValueError as error:
                said.append(RowSaid(wish.row, REFUSED, str(error)))
                continue
            seen.members[reference] = wish.row
            if is_new_number:
                seen.numbers[number_form(wish.number)] = reference
                numbers[member] = wish.number
            if after != before:
                wanted[member] = after
            said.append(RowSaid(wish.row, _verdict(params.class_name, before, after, is_new_number)))
        if params.apply:
            await _write(context, connection, params, wanted, numbers)
    await run.say(sorted(said, key=lambda one: one.row))


def _wish(row: int, cells: Sequence[str], found: OfTeam) -> _Wish:
    """Raises ValueError, which names the column and quotes no number."""
    number, identity, _name, member, since, until = cells
    if not number and not member:
        raise ValueError(IDENTITY if identity else "names neither a number nor a member")
    if number and looks_like_identity(number):
        raise ValueError(IDENTITY)
    if number and (problem := number_problem(number)):
        raise ValueError(f"number: {problem}")
    days = []
    for column, text, at in (("from", since, start_ms), ("until", until, end_ms)):
        try:
            days.append(at(text, found.zone))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{column}: {error}") from None
    if days[0] and days[1] and days[1] <= days[0]:
        raise ValueError(f"until: {until} is before from {since}")
    return _Wish(row, number, member, *days)


def _whose(wish: _Wish, owners: dict[str, str], seen: _Seen) -> tuple[str, bool]:
    """The reference of the member whom a row means, and whether the number is new to them. Raises ValueError."""
    owner = owners.get(number_form(wish.number), "") if wish.number else ""
    if not owner and not wish.member:
        raise ValueError("number: nobody here has it; state the member's reference beside it, or `member number put`")
    if owner and wish.member and owner != wish.member:
        raise ValueError("number: it is another member's")
    reference = wish.member or owner
    if reference in seen.members:
        raise ValueError(f"speaks of the same member as row {seen.members[reference]}")
    return reference, bool(wish.number) and not owner


def _classes(before: Classes, name: str, wish: _Wish, now_ms: int) -> Classes:
    """Days that a row leaves out are as they are held: it neither widens what is known nor begins anew what goes on."""
    after, held = before, before.get(name, ())
    over = bool(held) and all(0 < until <= now_ms for _, until in held)
    if wish.from_ms or not held or (over and not wish.until_ms):
        since = wish.from_ms or (now_ms if over else 0)
        after = changed(before, Change(Deed.ADD, name, since, wish.until_ms), now_ms)
    if wish.until_ms and held:  # somebody who was held to stay has left
        after = changed(after, Change(Deed.END, name, 0, wish.until_ms), now_ms)
    return after


def _verdict(name: str, before: Classes, after: Classes, is_new_number: bool) -> str:
    if before == after and not is_new_number:
        return UNCHANGED
    return CHANGED if name in before else ADDED


async def _write(
    context: Context,
    connection: AsyncConnection,
    params: RosterParams,
    wanted: dict[bytes, Classes],
    numbers: dict[bytes, str],
) -> None:
    for member, number in sorted(numbers.items()):
        await put_number(connection, context.keys, VOLUNTEER_NUMBER, number, member, context.now_ms)
    stated = Stated(params.who, params.why or f"list of the team {params.team}", context.now_ms)
    await publish_members(context, connection, await put_classes(connection, wanted, stated))
