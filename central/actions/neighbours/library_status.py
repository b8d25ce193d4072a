"""How library systems are doing, as it is known here: nobody is asked."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.within import domains_of
from central.neighbours import library_state
from central.neighbours.asking import is_quiet, zones_of
from central.neighbours.settings import Library
from central.neighbours.sip2.meaning import Standing
from central.store.schema import libraries, library_patrons

_p = library_patrons.c


class LibrariesParams(Params, frozen=True):
    """One, or (not given) all that the caller may see."""

    library: Annotated[str, msgspec.Meta(max_length=64)] = ""


class LibraryState(msgspec.Struct, frozen=True, kw_only=True):
    """How one is doing. `state`: answers, down, quiet (not asked in these hours), new (never asked yet), or not-set (no
    settings of this server name it so; its last word still counts). `answered_ms`: when it last answered, 0 = never.
    `waiting`: members who are due to be asked about. `oldest_ms`: its oldest word about a member that counts now.
    `good` to `unknown`: of how many members it says what."""

    library: str
    domain: str
    class_name: str
    state: str
    answered_ms: int = 0
    failed_ms: int = 0
    failure: str = ""
    said: str = ""
    next_ms: int = 0
    waiting: int = 0
    oldest_ms: int = 0
    good: int = 0
    blocked: int = 0
    expired: int = 0
    no_patron: int = 0
    unknown: int = 0
    holds_ready: int = 0
    overdue: int = 0


class LibrariesListed(Result, frozen=True):
    """By name."""

    libraries: list[LibraryState]


@action("library.status", LibrariesParams, writes=False)
async def library_status(context: Context, params: LibrariesParams) -> LibrariesListed:
    """Nobody is asked: this is what is known."""
    async with context.database.read() as connection:
        query = select(libraries).order_by(libraries.c.id)
        theirs = await domains_of(connection, context.scope)
        if params.library:
            query = query.where(libraries.c.id == params.library)
        if theirs is not None:
            query = query.where(libraries.c.domain.in_(sorted(theirs)))
        rows = (await connection.execute(query)).all()
        found = {row.id: await _state(context, connection, row) for row in rows}
        for library in context.config.libraries:
            is_asked_for = params.library in ("", library.id) and (theirs is None or library.domain in theirs)
            if library.id not in found and is_asked_for:
                found[library.id] = _new(library)
    if params.library and not found:
        raise ActionFailed(f"nothing is known of a library {params.library!r}: see `library status`")
    return LibrariesListed(libraries=[state for _, state in sorted(found.items())])


async def _state(context: Context, connection: AsyncConnection, row: Any) -> LibraryState:
    by_standing = select(_p.standing, func.count()).where(_p.library == row.id).group_by(_p.standing)
    counts = {standing: int(count) for standing, count in await connection.execute(by_standing)}
    mine = _p.library == row.id
    waiting = select(func.count()).where(mine, _p.due_ms <= context.now_ms)
    oldest = select(func.min(_p.checked_ms)).where(mine, _p.checked_ms > 0)
    ready, overdue = (select(func.count()).where(mine, flag) for flag in (_p.hold_ready, _p.overdue))
    return LibraryState(
        library=row.id,
        domain=row.domain,
        class_name=row.class_name,
        state=await _in_a_word(context, connection, row),
        answered_ms=row.answered_ms,
        failed_ms=row.failed_ms,
        failure=row.failure,
        said=row.said,
        next_ms=row.next_ms,
        waiting=(await connection.execute(waiting)).scalar_one(),
        oldest_ms=(await connection.execute(oldest)).scalar() or 0,
        holds_ready=(await connection.execute(ready)).scalar_one(),
        overdue=(await connection.execute(overdue)).scalar_one(),
        good=counts.get(Standing.GOOD, 0),
        blocked=counts.get(Standing.BLOCKED, 0),
        expired=counts.get(Standing.EXPIRED, 0),
        no_patron=counts.get(Standing.NO_PATRON, 0),
        unknown=counts.get(Standing.UNKNOWN, 0),
    )


async def _in_a_word(context: Context, connection: AsyncConnection, row: Any) -> str:
    library = next((each for each in context.config.libraries if each.id == row.id), None)
    if library is None or not library_state.is_as_set(row, library):
        return "not-set"
    if row.failure:
        return "down"
    if is_quiet(library, await zones_of(connection, library.domain), context.now_ms):
        return "quiet"
    return "answers" if row.answered_ms else "new"


def _new(library: Library) -> LibraryState:
    """Named in the settings, and not asked yet."""
    return LibraryState(
        library=library.id,
        domain=library.domain,
        class_name=library.class_name,
        state="new",
    )
