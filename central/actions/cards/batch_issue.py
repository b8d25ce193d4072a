"""Rows of a bulk issue: a new card, its member, and what it replaces."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.class_store import Stated
from central.actions.cards.issuing import Issue, issue
from central.actions.cards.named import (
    Card,
    cards_by_index,
    cards_of_members,
    known_card,
    members_by_reference,
    readings_of,
    subjects_within,
)
from central.actions.cards.statements import last_numbers, read_statements
from central.actions.places.publishing import publish_members
from central.actions.table_file import Cells
from central.actions.table_rows import REFUSED, RowSaid, TableRun
from central.people.bindings import Statement
from protocol.allowlist import CardState
from protocol.uid import CardUID

ALL = "all"
"""In the column `replaces`: every card of the member that is still in use."""


class _Wish(NamedTuple):
    row: int
    uid: tuple[CardUID, ...]
    member: str
    replaces: str
    old: tuple[CardUID, ...]


class _Held(NamedTuple):
    """What the rows of a block are judged by."""

    members: dict[str, bytes]
    within: dict[bytes, bytes]
    cards: dict[bytes, Card]
    statements: dict[bytes, list[Statement]]
    of_member: dict[bytes, list[Card]]


class IssueBlock:
    """Follows blocks of rows; remembers what earlier ones did, so that a dry run says what a real one would."""

    VERDICTS = ("issued", "unchanged")

    def __init__(self, run: TableRun, batch: str, domain: str, notation: str, after_days: int, why: str) -> None:
        self._run, self._batch, self._domain, self._notation = run, batch, domain, notation
        self._after_days, self._why = after_days, why
        self._issued: dict[bytes, int] = {}
        """Keyed index of the UID → row."""
        self._replaced: dict[bytes, int] = {}

    async def follow(self, block: Sequence[Cells]) -> None:
        """One transaction."""
        run, said, wishes = self._run, list[RowSaid](), list[_Wish]()
        for number, cells, _ in block:
            try:
                wishes.append(self._wish(number, cells))
            except ValueError as error:
                said.append(RowSaid(number, REFUSED, str(error)))
        async with run.transaction() as connection:
            held = await self._held(connection, wishes)
            numbers = await last_numbers(connection, held.within)
            issues: list[Issue] = []
            for wish in wishes:
                try:
                    one = self._judged(wish, held, numbers)
                except ValueError as error:
                    said.append(RowSaid(wish.row, REFUSED, str(error)))
                    continue
                said.append(RowSaid(wish.row, "issued" if one else "unchanged"))
                if one:
                    issues.append(one)
            if issues and run.params.apply:
                context = run.context
                stated = Stated(run.params.who, self._why or self._batch, context.now_ms, self._batch)
                await issue(connection, context.keys, issues, self._after_days, stated)
                await publish_members(context, connection, sorted({one.member for one in issues}))
        await run.say(sorted(said, key=lambda one: one.row))

    def _wish(self, number: int, cells: Sequence[str]) -> _Wish:
        uid, member, replaces = cells
        if not member:
            raise ValueError("member: empty")
        old: list[CardUID] = []
        if replaces and replaces.lower() != ALL:
            try:
                old = readings_of(replaces, self._notation)
            except ValueError as error:
                raise ValueError(f"replaces: {error}") from None
        return _Wish(number, tuple(readings_of(uid, self._notation)), member, replaces.lower(), tuple(old))

    async def _held(self, connection: AsyncConnection, wishes: Sequence[_Wish]) -> _Held:
        index = self._run.context.keys.uid_index
        named = await members_by_reference(connection, [wish.member for wish in wishes])
        within = await subjects_within(connection, self._domain, named.values())
        asked = [index(uid) for wish in wishes for uid in (*wish.uid, *wish.old)]
        lock = self._run.params.apply
        of_member = await cards_of_members(connection, within, lock=lock)
        found = await cards_by_index(connection, asked, lock=lock)
        return _Held(named, within, found, await read_statements(connection, found), of_member)

    def _judged(self, wish: _Wish, held: _Held, numbers: dict[bytes, int]) -> Issue | None:
        """None: this batch did it before. Raises ValueError that says why it cannot be done."""
        member = held.members.get(wish.member, b"")
        if member not in held.within:
            raise ValueError(f"member: not in {self._domain}; import a card of the member first")
        uid, index = self._new(wish, held)
        if index in self._issued:
            raise ValueError(f"uid: the same card as in row {self._issued[index]}")
        self._issued[index] = wish.row
        known = held.cards.get(index)
        if known is not None:
            if known.member == member and self._is_ours(held, index):
                return None
            raise ValueError("uid: this card is bound to somebody already; see `card find`")
        replaces = self._old(wish, member, held)
        self._replaced.update((card.id, wish.row) for card in replaces)
        numbers[member] = numbers.get(member, 0) + 1
        return Issue(uid, member, numbers[member], tuple(replaces))

    def _is_ours(self, held: _Held, index: bytes) -> bool:
        return any(statement.batch == self._batch for statement in held.statements.get(index, ()))

    def _new(self, wish: _Wish, held: _Held) -> tuple[CardUID, bytes]:
        index = self._run.context.keys.uid_index
        known = [uid for uid in wish.uid if index(uid) in held.cards]
        meant = known or list(wish.uid)
        if len(meant) > 1:
            raise ValueError(f"uid: reads as {len(meant)} cards; state --notation")
        return meant[0], index(meant[0])

    def _old(self, wish: _Wish, member: bytes, held: _Held) -> list[Card]:
        if not wish.replaces:
            return []
        if wish.replaces == ALL:
            mine = held.of_member.get(member, [])
            return [
                card
                for card in mine
                if card.state is not CardState.REPLACED
                and card.uid_index not in self._issued
                and card.id not in self._replaced
            ]
        try:
            card = known_card(self._run.context.keys, wish.old, held.cards)
        except ValueError as error:
            raise ValueError(f"replaces: {error}") from None
        if card.member != member:
            raise ValueError("replaces: that card is another member's")
        if card.state is CardState.REPLACED or card.id in self._replaced:
            raise ValueError("replaces: that card was replaced already")
        return [card]
