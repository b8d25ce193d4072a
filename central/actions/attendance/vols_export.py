"""A team's approved months as the table that the ministry's system imports, and what of them could not be in it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import OfTeam, find_team, month_start
from central.actions.attendance.months import rows_of, state_of
from central.actions.cards.member_index import NumberKind, numbers_of
from central.neighbours.vols.hours import LeftOut, Person, Service, left_out, table
from central.neighbours.vols.identity import identity_form, is_identity
from central.neighbours.vols.layout import Layout, LayoutFault, read_layout
from central.neighbours.vols.roster import RosterFile
from central.neighbours.vols.workbook import workbook
from central.people.search_keys import number_form
from central.services.attendance.local import month_after, month_of
from central.services.attendance.stated import Row
from central.services.attendance.store import read_rows
from central.store.schema import attendance_sessions, members, subjects
from central.store.slices import slices

MOST_MONTHS = 24
EXPORTED = ("approved", "locked")
Month = Annotated[str, Meta(max_length=7)]
Rows = dict[bytes, list[Row]]


class VolsParams(Params, frozen=True):
    """Which team's month, or months through `until`. `identity`: the number of this kind is what the column
    身分證字號 holds. With an attached list (CSV or `.xls`), the identity number that stands in it beside this number
    or the city's reference is; the list is read and forgotten."""

    team: Annotated[str, Meta(max_length=64)]
    month: Month
    until: Month = ""
    identity: NumberKind = "volunteer-number"


class VolsTable(Result, frozen=True):
    """The file's name and bytes, as BIFF8. `left_out`: by reason."""

    team: str
    months: list[str]
    name: str
    rows: int
    minutes: int
    left_out: list[LeftOut]
    file: bytes


class Listed(msgspec.Struct, frozen=True):
    """Of the attached list, by number and by reference: identity number and name, the first one None where two
    differ."""

    by_number: dict[str, tuple[str | None, str]]
    by_member: dict[str, tuple[str | None, str]]


@action("volunteer.export", VolsParams, writes=False)
async def volunteer_export(context: Context, params: VolsParams) -> VolsTable:
    """Sessions of approved and locked months, exact to the minute; all others are listed with the reason."""
    layout = layout_of(context)
    listed = await asyncio.to_thread(read_list, context, layout) if context.file is not None else None
    async with context.database.read() as connection:
        found = await find_team(connection, params.team)
        months = _months(params, found)
        booked, refused = await _booked(connection, found, months)
        everybody = {*booked, *(subject for subject, _, _ in refused)}
        people = await _people(context, connection, found.domain, sorted(everybody), params.identity, listed)
    body = found.team.body
    service = Service(body.item, body.content, body.area)
    made = await asyncio.to_thread(table, booked, people, service, layout, found.zone)
    if len(made.rows) > layout.most_rows:
        raise ActionFailed(f"{len(made.rows):,} rows, a file takes {layout.most_rows:,}: ask for fewer months")
    others = [
        left_out(row, people[subject].member, found.zone, "not-approved", f"the month is {state}")
        for subject, row, state in refused
    ]
    span = params.month if len(months) == 1 else f"{months[0]}-{months[-1]}"
    return VolsTable(
        team=params.team,
        months=months,
        name=f"vols-{params.team}-{span}.xls",
        rows=len(made.rows),
        minutes=made.minutes,
        left_out=[*made.left_out, *sorted(others, key=lambda each: (each.day, each.member, each.session))],
        file=await asyncio.to_thread(workbook, layout, made.rows),
    )


def layout_of(context: Context) -> Layout:
    """The ministry's tables, as the city's settings say or as they are shipped. Raises ActionFailed."""
    try:
        return read_layout(context.config.vols_layout)
    except LayoutFault as fault:
        raise ActionFailed(f"vols_layout: {fault}") from None


def _months(params: VolsParams, found: OfTeam) -> list[str]:
    last = params.until or params.month
    for month in (params.month, last):
        month_start(month, found.zone)
    months = [params.month]
    while months[-1] < last and len(months) <= MOST_MONTHS:
        months.append(month_after(months[-1]))
    if months[-1] != last or len(months) > MOST_MONTHS:
        raise ActionFailed(f"until: {last} is before {params.month}, or more than {MOST_MONTHS} months away")
    return months


async def _booked(
    connection: AsyncConnection, found: OfTeam, months: Sequence[str]
) -> tuple[Rows, list[tuple[bytes, Row, str]]]:
    """Rows of months that may leave, with what is in review; and those of months that may not yet, with their state."""
    booked: Rows = {}
    refused: list[tuple[bytes, Row, str]] = []
    for month in months:
        held = await rows_of(connection, found, month)
        state, _ = await state_of(connection, found, month, held)
        for subject, rows in held.items():
            if state in EXPORTED:
                booked.setdefault(subject, []).extend(rows)
            else:
                refused += [(subject, row, _STATES[state]) for row in rows]
    c = attendance_sessions.c
    doubtful = c.domain == found.domain, c.team == found.team.id, c.state.in_(("open", "review"))
    for subject, rows in (await read_rows(connection, *doubtful)).items():
        within = [row for row in rows if month_of(row.at_ms, found.zone) in months]
        if within:
            booked.setdefault(subject, []).extend(within)
    return booked, refused


_STATES = {"open": "not approved", "changed": "not as it was when it was approved"}


async def _people(
    context: Context,
    connection: AsyncConnection,
    domain: str,
    wanted: Sequence[bytes],
    kind: NumberKind,
    listed: Listed | None,
) -> dict[bytes, Person]:
    """Who stands behind these subjects, and what stands for them in the table."""
    found = {who: Person(who.hex(), "", "", ("not-known", "no member of the domain is behind it")) for who in wanted}
    m, s = members.c, subjects.c
    for some in slices(wanted):
        query = select(s.subject, m.id, m.reference, m.name_sealed).join(members, m.id == s.member)
        rows = (await connection.execute(query.where(s.domain == domain, s.subject.in_(some)))).all()
        numbers = await numbers_of(connection, context.keys, [row.id for row in rows])
        for subject, member, reference, sealed in rows:
            name = context.keys.open_name(sealed, member) if sealed else ""
            number = numbers.get(member, {}).get(kind, "")
            found[subject] = _person(reference, name, number, kind, listed)
    return found


def _person(reference: str, name: str, number: str, kind: str, listed: Listed | None) -> Person:
    if listed is None:
        why = f"no {kind} is held: `member number put`"
        return Person(reference, name, number, None if number else ("no-number", why))
    row = listed.by_member.get(reference) or listed.by_number.get(number_form(number) if number else "")
    if row is None:
        why = f"neither the reference nor the {kind} stands in the list"
        return Person(reference, name, "", ("no-identity", why))
    identity, listed_name = row
    if identity is None:
        return Person(reference, name, "", ("no-identity", "the list has two of them, or one that cannot be"))
    return Person(reference, name or listed_name, identity)


def read_list(context: Context, layout: Layout) -> Listed:
    """The attached list of identity numbers. Raises ActionFailed where it is none."""
    file = RosterFile(context.attached(), layout.roster)
    if not file.has("identity") or not (file.has("number") or file.has("member")):
        raise ActionFailed("the list must name 身分證字號, and beside it 紀錄冊號 or the member's reference")
    listed = Listed({}, {})
    for _, (number, identity, name, member, _since, _until), _problem in file.cells():
        form = identity_form(identity)
        row = (form if is_identity(form) else None), name
        for known, key in ((listed.by_number, number_form(number)), (listed.by_member, member)):
            if key:
                known[key] = row if known.get(key, row)[0] == row[0] else (None, name)
    return listed
