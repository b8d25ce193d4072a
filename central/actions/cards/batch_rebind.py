"""Rows of a bulk that binds cards again: a card, and the member whose it is in truth, since when."""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.class_store import Stated
from central.actions.cards.named import (
    Card,
    cards_by_index,
    known_card,
    members_by_reference,
    readings_of,
    subjects_within,
)
from central.actions.cards.statements import Change, apply, last_numbers, now_of, statements_of
from central.actions.dates import start_ms
from central.actions.table_file import Cells
from central.actions.table_rows import REFUSED, RowSaid, TableRun
from central.lists import refresh_members
from central.people.bindings import Bound, owned_since, rebound
from central.services.reattribution import Grown, follow
from central.store.schema import domains
from protocol.uid import CardUID


class _Wish(NamedTuple):
    row: int
    uid: tuple[CardUID, ...]
    member: str
    since_ms: int


class _Again(NamedTuple):
    card: Card
    member: bytes
    number: int
    since_ms: int


class RebindBlock:
    """Follows blocks of rows."""

    VERDICTS = ("rebound", "unchanged")

    def __init__(self, run: TableRun, batch: str, domain: str, notation: str, zone: ZoneInfo, why: str) -> None:
        self._run, self._batch, self._domain, self._notation = run, batch, domain, notation
        self._zone, self._why = zone, why
        self._seen: dict[bytes, int] = {}
        self.marks_moved = 0

    async def follow(self, block: Sequence[Cells]) -> None:
        """One transaction, with the lists and all that is settled anew."""
        run, said, wishes = self._run, list[RowSaid](), list[_Wish]()
        for number, cells, _ in block:
            try:
                wishes.append(self._wish(number, cells))
            except ValueError as error:
                said.append(RowSaid(number, REFUSED, str(error)))
        async with run.transaction() as connection:
            members = await members_by_reference(connection, [wish.member for wish in wishes])
            within = await subjects_within(connection, self._domain, members.values())
            numbers = await last_numbers(connection, within)
            index = run.context.keys.uid_index
            asked = [index(uid) for wish in wishes for uid in wish.uid]
            held = await cards_by_index(connection, asked, lock=run.params.apply)
            again: list[_Again] = []
            for wish in wishes:
                try:
                    card = self._card(wish, held)
                    member = members.get(wish.member, b"")
                    if member not in within:
                        raise ValueError(f"member: not in {self._domain}; import a card of the member first")
                except ValueError as error:
                    said.append(RowSaid(wish.row, REFUSED, str(error)))
                    continue
                if card.member == member:
                    said.append(RowSaid(wish.row, "unchanged"))
                    continue
                numbers[member] = numbers.get(member, 0) + 1
                again.append(_Again(card, member, numbers[member], wish.since_ms))
                said.append(RowSaid(wish.row, "rebound"))
            if again and run.params.apply:
                await self._write(connection, again)
        await run.say(sorted(said, key=lambda one: one.row))

    def _wish(self, number: int, cells: Sequence[str]) -> _Wish:
        uid, member, since = cells
        if not member:
            raise ValueError("member: empty")
        try:
            since_ms = start_ms(since, self._zone)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"from: {error}") from None
        if since_ms > self._run.context.now_ms:
            raise ValueError("from: a day that is to come")
        return _Wish(number, tuple(readings_of(uid, self._notation)), member, since_ms)

    def _card(self, wish: _Wish, held: dict[bytes, Card]) -> Card:
        card = known_card(self._run.context.keys, wish.uid, held)
        if card.uid_index in self._seen:
            raise ValueError(f"uid: the same card as in row {self._seen[card.uid_index]}")
        self._seen[card.uid_index] = wish.row
        return card

    async def _write(self, connection: AsyncConnection, again: Sequence[_Again]) -> None:
        context, now_ms = self._run.context, self._run.context.now_ms
        stated = Stated(self._run.params.who, self._why or self._batch, now_ms, self._batch)
        cards = [now_of(one.card) for one in again]
        known = await statements_of(connection, cards)
        changes, grown = [], []
        for card, one in zip(cards, again, strict=True):
            before = known[card.uid_index]
            since_ms = one.since_ms or owned_since(before)
            said = rebound(before, one.member, one.number, since_ms, now_ms, self._batch)
            bound = Bound(one.member, one.number, card.bound.state)
            changes.append(Change(card, bound, tuple(said)))
            grown.append(Grown(before, [*before, *said]))
        await apply(connection, changes, stated)
        every = (await connection.execute(select(domains.c.id))).scalars().all()
        concerned = {one.card.member for one in again} | {one.member for one in again}
        await refresh_members(connection, context.keys, sorted(concerned), now_ms, left=every)
        self.marks_moved += await follow(connection, grown, stated.who, self._batch, now_ms)
