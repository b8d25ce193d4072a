"""One card, or one member's cards: finding, blocking, unblocking, stating what became of it."""

from typing import Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.class_store import Stated
from central.actions.cards.named import readings_of
from central.actions.cards.statements import cards_now, set_state
from central.actions.places.publishing import publish_members
from central.store.schema import cards, member_classes, members, subjects
from protocol.allowlist import CardState


class CardParams(Params, frozen=True):
    """Which cards: of a UID, of a member, or one by its id (hex). Exactly one of the three."""

    uid: str = ""
    notation: Literal["detect", "hex", "hex-reversed", "decimal", "decimal-reversed"] = "detect"
    member: str = ""
    card: str = ""


class CardStateParams(CardParams, frozen=True):
    """The state that the cards shall have from now on, and why."""

    state: Literal["active", "blocked", "lost", "replaced"] = "blocked"
    why: str = ""
    who: str = ""


class CardFound(msgspec.Struct, frozen=True):
    """A card without its UID. Dates are UTC ms, 0 = open."""

    card: str
    member: str
    number: int
    state: str
    from_ms: int
    until_ms: int
    why: str
    classes: list[str]
    domains: list[str]


class CardsFound(Result, frozen=True):
    """The cards that were meant, as they are now."""

    cards: list[CardFound]
    changed: int = 0


@action("card.find", CardParams, writes=False)
async def card_find(context: Context, params: CardParams) -> CardsFound:
    """What is held of a card. No UID is shown: whoever asks by it has it."""
    async with context.database.read() as connection:
        return CardsFound(cards=await _found(context, connection, params))


@action("card.state", CardStateParams, writes=True)
async def card_state(context: Context, params: CardStateParams) -> CardsFound:
    """Give the cards a state; every connected gate that lists them hears of it at once."""
    wanted = CardState[params.state.upper()]
    async with context.database.write() as connection:
        found = await _found(context, connection, params)
        if not found:
            raise ActionFailed("no such card is bound to anybody: see `card find`, or import it first")
        changed = [card for card in found if card.state != params.state]
        if changed:
            ids = [bytes.fromhex(card.card) for card in changed]
            held = await cards_now(connection, cards.c.id.in_(ids))
            await set_state(connection, held, wanted, Stated(params.who, params.why, context.now_ms))
            query = select(cards.c.member).where(cards.c.id.in_(ids)).distinct()
            await publish_members(context, connection, list((await connection.execute(query)).scalars()))
        return CardsFound(cards=await _found(context, connection, params), changed=len(changed))


@action("card.block", CardStateParams, writes=True)
async def card_block(context: Context, params: CardStateParams) -> CardsFound:
    """Refuse these cards everywhere: `blocked`, or the state that says more (`lost`, `replaced`)."""
    if params.state == "active":
        raise ActionFailed("state: `active` does not block; see `card unblock`")
    return await card_state(context, params)  # type: ignore[no-any-return]


@action("card.unblock", CardStateParams, writes=True)
async def card_unblock(context: Context, params: CardStateParams) -> CardsFound:
    """Let these cards be judged by the rules again."""
    return await card_state(context, msgspec.structs.replace(params, state="active"))  # type: ignore[no-any-return]


async def _found(context: Context, connection: AsyncConnection, params: CardParams) -> list[CardFound]:
    query = select(cards, members.c.reference).join(members, members.c.id == cards.c.member)
    rows = (
        await connection.execute(query.where(_meant(context, params)).order_by(cards.c.member, cards.c.number))
    ).all()
    if params.uid and len(rows) > 1:
        raise ActionFailed(f"this UID reads as {len(rows)} known cards: state --notation")
    return [await _described(connection, row) for row in rows]


def _meant(context: Context, params: CardParams) -> Any:
    if sum(map(bool, (params.uid, params.member, params.card))) != 1:
        raise ActionFailed("name the card by exactly one of its UID, --member or --card")
    if params.member:
        return members.c.reference == params.member
    if params.card:
        try:
            return cards.c.id == bytes.fromhex(params.card)
        except ValueError:
            raise ActionFailed("card: not the hexadecimal id that `card find` shows") from None
    try:  # every card that the text could mean: naming a known one is evidence enough of the notation
        readings = readings_of(params.uid, params.notation)
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    return cards.c.uid_index.in_([context.keys.uid_index(uid) for uid in readings])


async def _described(connection: AsyncConnection, row: Any) -> CardFound:
    classes = select(member_classes.c.name).where(member_classes.c.member == row.member).distinct()
    within = select(subjects.c.domain).where(subjects.c.member == row.member)
    return CardFound(
        card=row.id.hex(),
        member=row.reference,
        number=row.number,
        state=CardState(row.state).name.lower(),
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        why=row.why,
        classes=sorted((await connection.execute(classes)).scalars()),
        domains=sorted((await connection.execute(within)).scalars()),
    )
