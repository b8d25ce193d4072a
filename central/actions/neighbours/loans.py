"""Lending and taking back at a counter, by card: the library system decides, and its word is passed on.

A loan is asked for once. Where the answer is lost, nobody here knows whether the item was lent: asking again could lend
it twice, so a person looks at the library's own system.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.member_index import LIBRARY_BARCODE, numbers_of
from central.actions.cards.named import cards_by_index, known_card, readings_of
from central.actions.neighbours.libraries import Id, patron_of_reference, settings_of
from central.neighbours import patrons
from central.neighbours.asking import line_to, local, zones_of
from central.neighbours.settings import Library
from central.neighbours.sip2.line import LineFault, Unsendable
from central.neighbours.sip2.meaning import Loan, Service, loan_of
from central.neighbours.sip2.requests import Request, checkin, checkout
from protocol.allowlist import CardState
from protocol.wire import Name

Item = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
LOOK_THERE = "the answer was lost: look at the library's own system before anybody tries again"


class CheckoutParams(Params, frozen=True, kw_only=True):
    """An item by its barcode, to a member by the card (`uid`) or the reference, one of the two."""

    library: Id
    item: Item
    who: Name
    member: Annotated[str, msgspec.Meta(max_length=128)] = ""
    uid: Annotated[str, msgspec.Meta(max_length=64)] = ""
    notation: str = "detect"


class ReturnParams(Params, frozen=True, kw_only=True):
    """An item by its barcode."""

    library: Id
    item: Item
    who: Name


class Lent(Result, frozen=True):
    """`outcome`: done, refused (the library says no), or unknown (what the library did is not known). `due`,
    `item_title` and `library_said` are the library's own words. `attention`: somebody is to look at the item."""

    library: str
    outcome: str
    due: str = ""
    item_title: str = ""
    library_said: str = ""
    attention: bool = False


@action("library.checkout", CheckoutParams, writes=True)
async def library_checkout(context: Context, params: CheckoutParams) -> Lent:
    """The library's own rules decide, also for who may not come in at a gate."""
    library = settings_of(context, params.library)
    async with context.database.read() as connection:
        member = await _member(context, connection, library, params)
        number = (await numbers_of(connection, context.keys, [member]))[member][LIBRARY_BARCODE]
        zone = (await zones_of(connection, library.domain))[0]
    request = checkout(library.institution, number, params.item, local(context.now_ms, zone))
    return await _ask_once(library, request, params.item, lambda service: service.lends)


@action("library.return", ReturnParams, writes=True)
async def library_return(context: Context, params: ReturnParams) -> Lent:
    """Whoever brings it."""
    library = settings_of(context, params.library)
    async with context.database.read() as connection:
        zone = (await zones_of(connection, library.domain))[0]
    request = checkin(library.institution, library.place, params.item, local(context.now_ms, zone))
    return await _ask_once(library, request, params.item, lambda service: service.takes_back)


async def _ask_once(library: Library, request: Request, item: str, does: Callable[[Service], bool]) -> Lent:
    try:
        async with line_to(library) as line:
            if not does(line.service):
                raise ActionFailed(f"{library.id}: the library system does not do that now; nothing was done")
            loan = loan_of(await line.ask(request), item)
    except Unsendable as error:
        raise ActionFailed(f"{library.id}: {error}; nothing was done") from None
    except LineFault as fault:
        if fault.sent and not request.repeatable and fault.asked == request.code:
            return Lent(library=library.id, outcome="unknown", library_said=LOOK_THERE)
        raise ActionFailed(f"{library.id}: {fault} ({fault.kind.value}); nothing was done") from None
    return _told(library, loan)


def _told(library: Library, loan: Loan) -> Lent:
    outcome = "unknown" if loan.done is None else "done" if loan.done else "refused"
    said = LOOK_THERE if loan.done is None else loan.message
    return Lent(library.id, outcome, loan.due, loan.title, said, loan.alert)


async def _member(context: Context, connection: AsyncConnection, library: Library, params: CheckoutParams) -> bytes:
    if bool(params.member) == bool(params.uid):
        raise ActionFailed("name the card or the member, one of the two")
    if params.member:
        return await patron_of_reference(connection, library, params.member)
    try:
        readings = readings_of(params.uid, params.notation)
        indexes = [context.keys.uid_index(uid) for uid in readings]
        card = known_card(context.keys, readings, await cards_by_index(connection, indexes))
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    if card.state is not CardState.ACTIVE:
        raise ActionFailed(f"uid: this card is {card.state.name.lower()}: nothing is lent by it")
    if card.from_ms > context.now_ms or 0 < card.until_ms <= context.now_ms:
        raise ActionFailed("uid: this card is not valid today: nothing is lent by it")
    if not await patrons.is_patron(connection, library, card.member):
        raise ActionFailed(f"the card's member has no library barcode, or is not in {library.domain}")
    return card.member
