"""Breaking the glass: the raw UID of a card, which nobody sees otherwise, by two people, once, within minutes."""

import secrets
from typing import Annotated, Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.store.schema import cards, uid_looks

ALLOW_WITHIN_MS = 15 * 60_000
SHOW_WITHIN_MS = 10 * 60_000
LISTED_MS = 24 * 3_600_000
LookId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]


class AskParams(Params, frozen=True, kw_only=True):
    """A card by its id (hex), and why its number must be seen."""

    card: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
    why: Annotated[str, msgspec.Meta(min_length=3, max_length=500)]
    who: str = ""


class LookParams(Params, frozen=True, kw_only=True):
    """Which look."""

    id: LookId
    who: str = ""


class LooksParams(Params, frozen=True):
    """Of the last day."""


class UidLook(Result, frozen=True, kw_only=True):
    """`state`: asked, allowed, shown, or over. `until_ms`: so long it can be allowed, or shown."""

    id: str
    card: str
    who: str
    why: str
    at_ms: int
    allowed_by: str
    state: str
    until_ms: int


class UidLooks(Result, frozen=True):
    """The newest first."""

    looks: list[UidLook]


class UidShown(Result, frozen=True):
    """The card's number in hex, in air order. It is shown this once."""

    card: str
    uid: str


@action("card.uid.ask", AskParams, writes=True)
async def card_uid_ask(context: Context, params: AskParams) -> UidLook:
    """Say that somebody must see a card's number; another admin has to allow it within a quarter of an hour."""
    _must_be_somebody(context)
    card = bytes.fromhex(params.card)
    async with context.database.write() as connection:
        member = (await connection.execute(select(cards.c.member).where(cards.c.id == card))).scalar()
        if member is None:
            raise ActionFailed("there is no such card: see `card find`")
        values = {"id": secrets.token_hex(8), "member": member, "card": card, "who": params.who, "why": params.why}
        values |= {"at_ms": context.now_ms, "allowed_by": "", "allowed_ms": 0, "shown_ms": 0}
        await connection.execute(insert(uid_looks).values(values))
        return _look(await _row(connection, str(values["id"])), context.now_ms)


@action("card.uid.allow", LookParams, writes=True)
async def card_uid_allow(context: Context, params: LookParams) -> UidLook:
    """Another person than the one who asked says that it may be seen."""
    _must_be_somebody(context)
    async with context.database.write() as connection:
        row = await _row(connection, params.id)
        if row.who == params.who:
            raise ActionFailed("another person than the one who asked has to allow it")
        if _look(row, context.now_ms).state != "asked":
            raise ActionFailed("it was allowed already, or the time for that is over: ask again")
        allowed = {"allowed_by": params.who, "allowed_ms": context.now_ms}
        await connection.execute(update(uid_looks).where(uid_looks.c.id == params.id).values(allowed))
        return _look(await _row(connection, params.id), context.now_ms)


@action("card.uid.show", LookParams, writes=True)
async def card_uid_show(context: Context, params: LookParams) -> UidShown:
    """The number, to the person who asked, once."""
    _must_be_somebody(context)
    async with context.database.write() as connection:
        row = await _row(connection, params.id)
        if row.who != params.who:
            raise ActionFailed("only the person who asked is shown it")
        if _look(row, context.now_ms).state != "allowed":
            raise ActionFailed("nobody allowed it yet, it was shown already, or the time for it is over: ask again")
        sealed = (await connection.execute(select(cards.c.uid_sealed).where(cards.c.id == row.card))).scalar()
        if sealed is None:
            raise ActionFailed("the card is nobody's any more")
        shown = update(uid_looks).where(uid_looks.c.id == params.id).values(shown_ms=context.now_ms)
        await connection.execute(shown)
        uid = context.keys.open_uid(sealed, row.card)
    return UidShown(card=row.card.hex(), uid=uid.raw.hex().upper())


@action("card.uid.list", LooksParams, writes=False)
async def card_uid_list(context: Context, _params: LooksParams) -> UidLooks:
    """Who asked for what, and who allowed it."""
    c = uid_looks.c
    query = select(uid_looks).where(c.at_ms > context.now_ms - LISTED_MS).order_by(c.at_ms.desc(), c.id)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return UidLooks(looks=[_look(row, context.now_ms) for row in rows])


def _must_be_somebody(context: Context) -> None:
    """At the command line a person may say whom they act for, so two of them could be one."""
    if context.caller.local:
        raise ActionFailed("two people do this by their accounts, in the console or by the API")


async def _row(connection: AsyncConnection, id_: str) -> Any:
    row = (await connection.execute(select(uid_looks).where(uid_looks.c.id == id_).with_for_update())).one_or_none()
    if row is None:
        raise ActionFailed("nobody asked for that")
    return row


def _look(row: Any, now_ms: int) -> UidLook:
    until_ms = row.allowed_ms + SHOW_WITHIN_MS if row.allowed_ms else row.at_ms + ALLOW_WITHIN_MS
    state = "shown" if row.shown_ms else "over" if now_ms >= until_ms else "allowed" if row.allowed_ms else "asked"
    told = {"id": row.id, "who": row.who, "why": row.why, "at_ms": row.at_ms, "allowed_by": row.allowed_by}
    return UidLook(card=bytes(row.card).hex(), state=state, until_ms=until_ms, **told)
