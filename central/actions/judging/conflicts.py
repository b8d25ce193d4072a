"""Conflicts: what the re-check of every tap found, listed, counted and shown with what people said about it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.access.caller import Scope
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.judging.conflict_rows import OF_EVENT, QUERY, ConflictRow, Id, after, find, shown, within
from central.services.judging.conflicts import OPEN
from central.services.judging.kinds import Kinds
from central.services.judging.stated import ABOUT_CONFLICTS, ConflictAssigned
from central.store.schema import conflicts, events, gates, members, subjects
from protocol.messages import Millis
from protocol.wire import LAST_MS

MOST_LISTED = 10_000
Named = Annotated[str, Meta(max_length=64)]


class Filters(Params, frozen=True):
    """Which conflicts; empty = any. `assigned`: an account. `unassigned`: nobody's."""

    kind: Named = ""
    domain: Named = ""
    venue: Named = ""
    device: Named = ""
    state: Literal["", "open", "note", "settled", "gone"] = ""
    assigned: Named = ""
    unassigned: bool = False
    since_ms: Millis = 0
    until_ms: Millis = LAST_MS


class ConflictListParams(Filters, frozen=True):
    """`open`: only what a person is to settle, so no notes. `after`: the key of the last row that was read."""

    member: Annotated[str, Meta(max_length=128)] = ""
    open: bool = False
    newest_first: bool = False
    after: Named = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED)] = MOST_LISTED


class ConflictList(Result, frozen=True):
    """The oldest first, unless asked otherwise. `more`: there are others that did not fit; they are behind `next`."""

    rows: list[ConflictRow]
    more: bool
    next: str = ""


class KindCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a kind are in each state. Of those that are open: how many are nobody's, how many the caller's."""

    kind: str
    open: int = 0
    note: int = 0
    settled: int = 0
    gone: int = 0
    unassigned: int = 0
    mine: int = 0


class ConflictCounts(Result, frozen=True):
    """By kind; a kind without any is left out."""

    kinds: list[KindCount]


class ConflictParams(Params, frozen=True):
    """Which one, by its id or the beginning of it."""

    id: Id


class ConflictShown(Result, frozen=True):
    """A conflict and everything that was said about it, in order."""

    conflict: ConflictRow
    member: str
    subject: str
    said: list[dict[str, Any]]


@action("conflict.list", ConflictListParams, writes=False)
async def conflict_list(context: Context, params: ConflictListParams) -> ConflictList:
    """By the time of their taps."""
    c, conditions = conflicts.c, [*_filtered(params), *within(context.scope)]
    if params.open:
        conditions.append(c.state == OPEN)
    if params.after:
        conditions.append(after(params.after, newest_first=params.newest_first))
    order = (c.at_ms.desc(), c.id.desc()) if params.newest_first else (c.at_ms, c.id)
    async with context.database.read() as connection:
        if params.member:
            conditions.append(await _of_member(connection, params.member))
        query = QUERY.where(*conditions).order_by(*order).limit(params.limit + 1)
        rows = [shown(row) for row in await connection.execute(query)]
    more, rows = len(rows) > params.limit, rows[: params.limit]
    return ConflictList(rows=rows, more=more, next=rows[-1].key if more else "")


@action("conflict.counts", Filters, writes=False)
async def conflict_counts(context: Context, params: Filters) -> ConflictCounts:
    """How many there are, by kind and state."""
    c, own = conflicts.c, context.caller.name
    query = select(c.kind, c.state, c.assigned, func.count()).group_by(c.kind, c.state, c.assigned)
    query = query.where(*_filtered(params), *within(context.scope))
    if params.venue or context.scope.venues is not None:
        query = query.join(events, OF_EVENT).join(gates, gates.c.id == events.c.gate)
    found: dict[str, dict[str, int]] = {}
    async with context.database.read() as connection:
        for kind, state, assigned, number in await connection.execute(query):
            counts = found.setdefault(kind, {})
            counts[state] = counts.get(state, 0) + number
            whose = "unassigned" if not assigned else "mine" if assigned == own else ""
            if state == OPEN and whose:
                counts[whose] = counts.get(whose, 0) + number
    return ConflictCounts(kinds=[KindCount(kind=kind, **found[kind]) for kind in sorted(found)])


def _filtered(params: Filters) -> list[ColumnElement[bool]]:
    if params.kind and params.kind not in set(Kinds):
        raise ActionFailed(f"there is no kind {params.kind[:80]!r}: one of {', '.join(sorted(Kinds))}")
    c = conflicts.c
    columns = (c.kind, params.kind), (c.domain, params.domain), (c.device, params.device), (c.assigned, params.assigned)
    conditions = [column == wanted for column, wanted in columns if wanted]
    if params.state:
        conditions.append(c.state == params.state)
    if params.venue:
        conditions.append(gates.c.venue == params.venue)
    if params.unassigned:
        conditions.append(c.assigned == "")
    if params.since_ms:
        conditions.append(c.at_ms >= params.since_ms)
    if params.until_ms < LAST_MS:
        conditions.append(c.at_ms < params.until_ms)
    return conditions


async def _of_member(connection: AsyncConnection, reference: str) -> ColumnElement[bool]:
    query = select(subjects.c.subject).join(members, members.c.id == subjects.c.member)
    found = list((await connection.execute(query.where(members.c.reference == reference))).scalars())
    return conflicts.c.subject.in_(found)


@action("conflict.show", ConflictParams, writes=False)
async def conflict_show(context: Context, params: ConflictParams) -> ConflictShown:
    """What it is and who said what about it."""
    async with context.database.read() as connection:
        return await show(connection, params.id, context.scope)


async def show(connection: AsyncConnection, id_: str, scope: Scope) -> ConflictShown:
    """As `conflict.show` answers."""
    row = await find(connection, id_, scope)
    query = select(members.c.reference).join(subjects, subjects.c.member == members.c.id)
    query = query.where(subjects.c.domain == row.domain, subjects.c.subject == row.subject)
    member = (await connection.execute(query)).scalar() or ""
    every = await facts.read(connection, ABOUT_CONFLICTS, domain=row.domain, subjects=[row.subject])
    said = [_said(fact) for fact in every if fact.body.id == row.id]
    return ConflictShown(conflict=shown(row), member=member, subject=row.subject.hex(), said=said)


def _said(fact: facts.Fact) -> dict[str, Any]:
    said = {"recorded_ms": fact.recorded_ms, "who": fact.who, "what": fact.kind, "why": fact.body.why}
    return said | ({"to": fact.body.to} if isinstance(fact.body, ConflictAssigned) else {})
