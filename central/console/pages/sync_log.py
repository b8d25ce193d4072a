"""The sync log: what devices sent as it came, one batch, and a device's timeline."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from central.actions.action import ActionFailed
from central.actions.custody.batches import LATE_MS
from central.actions.custody.searched_text import is_epoch, is_number
from central.console.charts import Text
from central.console.local_times import moment_ms
from central.console.page import _N, Answer, Asking, Page, go, page
from central.console.rendering import url
from central.console.sync_words import BATCH_OUTCOMES, EVIDENCE, FINDINGS, KINDS, OUTCOMES, STEPS
from central.console.timeline_chart import Row, Span, timeline
from central.console.titles import Venue, choices, venues_of
from central.console.words import say
from protocol.time_zones import CITY_ZONE

AT_ONCE = 50
FILTERS = ("text", "venue", "gate", "device", "outcome", "since", "until")
DAY_MS = 86_400_000
WINDOWS = {"1": _N("One day"), "7": _N("Seven days"), "30": _N("Thirty days"), "365": _N("A year")}
RUNS = {
    "live": _N("as it happened"),
    "queued": _N("later, out of the queue"),
    "untrusted": _N("untrusted"),
    "forked": _N("forked"),
    "missing": _N("missing"),
    "resent": _N("came again"),
    "evidence": _N("evidence"),
}


@page("/sync-log", needs="batch.list", nav=(_N("Sync log"), 20))
async def sync_log(ask: Asking) -> Answer:
    """The newest first; live as long as nobody has turned a page."""
    wanted = wanted_of(ask, FILTERS)
    if is_event(wanted["text"]):
        return go(url("/sync-log/event", event=wanted["text"]))
    after, found = ask.query.get("after", ""), None
    try:
        asked = {name: wanted[name] for name in FILTERS[:5]}
        found = await ask("batch.list", **asked, **span_of(ask, wanted), after=after, limit=AT_ONCE)
    except ActionFailed as failure:
        ask.problem = str(failure)
    venues = await venues_of(ask)
    outcomes = [(name, say(ask.lang, OUTCOMES[name][1])) for name in (*BATCH_OUTCOMES, *EVIDENCE)]
    return Page(
        "sync_log.html",
        live=found is not None and not after,
        status=200 if found is not None else 422,
        rows=found.batches if found else [],
        found=found,
        wanted=wanted,
        is_filtered=any(wanted.values()),
        more=url("/sync-log", **wanted, after=found.next) if found and found.next else "",
        first=url("/sync-log", **wanted) if after else "",
        outcomes=OUTCOMES,
        outcome_choices=[
            ("", say(ask.lang, _N("Everything"))),
            ("odd", say(ask.lang, _N("All that is odd"))),
            *outcomes,
        ],
        venue_choices=choices(say(ask.lang, _N("Every venue")), ((each.id, each.title) for each in venues.values())),
        venues=venues,
        late_ms=LATE_MS,
    )


@page("/sync-log/batch", needs="batch.show")
async def batch(ask: Asking) -> Page:
    """Its events as they were signed, and the check of its signature, chain and receipt."""
    shown = await ask("batch.show", **_batch_asked(ask))
    return Page(
        "sync_batch.html",
        shown=shown,
        row=shown.batch,
        outcomes=OUTCOMES,
        kinds=KINDS,
        steps=STEPS,
        findings=FINDINGS,
        venues=await venues_of(ask),
        late_ms=LATE_MS,
    )


@page("/sync-log/raw", needs="batch.show")
async def raw(ask: Asking) -> Answer:
    """The batch's envelope, byte for byte as its device signed it."""
    shown = await ask("batch.show", **_batch_asked(ask), raw=True)
    return download(bytes.fromhex(shown.raw), f"batch-{shown.batch.epoch}-{shown.batch.first}.bin")


@page("/sync-log/device", needs="device.timeline")
async def device(ask: Asking) -> Page:
    """A device's timeline, drawn and as a table."""
    days = ask.query.get("days", "7")
    days = days if days in WINDOWS else "7"
    until_ms = moment_ms("until", ask.query.get("until", ""), CITY_ZONE)
    since_ms = max(1, (until_ms or ask.now_ms) - int(days) * DAY_MS)
    asked = {"since_ms": since_ms, "until_ms": until_ms} if until_ms or days != "7" else {}
    found = await ask("device.timeline", device=ask.query.get("device", ""), **asked)
    venues = await venues_of(ask)
    zone = zone_of(found.venue, venues)
    return Page(
        "sync_device.html",
        live=not until_ms,
        every_s=5.0,
        found=found,
        zone=zone,
        days=days,
        windows=[(value, say(ask.lang, text)) for value, text in WINDOWS.items()],
        runs=RUNS,
        outcomes=OUTCOMES,
        missing=sum(each.missing for each in found.epochs),
        late=sum(run.kind == "queued" for each in found.epochs for run in each.runs),
        forks=sum(run.kind == "forked" for each in found.epochs for run in each.runs),
        resent=sum(run.resent for each in found.epochs for run in each.runs),
        drawn=_drawn(ask, found, zone),
        older=url("/sync-log/device", device=found.device, days=days, until=_field(found.since_ms)),
    )


# --- what pages of the sync log share ---------------------------------------------------------------------------


def wanted_of(ask: Asking, filters: tuple[str, ...]) -> dict[str, str]:
    """The filters as they stand in the address."""
    return {name: ask.query.get(name, "").strip() for name in filters}


def span_of(ask: Asking, wanted: dict[str, str]) -> dict[str, int]:
    """Of the fields `since` and `until`. Raises ActionFailed."""
    return {f"{name}_ms": moment_ms(name, wanted[name], CITY_ZONE) for name in ("since", "until")}


def is_event(text: str) -> bool:
    """Whether it is the name of one event."""
    parts = text.rsplit("/", 2)
    return len(parts) == 3 and bool(parts[0]) and is_epoch(parts[1]) and is_number(parts[2])


def download(data: bytes, name: str) -> web.Response:
    """A file for the person's disk."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name(name)}"', "Cache-Control": "no-store"}
    return web.Response(body=data, content_type="application/octet-stream", headers=headers)


def file_name(name: str) -> str:
    """Of letters that every disk and every shell takes as they are."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._") else "-" for letter in name)


def zone_of(venue: str, venues: dict[str, Venue]) -> str:
    """Of a venue; the console's own where it is not known."""
    return venues[venue].zone if venue in venues else CITY_ZONE


def _batch_asked(ask: Asking) -> dict[str, str]:
    return {name: ask.query.get(name, "") for name in ("device", "epoch", "first", "digest")}


# --- drawing ----------------------------------------------------------------------------------------------------

TICKS = 6


def _drawn(ask: Asking, found: Any, zone: str) -> Any:
    words = {kind: say(ask.lang, text) for kind, text in RUNS.items()}
    rows = [
        Row(f"{each.epoch[:8]}… {_moment(each.begun_ms, zone, '%m-%d')}", each.runs, _marks(ask, found, each.epoch))
        for each in found.epochs
    ]
    since_ms = _since_ms(found)
    step = max(1, (found.until_ms - since_ms) // TICKS)
    form = "%m-%d %H:%M" if step < 2 * DAY_MS else "%Y-%m-%d"
    ticks = [(at, _moment(at, zone, form)) for at in range(since_ms + step // 2, found.until_ms, step)]
    title = say(ask.lang, _N("Timeline of %(device)s")) % {"device": found.device}
    said = say(ask.lang, _N("Each row is one start of the agent; the table below says the same in words."))
    return timeline(Text("timeline", title, said), rows, Span(since_ms, found.until_ms, ticks), words)


def _since_ms(found: Any) -> int:
    """From a little before the first thing that there is to be seen."""
    times = [run.from_ms for each in found.epochs for run in each.runs] + [mark.at_ms for mark in found.marks]
    first_ms = max(found.since_ms, min(times, default=0))
    return int(max(found.since_ms, first_ms - (found.until_ms - first_ms) // 20))


def _marks(ask: Asking, found: Any, epoch: str) -> list[tuple[int, str]]:
    return [
        (mark.at_ms, say(ask.lang, OUTCOMES[mark.kind][1] if mark.kind in OUTCOMES else mark.kind))
        for mark in found.marks
        if mark.epoch == epoch
    ]


def _moment(at_ms: int, zone: str, form: str) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone)).strftime(form) if at_ms else ""


def _field(at_ms: int) -> str:
    return _moment(at_ms, CITY_ZONE, "%Y-%m-%dT%H:%M")
