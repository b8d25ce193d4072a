"""Conflicts: what the re-check of every tap found, and what people say about it."""

from typing import Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.services.judging.conflicts import OPEN, SETTLED
from central.services.judging.kinds import Kinds
from central.services.judging.stated import ABOUT_CONFLICTS, ConflictCommented, ConflictReopened, ConflictSettled
from central.services.projector import settle
from central.services.service import Touched
from central.store.schema import conflicts, events, members, subjects

MOST_LISTED = 10_000


class ConflictListParams(Params, frozen=True):
    """Filters; empty = any. `open`: only what a person is to settle, so no notes."""

    kind: str = ""
    domain: str = ""
    device: str = ""
    open: bool = False
    since_ms: int = 0


class ConflictRow(msgspec.Struct, frozen=True):
    """One conflict. `state`: open; note (worth knowing, nothing to do); settled; gone (found no more, and spoken of).
    `event`: DEVICE/EPOCH/SEQUENCE, as `explain` takes it."""

    id: str
    kind: str
    state: str
    at_ms: int
    domain: str
    gate: str
    event: str
    detail: dict[str, Any]


class ConflictList(Result, frozen=True):
    """The oldest first. `more`: there are others that did not fit."""

    rows: list[ConflictRow]
    more: bool


class ConflictParams(Params, frozen=True):
    """Which one, by its id or the beginning of it."""

    id: str


class ConflictShown(Result, frozen=True):
    """A conflict and everything that was said about it, in order."""

    conflict: ConflictRow
    member: str
    subject: str
    said: list[dict[str, Any]]


class SayParams(Params, frozen=True):
    """What a named person says about a conflict."""

    id: str
    what: Literal["settle", "reopen", "comment"]
    why: str
    who: str


_COLUMNS = (
    *(conflicts.c[name] for name in ("id", "kind", "state", "at_ms", "domain", "device", "epoch", "sequence")),
    *(conflicts.c.detail, conflicts.c.subject, events.c.gate),
)
_OF_EVENT = (
    (events.c.device == conflicts.c.device)
    & (events.c.epoch == conflicts.c.epoch)
    & (events.c.sequence == conflicts.c.sequence)
)
_QUERY = select(*_COLUMNS).outerjoin(events, _OF_EVENT)


@action("conflict.list", ConflictListParams, writes=False)
async def conflict_list(context: Context, params: ConflictListParams) -> ConflictList:
    """By the time of their taps."""
    if params.kind and params.kind not in set(Kinds):
        raise ActionFailed(f"there is no kind {params.kind[:80]!r}: one of {', '.join(sorted(Kinds))}")
    c, query = conflicts.c, _QUERY
    for column, wanted in ((c.kind, params.kind), (c.domain, params.domain), (c.device, params.device)):
        if wanted:
            query = query.where(column == wanted)
    if params.open:
        query = query.where(c.state == OPEN)
    query = query.where(c.at_ms >= params.since_ms).order_by(c.at_ms, c.id).limit(MOST_LISTED + 1)
    async with context.database.read() as connection:
        rows = [_shown(row) for row in await connection.execute(query)]
    return ConflictList(rows=rows[:MOST_LISTED], more=len(rows) > MOST_LISTED)


def _shown(row: Any) -> ConflictRow:
    event = f"{row.device}/{row.epoch.hex()}/{row.sequence}"
    detail = msgspec.json.decode(row.detail, type=dict[str, Any])
    return ConflictRow(row.id.hex(), row.kind, row.state, row.at_ms, row.domain, row.gate or "", event, detail)


@action("conflict.show", ConflictParams, writes=False)
async def conflict_show(context: Context, params: ConflictParams) -> ConflictShown:
    """What it is and who said what about it."""
    return await _show(context, params.id)


async def _show(context: Context, id_: str) -> ConflictShown:
    async with context.database.read() as connection:
        row = await _one(connection, id_)
        query = select(members.c.reference).join(subjects, subjects.c.member == members.c.id)
        query = query.where(subjects.c.domain == row.domain, subjects.c.subject == row.subject)
        member = (await connection.execute(query)).scalar() or ""
        every = await facts.read(connection, ABOUT_CONFLICTS, domain=row.domain, subjects=[row.subject])
    said = [
        {"recorded_ms": fact.recorded_ms, "who": fact.who, "what": fact.kind, "why": fact.body.why}
        for fact in every
        if fact.body.id == row.id
    ]
    return ConflictShown(conflict=_shown(row), member=member, subject=row.subject.hex(), said=said)


async def _one(connection: AsyncConnection, id_: str) -> Any:
    try:
        low = bytes.fromhex(id_.ljust(32, "0"))
        high = bytes.fromhex(id_.ljust(32, "f"))
    except ValueError:
        low = high = b""
    if len(low) != 16 or len(id_) < 4:
        raise ActionFailed(f"{id_[:80]!r} is no conflict: state the id that `conflict list` shows, or its beginning")
    found = (await connection.execute(_QUERY.where(conflicts.c.id.between(low, high)).limit(2))).all()
    if not found:
        raise ActionFailed(f"there is no conflict {id_}: it may have ended, when a later batch explained it")
    if len(found) > 1:
        raise ActionFailed(f"several conflicts begin with {id_}: state more of it")
    return found[0]


@action("conflict.say", SayParams, writes=True)
async def conflict_say(context: Context, params: SayParams) -> ConflictShown:
    """Settle, reopen or comment: an appended fact, with the name of who said so and why."""
    if not params.why.strip() or not params.who.strip():
        raise ActionFailed("state who says so and why")
    async with context.database.write() as connection:
        row = await _one(connection, params.id)
        if params.what == "settle" and row.state == SETTLED:
            raise ActionFailed(f"conflict {row.id.hex()} is settled already: `conflict show` says by whom")
        if params.what == "reopen" and row.state != SETTLED:
            raise ActionFailed(f"conflict {row.id.hex()} is {row.state}, not settled")
        kind = {"settle": ConflictSettled, "reopen": ConflictReopened, "comment": ConflictCommented}[params.what]
        body = kind(
            id=row.id, conflict=row.kind, device=row.device, epoch=row.epoch, sequence=row.sequence, why=params.why
        )
        about = facts.About(params.who, row.at_ms, row.domain, row.subject)
        await facts.append(connection, about, body, context.now_ms)
        await settle(connection, [Touched(row.domain, row.subject, row.at_ms, row.at_ms)], context.now_ms)
    return await _show(context, row.id.hex())
