"""What followed from a batch of cards that was bound again: whose taps are another's now, and who was told what."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.entry_history import entry_at
from central.facts import Fact, read
from central.people.attribution import Person, Reattributed
from central.people.bindings import FOR_EVER
from central.services.judging.public_parts import public_parts
from central.services.marks import EventName
from central.store.schema import card_batches, events, marks, members, subjects
from central.store.slices import named, slices
from protocol.errors import Refused
from protocol.messages import Personal, decode

TAPS_AT_ONCE = 1_000
FACTS_AT_ONCE = 500


class BatchShowParams(Params, frozen=True):
    """Which batch."""

    name: str


class TapMoved(msgspec.Struct, frozen=True):
    """A granted tap that is `to`'s and not `told`'s, though the gate took the person for `told`: what it showed and
    charged was of `told`. `flags`: the notices that the card carried in the list that the gate held."""

    device: str
    epoch: str
    sequence: int
    at_ms: int
    gate: str
    told: str
    to: str
    reason: str
    points: int
    due: int
    flags: list[str]


class BatchEffects(Result, frozen=True):
    """How many taps moved, and to and from how many members. The taps are handed out."""

    name: str
    kind: str
    domain: str
    taps: int
    members: int
    with_flags: int
    """Of these taps: where a notice was shown to somebody whom it did not concern."""


class Moved(NamedTuple):
    """One tap: its name, whom the gate took the person for, and whose it is."""

    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    gate: str
    reason: str
    points: int
    due: int
    told: Person
    to: Person

    @property
    def name(self) -> EventName:
        return self.device, self.epoch, self.sequence


@action("card.batch.show", BatchShowParams, writes=False)
async def batch_show(context: Context, params: BatchShowParams) -> BatchEffects:
    """Those who were told what was another's business are to be told so; nothing more is known of what screens said."""
    taps, with_flags, people = 0, 0, set[str]()
    async with context.database.read() as connection:
        query = select(card_batches.c.kind, card_batches.c.domain).where(card_batches.c.name == params.name)
        batch = (await connection.execute(query)).first()
        if batch is None:
            raise ActionFailed(f"there is no batch {params.name!r}: see `card batch list`")
        by_domain = await reattributed(connection, params.name)
        for domain, moved in sorted(by_domain.items()):
            for at in range(0, len(moved), TAPS_AT_ONCE):
                said = await _said(connection, domain, moved[at : at + TAPS_AT_ONCE])
                taps, with_flags = taps + len(said), with_flags + sum(bool(tap.flags) for tap in said)
                people |= {name for tap in said for name in (tap.told, tap.to)}
                await context.emit(said)
    return BatchEffects(
        name=params.name, kind=batch.kind, domain=batch.domain, taps=taps, members=len(people), with_flags=with_flags
    )


async def reattributed(connection: AsyncConnection, batch: str) -> dict[str, list[Moved]]:
    """By domain, in the order of time: the taps that are another's by what a batch stated."""
    stated = [fact for fact in await read(connection, [Reattributed]) if fact.body.batch == batch]
    found: dict[str, list[Moved]] = {}
    for domain in sorted({fact.domain for fact in stated}):
        within = [fact for fact in stated if fact.domain == domain and fact.subject != fact.body.to]
        moved: dict[tuple[str, bytes, int], Moved] = {}
        for at in range(0, len(within), FACTS_AT_ONCE):
            for one in await _of_facts(connection, domain, within[at : at + FACTS_AT_ONCE]):
                moved[one.device, one.epoch, one.sequence] = one
        found[domain] = sorted(moved.values(), key=lambda one: (one.at_ms, one.device, one.sequence))
    return found


async def _of_facts(connection: AsyncConnection, domain: str, within: Sequence[Fact]) -> list[Moved]:
    m, e = marks.c, events.c
    to = {Person(fact.body.to, fact.body.to_card) for fact in within}
    query = select(m.device, m.epoch, m.sequence, m.at_ms, m.gate, m.reason, m.points, m.due, m.subject, m.card)
    there = []
    for some in slices(sorted({person.subject for person in to})):
        rows = await connection.execute(query.where(m.domain == domain, m.subject.in_(some)))
        there += [row for row in rows if Person(row.subject, row.card) in to]
    personal: dict[tuple[str, bytes, int], bytes | None] = {}
    of = select(e.device, e.epoch, e.sequence, e.personal)
    for these in named((e.device, e.epoch, e.sequence), [(row.device, row.epoch, row.sequence) for row in there]):
        personal.update(((row[0], row[1], row[2]), row[3]) for row in await connection.execute(of.where(these)))
    found = []
    for row in there:
        told = _person(personal.get((row.device, row.epoch, row.sequence)))
        now = Person(row.subject, row.card)
        if told is not None and any(_speaks_of(fact, told, now, row.at_ms) for fact in within):
            found.append(Moved(*row[:8], told, now))
    return found


def _speaks_of(fact: Fact, told: Person, now: Person, at_ms: int) -> bool:
    said = fact.body
    return (
        (fact.subject, said.card) == told
        and (said.to, said.to_card) == now
        and said.from_ms <= at_ms < (said.until_ms or FOR_EVER)
    )


def _person(personal: bytes | None) -> Person | None:
    """None where the part was destroyed, or the event is no tap."""
    try:
        part = decode(Personal, personal) if personal else None
    except Refused:
        return None
    return Person(part.subject, part.card) if part is not None else None


async def _said(connection: AsyncConnection, domain: str, moved: Sequence[Moved]) -> list[TapMoved]:
    asked = sorted({person.subject for one in moved for person in (one.told, one.to)})
    query = select(subjects.c.subject, members.c.reference).join(members, members.c.id == subjects.c.member)
    rows = await connection.execute(query.where(subjects.c.domain == domain, subjects.c.subject.in_(asked)))
    who: dict[bytes, str] = {row.subject: row.reference for row in rows}
    parts = await public_parts(connection, (one.name for one in moved))
    said = []
    for one in moved:
        list_version = parts[one.name].event.held.allowlist if one.name in parts else 0
        held = await entry_at(connection, domain, one.told.subject, one.told.card, list_version)
        entry = held.entry if held is not None else None
        told, to = (who.get(person.subject, person.subject.hex()) for person in (one.told, one.to))
        flags = list(entry.flags) if entry is not None else []
        name = one.device, one.epoch.hex(), one.sequence
        said.append(TapMoved(*name, one.at_ms, one.gate, told, to, one.reason, one.points, one.due, flags))
    return said
