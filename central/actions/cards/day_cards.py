"""Cards given out at a counter: a day card for somebody who is not known, a card by its typed UID for a member."""

from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.bindings import Written
from central.actions.cards.class_store import Stated
from central.actions.cards.day_members import (
    DAY_CLASS,
    add_day_member,
    hand_over,
    is_day_member,
    issue_day_card,
)
from central.actions.cards.issuing import Issue, issue
from central.actions.cards.named import Card, cards_by_index, members_by_reference, readings_of, references_of
from central.actions.cards.statements import last_numbers
from central.actions.cards.within import domains_of, is_in
from central.actions.places.publishing import publish_members
from central.published_dates import quarter_after
from central.services.visits.closing import Closings
from central.store.schema import venues
from protocol.allowlist import CardState
from protocol.uid import CardUID

Uid = Annotated[str, msgspec.Meta(max_length=64)]
Why = Annotated[str, msgspec.Meta(max_length=500)]
_TAKEN = "uid: this card is bound already: see `card find`, `card replace`"


class IssueDayParams(Params, frozen=True, kw_only=True):
    """A day card for a venue. `uid` empty: only its member is made, for whom the card is then bound by tapping it.
    `class_name`: what its bearer is, by the policy's words; only admins name another."""

    venue: str
    uid: Uid = ""
    notation: Written = "detect"
    class_name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = DAY_CLASS
    why: Why = ""
    who: str = ""


class BindParams(Params, frozen=True, kw_only=True):
    """A card that is nobody's, by its UID as it is printed or read, and whose it is from now on."""

    member: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    notation: Written = "detect"
    why: Why = ""
    who: str = ""


class DayCard(Result, frozen=True):
    """Its member, and until when it opens anything. `card`: its id; empty where it is still to be tapped."""

    id: str
    member: str
    venue: str
    until_ms: int
    card: str


class CardBound(Result, frozen=True):
    """Which of the member's cards it became."""

    member: str
    card: str
    number: int


@action("card.issue-day", IssueDayParams, writes=True)
async def card_issue_day(context: Context, params: IssueDayParams) -> DayCard:
    """It opens what its class opens until the venue closes, or to the quarter hour after. One that came back may be
    given out again at once."""
    if params.class_name != DAY_CLASS and context.scope.venues is not None:
        raise ActionFailed(f"class: day cards are of the class {DAY_CLASS!r}; an admin may name another")
    stated = Stated(params.who, params.why or f"a day card of {params.venue}", context.now_ms)
    async with context.database.write() as connection:
        query = select(venues.c.domain, venues.c.time_zone, venues.c.closes_at).where(venues.c.id == params.venue)
        venue = (await connection.execute(query)).one_or_none()
        if venue is None:
            raise ActionFailed(f"there is no venue {params.venue!r}: see `venue list`")
        zone = ZoneInfo(venue.time_zone)
        until_ms = quarter_after(Closings(zone, venue.closes_at).after(context.now_ms))
        held, uid = await _free(context, connection, params) if params.uid else (None, None)
        day = await add_day_member(connection, venue.domain, params.class_name, zone, context.now_ms, until_ms)
        changed = [day[0]]
        if held is not None:
            await hand_over(connection, held, day[0], until_ms, stated)
            changed.append(held.member)
        elif uid is not None:
            await issue_day_card(connection, context.keys, uid, day[0], until_ms, stated)
        await publish_members(context, connection, changed)
        card = await _card_id(context, connection, held, uid)
    return DayCard(id=day[0].hex(), member=day[1], venue=params.venue, until_ms=until_ms, card=card)


@action("card.bind", BindParams, writes=True)
async def card_bind(context: Context, params: BindParams) -> CardBound:
    """Every connected gate that lists the member hears of it at once."""
    stated = Stated(params.who, params.why or "bound at a counter", context.now_ms)
    async with context.database.write() as connection:
        member = (await members_by_reference(connection, [params.member])).get(params.member)
        if member is None:
            raise ActionFailed(f"there is no member {params.member!r}: see `member find`")
        readings = _readings(params.uid, params.notation)
        indexes = [context.keys.uid_index(uid) for uid in readings]
        if await cards_by_index(connection, indexes, lock=True):
            raise ActionFailed(_TAKEN)
        uid = _only(readings)
        number = (await last_numbers(connection, [member])).get(member, 0) + 1
        await issue(connection, context.keys, [Issue(uid, member, number, ())], 0, stated)
        await publish_members(context, connection, [member])
        card = await _card_id(context, connection, None, uid)
    return CardBound(member=params.member, card=card, number=number)


async def _free(
    context: Context, connection: AsyncConnection, params: IssueDayParams
) -> tuple[Card | None, CardUID | None]:
    """The day card that came back, or the UID of a card that was nobody's. Raises ActionFailed."""
    readings = _readings(params.uid, params.notation)
    indexes = [context.keys.uid_index(uid) for uid in readings]
    held = list((await cards_by_index(connection, indexes, lock=True)).values())
    if not held:
        return None, _only(readings)
    whose = await references_of(connection, [card.member for card in held])
    if len(held) > 1 or not is_day_member(whose[held[0].member]):
        raise ActionFailed(_TAKEN)
    near = is_in(await domains_of(connection, context.scope), held[0].member)
    if near is not None and not (await connection.execute(select(near))).scalar_one():
        raise ActionFailed(_TAKEN)  # another domain's day card is somebody's, for all that this caller knows
    if held[0].state is not CardState.ACTIVE:
        raise ActionFailed(f"uid: this day card is {held[0].state.name.lower()}: see `card unblock`")
    return held[0], None


def _readings(text: str, notation: str) -> list[CardUID]:
    try:
        return readings_of(text, notation)
    except ValueError as error:
        raise ActionFailed(str(error)) from None


def _only(readings: list[CardUID]) -> CardUID:
    if len(readings) > 1:
        raise ActionFailed(f"uid: reads as {len(readings)} cards, none of them known; state the notation")
    return readings[0]


async def _card_id(context: Context, connection: AsyncConnection, held: Card | None, uid: CardUID | None) -> str:
    if held is not None:
        return held.id.hex()
    if uid is None:
        return ""
    index = context.keys.uid_index(uid)
    return (await cards_by_index(connection, [index]))[index].id.hex()
