"""What other city systems ask at their own counters: is this card good for a class today? No personal data answers."""

from typing import Annotated, Literal

import msgspec

from central.access.rates import wait_s
from central.actions.action import ActionFailed, AskedTooOften, Context, Params, Result, action
from central.actions.cards.named import Card, cards_by_index, known_card, readings_of, references_of
from central.lists import grants_of
from protocol.allowlist import CardState, Grant

UNKNOWN: Literal["unknown"] = "unknown"


class EntitlementParams(Params, frozen=True):
    """A card's number in a stated notation, and the class that is asked for."""

    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    notation: Literal["hex", "hex-reversed", "decimal", "decimal-reversed"]
    class_name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Entitlement(Result, frozen=True):
    """`good`: `unknown` where the card is bound to nobody. `until_ms`: when it is good no more; 0: no end is known."""

    good: bool | Literal["unknown"]
    until_ms: int


@action("entitlement", EntitlementParams, writes=False)
async def entitlement(context: Context, params: EntitlementParams) -> Entitlement:
    """Whether a card is good for a class now. The member sees in the list of looks that somebody asked."""
    too_early_s = await wait_s(context.database, context.caller, context.now_ms)
    if too_early_s:
        raise AskedTooOften(too_early_s)
    try:
        readings = readings_of(params.uid, params.notation)
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    async with context.database.read() as connection:
        held = await cards_by_index(connection, [context.keys.uid_index(uid) for uid in readings])
        if not held:
            return Entitlement(good=UNKNOWN, until_ms=0)
        card = known_card(context.keys, readings, held)
        context.about = (await references_of(connection, [card.member])).get(card.member, card.member.hex())
        grants = await grants_of(connection, card.member)
    return _answer(card, [grant for grant in grants if grant.name == params.class_name], context.now_ms)


def _answer(card: Card, grants: list[Grant], now_ms: int) -> Entitlement:
    if card.state != CardState.ACTIVE or not _holds(card.from_ms, card.until_ms, now_ms):
        return Entitlement(good=False, until_ms=0)
    ends = [grant.until_ms for grant in grants if _holds(grant.from_ms, grant.until_ms, now_ms)]
    if not ends:
        return Entitlement(good=False, until_ms=0)
    end_ms = 0 if 0 in ends else max(ends)
    return Entitlement(good=True, until_ms=min(filter(None, (end_ms, card.until_ms)), default=0))


def _holds(from_ms: int, until_ms: int, now_ms: int) -> bool:
    return from_ms <= now_ms and (until_ms == 0 or now_ms < until_ms)
