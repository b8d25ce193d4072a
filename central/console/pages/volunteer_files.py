"""A team's months for the welfare ministry's system: what goes into the file, what does not, and the file itself."""

import re
from typing import Any

from aiohttp import web

from central.actions.cards.member_index import LIBRARY_BARCODE, VOLUNTEER_NUMBER
from central.console.guard import harden
from central.console.page import _N, Asking, Page, form, page
from central.console.titles import title_of

WORKBOOK = "application/vnd.ms-excel"
SHOWN = 500
REASONS = {
    "in-review": ("warn", _N("To be settled")),
    "not-approved": ("warn", _N("The month is not approved")),
    "not-counting": ("off", _N("Counts as no service")),
    "zero-minutes": ("off", _N("It has no whole minute")),
    "takes-back": ("warn", _N("Takes back hours that were exported: correct them by hand")),
    "not-known": ("bad", _N("No member is behind it")),
    "no-number": ("bad", _N("The member has no such number")),
    "no-identity": ("bad", _N("No valid identity number stands in the list")),
    "no-name": ("bad", _N("No name is held")),
    "not-encodable": ("bad", _N("A character that the ministry's system does not take")),
    "no-code": ("bad", _N("Service item, content or area has no code")),
}
IDENTITIES = ((VOLUNTEER_NUMBER, _N("Volunteer number")), (LIBRARY_BARCODE, _N("Library barcode")))


async def _exported(ask: Asking) -> Any:
    """By the form, where one was sent; the attached list is read and forgotten with the request."""
    wanted = {name: ask.form.get(name, "").strip() for name in ("until", "identity")}
    attached = ask.file.path if ask.file is not None else None
    given = {name: value for name, value in wanted.items() if value}
    return await ask.with_file(attached, "volunteer.export", team=ask.path["team"], month=ask.path["month"], **given)


@page("/volunteers/teams/{team}/{month}/vols", needs="volunteer.export")
async def vols(ask: Asking) -> Page:
    """What would be in the file, and what would not."""
    made = await _exported(ask)
    of_team = await ask("volunteer.team.show", id=ask.path["team"])
    return Page(
        "volunteer_vols.html",
        made=made,
        month=ask.path["month"],
        shown=made.left_out[:SHOWN],
        title_of_team=title_of({"id": made.team, **of_team.body}, ask.lang),
        reasons=REASONS,
        identities=IDENTITIES,
        with_list=ask.file is not None,
    )


@form("/volunteers/teams/{team}/{month}/vols/preview", needs="volunteer.export", again=vols)
async def vols_preview(ask: Asking) -> Page:
    """The same with a list of identity numbers, which is too personal for an address."""
    return await vols(ask)


@form("/volunteers/teams/{team}/{month}/vols/export", needs="volunteer.export", again=vols)
async def vols_file(ask: Asking) -> web.Response:
    """The file."""
    made = await _exported(ask)
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", made.name)
    response = web.Response(body=made.file, content_type=WORKBOOK)
    response.headers["Content-Disposition"] = f'attachment; filename="{safe}"'
    response.headers["Cache-Control"] = "no-store"
    harden(ask.request, response)
    return response
