"""Visits of a venue, counted, and how many are inside it."""

from typing import Any

from central.actions.action import ActionFailed
from central.console import charts
from central.console.page import _N, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import venues_of
from central.console.words import say

AT_ONCE = 12
"""Venues on one page: each is counted by itself."""
MOST_DRAWN = 120
"""More bars than that cannot be told apart."""
BY = (("hour", _N("By hour")), ("day", _N("By day")), ("all", _N("All together")))
HOW = {
    "taken": ("good", _N("Went in")),
    "not-seen": ("good", _N("Let in; the gate sees no passage")),
    "unknown": ("warn", _N("Not sure")),
    "pending": ("busy", _N("Let in just now")),
}


@page("/visits", needs="occupancy", nav=(_N("Visits"), 72))
async def visits(ask: Asking) -> Page:
    """Every venue with how many are inside now."""
    venues = sorted((await venues_of(ask)).values(), key=lambda venue: venue.id)
    after = ask.query.get("after", "")
    some = [venue for venue in venues if venue.id > after]
    rows = [(venue, await ask("occupancy", venue=venue.id)) for venue in some[:AT_ONCE]]
    more = url("/visits", after=some[AT_ONCE - 1].id) if len(some) > AT_ONCE else ""
    first = url("/visits") if after else ""
    return Page("visits.html", live=True, every_s=5, rows=rows, more=more, first=first)


@page("/visits/{venue}", needs="occupancy")
async def venue(ask: Asking) -> Page:
    """One venue: inside now, and its visits over a period."""
    name = ask.path["venue"]
    now = await ask("occupancy", venue=name)
    by = ask.query.get("by", "") or "hour"
    period = {part: ask.query.get(part, "") for part in ("since", "until")}
    counted = await ask("visits", venue=name, by=by, **period)
    rows = [(_label(row.label, by, ask.lang), row) for row in counted.rows]
    own = (await venues_of(ask)).get(name)
    last_ms = counted.until_ms - 1
    return Page(
        "visits_venue.html",
        live=True,
        every_s=5,
        venue=name,
        title_of_venue=own.title if own else name,
        zone=own.zone if own else "",
        now=now,
        counted=counted,
        last_ms=last_ms,
        rows=rows,
        chart=_chart(ask, rows) if by in ("hour", "day") else "",
        by=by,
        by_choices=[(key, say(ask.lang, text)) for key, text in BY],
        period=period,
    )


def _label(label: str, by: str, lang: str) -> str:
    """An hour as people write it."""
    if by == "hour":
        return f"{label[:10]} {label[11:13]}:00"
    return say(lang, _N("All together")) if by == "all" else label


def _chart(ask: Asking, rows: list[tuple[str, Any]]) -> str:
    if not 1 < len(rows) <= MOST_DRAWN:
        return ""
    days = {label[:10] for label, _ in rows}
    labels = [label[11:16] if len(days) == 1 and len(label) > 10 else label[5:] for label, _ in rows]
    text = charts.Text("visits", say(ask.lang, "Visits"), say(ask.lang, "The table below says the same in numbers."))
    return charts.bars(text, labels, [row.visits for _, row in rows])


@form("/visits/{venue}/correct", needs="occupancy.correct", again=venue)
async def correct(ask: Asking) -> See:
    """What staff counted themselves."""
    count, change = ask.form.number("count"), ask.form.number("change", 0)
    why = ask.form.get("why", "").strip()
    if not why:
        raise ActionFailed(say(ask.lang, "Say why: it is kept with your name."))
    await ask("occupancy.correct", venue=ask.path["venue"], count=count, change=change, why=why)
    return See(f"/visits/{ask.path['venue']}", _N("Corrected; the gates of the venue are told at once."))


@page("/visits/{venue}/inside", needs="inside")
async def inside(ask: Asking) -> Page:
    """Who may be inside, for an emergency. Looking is written into the audit log, so it does not renew itself."""
    name = ask.path["venue"]
    found = await ask("inside", venue=name)
    own = (await venues_of(ask)).get(name)
    return Page(
        "visits_inside.html",
        venue=name,
        title_of_venue=own.title if own else name,
        zone=own.zone if own else "",
        found=found,
        how=HOW,
    )
