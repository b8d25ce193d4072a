"""Tables that agencies send: read, planned row by row, and written once somebody has seen the plan."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from central.actions.action import ActionFailed
from central.console.card_words import NOTATIONS
from central.console.csv_out import csv_response
from central.console.job import Job, report_of
from central.console.jobs import JOBS, Jobs
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.pages.members import domains_of

WATCH_EVERY_S = 0.5
VERDICTS = {
    "added": ("good", _N("added")),
    "issued": ("good", _N("issued")),
    "rebound": ("good", _N("bound again")),
    "changed": ("good", _N("changed")),
    "updated": ("good", _N("changed")),
    "unchanged": ("off", _N("unchanged")),
    "removed": ("off", _N("removed")),
    "ambiguous": ("warn", _N("ambiguous")),
    "collision": ("bad", _N("collision")),
    "refused": ("bad", _N("refused")),
}
PROBLEMS = ("ambiguous", "collision", "refused")
STEPS = {
    "reading UIDs": _N("reading card numbers"),
    "comparing rows": _N("comparing rows"),
    "comparing repeated rows": _N("comparing repeated rows"),
    "planning": _N("planning"),
    "importing": _N("writing"),
    "writing": _N("writing"),
    "publishing": _N("publishing to gates"),
}


@dataclass(frozen=True)
class Kind:
    """A table that can be sent. `takes`: which fields of the form its action knows."""

    action: str
    title: str
    columns: str
    takes: frozenset[str]


def _kind(action: str, title: str, columns: str, *takes: str) -> Kind:
    return Kind(action, title, columns, frozenset(("domain", "encoding", "delimiter", *takes)))


KINDS = {
    "cards": _kind(
        "card.import",
        _N("Cards and their members"),
        "uid, member, class, valid_from, valid_until; name, state, library_barcode, volunteer_number",
        *("notation", "classes", "full", "absent", "force", "time_zone"),
    ),
    "classes": _kind(
        "member.classes", _N("Classes from a register"), "member, action, class; from, until, date", "time_zone", "why"
    ),
    "flags": _kind("card.flags", _N("Notices for members"), "uid / member, flags; until", "notation", "full"),
    "names": _kind("card.names", _N("Names for screens"), "member, name, agreed"),
    "issue": _kind(
        "card.batch.issue",
        _N("Cards issued in bulk"),
        "uid, member; replaces",
        *("name", "notation", "after_days", "why"),
    ),
    "rebind": _kind(
        "card.batch.rebind", _N("Cards bound again"), "uid, member; from", *("name", "notation", "time_zone", "why")
    ),
    "roster": _kind(
        "volunteer.roster",
        _N("Volunteers of the ministry's list"),
        "紀錄冊號 / 會員編號; 加入日期, 退出日期",
        *("team", "class_name", "why"),
    ),
    "consents": _kind(
        "consent.import", _N("Consents on signed forms"), "member, answer; date", "purpose", "notice", "why"
    ),
}
ACTIONS = frozenset(kind.action for kind in KINDS.values())
BY_ACTION = {kind.action: kind for kind in KINDS.values()}


def jobs_of(ask: Asking) -> Jobs:
    """Those of this server."""
    return ask.request.app[JOBS]


@page("/imports", needs="card.import", nav=(_N("Imports"), 52))
async def imports_page(ask: Asking) -> Answer:
    """What runs and what ran in the last hour; a form for another."""
    return Page(
        "imports.html",
        live=True,
        jobs=jobs_of(ask).of(ask.caller, ACTIONS),
        kinds=KINDS,
        by_action=BY_ACTION,
        domains=await domains_of(ask),
        notations=NOTATIONS,
        purposes=await _consented_purposes(ask),
        chosen=ask.form.get("kind") or ask.query.get("kind", ""),
        most_bytes=ask.config.max_upload_bytes,
    )


async def _consented_purposes(ask: Asking) -> list[tuple[str, str]]:
    """Those that people agree to, to choose from."""
    listed = (await ask("purpose.list")).purposes
    titles = [(each.id, each.title_en if ask.lang == "en" else each.title_zh) for each in listed if each.notice]
    return [("", "–"), *titles]


@form("/imports", needs="card.import", again=imports_page)
async def import_begun(ask: Asking) -> Answer:
    """A dry run: nothing is written before somebody has seen the plan."""
    kind = KINDS.get(ask.form.get("kind", ""))
    if kind is None:
        raise ActionFailed("kind: choose what the table holds")
    if not ask.may(kind.action):
        raise ActionFailed("your account may not do this")
    if ask.file is None or not ask.file.size:
        raise ActionFailed("file: choose a CSV file that is not empty")
    fields = {**ask.form, "name": ask.form.get("batch", "")}
    params = {name: text for name in kind.takes if (text := fields.get(name, "").strip())}
    if "name" in kind.takes and "name" not in params:
        raise ActionFailed("name of the batch: state one, by which it can be taken back")
    if "purpose" in kind.takes and "purpose" not in params:
        raise ActionFailed("purpose: choose what they agreed to")
    job = jobs_of(ask).start(ask.caller, kind.action, params | {"report": True}, ask.file, PROBLEMS)
    return See(f"/imports/{job.id}")


@page("/imports/{job}", needs="card.import")
async def import_page(ask: Asking) -> Answer:
    """How far it is; then what became of the rows."""
    job = jobs_of(ask).get(ask.caller, ask.path["job"])
    words: dict[str, Any] = {"verdicts": VERDICTS, "steps": STEPS, "kind": BY_ACTION[job.action]}
    return Page("import.html", live=True, every_s=WATCH_EVERY_S, job=job, problems_of=PROBLEMS, **words)


@form("/imports/{job}/apply", needs="card.import", again=import_page)
async def import_applied(ask: Asking) -> Answer:
    """The same file once more, written this time."""
    jobs = jobs_of(ask)
    planned = jobs.get(ask.caller, ask.path["job"])
    if not ask.may(planned.action):
        raise ActionFailed("your account may not do this")
    return See(f"/imports/{jobs.apply(ask.caller, planned).id}")


@page("/imports/{job}/report.csv", needs="card.import")
async def import_report(ask: Asking) -> web.StreamResponse:
    """Every row with its verdict. No card number stands in it."""
    job = jobs_of(ask).get(ask.caller, ask.path["job"])
    name = f"{BY_ACTION[job.action].action}-{job.id}.csv"
    return await csv_response(ask.request, name, job.columns or ("row", "verdict", "why"), _rows(job))


async def _rows(job: Job) -> AsyncIterator[list[Any]]:
    async for block in report_of(job):
        for row in block:
            yield [row.get(column, "") for column in job.columns]
