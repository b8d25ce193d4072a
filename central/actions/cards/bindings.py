"""Whose a card is over time: replaced by another, lost and found again, and all that was ever known of it."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.class_store import Stated
from central.actions.cards.issuing import MAX_DAYS, Issue, issue
from central.actions.cards.named import Card, cards_by_index, known_card, readings_of, references_of
from central.actions.cards.statements import cards_now, last_numbers, set_state
from central.actions.places.publishing import publish_members
from central.store.schema import card_bindings, cards
from protocol.allowlist import CardState
from protocol.uid import CardUID

Written = Literal["detect", "hex", "hex-reversed", "decimal", "decimal-reversed"]
Days = Annotated[int, msgspec.Meta(ge=0, le=MAX_DAYS)]


class CardStatedParams(Params, frozen=True):
    """One card by its UID, or by the id (hex) that `card find` shows; who states it and why."""

    uid: str = ""
    card: str = ""
    notation: Written = "detect"
    why: str = ""
    who: str = ""


class CardReplaceParams(CardStatedParams, frozen=True, kw_only=True):
    """The new card in place of the one that is named, and after how many days that one stops; 0 = at once."""

    new_uid: str
    after_days: Days = 0


class CardStands(Result, frozen=True):
    """A card as it is now, without its UID."""

    member: str
    number: int
    state: str
    until_ms: int


class CardReplaced(Result, frozen=True):
    """Both cards of the member; history, points and hours are the member's and stay."""

    old: CardStands
    new: CardStands


class CardKnown(msgspec.Struct, frozen=True):
    """One statement. `from_ms` and `until_ms`: when it is true; `known_ms`: since when that is known. 0 = open.
    `member` empty: nobody's."""

    member: str
    number: int
    state: str
    from_ms: int
    until_ms: int
    known_ms: int
    who: str
    why: str
    batch: str


class CardHistory(Result, frozen=True):
    """All that was ever stated of a card, the newest first: where two speak of one moment, the newer one holds."""

    statements: list[CardKnown]


@action("card.replace", CardReplaceParams, writes=True)
async def card_replace(context: Context, params: CardReplaceParams) -> CardReplaced:
    """Bind a new card to the member whose the old one is."""
    stated = Stated(params.who, params.why or "replaced", context.now_ms)
    async with context.database.write() as connection:
        old = await _known(context, connection, params)
        new = _new_uid(params)
        index = context.keys.uid_index(new)
        taken = (await cards_by_index(connection, [index])).get(index)
        if taken is not None:
            raise ActionFailed("new uid: this card is bound already; see `card find`")
        if old.state is CardState.REPLACED:
            raise ActionFailed("uid: this card was replaced already")
        number = (await last_numbers(connection, [old.member]))[old.member] + 1
        await issue(connection, context.keys, [Issue(new, old.member, number, (old,))], params.after_days, stated)
        await publish_members(context, connection, [old.member])
        after = await cards_by_index(connection, [old.uid_index, index])
        who = await references_of(connection, [old.member])
    return CardReplaced(old=_stands(after[old.uid_index], who), new=_stands(after[index], who))


@action("card.lose", CardStatedParams, writes=True)
async def card_lose(context: Context, params: CardStatedParams) -> CardStands:
    """Somebody reported it lost: refused everywhere from now on."""
    return await _restate(context, params, {CardState.ACTIVE, CardState.BLOCKED}, CardState.LOST, "lost")


@action("card.find-again", CardStatedParams, writes=True)
async def card_find_again(context: Context, params: CardStatedParams) -> CardStands:
    """A lost card was found again: its member's, with the same history, as if it had not been lost."""
    return await _restate(context, params, {CardState.LOST}, CardState.ACTIVE, "found again")


async def _restate(
    context: Context, params: CardStatedParams, allowed: set[CardState], wanted: CardState, why: str
) -> CardStands:
    async with context.database.write() as connection:
        card = await _known(context, connection, params)
        if card.state not in allowed:
            raise ActionFailed(f"uid: this card is {card.state.name.lower()}: see `card history`, `card unblock`")
        held = await cards_now(connection, cards.c.id == card.id)
        await set_state(connection, held, wanted, Stated(params.who, params.why or why, context.now_ms))
        await publish_members(context, connection, [card.member])
        return _stands(card._replace(state=wanted), await references_of(connection, [card.member]))


@action("card.history", CardStatedParams, writes=False)
async def card_history(context: Context, params: CardStatedParams) -> CardHistory:
    """Whose it was and in which state, with both times, by whom and why. A card that is nobody's now has one too."""
    c = card_bindings.c
    async with context.database.read() as connection:
        indexes = await _meant(context, connection, params)
        query = select(card_bindings).where(c.uid_index.in_(indexes)).order_by(c.uid_index, c.place)
        rows = (await connection.execute(query)).all()
        held = await cards_by_index(connection, indexes)
        if len({row.uid_index for row in rows} | held.keys()) > 1:
            raise ActionFailed("uid: reads as several known cards; state --notation")
        who = await references_of(connection, [row.member for row in rows] + [card.member for card in held.values()])
    said = [
        CardKnown(
            *(who.get(row.member, ""), row.number, CardState(row.state).name.lower()),
            *(row.from_ms, row.until_ms, row.known_ms, row.who, row.why, row.batch),
        )
        for row in rows
    ]
    if not rows:
        said = [
            CardKnown(who[card.member], card.number, card.state.name.lower(), 0, 0, card.bound_ms, "", "", "")
            for card in held.values()
        ]
    if not said:
        raise ActionFailed("uid: nothing was ever known of this card")
    return CardHistory(statements=said[::-1])


async def _meant(context: Context, connection: AsyncConnection, params: CardStatedParams) -> list[bytes]:
    """Keyed indexes of the cards that may be meant. Raises ActionFailed."""
    if bool(params.uid) == bool(params.card):
        raise ActionFailed("name the card by its UID or by its id, one of the two")
    if params.uid:
        try:
            return [context.keys.uid_index(uid) for uid in readings_of(params.uid, params.notation)]
        except ValueError as error:
            raise ActionFailed(str(error)) from None
    try:
        wanted = bytes.fromhex(params.card)
    except ValueError:
        raise ActionFailed("card: not the hexadecimal id that `card find` shows") from None
    index = (await connection.execute(select(cards.c.uid_index).where(cards.c.id == wanted))).scalar()
    if index is None:
        raise ActionFailed("card: there is no such card: see `card find`")
    return [index]


async def _known(context: Context, connection: AsyncConnection, params: CardStatedParams) -> Card:
    if not params.uid:
        indexes = await _meant(context, connection, params)
        return next(iter((await cards_by_index(connection, indexes, lock=True)).values()))
    try:
        readings = readings_of(params.uid, params.notation)
        held = await cards_by_index(connection, list(map(context.keys.uid_index, readings)), lock=True)
        return known_card(context.keys, readings, held)
    except ValueError as error:
        raise ActionFailed(str(error)) from None


def _new_uid(params: CardReplaceParams) -> CardUID:
    try:
        readings = readings_of(params.new_uid, params.notation)
    except ValueError as error:
        raise ActionFailed(f"new {error}") from None
    if len(readings) > 1:
        raise ActionFailed(f"new uid: reads as {len(readings)} cards, none of them known; state --notation")
    return readings[0]


def _stands(card: Card, who: Mapping[bytes, str]) -> CardStands:
    return CardStands(
        member=who[card.member], number=card.number, state=card.state.name.lower(), until_ms=card.until_ms
    )
