"""Where a person is: who they are in every domain, and what of events and evidence names them."""

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, LargeBinary, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.leaving import ever
from central.references import Held, references_held
from central.store.schema import audit, cards, domains, epochs, events, evidence, marks, members
from central.store.slices import named
from protocol.token import token
from protocol.uid import CardUID

EventName = tuple[str, bytes, int]
ROWS_AT_ONCE = 5_000
SHORT = 3


class Person(NamedTuple):
    """One member. `references`: this one and those before. `subjects`: by domain, also those that the member left.
    `tokens`: of the member's cards, under every key."""

    id: bytes
    reference: str
    references: tuple[Held, ...]
    name: str
    subjects: dict[str, bytes]
    cards: dict[bytes, CardUID]
    uid_indexes: frozenset[bytes]
    tokens: frozenset[bytes]

    @property
    def needles(self) -> list[bytes]:
        """What says in stored bytes that they are of this person. Each has 16 random or keyed bytes."""
        return sorted({*self.subjects.values(), *self.tokens})


async def person_of(connection: AsyncConnection, keys: Keys, member: bytes) -> Person | None:
    """None where there is no such member."""
    row = (await connection.execute(select(members).where(members.c.id == member))).one_or_none()
    if row is None:
        return None
    s, c = ever.c, cards.c
    within = (await connection.execute(select(s.domain, s.subject).where(s.member == member))).all()
    held = (await connection.execute(select(c.id, c.uid_index, c.uid_sealed).where(c.member == member))).all()
    uids = {card.id: keys.open_uid(card.uid_sealed, card.id) for card in held}
    numbers = (await connection.execute(select(domains.c.id, domains.c.key_number))).all()
    every = [key for domain, number in numbers for key in _keys_of(keys, domain, number)] if uids else []
    return Person(
        member,
        row.reference,
        await references_held(connection, member, row.reference),
        keys.open_name(row.name_sealed, member) if row.name_sealed else "",
        {domain: bytes(subject) for domain, subject in within},
        uids,
        frozenset(bytes(card.uid_index) for card in held),
        frozenset(token(key, uid) for key in every for uid in uids.values()),
    )


def _keys_of(keys: Keys, domain: str, newest: int) -> list[bytes]:
    """Those before, too: events keep the tokens of their time."""
    found = []
    for number in range(1, newest + 1):
        try:
            found.append(keys.domain_key(domain, number))
        except FileNotFoundError:  # some numbers were never used
            continue
    return found


async def events_of(connection: AsyncConnection, person: Person) -> list[EventName]:
    """Events whose personal part names the person, or that are known to be the person's although they name another:
    a card was bound to the wrong member. Goes through every event that has a personal part."""
    e = events.c
    found: set[EventName] = set()
    if person.needles:
        names_them = or_(*(holds(connection, e.personal, needle) for needle in person.needles))
        for device, epoch in (await connection.execute(select(epochs.c.device, epochs.c.epoch))).all():
            query = select(e.sequence).where(e.device == device, e.epoch == epoch, e.personal.is_not(None), names_them)
            found.update((device, epoch, sequence) for sequence in (await connection.execute(query)).scalars())
    m = marks.c
    for domain, subject in person.subjects.items():
        query = select(m.device, m.epoch, m.sequence).where(m.domain == domain, m.subject == subject)
        found.update((device, epoch, sequence) for device, epoch, sequence in await connection.execute(query))
    return sorted(found)


async def number_with_parts(connection: AsyncConnection, names: Collection[EventName]) -> int:
    """How many of these events still have a personal part."""
    e, found = events.c, 0
    for these in named((e.device, e.epoch, e.sequence), names):
        query = select(func.count()).select_from(events).where(these, e.personal.is_not(None))
        found += (await connection.execute(query)).scalar_one()
    return found


async def evidence_of(connection: AsyncConnection, needles: Collection[bytes]) -> list[Any]:
    """Pieces of evidence that hold a personal part of the person's."""
    if not needles:
        return []
    names_them = or_(*(holds(connection, evidence.c.body, needle) for needle in sorted(needles)))
    return list((await connection.execute(select(evidence).where(names_them))).all())


async def audit_of(connection: AsyncConnection, person: Person) -> list[int]:
    """Numbers of the rows of the audit log that are about the person: by reference, name, ids or subjects."""
    texts = [person.name, person.id.hex(), *(each.hex() for each in (*person.subjects.values(), *person.cards))]
    always = _words(text for text in texts if text)
    for_a_time = [(_words([held.reference]), held) for held in person.references]
    words = dict.fromkeys([*(text for text in texts if text), *(held.reference for held in person.references)])
    a, found = audit.c, []
    like = or_(*(column.contains(word, autoescape=True) for word in words for column in (a.target, a.body)))
    result = await connection.stream(
        select(a.number, a.at_ms, a.target, a.body).where(like).execution_options(yield_per=ROWS_AT_ONCE)
    )
    async for row in result:
        patterns = [always, *(pattern for pattern, held in for_a_time if held.at(row.at_ms))]
        if any(pattern.search(text) for pattern in patterns for text in (row.target, row.body)):
            found.append(row.number)
    return found


def _words(texts: Iterable[str]) -> re.Pattern[str]:
    """Any of these as a word of its own."""
    return re.compile("|".join(map(_word, texts)))


def _word(text: str) -> str:
    """Chinese has no spaces, so that it begins and ends with neither letter nor digit of ASCII is all that can be asked
    for; of a Chinese name of two characters that would be too little, as longer names hold it."""
    letter = r"[\w-]" if len(text) < SHORT and not text.isascii() else r"[0-9A-Za-z_-]"
    return rf"(?<!{letter}){re.escape(text)}(?!{letter})"


def holds(connection: AsyncConnection, column: Any, needle: bytes) -> ColumnElement[bool]:
    """Whether a column of bytes has these bytes in it."""
    wanted = literal(needle, LargeBinary)
    if connection.dialect.name == "sqlite":
        return func.instr(column, wanted) > 0
    return func.position(wanted.op("IN")(column)) > 0
