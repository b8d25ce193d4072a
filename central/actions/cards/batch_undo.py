"""A batch of cards taken back: each card as it would be without it, unless something was stated of it since."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Result
from central.actions.cards.class_store import Stated
from central.actions.cards.named import Card, cards_by_index, references_of
from central.actions.cards.statements import Change, apply, now_of, read_statements, state
from central.lists import drop_cards, refresh_members
from central.people.bindings import NOBODY, Statement, bound_at, taken_back, was_said_since
from central.services.reattribution import Grown, follow
from central.store.schema import card_bindings, cards, domains

CARDS_AT_ONCE = 250
TAKEN_BACK = "-"
"""Before a batch's name: what states that it is taken back."""


class Kept(msgspec.Struct, frozen=True):
    """A card that the batch left and that stays so, since something else was stated of it. It names no UID."""

    member: str
    number: int
    why: str
    who: str


class Undone(Result, frozen=True):
    """How many cards are as they were, and how many stay because of what was stated of them since."""

    name: str
    cards: int
    kept: int
    marks_moved: int
    applied: bool


class _Row(NamedTuple):
    uid_index: bytes
    group: bytes
    """Cards of one group are taken back together or not at all: a new card and those that it replaced."""


class _Step(NamedTuple):
    """What was found of a run of groups."""

    done: int
    kept: list[Kept]
    moved: int


async def undo(context: Context, batch: str, kind: str, who: str, is_applied: bool) -> Undone:
    """A few hundred cards a transaction. Cut short, it goes on where it is run again."""
    total = kept = moved = done = 0
    async with context.database.read() as connection:
        rows = await _rows(connection, batch, kind)
    for some in _runs(rows):
        async with context.database.write() if is_applied else context.database.read() as connection:
            step = await _undo(context, connection, batch, some, who, is_applied)
        total, kept, moved, done = total + step.done, kept + len(step.kept), moved + step.moved, done + len(some)
        if step.kept:
            await context.emit(step.kept)
        await asyncio.sleep(0)
        await context.progress("taking back", done, len(rows))
    return Undone(name=batch, cards=total, kept=kept, marks_moved=moved, applied=is_applied)


async def _rows(connection: AsyncConnection, batch: str, kind: str) -> list[_Row]:
    c = card_bindings.c
    query = select(c.uid_index, c.member).where(c.batch == batch).distinct()
    rows = [_Row(index, member if kind == "issue" else index) for index, member in await connection.execute(query)]
    return sorted(set(rows), key=lambda row: (row.group, row.uid_index))


def _runs(rows: Sequence[_Row]) -> Iterable[list[_Row]]:
    """Whole groups, as many as fit one transaction."""
    run: list[_Row] = []
    for _, group in groupby(rows, key=lambda row: row.group):
        run += group
        if len(run) >= CARDS_AT_ONCE:
            yield run
            run = []
    if run:
        yield run


async def _undo(
    context: Context, connection: AsyncConnection, batch: str, rows: Sequence[_Row], who: str, is_applied: bool
) -> _Step:
    held = await cards_by_index(connection, [row.uid_index for row in rows], lock=is_applied)
    known = await read_statements(connection, [row.uid_index for row in rows])
    undoing: list[bytes] = []
    kept: list[bytes] = []
    for _, group in groupby(rows, key=lambda row: row.group):
        open_ = [row.uid_index for row in group if known[row.uid_index][-1].batch != TAKEN_BACK + batch]
        is_changed = any(was_said_since(known[index], batch) or index not in held for index in open_)
        (kept if is_changed else undoing).extend(open_)
    moved = 0
    if is_applied and undoing:
        stated = Stated(who, f"{batch} was undone", context.now_ms, TAKEN_BACK + batch)
        moved = await _take_back(context, connection, batch, [held[index] for index in undoing], known, stated)
    return _Step(len(undoing), await _kept(connection, kept, known, batch), moved)


async def _take_back(
    context: Context,
    connection: AsyncConnection,
    batch: str,
    undone: Sequence[Card],
    known: Mapping[bytes, list[Statement]],
    stated: Stated,
) -> int:
    changes: list[Change] = []
    gone: list[Card] = []
    said: dict[bytes, Sequence[Statement]] = {}
    grown: list[Grown] = []
    for card in undone:
        before = known[card.uid_index]
        back = taken_back(before, batch, stated.known_ms)
        after = [*before, *back]
        grown.append(Grown(before, after))
        bound = bound_at(after, stated.known_ms)
        if bound is None or bound.member == NOBODY:
            gone.append(card)
            said[card.uid_index] = back
            continue
        now = now_of(card)
        changes.append(Change(now, bound, tuple(back), _end(card, before, batch)))
    await apply(connection, changes, stated)
    await state(connection, said, (), stated)
    await _forget(context, connection, gone)
    every = (await connection.execute(select(domains.c.id))).scalars().all()
    members = {card.member for card in undone} | {change.now.member for change in changes}
    await refresh_members(connection, context.keys, sorted(members), context.now_ms, left=every)
    return await follow(connection, grown, stated.who, stated.batch, stated.known_ms)


def _end(card: Card, statements: Sequence[Statement], batch: str) -> int | None:
    """The card's own end as it was before the batch set it, unless it was set anew since."""
    for statement in statements:
        if statement.batch == batch and statement.ended_ms >= 0 and card.until_ms == statement.from_ms:
            return statement.ended_ms
    return None


async def _forget(context: Context, connection: AsyncConnection, gone: Sequence[Card]) -> None:
    """Cards that are nobody's any more: off the lists, and free to be bound."""
    if not gone:
        return
    ids = [card.id for card in gone]
    rows = await connection.execute(select(cards.c.id, cards.c.uid_sealed).where(cards.c.id.in_(ids)))
    uids = [context.keys.open_uid(sealed, card) for card, sealed in rows]
    await connection.execute(delete(cards).where(cards.c.id.in_(ids)))
    await drop_cards(connection, context.keys, uids, context.now_ms)


async def _kept(
    connection: AsyncConnection, kept: Sequence[bytes], known: Mapping[bytes, list[Statement]], batch: str
) -> list[Kept]:
    if not kept:
        return []
    c = card_bindings.c
    query = select(c.uid_index, c.place, c.why, c.who, c.batch).where(c.uid_index.in_(kept))
    last: dict[bytes, tuple[str, str]] = {}
    for index, _place, why, who, of_batch in await connection.execute(query.order_by(c.uid_index, c.place)):
        last[index] = (f"stays with the others: {why}" if of_batch == batch else why), who
    bound = {index: known[index][-1].bound for index in kept}
    names = await references_of(connection, [one.member for one in bound.values() if one.member])
    return [Kept(names.get(bound[index].member, ""), bound[index].number, *last[index]) for index in kept]
