"""Cards issued or bound again in bulk, under a name: planned row by row, written in short transactions, taken back."""

from typing import Annotated, NamedTuple

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.batch_issue import IssueBlock
from central.actions.cards.batch_rebind import RebindBlock
from central.actions.cards.batch_undo import Undone, undo
from central.actions.cards.bindings import Days, Written
from central.actions.cards.import_store import zone_of
from central.actions.places.places import must_exist
from central.actions.table_file import TableFile
from central.actions.table_rows import TableDone, TableParams, TableRun
from central.store.schema import card_batches, domains

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
ISSUE, REBIND = "issue", "rebind"


class BatchIssueParams(TableParams, frozen=True, kw_only=True):
    """New cards for members of a domain. `after_days`: when the cards that they replace stop; 0 = at once."""

    name: Name
    notation: Written = "detect"
    after_days: Days = 0
    why: str = ""


class BatchRebindParams(TableParams, frozen=True, kw_only=True):
    """Cards that were bound to the wrong members, and the right ones."""

    name: Name
    notation: Written = "detect"
    time_zone: str = ""
    why: str = ""


class BatchUndoParams(Params, frozen=True):
    """Which batch. Without `apply` it is only said what would happen."""

    name: Name
    apply: bool = False
    who: str = ""


class BatchDone(TableDone, frozen=True):
    """And how many taps changed their member, in places where they count."""

    name: str
    marks_moved: int


class Batch(NamedTuple):
    """A batch as its row says."""

    name: str
    kind: str
    domain: str
    at_ms: int
    who: str
    why: str
    undone_ms: int
    undone_by: str


class BatchShown(msgspec.Struct, frozen=True):
    """One batch. `undone_ms` 0 = it stands."""

    name: str
    kind: str
    domain: str
    at_ms: int
    who: str
    why: str
    undone_ms: int
    undone_by: str


class Batches(Result, frozen=True):
    """The newest first. `more`: there are older ones."""

    batches: list[BatchShown]
    more: bool = False


class BatchesParams(Params, frozen=True):
    """`after`: the name of the batch that was shown last."""

    after: Annotated[str, msgspec.Meta(max_length=64)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1_000


@action("card.batch.issue", BatchIssueParams, writes=True)
async def batch_issue(context: Context, params: BatchIssueParams) -> BatchDone:
    """A batch that was cut short goes on where it is run again with the same file."""
    file = TableFile(context.attached(), ("uid", "member"), ("replaces",), params.encoding, params.delimiter)
    run = TableRun(context, params, file, IssueBlock.VERDICTS)
    await _begin(context, params.name, ISSUE, params)
    work = IssueBlock(run, params.name, params.domain, params.notation, params.after_days, params.why)
    async for block in run.blocks():
        await work.follow(block)
    return _done(run, params.name, 0)


@action("card.batch.rebind", BatchRebindParams, writes=True)
async def batch_rebind(context: Context, params: BatchRebindParams) -> BatchDone:
    """What follows goes with the cards: visits, hours and points of their taps are the right member's from now on."""
    async with context.database.read() as connection:
        zone = await zone_of(connection, params.domain, params.time_zone)
    file = TableFile(context.attached(), ("uid", "member"), ("from",), params.encoding, params.delimiter)
    run = TableRun(context, params, file, RebindBlock.VERDICTS)
    await _begin(context, params.name, REBIND, params)
    work = RebindBlock(run, params.name, params.domain, params.notation, zone, params.why)
    async for block in run.blocks():
        await work.follow(block)
    return _done(run, params.name, work.marks_moved)


@action("card.batch.undo", BatchUndoParams, writes=True)
async def batch_undo(context: Context, params: BatchUndoParams) -> Undone:
    """As if the batch had not been, but for cards of which something else was stated since: those are handed out."""
    async with context.database.read() as connection:
        batch = await batch_of(connection, params.name)
    if batch is None:
        raise ActionFailed(f"there is no batch {params.name!r}: see `card batch list`")
    if batch.undone_ms:
        raise ActionFailed(f"{params.name} was undone already, by {batch.undone_by or 'nobody named'}")
    done = await undo(context, batch.name, batch.kind, params.who, params.apply)
    if params.apply:
        async with context.database.write() as connection:
            undone = {"undone_ms": context.now_ms, "undone_by": params.who}
            await connection.execute(update(card_batches).where(card_batches.c.name == params.name).values(undone))
    return done


@action("card.batch.list", BatchesParams, writes=False)
async def batch_list(context: Context, params: BatchesParams) -> Batches:
    """Every batch that was ever begun."""
    c = card_batches.c
    query = select(card_batches).order_by(c.at_ms.desc(), c.name).limit(params.limit + 1)
    async with context.database.read() as connection:
        if params.after:
            at_ms = (await connection.execute(select(c.at_ms).where(c.name == params.after))).scalar() or 0
            query = query.where((c.at_ms < at_ms) | ((c.at_ms == at_ms) & (c.name > params.after)))
        rows = (await connection.execute(query)).all()
    found = [BatchShown(*row) for row in rows[: params.limit]]
    return Batches(batches=found, more=len(rows) > params.limit)


async def batch_of(connection: AsyncConnection, name: str) -> Batch | None:
    """The batch of this name."""
    row = (await connection.execute(select(card_batches).where(card_batches.c.name == name))).first()
    return Batch(*row) if row is not None else None


async def _begin(context: Context, name: str, kind: str, params: BatchIssueParams | BatchRebindParams) -> None:
    """Raises ActionFailed where the name is another batch's."""
    database = context.database
    async with database.write() if params.apply else database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        held = await batch_of(connection, name)
        if held is None and params.apply:
            said = {"at_ms": context.now_ms, "who": params.who, "why": params.why, "undone_ms": 0, "undone_by": ""}
            await connection.execute(
                insert(card_batches).values({"name": name, "kind": kind, "domain": params.domain, **said})
            )
    if held is not None and (held.undone_ms or (held.kind, held.domain) != (kind, params.domain)):
        what = "it was undone" if held.undone_ms else f"a {held.kind} of {held.domain}"
        raise ActionFailed(f"there is a batch {name} already ({what}): choose another name")


def _done(run: TableRun, name: str, moved: int) -> BatchDone:
    done = run.done()
    return BatchDone(
        rows=done.rows,
        verdicts=done.verdicts,
        applied=done.applied,
        encoding=done.encoding,
        name=name,
        marks_moved=moved,
    )
