"""Cards of a domain that a full list does not name: how many, and what becomes of them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context
from central.actions.cards.class_store import Stated
from central.actions.cards.import_repeats import RepeatFinder
from central.actions.cards.statements import cards_now, set_state
from central.actions.places import publishing
from central.leaving import leave
from central.store.schema import cards, subjects
from central.store.slices import slices
from protocol.allowlist import CardState

PAGE_ROWS = 10_000
WHY = "absent from a full list"


async def count_cards(context: Context, domain: str) -> int:
    """Cards of the domain's members, whatever their state."""
    query = select(func.count()).select_from(cards.join(subjects, subjects.c.member == cards.c.member))
    async with context.database.read() as connection:
        return int((await connection.execute(query.where(subjects.c.domain == domain))).scalar_one())


async def count_absent(context: Context, domain: str, finder: RepeatFinder) -> int:
    """Active cards of the domain that no row of the file speaks of."""
    absent = seen = 0
    async for page in _pages(context, domain):
        absent += sum(_is_absent(context, row, finder) for row in page)
        seen += len(page)
        await context.progress("looking for absent cards", seen, 0)
    return absent


async def require_believable(context: Context, domain: str, absent: int, unread: int, max_removed: float) -> None:
    """Raises ActionFailed where so many absent cards speak for a wrong file. `unread`: rows that name no card."""
    if unread:
        raise ActionFailed(
            f"{unread} rows name no readable card, so what is absent is not known: mend them, or state --force"
        )
    total = await count_cards(context, domain)
    if absent > total * max_removed:
        raise ActionFailed(
            f"{absent} of {total} cards of {domain} are not in the file, more than --max-removed"
            f" {max_removed:.2%}: is it the whole list? If so, state --force"
        )


async def apply_absent(context: Context, domain: str, finder: RepeatFinder, what: str) -> None:
    """`block`: block them. `remove`: a member none of whose cards is named leaves the domain; of a member who
    stays, cards that are not named are marked replaced."""
    async for page in _pages(context, domain):
        gone = [row for row in page if _is_absent(context, row, finder)]
        if not gone:
            continue
        async with context.database.write() as connection:
            await publishing.owe(connection)
            if what == "block":
                await _mark(context, connection, [row.id for row in gone], CardState.BLOCKED)
                continue
            staying = await _staying(context, connection, [row.member for row in gone], finder)
            await _mark(context, connection, [row.id for row in gone if row.member in staying], CardState.REPLACED)
            await leave(connection, domain, {row.member for row in gone} - staying)


def _is_absent(context: Context, row: Any, finder: RepeatFinder) -> bool:
    if row.state != CardState.ACTIVE:
        return False
    return finder.hashed(context.keys.open_uid(row.uid_sealed, row.id).raw) not in finder.cards


async def _pages(context: Context, domain: str) -> AsyncIterator[Sequence[Any]]:
    """By rising card id, each page in a reading transaction of its own."""
    columns = (cards.c.id, cards.c.member, cards.c.uid_sealed, cards.c.state)
    query = select(*columns).join(subjects, subjects.c.member == cards.c.member).where(subjects.c.domain == domain)
    query, after = query.order_by(cards.c.id).limit(PAGE_ROWS), b""
    while True:
        async with context.database.read() as connection:
            page = (await connection.execute(query.where(cards.c.id > after))).all()
        if not page:
            return
        yield page
        after = page[-1].id


async def _staying(
    context: Context, connection: AsyncConnection, members: Sequence[bytes], finder: RepeatFinder
) -> set[bytes]:
    staying = set()
    for some in slices(sorted(set(members))):
        query = select(cards.c.id, cards.c.member, cards.c.uid_sealed).where(cards.c.member.in_(some))
        for row in await connection.execute(query):
            if finder.hashed(context.keys.open_uid(row.uid_sealed, row.id).raw) in finder.cards:
                staying.add(row.member)
    return staying


async def _mark(context: Context, connection: AsyncConnection, ids: Sequence[bytes], state: CardState) -> None:
    for some in slices(ids):
        held = await cards_now(connection, cards.c.id.in_(some))
        await set_state(connection, held, state, Stated("", WHY, context.now_ms))
