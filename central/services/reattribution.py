"""Marks go to whoever made the tap, as far as that is known now (`central.people.attribution`)."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import About, append_all
from central.people.attribution import Person, facts_of
from central.people.bindings import Statement, aliases, bound_at
from central.services.projector import renew_promises, settle_services, tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.schema import denials, marks, subjects
from central.store.slices import slices


class Grown(NamedTuple):
    """A card of which more is stated than before."""

    before: Sequence[Statement]
    after: Sequence[Statement]


async def follow(connection: AsyncConnection, grown: Sequence[Grown], who: str, batch: str, now_ms: int) -> int:
    """State what the cards' new statements mean for taps, move the marks, and settle both members of each again.
    Returns how many marks moved."""
    await one_at_a_time(connection)  # else a tap that is settled just now could miss what is stated here
    members = {member for one in grown for member, _ in aliases(one.after)}
    moved = 0
    for domain, within in sorted((await _subjects(connection, members)).items()):
        said = [
            (About(who, fact.from_ms, domain, told), fact)
            for one in grown
            for told, fact in facts_of(one.before, one.after, within, batch)
        ]
        await append_all(connection, domain, said, now_ms)
        if said:
            moved += await _move(connection, domain, grown, within, now_ms)
    return moved


async def _subjects(connection: AsyncConnection, members: Collection[bytes]) -> dict[str, dict[bytes, bytes]]:
    """By domain: who these members are there."""
    found: dict[str, dict[bytes, bytes]] = {}
    c = subjects.c
    for some in slices(sorted(members)):
        query = select(c.domain, c.member, c.subject).where(c.member.in_(some))
        for domain, member, subject in await connection.execute(query):
            found.setdefault(domain, {})[member] = subject
    return found


async def _move(
    connection: AsyncConnection,
    domain: str,
    grown: Sequence[Grown],
    within: Mapping[bytes, bytes],
    now_ms: int,
) -> int:
    """Each mark of any of these cards to whoever's the card was at the moment of the tap."""
    cards: dict[Person, Sequence[Statement]] = {}
    for one in grown:
        for member, number in aliases(one.after):
            if member in within:
                cards[Person(within[member], number)] = one.after
    moves, m = [], marks.c
    touched = await _denied(connection, domain, cards)
    for some in slices(sorted({person.subject for person in cards})):
        query = select(m.subject, m.epoch, m.sequence, m.card, m.at_ms)
        for row in await connection.execute(query.where(m.domain == domain, m.subject.in_(some))):
            now = Person(row.subject, row.card)
            owner = bound_at(cards[now], row.at_ms) if now in cards else None
            if owner is None or owner.member not in within:
                continue
            then = Person(within[owner.member], owner.number)
            if then != now:
                name = {"was": row.subject, "of_epoch": row.epoch, "of_sequence": row.sequence}
                moves.append(name | {"now": then.subject, "now_card": then.card})
                for subject in (row.subject, then.subject):
                    touched[subject] = min(touched.get(subject, row.at_ms), row.at_ms)
    if moves:
        await connection.execute(_MOVE, [{"of_domain": domain, **move} for move in moves])
    if touched:
        members = [Touched(domain, subject, since_ms) for subject, since_ms in sorted(touched.items())]
        changed = await settle_services(connection, members)
        changed |= await renew_promises(connection, members, now_ms)
        await tell(connection, changed | {(domain, subject) for subject in touched}, now_ms)
    return len(moves)


async def _denied(
    connection: AsyncConnection, domain: str, cards: Mapping[Person, Sequence[Statement]]
) -> dict[bytes, int]:
    """Who was denied with one of these cards, since when. Denials stay where they are; those that are another's now are
    judged no more, and are judged again once they are not."""
    d, found = denials.c, dict[bytes, int]()
    for some in slices(sorted({person.subject for person in cards})):
        query = select(d.subject, d.card, d.at_ms).where(d.domain == domain, d.subject.in_(some))
        for subject, card, at_ms in await connection.execute(query):
            if Person(subject, card) in cards:
                found[subject] = min(found.get(subject, at_ms), at_ms)
    return found


_MOVE = (
    update(marks)
    .where(
        marks.c.domain == bindparam("of_domain"),
        marks.c.subject == bindparam("was"),
        marks.c.epoch == bindparam("of_epoch"),
        marks.c.sequence == bindparam("of_sequence"),
    )
    .values(subject=bindparam("now"), card=bindparam("now_card"))
)
