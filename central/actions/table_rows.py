"""What actions that follow a table row by row have in common: blocks of rows, a verdict on each, what was left out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result
from central.actions.table_file import Cells, TableFile

BLOCK_ROWS = 250
"""Rows in one transaction, with the lists that follow from them: taps are taken into custody between two."""
SHOWN_PROBLEMS = 50
REFUSED = "refused"
"""The verdict on a row that was not applied; every table has it."""


class TableParams(Params, frozen=True):
    """`file` is attached. Without `apply` nothing is written. `who` states it."""

    domain: str
    encoding: str = ""
    delimiter: str = ""
    apply: bool = False
    report: bool = False
    """Hand out the verdict of every row, not only of the first that are refused."""
    who: str = ""


class RowSaid(msgspec.Struct, frozen=True):
    """What becomes of a row, and why. It names no UID."""

    row: int
    verdict: str
    why: str = ""


class TableDone(Result, frozen=True):
    """How many rows got which verdict."""

    rows: int
    verdicts: dict[str, int]
    applied: bool
    encoding: str


class TableRun:
    """One table on its way: hands its rows out in blocks, and what was said of them on."""

    def __init__(self, context: Context, params: TableParams, file: TableFile, verdicts: Collection[str]) -> None:
        self.context, self.params, self.file = context, params, file
        self._counts: Counter[str] = Counter(dict.fromkeys((*verdicts, REFUSED), 0))
        self._shown = 0

    async def blocks(self) -> AsyncIterator[list[Cells]]:
        """Rows that are whole and of letters; those that are not are refused on the way."""
        block: list[Cells] = []
        for number, cells, problem in self.file.cells():
            wrong = problem or self._wrong(cells)
            if wrong:
                await self.say([RowSaid(number, REFUSED, wrong)])
            else:
                block.append((number, cells, ""))
            if len(block) == BLOCK_ROWS:
                yield block
                block = []
                await asyncio.sleep(0)  # a server goes on answering devices meanwhile
                what = "writing" if self.params.apply else "planning"
                await self.context.progress(what, self.file.offset, self.file.size)
        if block:
            yield block

    def _wrong(self, cells: list[str]) -> str:
        for column, text in zip(self.file.columns, cells, strict=True):
            problem = self.file.character_problem(text)
            if problem:
                return f"{column}: {problem}"
        return ""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One that may write where that was asked for."""
        database = self.context.database
        async with database.write() if self.params.apply else database.read() as connection:
            yield connection

    async def say(self, said: Sequence[RowSaid]) -> None:
        self._counts.update(one.verdict for one in said)
        if not self.params.report:
            said = [one for one in said if one.verdict == REFUSED][: SHOWN_PROBLEMS - self._shown]
            self._shown += len(said)
        if said:
            await self.context.emit(said)

    @property
    def verdicts(self) -> dict[str, int]:
        return dict(self._counts)

    def done(self) -> TableDone:
        return TableDone(
            rows=self._counts.total(),
            verdicts=self.verdicts,
            applied=self.params.apply,
            encoding=self.file.encoding_name,
        )
