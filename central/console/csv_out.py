"""Tables as CSV downloads: streamed, opened by spreadsheets as what they are, and never run by them."""

import csv
import io
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

from aiohttp import web

from central.console.guard import harden

_BEGINS = re.compile(r"^[\s\u200b\ufeff]*[=+\-@|%\t\r\uff1d\uff0b\uff0d\uff20]")
"""How a formula may begin, for one spreadsheet or another; also after spaces, and in full width."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
AT_ONCE = 500

Row = Sequence[Any]


def cell(value: Any) -> str:
    """A text that a spreadsheet shows and does not compute: what could begin a formula gets an apostrophe before it.
    Plain numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if isinstance(value, (int, float)) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if _BEGINS.match(text) or text[:1] in ("\t", "\r", "\n") else text


def lines(rows: Iterable[Row]) -> str:
    """RFC 4180, with CRLF."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


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
    await response.write(("\ufeff" + lines([columns])).encode())
    some: list[Row] = []
    async for row in _each(rows):
        some.append(row)
        if len(some) >= AT_ONCE:
            await response.write(lines(some).encode())
            some.clear()
    if some:
        await response.write(lines(some).encode())
    await response.write_eof()
    return response


async def _each(rows: Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
