"""Tables as CSV downloads: streamed, opened by spreadsheets as what they are, and never run by them."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence

from aiohttp import web

from central.console.guard import harden
from central.neighbours.tables.csv_text import CsvWriter, Row

AT_ONCE = 500


async def csv_response(
    request: web.Request, name: str, columns: Sequence[str], rows: Iterable[Row] | AsyncIterable[Row]
) -> web.StreamResponse:
    """A file to save, written row by row. UTF-8 with a mark, without which spreadsheets garble Chinese."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{safe}"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers["Cache-Control"] = "no-store"
    harden(request, response)
    await response.prepare(request)
    writer = CsvWriter(columns)
    await response.write(writer.head())
    some: list[Row] = []
    async for row in _each(rows):
        some.append(row)
        if len(some) >= AT_ONCE:
            await response.write(writer.lines(some))
            some.clear()
    if some:
        await response.write(writer.lines(some))
    await response.write_eof()
    return response


async def _each(rows: Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
