"""History as Parquet, written beside a running server: what was stated, and nothing else."""

import asyncio
import contextlib
import secrets
from collections.abc import Collection, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.tables.statement import DeclareParams, statement
from central.neighbours.tables.history import FINDERS
from central.neighbours.tables.parts import Part, Place, Span, read_places, without_people
from central.neighbours.tables.rows import ROWS, Pseudonyms
from central.store.schema import attendance_sessions, events, ledger, point_books, visits

FILE = "part-0.parquet"
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""How a path says that there is no venue, for every engine that reads such folders."""
ROWS_AT_ONCE = 10_000


class HistoryParams(Params, frozen=True):
    """By which statement, and into which directory of this machine."""

    id: str
    to: str


class HistoryExported(Result, frozen=True):
    """`removed`: files of the span that are empty now."""

    what: str
    to: str
    files: int
    rows: int
    bytes: int
    removed: int


@action("export.history", HistoryParams, writes=False)
async def export_history(context: Context, params: HistoryParams) -> HistoryExported:
    """Write what was stated, a month and a venue a file, each put in place whole. Doing it again gives the same."""
    try:
        from central.neighbours.tables.parquet import PartitionWriter
    except ImportError:
        raise ActionFailed("Parquet needs pyarrow: pip install --require-hashes -r requirements-parquet.lock") from None
    told = await statement(context, params.id)
    if told.what not in FINDERS:
        raise ActionFailed(f"{told.what} is a list: it is for `export.list`")
    table, find = FINDERS[told.what]
    directory = Path(params.to) / table.name
    directory.mkdir(parents=True, exist_ok=True)
    span, people = Span(told.since, told.until), Pseudonyms(secrets.token_bytes(32))
    written, done, size = set[Path](), 0, 0
    async with context.database.read() as connection:
        places = await read_places(connection, told.venues)
        total = await _total(connection, told, span, places)
        parts = [part async for part in find(connection, places, span)]
    for part in parts:
        path = directory / f"month={part.month}" / f"venue={part.venue or HIVE_NULL}" / FILE
        writer = await asyncio.to_thread(PartitionWriter, path, table)
        try:
            done = await _fill(context, told, part, writer, people, (done, total))
            size += await asyncio.to_thread(writer.finish)
        except BaseException:
            with contextlib.suppress(OSError):
                writer.abandon()
            raise
        written.add(path)
    removed = _remove_others(directory, written, span, {place.id for place in places})
    to = str(directory)
    return HistoryExported(what=told.what, to=to, files=len(written), rows=done, bytes=size, removed=removed)


async def _fill(
    context: Context, told: DeclareParams, part: Part, writer: Any, people: Pseudonyms, so_far: tuple[int, int]
) -> int:
    """Every row of one file, from one view of the database. Returns how many there are by now in all files."""
    row_of, (done, total) = ROWS[told.what], so_far
    async with context.database.read() as connection:
        for query in part.queries():
            wanted: Select[Any] = query if told.people else without_people(query)
            result = await connection.stream(wanted.execution_options(yield_per=ROWS_AT_ONCE))
            async with aclosing(result.partitions(ROWS_AT_ONCE)) as blocks:
                async for block in blocks:
                    await asyncio.to_thread(writer.add, [row_of(row, people) for row in block])
                    done += len(block)
                    await context.progress(f"{told.what} {part.month}", done, total)
    return done


async def _total(connection: AsyncConnection, told: DeclareParams, span: Span, places: Sequence[Place]) -> int:
    """Rows to come, for a progress bar: but for other time zones, as many as there are. 0 = not known."""
    if told.venues or not places:
        return 0
    start, end, total = span.start_ms(places[0].zone), span.end_ms(places[0].zone), 0
    for column in _TIMES[told.what]:
        query = select(func.count()).where(column >= start, column < end)
        total += (await connection.execute(query)).scalar_one()
    return total


_TIMES: dict[str, tuple[Column[Any], ...]] = {
    "events": (events.c.at_ms,),
    "visits": (visits.c.in_ms,),
    "sessions": (attendance_sessions.c.at_ms,),
    "ledger": (ledger.c.booked_ms, point_books.c.booked_ms),
}


def _remove_others(directory: Path, written: Collection[Path], span: Span, places: Collection[str]) -> int:
    """Files of the same span and venues that have no rows any more, and what a crash left beside them."""
    removed = 0
    for path in directory.glob(f"month=*/venue=*/{FILE}*"):
        month, venue = path.parent.parent.name[len("month=") :], path.parent.name[len("venue=") :]
        mine = span.has(month) and ("" if venue == HIVE_NULL else venue) in places
        if mine and path not in written:
            path.unlink()
            removed += path.name == FILE
    return removed
