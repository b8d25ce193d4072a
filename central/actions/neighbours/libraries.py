"""Library systems: whether one answers, asking again, and forgetting what one said."""

import time
from typing import Annotated

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.member_index import LIBRARY_BARCODE, numbers_of
from central.actions.cards.named import members_by_reference
from central.neighbours import library_state, patrons
from central.neighbours.asking import ask_about, line_to, local, zones_of
from central.neighbours.patrons import ADOPTED_AT_ONCE, Answered
from central.neighbours.settings import Library
from central.neighbours.sip2.line import LineFault
from central.store.schema import libraries, library_patrons
from protocol.wire import Name

BELIEVED_MS = 24 * 3_600_000
Id = Annotated[str, msgspec.Meta(max_length=64)]
_p = library_patrons.c


class LibraryParams(Params, frozen=True, kw_only=True):
    """One."""

    library: Id


class RefreshParams(Params, frozen=True, kw_only=True):
    """Ask about one member now, or (not given) about everybody again, as slowly as ever."""

    library: Id
    who: Name
    member: Annotated[str, msgspec.Meta(max_length=128)] = ""


class BelieveParams(Params, frozen=True, kw_only=True):
    """The library that is right."""

    library: Id
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: Name


class Believed(Result, frozen=True):
    """Until when, and how many are due to be asked about."""

    library: str
    until_ms: int
    asked: int


class ForgetParams(Params, frozen=True, kw_only=True):
    """The library whose word is to count no more."""

    library: Id
    who: Name


class LibraryAnswer(Result, frozen=True):
    """What it said of itself just now."""

    library: str
    took_ms: int
    lends: bool
    takes_back: bool
    knows_holds: bool


class Refreshed(Result, frozen=True):
    """`asked` 1: about this member, whose `standing` it is; else how many are due now. `changed`: gates hear of it."""

    library: str
    asked: int
    standing: str = ""
    hold_ready: bool = False
    overdue: bool = False
    why: str = ""
    changed: bool = False


class Forgotten(Result, frozen=True):
    """About how many members it had said something."""

    library: str
    members: int


@action("library.check", LibraryParams, writes=False)
async def library_check(context: Context, params: LibraryParams) -> LibraryAnswer:
    """Sign in, and see what it is able to do; about nobody."""
    library, began_s = settings_of(context, params.library), time.monotonic()
    try:
        async with line_to(library) as line:
            service = line.service
    except LineFault as fault:
        raise ActionFailed(f"{library.id}: {fault} ({fault.kind.value})") from None
    return LibraryAnswer(
        library=library.id,
        took_ms=round((time.monotonic() - began_s) * 1_000),
        lends=service.lends,
        takes_back=service.takes_back,
        knows_holds=service.knows_information,
    )


@action("library.refresh", RefreshParams, writes=True)
async def library_refresh(context: Context, params: RefreshParams) -> Refreshed:
    """What is new stands on the lists at once; of a library that does not answer nothing changes."""
    library = settings_of(context, params.library)
    if params.member:
        return await _ask_now(context, library, params.member)
    async with context.database.write() as connection:
        await _introduced(connection, library)
        await patrons.adopt(connection, context.keys, library, context.now_ms)
        asked = await patrons.ask_again(connection, library.id)
    return Refreshed(library=library.id, asked=asked)


async def _ask_now(context: Context, library: Library, reference: str) -> Refreshed:
    keys, now_ms = context.keys, context.now_ms
    async with context.database.write() as connection:
        await _introduced(connection, library)
        member = await patron_of_reference(connection, library, reference)
        number = (await numbers_of(connection, keys, [member]))[member][LIBRARY_BARCODE]
        key = await patrons.take_in(connection, keys, library, member, now_ms)
        zone = (await zones_of(connection, library.domain))[0]
    try:
        async with line_to(library) as line:
            patron = await ask_about(line, library, number, local(now_ms, zone))
    except LineFault as fault:
        raise ActionFailed(f"{library.id}: {fault} ({fault.kind.value}); nothing changed") from None
    async with context.database.write() as connection:
        await library_state.answered(connection, library.id, now_ms)
        answer = Answered(member, key, patron, now_ms)
        changed = await patrons.put_answers(connection, keys, library, [answer], now_ms)
    return Refreshed(
        library=library.id,
        asked=1,
        standing=patron.standing.value,
        hold_ready=patron.hold_ready,
        overdue=patron.overdue,
        why=patron.why,
        changed=bool(changed),
    )


@action("library.believe", BelieveParams, writes=True)
async def library_believe(context: Context, params: BelieveParams) -> Believed:
    """That many are in good standing no more is right: for a day it is believed, and everybody is asked about again."""
    library, until_ms = settings_of(context, params.library), context.now_ms + BELIEVED_MS
    async with context.database.write() as connection:
        await _introduced(connection, library)
        await library_state.believe(connection, library.id, until_ms)
        asked = await patrons.ask_again(connection, library.id)
    return Believed(library=library.id, until_ms=until_ms, asked=asked)


@action("library.forget", ForgetParams, writes=True)
async def library_forget(context: Context, params: ForgetParams) -> Forgotten:
    """Its class and its notices leave the lists. For a library that is in the settings no more, or otherwise."""
    async with context.database.read() as connection:
        row = await library_state.known(connection, params.library)
    if row is None:
        raise ActionFailed(f"nothing is known of a library {params.library!r}: see `library status`")
    if any(each.id == row.id and library_state.is_as_set(row, each) for each in context.config.libraries):
        raise ActionFailed(f"{row.id} is in the settings: take it out, and start the server again, first")
    some = select(_p.member).where(_p.library == row.id).limit(ADOPTED_AT_ONCE)
    count = 0
    while True:
        async with context.database.write() as connection:
            members = list((await connection.execute(some)).scalars())
            if not members:
                await connection.execute(delete(libraries).where(libraries.c.id == row.id))
                return Forgotten(library=row.id, members=count)
            await patrons.forget(connection, context.keys, row.id, members, context.now_ms)
        count += len(members)


def settings_of(context: Context, id_: str) -> Library:
    """Raises ActionFailed."""
    for library in context.config.libraries:
        if library.id == id_:
            return library
    raise ActionFailed(
        f"the settings name no library {id_!r}: see [[libraries]] there, which a server reads as it starts"
    )


async def patron_of_reference(connection: AsyncConnection, library: Library, reference: str) -> bytes:
    """The member, who has a number and is in the library's domain. Raises ActionFailed."""
    member = (await members_by_reference(connection, [reference])).get(reference, b"")
    if not await patrons.is_patron(connection, library, member):
        raise ActionFailed(
            f"{reference} has no library barcode, or is not in {library.domain}: see `member number put`"
        )
    return member


async def _introduced(connection: AsyncConnection, library: Library) -> None:
    row = await library_state.known(connection, library.id)
    if row is not None and not library_state.is_as_set(row, library):
        raise ActionFailed(f"{library.id} was of another domain or class: `library forget` ends what it said")
    if row is None and not await library_state.introduce(connection, library):
        raise ActionFailed(f"there is no domain {library.domain!r}: see `domain list`")
