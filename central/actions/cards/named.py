"""Members and cards as people and files name them, looked up many at a time."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.store.schema import cards, members, subjects
from central.store.slices import slices
from protocol.allowlist import CardState
from protocol.errors import Refused
from protocol.uid import CardUID, Notation, candidates, judge, parse


class Card(NamedTuple):
    """A card that is bound to somebody."""

    id: bytes
    uid_index: bytes
    member: bytes
    number: int
    state: CardState
    from_ms: int
    until_ms: int
    bound_ms: int


async def members_by_reference(connection: AsyncConnection, references: Collection[str]) -> dict[str, bytes]:
    """Their ids, by the city's own number of each."""
    found: dict[str, bytes] = {}
    for some in slices(sorted(set(references))):
        query = select(members.c.reference, members.c.id).where(members.c.reference.in_(some))
        found.update((reference, member) for reference, member in await connection.execute(query))
    return found


async def references_of(connection: AsyncConnection, ids: Collection[bytes]) -> dict[bytes, str]:
    """The city's own numbers, by id."""
    found: dict[bytes, str] = {}
    for some in slices(sorted(set(ids))):
        query = select(members.c.id, members.c.reference).where(members.c.id.in_(some))
        found.update((member, reference) for member, reference in await connection.execute(query))
    return found


async def subjects_within(connection: AsyncConnection, domain: str, ids: Collection[bytes]) -> dict[bytes, bytes]:
    """Who these members are in a domain; those that are not in it are left out."""
    found: dict[bytes, bytes] = {}
    for some in slices(sorted(set(ids))):
        query = select(subjects.c.member, subjects.c.subject)
        query = query.where(subjects.c.domain == domain, subjects.c.member.in_(some))
        found.update((member, subject) for member, subject in await connection.execute(query))
    return found


async def cards_by_index(
    connection: AsyncConnection, indexes: Collection[bytes], *, lock: bool = False
) -> dict[bytes, Card]:
    """By the keyed index of the UID. `lock`: nobody else changes them until the transaction ends."""
    found = {}
    for some in slices(sorted(set(indexes))):
        query = _CARDS.where(cards.c.uid_index.in_(some)).order_by(cards.c.id)
        for row in await connection.execute(query.with_for_update() if lock else query):
            card = _card(row)
            found[card.uid_index] = card
    return found


async def cards_of_members(
    connection: AsyncConnection, ids: Collection[bytes], *, lock: bool = False
) -> dict[bytes, list[Card]]:
    """By member, each in the order of their numbers."""
    found: dict[bytes, list[Card]] = {}
    for some in slices(sorted(set(ids))):
        query = _CARDS.where(cards.c.member.in_(some)).order_by(cards.c.id)
        for row in await connection.execute(query.with_for_update() if lock else query):
            card = _card(row)
            found.setdefault(card.member, []).append(card)
    for held in found.values():
        held.sort(key=lambda card: card.number)
    return found


_CARDS = select(
    *(cards.c.id, cards.c.uid_index, cards.c.member, cards.c.number),
    *(cards.c.state, cards.c.from_ms, cards.c.until_ms, cards.c.bound_ms),
)


def _card(row: tuple[bytes, bytes, bytes, int, int, int, int, int]) -> Card:
    id_, index, member, number, state, from_ms, until_ms, bound_ms = row
    return Card(id_, index, member, number, CardState(state), from_ms, until_ms, bound_ms)


def readings_of(text: str, notation: str) -> list[CardUID]:
    """Every card that a text could mean, one where the notation is known. Raises ValueError that says what is wrong."""
    if notation == "detect":
        found = sorted(set(candidates(text).values()))
        if not found:
            raise ValueError("uid: no notation reads it as 4, 7 or 10 bytes")
        return found
    try:
        uid = parse(text, Notation(notation))
    except Refused as refused:
        raise ValueError(f"uid: {refused.detail}") from None
    problem = judge(uid.raw)
    if problem is not None:
        raise ValueError(f"uid: {problem}, which no card of anybody can be bound to")
    return [uid]


def known_card(keys: Keys, readings: Collection[CardUID], held: Mapping[bytes, Card]) -> Card:
    """The one known card among the readings: naming it is evidence enough of the notation. Raises ValueError."""
    known = {index: held[index] for index in map(keys.uid_index, readings) if index in held}
    if not known:
        raise ValueError("uid: this card is bound to nobody")
    if len(known) > 1:
        raise ValueError(f"uid: reads as {len(known)} known cards; state --notation")
    return next(iter(known.values()))
