"""Lists that leave as the tables by which they come in again: stated first, then handed out row by row."""

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.import_store import zone_of
from central.actions.tables.statement import DeclareParams, statement
from central.neighbours.tables.lists import LISTS, ROWS_AT_ONCE, Wanted

MOST_REASONS = 100
UTC = ZoneInfo("UTC")


class ListParams(Params, frozen=True):
    """By which statement."""

    id: str


class ListExported(Result, frozen=True):
    """How many rows were handed out below the header, and what of the list could not be said in such a row: its first
    ones, `left_out` in all. `imported_by`: the action that takes the table back."""

    what: str
    rows: int
    left_out: int
    reasons: list[tuple[str, str]]
    imported_by: str


@action("export.list", ListParams, writes=False)
async def export_list(context: Context, params: ListParams) -> ListExported:
    """Hand out the header and then each row, as lists of texts, in constant memory."""
    told = await statement(context, params.id)
    if told.what not in LISTS:
        raise ActionFailed(f"{told.what} is no list: it is history, for `export.history`")
    which = LISTS[told.what]
    await context.emit([list(which.columns)])
    rows, left_out, reasons = 0, 0, list[tuple[str, str]]()
    block: list[list[str]] = []
    async with context.database.read() as connection:
        async for line in which.read(connection, context.keys, await _wanted(connection, told)):
            if line.why:
                left_out += 1
                reasons += [(line.whose, line.why)][: MOST_REASONS - len(reasons)]
                continue
            block.append(line.cells)
            rows += 1
            if len(block) == ROWS_AT_ONCE:
                await context.emit(block)
                await context.progress(told.what, rows, 0)
                block = []
    await context.emit(block)
    return ListExported(what=told.what, rows=rows, left_out=left_out, reasons=reasons, imported_by=which.imported_by)


async def _wanted(connection: AsyncConnection, told: DeclareParams) -> Wanted:
    zone = await zone_of(connection, told.domain, "") if told.domain else UTC
    return Wanted(told.domain, zone, told.activity, told.class_name)
