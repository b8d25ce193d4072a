"""Lists to take away as the tables that imports read: stated, written whole on this server, and then sent."""

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from typing import Any, BinaryIO

from aiohttp import web

from central.access import perform
from central.actions.action import ActionFailed, Context
from central.console.failure_words import in_words
from central.console.guard import harden
from central.console.page import _N, Asking, Page, form, page
from central.console.pages.members import domains_of
from central.console.words import say
from central.neighbours.tables.csv_text import CsvWriter, Unencodable

SEND_BYTES = 1 << 18
KINDS = {
    "classes": _N("Classes of members"),
    "flags": _N("Notices for members"),
    "offers": _N("Offers"),
    "registrations": _N("Registrations for an activity"),
    "volunteers": _N("Volunteers of a class"),
}
ENCODINGS = (
    ("utf-8-sig", _N("UTF-8 for spreadsheets")),
    ("utf-8", _N("UTF-8 without a mark")),
    ("cp950", _N("CP950 (Big5)")),
)


@page("/exports", needs="export.list", nav=(_N("Exports"), 53))
async def exports_page(ask: Asking) -> Page:
    """A form."""
    return Page("exports.html", kinds=KINDS, encodings=ENCODINGS, domains=await domains_of(ask))


@form("/exports", needs="export.declare", again=exports_page)
async def exported(ask: Asking) -> web.StreamResponse:
    """The table; nothing of it is sent where a character or a row cannot be in it."""
    what, id_ = ask.form.get("what", ""), secrets.token_hex(16)
    encoding, mark = ask.form.get("encoding", ENCODINGS[0][0]), ask.form.get("mark", "").strip()
    if what not in KINDS or encoding not in dict(ENCODINGS):
        raise ActionFailed("what: choose what the table holds, and its encoding")
    names = ("domain", "activity", "class_name", "purpose")
    await ask("export.declare", id=id_, what=what, **{name: ask.form.get(name, "").strip() for name in names})
    with tempfile.TemporaryFile(dir=ask.config.data_dir) as file:  # without a name: nothing stays of it
        done = await _written(ask, id_, _Table(file, encoding, mark))
        if done.left_out and not ask.form.get("partial"):
            whose, why = done.reasons[0]
            text = say(ask.lang, "%(count)s cannot be in such a table, the first is %(member)s (%(why)s).")
            values = {"count": done.left_out, "member": whose, "why": in_words(ask.lang, why)}
            raise ActionFailed(text % values)
        return await _sent(ask.request, f"{what}.csv", file)


class _Table:
    """Takes the header, then rows."""

    def __init__(self, file: BinaryIO, encoding: Any, mark: str) -> None:
        self._file, self._encoding, self._mark = file, encoding, mark
        self._writer: CsvWriter | None = None

    async def take(self, rows: Sequence[Sequence[str]]) -> None:
        """For an action's `emit`."""
        await asyncio.to_thread(self._take, rows)

    def _take(self, rows: Sequence[Sequence[str]]) -> None:
        if self._writer is None:
            header, *rows = rows
            self._writer = CsvWriter(header, self._encoding, self._mark)
            self._file.write(self._writer.head())
        self._file.write(self._writer.lines(rows))


async def _written(ask: Asking, id_: str, table: _Table) -> Any:
    services = ask.services
    context = Context(*(ask.config, services.database, services.keys, ask.now_ms), emit=table.take, caller=ask.caller)
    try:
        return await perform.perform(context, "export.list", {"id": id_})
    except Unencodable as lacking:
        raise ActionFailed(f"{lacking}: choose another encoding, or a mark to stand for it") from None
    except ValueError as error:
        raise ActionFailed(f"mark: {error}") from None


async def _sent(request: web.Request, name: str, file: BinaryIO) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.content_type = "text/csv"
    response.headers["Cache-Control"] = "no-store"
    harden(request, response)
    await response.prepare(request)
    file.seek(0)
    while data := await asyncio.to_thread(file.read, SEND_BYTES):
        await response.write(data)
    await response.write_eof()
    return response
