"""Import of a table of cards: read the file, plan every row, and on request write it, a block at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards import absent as card_absent
from central.actions.cards.import_file import CardFile
from central.actions.cards.import_plan import PROBLEMS, Planned, Reader, Repeats, Row, RowVerdict, Verdict, plan
from central.actions.cards.import_repeats import RepeatFinder
from central.actions.cards.import_store import Writer, held_cards, held_members, zone_of
from central.actions.cards.member_index import owners_of
from central.actions.cards.uid_column import UidColumn
from central.actions.places import publishing
from central.custody import retrying
from central.people.search_keys import number_form
from protocol.uid import CardUID, Notation

BLOCK_ROWS = 10_000
"""Rows in one transaction: long enough to be quick, short enough that taps are taken into custody between two."""
ROWS_AT_ONCE = 500
"""Rows between two turns of the event loop."""
SAMPLE_ROWS = 2_000
"""Rows looked up in the database as evidence of the notation."""
FEW_MEMBERS = 20_000
"""Up to so many changed members are published row by row; beyond it lists are compiled from scratch."""
SHOWN_PROBLEMS = 50


class CardImportParams(Params, frozen=True):
    """`file` is attached. Without `apply` nothing is written. Shares are fractions."""

    domain: str
    notation: Literal["detect", "hex", "hex-reversed", "decimal", "decimal-reversed"] = "detect"
    encoding: str = ""
    delimiter: str = ""
    time_zone: str = ""
    classes: Literal["replace", "add"] = "replace"
    apply: bool = False
    full: bool = False
    absent: Literal["keep", "block", "remove"] = "keep"
    max_removed: float = 0.02
    force: bool = False
    report: bool = False
    """Hand out the verdict of every row, not only of the first problems."""


class CardImportResult(Result, frozen=True):
    """How many rows got which verdict, and how the file was read."""

    rows: int
    verdicts: dict[str, int]
    absent: int
    applied: bool
    notation: str
    encoding: str
    delimiter: str
    notes: dict[str, int]


class _Import:
    """One run: what it was told, what it found out so far."""

    def __init__(self, context: Context, params: CardImportParams, file: CardFile, zone: ZoneInfo) -> None:
        self.context, self.params, self.file, self.zone = context, params, file, zone
        self.notation: Notation | None = None
        self.why_not = ""
        self.counts: Counter[Verdict] = Counter()
        self.notes: Counter[str] = Counter()
        self.finder = RepeatFinder()
        self.unread = 0
        self.changed: list[bytes] | None = []
        self._shown = 0

    def reader(self) -> Reader:
        return Reader(self.file, self.notation, self.why_not, self.zone)

    async def settle_notation(self) -> None:
        """The stated notation, or the one that the whole column is evidence for."""
        if self.params.notation != "detect":
            self.notation = Notation(self.params.notation)
            return
        column, sample = UidColumn(), list[tuple[str, dict[Notation, CardUID]]]()
        for row in self.file.rows():
            readings = column.add(row.number, row.uid)
            if len(sample) < SAMPLE_ROWS and readings:
                sample.append((row.member, readings))
            await self._tick("reading UIDs", row.number)
        self.notation, self.why_not = column.decide(await self._known(sample))

    async def _known(self, sample: list[tuple[str, dict[Notation, CardUID]]]) -> Counter[Notation]:
        index = self.context.keys.uid_index
        wanted = {index(uid) for _, readings in sample for uid in readings.values()}
        async with self.context.database.read() as connection:
            held = await held_cards(connection, list(wanted))
        known: Counter[Notation] = Counter()
        for member, readings in sample:
            for notation, uid in readings.items():
                card = held.get(index(uid))
                known[notation] += card is not None and card.reference == member
        return known

    async def find_repeats(self) -> Repeats:
        """Before anything is planned: which rows speak of the same card or member as others."""
        reader = self.reader()
        for raw in self.file.rows():
            row = reader.read(raw)
            if isinstance(row, Row):
                self.finder.note(row)
            elif isinstance(uid := reader.read_uid(raw), CardUID):
                self.finder.note_card(uid.raw)
            else:
                self.unread += 1
            await self._tick("comparing rows", raw.number)
        if self.finder.seal():
            for raw in self.file.rows():
                row = reader.read(raw)
                if isinstance(row, Row):
                    self.finder.compare(row)
                await self._tick("comparing repeated rows", raw.number)
        return self.finder.found()

    async def run(self, repeats: Repeats) -> None:
        """Plan every row; write a block at a time where that was asked for."""
        reader, block, verdicts = self.reader(), list[Row](), list[RowVerdict]()
        for raw in self.file.rows():
            await self._tick("", raw.number)
            row = reader.read(raw)
            verdict = row if isinstance(row, RowVerdict) else _among_rows(row, repeats)
            if verdict is not None:
                verdicts.append(verdict)
            else:
                assert isinstance(row, Row)
                block.append(row)
            if len(block) >= BLOCK_ROWS or len(verdicts) >= BLOCK_ROWS:
                await self._block(block, verdicts)
                block, verdicts = [], []
        await self._block(block, verdicts)

    async def _block(self, block: list[Row], verdicts: list[RowVerdict]) -> None:
        async for attempt in retrying():  # on a shared database another process may bind the same card meanwhile
            with attempt:
                planned = await self._planned(block)
        await self._say([*verdicts, *(item.verdict for item in planned)])
        done = self.file.offset or self.file.size
        await self.context.progress("importing" if self.params.apply else "planning", done, self.file.size)

    async def _planned(self, block: list[Row]) -> list[Planned]:
        context, params = self.context, self.params
        async with self._transaction() as connection:
            indexes = {row.number: context.keys.uid_index(row.uid) for row in block}
            known = await held_cards(connection, list(indexes.values()))
            references = list({row.member for row in block})
            people = await held_members(connection, context.keys, params.domain, references)
            stated = {(kind, number_form(number)) for row in block for kind, number in row.numbers}
            owners = await owners_of(connection, context.keys, stated)
            add = params.classes == "add"
            planned = [plan(row, known.get(indexes[row.number]), people.get(row.member), add, owners) for row in block]
            if params.apply and any(item.changes for item in planned):
                await publishing.owe(connection)
                writer = Writer(context.keys, params.domain, context.now_ms, add)
                self._note_changed(await writer.write(connection, planned, known, people))
        return planned

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        database = self.context.database
        async with database.write() if self.params.apply else database.read() as connection:
            yield connection

    def _note_changed(self, members: list[bytes]) -> None:
        if self.changed is not None:
            self.changed = None if len(self.changed) + len(members) > FEW_MEMBERS else self.changed + members

    async def _say(self, verdicts: list[RowVerdict]) -> None:
        verdicts.sort(key=lambda verdict: verdict.row)
        self.counts.update(verdict.verdict for verdict in verdicts)
        self.notes.update(verdict.note for verdict in verdicts if verdict.note)
        if not self.params.report:
            verdicts = [v for v in verdicts if v.verdict in PROBLEMS][: SHOWN_PROBLEMS - self._shown]
            self._shown += len(verdicts)
        if verdicts:
            await self.context.emit(verdicts)

    async def _tick(self, what: str, row: int) -> None:
        if row % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)  # a server goes on answering devices meanwhile
        if row % BLOCK_ROWS == 0 and what:
            await self.context.progress(what, self.file.offset, self.file.size)

    async def publish(self, owed_before: bool) -> None:
        """The lists, once, after the last block."""
        await self.context.progress("publishing", 0, 0)
        async with self.context.database.write() as connection:
            if self.changed is None or owed_before:
                await publishing.publish_all(self.context, connection)
            elif self.changed:
                await publishing.publish_members(self.context, connection, self.changed)
                await publishing.settle(connection)

    def result(self, absent: int) -> CardImportResult:
        file = self.file
        return CardImportResult(
            rows=self.counts.total(),
            verdicts={verdict.value: self.counts[verdict] for verdict in Verdict},
            absent=absent,
            applied=self.params.apply,
            notation=self.notation or "",
            encoding=file.encoding_name,
            delimiter=file.delimiter,
            notes=dict(self.notes),
        )


def _among_rows(row: Row, repeats: Repeats) -> RowVerdict | None:
    first = repeats.copies.get(row.number)
    why = repeats.collisions.get(row.number) or (repeats.collisions.get(first) if first else None)
    if why:
        return RowVerdict(row.number, Verdict.COLLISION, why)
    return RowVerdict(row.number, Verdict.UNCHANGED, "", "the same as an earlier row") if first else None


@action("card.import", CardImportParams, writes=True)
async def card_import(context: Context, params: CardImportParams) -> CardImportResult:
    """Plan, and with `apply` write, what a table of cards says. Safe to repeat after it was cut short."""
    if params.absent != "keep" and not params.full:
        raise ActionFailed("--absent speaks of rows that a full list lacks: state --full as well")
    async with context.database.read() as connection:
        zone = await zone_of(connection, params.domain, params.time_zone)
        owed = await publishing.is_owed(connection)
    run = _Import(context, params, CardFile(context.attached(), params.encoding, params.delimiter), zone)
    await run.settle_notation()
    repeats = await run.find_repeats()
    absent = await card_absent.count_absent(context, params.domain, run.finder) if params.full else 0
    if absent and params.absent != "keep" and not params.force:
        await card_absent.require_believable(context, params.domain, absent, run.unread, params.max_removed)
    await run.run(repeats)
    if params.apply:
        if params.full and params.absent != "keep":
            run.changed = None if absent else run.changed
            await card_absent.apply_absent(context, params.domain, run.finder, params.absent)
        await run.publish(owed)
    return run.result(absent)
