"""The first page: how every venue and gate does now, and what needs a person."""

import datetime as dt
from typing import Any

from central.console import charts
from central.console.gate_states import BADGES, why
from central.console.page import _N, Asking, Page, page
from central.console.rendering import url
from central.console.titles import title_of
from central.console.words import say
from protocol.time_zones import CITY

MOST_GATES = 60
"""The worst ones, where no venue and no state is chosen."""
NEEDS = {
    "alerts": (_N("Alerts that are nobody's yet"), "bad", "/alerts", {}),
    "gates-in-alarm": (_N("Gates in alarm"), "bad", "/", {"state": "alarm"}),
    "rollouts-halted": (_N("Rollouts that halted"), "bad", "/rollouts", {}),
    "devices-to-confirm": (_N("Devices to be confirmed"), "warn", "/", {"state": "waiting"}),
    "gates-silent": (_N("Silent gates"), "warn", "/", {"state": "silent"}),
    "conflicts": (_N("Open conflicts"), "warn", "/conflicts", {}),
    "reviews": (_N("Volunteer sessions in review"), "warn", "/volunteers", {}),
}
"""Text, kind of badge, where to go."""
PAGES = {"/alerts": "alert.list", "/rollouts": "rollout.list", "/conflicts": "conflict.list"}
"""What somebody must be allowed to ask for to go there."""


@page("/", needs="overview.show", nav=(_N("Overview"), 10))
async def overview(ask: Asking) -> Page:
    """Live. `venue`, `state`: the gates of that venue, or in that state."""
    found = await ask("overview.show")
    venue, state = ask.query.get("venue", ""), ask.query.get("state", "")
    titles = {each.venue: _title(ask, each.venue, each) for each in found.venues}
    gates = [each for each in found.gates if _shown(each, venue, state)]
    return Page(
        "overview.html",
        live=True,
        every_s=2,
        found=found,
        titles=titles,
        title=lambda each: _title(ask, each.gate, each),
        gates=gates[:MOST_GATES],
        more=max(0, len(gates) - MOST_GATES),
        venue=venue if venue in titles else "",
        state=state if state in BADGES else "",
        badges=BADGES,
        why=lambda reasons: why(ask.lang, reasons),
        needs=[(*NEEDS[each.what][:2], each.number, _where(ask, each.what)) for each in found.needs],
        today=await _today(ask),
    )


def _shown(gate: Any, venue: str, state: str) -> bool:
    """Without a choice those that want somebody to look."""
    if venue or state:
        return venue in ("", gate.venue) and state in ("", gate.state)
    return str(gate.state) != "online"


def _title(ask: Asking, id_: str, row: Any) -> str:
    return title_of({"id": id_, "title_zh": row.title_zh, "title_en": row.title_en}, ask.lang)


def _where(ask: Asking, what: str) -> str:
    _, _, path, query = NEEDS[what]
    return url(path, **query) if ask.may(PAGES.get(path, "")) else ""


async def _today(ask: Asking) -> charts.Svg | None:
    """Taps by hour; not sent again while the page is open."""
    if "live" in ask.query or not ask.may("report.denials"):
        return None
    today = dt.datetime.fromtimestamp(ask.now_ms / 1_000, CITY).date().isoformat()
    hours = await ask("report.denials", by="hour", since=today, until=today)
    if not hours.rows:
        return None
    by = {row.label: row for row in hours.rows}
    labels = [f"{hour:02d}" for hour in range(int(hours.rows[0].label), int(hours.rows[-1].label) + 1)]
    rows = [by.get(label) for label in labels]
    granted = [float(row.taps - row.denied) if row else 0.0 for row in rows]
    denied = [float(row.denied) if row else 0.0 for row in rows]
    text = charts.Text("today", say(ask.lang, "Taps today by hour"), say(ask.lang, "Granted and denied taps."))
    names = say(ask.lang, "Granted"), say(ask.lang, "Denied")
    return charts.stacked(text, labels, [charts.Series(names[0], granted), charts.Series(names[1], denied)])
