"""What people do with conflicts, one or many at once: settle, reopen, comment, give to somebody, judge again."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.access.caller import Role
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.judging.conflict_rows import Id, find
from central.actions.judging.conflicts import ConflictShown, show
from central.services.judging.conflicts import SETTLED
from central.services.judging.stated import ConflictAssigned, ConflictCommented, ConflictReopened, ConflictSettled
from central.services.projector import settle
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.schema import accounts

MOST = 500
AT_ONCE = 50
"""In one transaction: nothing waits for longer than that."""
Why = Annotated[str, Meta(min_length=1, max_length=2_000)]
Ids = Annotated[list[Id], Meta(min_length=1, max_length=MOST)]
_OF = {"settle": ConflictSettled, "reopen": ConflictReopened, "comment": ConflictCommented}


class SayParams(Params, frozen=True):
    """What a named person says about a conflict."""

    id: Id
    what: Literal["settle", "reopen", "comment"]
    why: Annotated[str, Meta(max_length=2_000)]
    who: str


class ManyParams(Params, frozen=True):
    """Which ones, and one word about all of them: each gets a statement of its own."""

    ids: Ids
    why: Why
    who: str


class AssignParams(Params, frozen=True):
    """`to`: an account that may settle them; empty: nobody."""

    ids: Ids
    to: Annotated[str, Meta(max_length=64)] = ""
    why: Annotated[str, Meta(max_length=2_000)] = ""
    who: str = ""


class RetryParams(Params, frozen=True):
    """Whose taps are judged again."""

    ids: Ids


class One(msgspec.Struct, frozen=True):
    """What became of one. `why`: where it was not done. `state`: as it is now; empty: it ended."""

    id: str
    done: bool
    why: str = ""
    state: str = ""


class Many(Result, frozen=True):
    """In the order of the ids."""

    done: int
    refused: int
    results: list[One]


class NoParams(Params, frozen=True):
    """Nothing to say."""


class Assignee(msgspec.Struct, frozen=True):
    """An account that conflicts can be given to. `venues` none: it may settle those of every venue."""

    account: str
    title: str
    venues: list[str]


class Assignees(Result, frozen=True):
    """By account."""

    accounts: list[Assignee]


Statement = Callable[[Any], facts.FactBody | None]
"""Of a conflict's row; None: nothing is stated. Raises ActionFailed where it cannot be."""


@action("conflict.say", SayParams, writes=True)
async def conflict_say(context: Context, params: SayParams) -> ConflictShown:
    """Settle, reopen or comment: an appended fact, with the name of who said so and why."""
    _require_words(params.who, params.why)
    async with context.database.write() as connection:
        await one_at_a_time(connection)
        row = await find(connection, params.id, context.scope)
        await _state(connection, row, _word(row, params.what, params.why), params.who, context.now_ms)
        await settle(connection, [_touched(row)], context.now_ms)
        return await show(connection, row.id.hex(), context.scope)


@action("conflict.settle", ManyParams, writes=True)
async def conflict_settle(context: Context, params: ManyParams) -> Many:
    """Many are done with, for one reason. One that cannot be settled does not stop the others."""
    _require_words(params.who, params.why)
    return await _each(context, params.ids, params.who, lambda row: _word(row, "settle", params.why))


@action("conflict.comment", ManyParams, writes=True)
async def conflict_comment(context: Context, params: ManyParams) -> Many:
    """Something to know about each of them."""
    _require_words(params.who, params.why)
    return await _each(context, params.ids, params.who, lambda row: _word(row, "comment", params.why))


@action("conflict.assign", AssignParams, writes=True)
async def conflict_assign(context: Context, params: AssignParams) -> Many:
    """Give them to somebody, or take them back. Only to who may settle conflicts of that venue."""
    async with context.database.read() as connection:
        to = next((each for each in await _assignees(connection) if each.account == params.to), None)
    if params.to and to is None:
        raise ActionFailed(f"conflicts cannot be given to {params.to!r}: `conflict assignees` shows to whom they can")

    def given(row: Any) -> facts.FactBody:
        if row.assigned == params.to:
            raise ActionFailed(f"it is {params.to + '’s' if params.to else 'nobody’s'} already")
        if to is not None and to.venues and row.venue not in to.venues:
            raise ActionFailed(f"{params.to} is of other venues than {row.venue}")
        return ConflictAssigned(**_about(row), why=params.why, to=params.to)

    return await _each(context, params.ids, params.who, given)


@action("conflict.retry", RetryParams, writes=True)
async def conflict_retry(context: Context, params: RetryParams) -> Many:
    """Judge these members' taps again by all that is known now. Settling does so by itself; this is for whoever
    mended something and wants to see at once."""
    return await _each(context, params.ids, "", lambda _row: None)


@action("conflict.assignees", NoParams, writes=False)
async def conflict_assignees(context: Context, _params: NoParams) -> Assignees:
    """Whom conflicts can be given to: admins, and operators who share a venue with the caller."""
    own = context.scope.venues
    async with context.database.read() as connection:
        found = await _assignees(connection)
    return Assignees(accounts=[each for each in found if own is None or not each.venues or own & set(each.venues)])


async def _assignees(connection: AsyncConnection) -> list[Assignee]:
    a = accounts.c
    query = select(a.id, a.title, a.roles, a.venues).where(a.state == "active").order_by(a.id)
    found = []
    for id_, title, roles, venues in await connection.execute(query):
        held = set(msgspec.json.decode(roles, type=list[str]))
        theirs = msgspec.json.decode(venues, type=list[str])
        if Role.ADMIN in held:
            found.append(Assignee(id_, title, []))
        elif Role.OPERATOR in held and theirs:
            found.append(Assignee(id_, title, theirs))
    return found


# --- one after the other ----------------------------------------------------------------------------------------


async def _each(context: Context, ids: Sequence[str], who: str, statement: Statement) -> Many:
    results: list[One] = []
    for at in range(0, len(ids), AT_ONCE):
        async with context.database.write() as connection:
            await one_at_a_time(connection)
            results += await _some(context, connection, ids[at : at + AT_ONCE], who, statement)
        await context.progress("conflicts", len(results), len(ids))
    done = sum(one.done for one in results)
    return Many(done=done, refused=len(results) - done, results=results)


async def _some(
    context: Context, connection: AsyncConnection, ids: Sequence[str], who: str, statement: Statement
) -> list[One]:
    """Within a transaction. Those that were stated first stand where a later one names the same conflict again."""
    touched: dict[bytes, Touched] = {}
    refused: dict[int, str] = {}
    rows: list[Any] = []
    for place, id_ in enumerate(ids):
        row = None
        try:
            row = await find(connection, id_, context.scope)
            if row.id in touched:
                raise ActionFailed("it is named twice")
            await _state(connection, row, statement(row), who, context.now_ms)
            touched[row.id] = _touched(row)
        except ActionFailed as failure:
            refused[place] = str(failure)
        rows.append(row)
    await settle(connection, list(touched.values()), context.now_ms)
    found = []
    for place, (id_, row) in enumerate(zip(ids, rows, strict=True)):
        state = await _state_now(context, connection, row) if row is not None else ""
        found.append(One(row.id.hex() if row is not None else id_, place not in refused, refused.get(place, ""), state))
    return found


async def _state_now(context: Context, connection: AsyncConnection, row: Any) -> str:
    try:
        return str((await find(connection, row.id.hex(), context.scope)).state)
    except ActionFailed:
        return ""


async def _state(connection: AsyncConnection, row: Any, body: facts.FactBody | None, who: str, now_ms: int) -> None:
    if body is not None:
        about = facts.About(who, row.at_ms, row.domain, row.subject)
        await facts.append(connection, about, body, now_ms)


def _word(row: Any, what: str, why: str) -> facts.FactBody:
    if what == "settle" and row.state == SETTLED:
        raise ActionFailed(f"conflict {row.id.hex()} is settled already: `conflict show` says by whom")
    if what == "reopen" and row.state != SETTLED:
        raise ActionFailed(f"conflict {row.id.hex()} is {row.state}, not settled")
    return _OF[what](**_about(row), why=why)


def _about(row: Any) -> dict[str, Any]:
    known = {"id": row.id, "conflict": row.kind, "device": row.device}
    return known | {"epoch": row.epoch, "sequence": row.sequence}


def _touched(row: Any) -> Touched:
    return Touched(row.domain, row.subject, row.at_ms, row.at_ms)


def _require_words(who: str, why: str) -> None:
    if not why.strip() or not who.strip():
        raise ActionFailed("state who says so and why")
