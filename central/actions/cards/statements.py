"""The one way in which a card's member or state changes: the row in `cards` is what holds now, and a statement with
both its times is added to what was ever known of the card.

A card without any statement has been, since it was bound, what its row says.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.class_store import Stated
from central.actions.cards.named import Card
from central.people.bindings import Bound, Statement
from central.store.schema import card_bindings, cards
from central.store.slices import slices
from protocol.allowlist import CardState


class CardNow(NamedTuple):
    """A card as its row in `cards` says."""

    uid_index: bytes
    bound: Bound
    bound_ms: int


def now_of(card: Card) -> CardNow:
    """The same, of a card that was looked up."""
    return CardNow(card.uid_index, Bound(card.member, card.number, card.state), card.bound_ms)


class Change(NamedTuple):
    """What becomes of a card: how its row reads from now on, and what is stated."""

    card: CardNow
    now: Bound
    said: tuple[Statement, ...]
    until_ms: int | None = None
    """The card's own end from now on; None = as it is."""


Statements = dict[bytes, list[Statement]]
"""By the keyed index of the UID, in the order in which they were stated."""


async def statements_of(connection: AsyncConnection, held: Sequence[CardNow]) -> Statements:
    """All that was ever stated of these cards; of one without any, what its row says."""
    found = await read_statements(connection, [card.uid_index for card in held])
    for card in held:
        found.setdefault(card.uid_index, [Statement(card.bound, 0, 0, card.bound_ms)])
    return found


async def read_statements(connection: AsyncConnection, indexes: Collection[bytes]) -> Statements:
    """Of those of these cards of which anything was stated."""
    found: Statements = {}
    c = card_bindings.c
    for some in slices(sorted(set(indexes))):
        query = select(card_bindings).where(c.uid_index.in_(some)).order_by(c.uid_index, c.place)
        for row in await connection.execute(query):
            bound = Bound(row.member, row.number, CardState(row.state))
            statement = Statement(bound, row.from_ms, row.until_ms, row.known_ms, row.batch, row.ended_ms)
            found.setdefault(row.uid_index, []).append(statement)
    return found


async def apply(connection: AsyncConnection, changes: Sequence[Change], stated: Stated) -> None:
    """Write the rows and add the statements. Each card stands once; nobody else changes them meanwhile."""
    rows = [
        {
            "of": change.card.uid_index,
            "new_member": change.now.member,
            "new_number": change.now.number,
            "new_state": int(change.now.state),
            "new_why": stated.why,
        }
        for change in changes
    ]
    this = update(cards).where(cards.c.uid_index == bindparam("of"))
    if rows:
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("member", "number", "state", "why")}
        await connection.execute(this.values(values), rows)
    ends = [{"of": change.card.uid_index, "end": change.until_ms} for change in changes if change.until_ms is not None]
    if ends:
        await connection.execute(this.values(until_ms=bindparam("end")), ends)
    await state(connection, {change.card.uid_index: change.said for change in changes}, changes, stated)


async def state(
    connection: AsyncConnection,
    said: Mapping[bytes, Sequence[Statement]],
    changes: Sequence[Change],
    stated: Stated,
) -> None:
    """Add statements. A card of `changes` of which nothing was stated so far first gets what its row said."""
    places = await _places(connection, list(said))
    rows: list[dict[str, Any]] = []
    for change in changes:
        index = change.card.uid_index
        if index not in places:
            first = Statement(change.card.bound, 0, 0, change.card.bound_ms)
            rows.append(_row(index, 1, first, Stated("", "", change.card.bound_ms)))
            places[index] = 1
    for index, statements in said.items():
        for place, statement in enumerate(statements, places.get(index, 0) + 1):
            rows.append(_row(index, place, statement, stated))
    if rows:
        await connection.execute(insert(card_bindings), rows)


async def _places(connection: AsyncConnection, indexes: Sequence[bytes]) -> dict[bytes, int]:
    """The place of the last statement about each."""
    found: dict[bytes, int] = {}
    c = card_bindings.c
    for some in slices(indexes):
        query = select(c.uid_index, func.max(c.place)).where(c.uid_index.in_(some)).group_by(c.uid_index)
        found.update((index, place) for index, place in await connection.execute(query))
    return found


def _row(index: bytes, place: int, statement: Statement, stated: Stated) -> dict[str, Any]:
    return {
        "uid_index": index,
        "place": place,
        "member": statement.bound.member,
        "number": statement.bound.number,
        "state": int(statement.bound.state),
        "from_ms": statement.from_ms,
        "until_ms": statement.until_ms,
        "ended_ms": statement.ended_ms,
        "known_ms": stated.known_ms,
        "who": stated.who,
        "why": stated.why,
        "batch": stated.batch,
    }


async def last_numbers(connection: AsyncConnection, ids: Collection[bytes]) -> dict[bytes, int]:
    """The highest number that any card of each member ever had: none is given twice, since events name cards by it."""
    found: dict[bytes, int] = {}
    for some in slices(sorted(set(ids))):
        for table in (cards, card_bindings):
            c = table.c
            query = select(c.member, func.max(c.number)).where(c.member.in_(some)).group_by(c.member)
            for member, number in await connection.execute(query):
                found[member] = max(found.get(member, 0), number)
    return found


async def set_state(
    connection: AsyncConnection, held: Sequence[CardNow], wanted: CardState, stated: Stated, from_ms: int = 0
) -> None:
    """These cards have this state from now on, or it is true since `from_ms`."""
    since = from_ms or stated.known_ms
    changes = []
    for card in held:
        bound = card.bound._replace(state=wanted)
        changes.append(Change(card, bound, (Statement(bound, since, 0, stated.known_ms, stated.batch),)))
    await apply(connection, changes, stated)


async def cards_now(connection: AsyncConnection, condition: Any) -> list[CardNow]:
    """Cards by a condition on `cards`, which nobody else changes until the transaction ends."""
    c = cards.c
    query = select(c.uid_index, c.member, c.number, c.state, c.bound_ms).where(condition).order_by(c.id)
    rows = await connection.execute(query.with_for_update())
    return [
        CardNow(index, Bound(member, number, CardState(state)), bound_ms)
        for index, member, number, state, bound_ms in rows
    ]
