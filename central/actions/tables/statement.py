"""What leaves is stated first: at whichever door it is asked for, it stands in the audit log before there is a file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import select

from central.access.audit import ASKED
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import Id, must_exist
from central.neighbours.tables.lists import LISTS
from central.services.attendance.local import MONTH
from central.store.schema import activities, audit, domains, venues

GOOD_MS = 86_400_000
"""For so long a statement may be exported by, and again after a crash."""
What = Literal["events", "visits", "sessions", "ledger", "classes", "flags", "offers", "registrations", "volunteers"]
Month = Annotated[str, Meta(max_length=7)]
OptionalName = Annotated[str, Meta(max_length=64)]


class DeclareParams(Params, frozen=True, kw_only=True):
    """What is going to leave, and why. `id`: of one's own choice, by which `export.history` or `export.list` finds the
    statement.

    Of history, `since` and `until`: whole months, both included; empty = all. `venues`: empty = all. `people`: with
    pseudonyms, good within this one export; then `purpose` must be stated. Of lists, `domain`, `activity` and
    `class_name`, where the list goes by them.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    what: What
    since: Month = ""
    until: Month = ""
    venues: Annotated[list[Id], Meta(max_length=1_000)] = []
    people: bool = False
    domain: OptionalName = ""
    activity: OptionalName = ""
    class_name: OptionalName = ""
    purpose: Annotated[str, Meta(max_length=500)] = ""
    who: str = ""


class Declared(Result, frozen=True):
    """It stands in the audit log."""

    id: str


@action("export.declare", DeclareParams, writes=True)
async def export_declare(context: Context, params: DeclareParams) -> Declared:
    """State what leaves, for the audit log. It checks what it says; nothing leaves by it."""
    _check(params)
    async with context.database.read() as connection:
        for venue in params.venues:
            await must_exist(connection, venues, venue, "venue")
        for table, name in ((domains, params.domain), (activities, params.activity)):
            if name:
                await must_exist(connection, table, name, "domain" if table is domains else "activity")
    return Declared(id=params.id)


def _check(params: DeclareParams) -> None:
    for name, month in (("since", params.since), ("until", params.until)):
        if month and MONTH.fullmatch(month) is None:
            raise ActionFailed(f"{name}: {month!r} is not a month: write 2026-02")
    if params.since and params.until and params.until < params.since:
        raise ActionFailed(f"until: {params.until} is before {params.since}")
    if params.people and not params.purpose.strip():
        raise ActionFailed("people: state the purpose; it is kept in the audit log")
    for field in LISTS[params.what].by if params.what in LISTS else ():
        if not getattr(params, field):
            raise ActionFailed(f"{field.replace('_', '-')}: the list of {params.what} goes by it: state one")


async def statement(context: Context, id_: str) -> DeclareParams:
    """What was stated under this name, a day ago at most. Raises ActionFailed."""
    a = audit.c
    query = select(a.body).where(a.target == id_, a.action == "export.declare", a.phase == ASKED)
    async with context.database.read() as connection:
        bodies = (await connection.execute(query.where(a.at_ms > context.now_ms - GOOD_MS))).scalars().all()
    if len(bodies) != 1:
        raise ActionFailed(f"{len(bodies)} statements of the last day go by {id_[:40]!r}: state anew what is exported")
    return msgspec.convert(msgspec.json.decode(bodies[0])["params"], DeclareParams)
