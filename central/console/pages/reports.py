"""Reports: visits, peaks, denials and devices over time; each with a chart, its numbers, and a CSV of the same."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from central.console import charts
from central.console.csv_out import csv_response
from central.console.gate_states import BADGES
from central.console.page import _N, Asking, Page, page
from central.console.rendering import url
from central.console.report_charts import (
    WEEKDAYS,
    devices_chart,
    reasons_chart,
    short_reason,
    visits_chart,
    week_chart,
)
from central.console.titles import Venue, choices, venues_of
from central.console.words import say

TABS = (
    ("/reports", _N("Visits"), "report.visits"),
    ("/reports/peaks", _N("Peaks"), "report.peaks"),
    ("/reports/denials", _N("Denials"), "report.denials"),
    ("/reports/devices", _N("Devices"), "report.devices"),
)
BY = {
    "hour": _N("Hour"),
    "weekday": _N("Day of the week"),
    "day": _N("Day"),
    "month": _N("Month"),
    "venue": _N("Venue"),
    "all": _N("All together"),
}
SPLIT = {"": _N("Everybody"), "venue": _N("By venue"), "class": _N("By class")}
DENIALS_BY = {
    "reason": _N("Reason"),
    "gate": _N("Gate"),
    "venue": _N("Venue"),
    "hour": _N("Hour"),
    "day": _N("Day"),
    "month": _N("Month"),
}
HIDDEN = {"small": "<5", "beside": "✱"}
"""What stands in place of a count that is hidden."""


class _Asked:
    """What a report is asked about, and how labels are called."""

    def __init__(self, ask: Asking, venues: dict[str, Venue]) -> None:
        self._ask, self.venues = ask, venues
        self.period = {name: ask.query.get(name, "") for name in ("since", "until")}
        self.venue = ask.query.get("venue", "")

    def choice(self, name: str, of: dict[str, str], first: str) -> str:
        asked = self._ask.query.get(name, first)
        return asked if asked in of else first

    def say(self, text: str) -> str:
        return say(self._ask.lang, text)

    def options(self, of: dict[str, str]) -> list[tuple[str, str]]:
        return [(key, self.say(text)) for key, text in of.items()]

    def title(self, name: str) -> str:
        return self.venues[name].title if name in self.venues else name

    def label(self, by: str, name: str) -> str:
        """A label of a row."""
        if by == "venue":
            return self.title(name)
        if by == "weekday":
            return self.say(WEEKDAYS[int(name) - 1])
        if by == "reason":
            return short_reason(self._ask.lang, name)
        return self.say(BY["all"]) if by == "all" else name

    def part(self, split: str, name: str) -> str:
        if split == "venue":
            return self.title(name)
        return self.say(_N("Of no class")) if name == "–" else name

    def page(self, template: str, path: str, found: Any, **data: Any) -> Page:
        everywhere = say(self._ask.lang, _N("All venues"))
        query = {name: value for name, value in self._ask.query.items() if value}
        return Page(
            template,
            tabs=[(url(where), text, where == path) for where, text, needs in TABS if self._ask.may(needs)],
            here_path=path,
            found=found,
            period={"since": found.since, "until": found.until},
            venue=self.venue,
            venue_choices=choices(everywhere, ((each.id, each.title) for each in self.venues.values())),
            csv=url(path + ("/visits" if path == "/reports" else "") + ".csv", **query),
            hidden=HIDDEN,
            **data,
        )


async def _asked(ask: Asking) -> _Asked:
    return _Asked(ask, await venues_of(ask))


# --- visits -----------------------------------------------------------------------------------------------------


@page("/reports", needs="report.visits", nav=(_N("Reports"), 30))
async def visits(ask: Asking) -> Page:
    """By hour, weekday, day, month or venue; of everybody, by venue or by class."""
    asked, by, split, found = await _visits(ask)
    labels, parts = _names(found.labels), _names(found.parts)
    cells = {(row.label, row.part): row for row in found.rows}
    chart = visits_chart(ask.lang, by, [asked.label(by, each) for each in labels], _series(asked, split, found, cells))
    return asked.page(
        "report_visits.html",
        "/reports",
        found,
        by=by,
        by_text=BY[by],
        split=split,
        by_choices=asked.options(BY),
        split_choices=asked.options(SPLIT),
        chart=chart,
        cells=cells,
        labels=[(name, asked.label(by, name)) for name in labels],
        parts=[(name, asked.part(split, name)) for name in parts],
        of_label={each.name: each for each in found.labels},
        of_part={each.name: each for each in found.parts},
    )


@page("/reports/visits.csv", needs="report.visits")
async def visits_csv(ask: Asking) -> web.StreamResponse:
    """The same numbers, with what is hidden there hidden here."""
    asked, by, split, found = await _visits(ask)
    columns = ["label", "part", "visits", "by_hand", "corrected", "without_exit", "members", "peak"]
    rows = [
        [
            *(asked.label(by, row.label), asked.part(split, row.part) if split else "", _shown(row)),
            *(row.by_hand, row.corrected, row.without_exit, row.members, row.peak),
        ]
        for row in found.rows
    ]
    if split:
        rows += [[asked.say(_N("Total")), asked.part(split, each.name), _shown(each)] for each in found.parts]
    return await csv_response(ask.request, f"visits-{found.since}-{found.until}.csv", columns, rows)


async def _visits(ask: Asking) -> tuple[_Asked, str, str, Any]:
    asked = await _asked(ask)
    by, split = asked.choice("by", BY, "day"), asked.choice("split", SPLIT, "")
    split = "" if by == split else split
    found = await ask("report.visits", venue=asked.venue, by=by, split=split, **asked.period)
    return asked, by, split, found


def _names(sums: Sequence[Any]) -> list[str]:
    return [each.name for each in sums]


def _shown(row: Any) -> Any:
    return HIDDEN[row.hidden] if row.hidden else row.visits


def _series(asked: _Asked, split: str, found: Any, cells: dict[tuple[str, str], Any]) -> list[charts.Series]:
    """The largest parts, and one for all others. A count that is hidden is drawn as none."""
    labels = _names(found.labels)
    if not split:
        return [charts.Series("", [cells[label, ""].visits for label in labels])]
    ordered = sorted(found.parts, key=lambda each: -(each.visits or 0))
    most = charts.COLOURS if len(ordered) <= charts.COLOURS else charts.COLOURS - 1
    values = {
        each.name: [(cells[label, each.name].visits if (label, each.name) in cells else 0) for label in labels]
        for each in ordered
    }
    series = [charts.Series(asked.part(split, each.name), values[each.name]) for each in ordered[:most]]
    rest = [sum(values[each.name][at] or 0 for each in ordered[most:]) for at in range(len(labels))]
    return [*series, charts.Series(asked.say(_N("Others")), rest)] if ordered[most:] else series


# --- peaks ------------------------------------------------------------------------------------------------------


@page("/reports/peaks", needs="report.peaks")
async def peaks(ask: Asking) -> Page:
    """An average week, the busiest hours, and how many were inside at once."""
    asked = await _asked(ask)
    found = await ask("report.peaks", venue=asked.venue, **asked.period)
    return asked.page(
        "report_peaks.html",
        "/reports/peaks",
        found,
        chart=week_chart(ask.lang, found.week),
        weekdays=[asked.say(day) for day in WEEKDAYS],
        title=asked.title,
        zone=lambda name: asked.venues[name].zone if name in asked.venues else "",
    )


@page("/reports/peaks.csv", needs="report.peaks")
async def peaks_csv(ask: Asking) -> web.StreamResponse:
    """Visits of an average week, by weekday and hour."""
    asked = await _asked(ask)
    found = await ask("report.peaks", venue=asked.venue, **asked.period)
    columns = ["weekday", *(f"{hour:02d}" for hour in range(24))]
    rows = [[asked.say(day), *row] for day, row in zip(WEEKDAYS, found.week, strict=True)]
    return await csv_response(ask.request, f"peaks-{found.since}-{found.until}.csv", columns, rows)


# --- denials ----------------------------------------------------------------------------------------------------


@page("/reports/denials", needs="report.denials")
async def denials(ask: Asking) -> Page:
    """Why taps were denied: by reason, gate, venue, hour, day or month."""
    asked, by, found = await _denials(ask)
    labels = [asked.label(by, row.label) for row in found.rows]
    return asked.page(
        "report_denials.html",
        "/reports/denials",
        found,
        by=by,
        by_text=DENIALS_BY[by],
        gate=ask.query.get("gate", ""),
        by_choices=asked.options(DENIALS_BY),
        chart=reasons_chart(ask.lang, by, labels, found),
        rows=list(zip(labels, found.rows, strict=True)),
        short=lambda code: short_reason(ask.lang, code),
    )


@page("/reports/denials.csv", needs="report.denials")
async def denials_csv(ask: Asking) -> web.StreamResponse:
    """One column for each reason, by its code."""
    asked, by, found = await _denials(ask)
    columns = ["label", "taps", "denied", *found.reasons]
    rows = [
        [asked.label(by, row.label), row.taps, row.denied, *(row.reasons.get(code, 0) for code in found.reasons)]
        for row in found.rows
    ]
    return await csv_response(ask.request, f"denials-{found.since}-{found.until}.csv", columns, rows)


async def _denials(ask: Asking) -> tuple[_Asked, str, Any]:
    asked = await _asked(ask)
    by = asked.choice("by", DENIALS_BY, "reason")
    of = {"venue": asked.venue, "gate": ask.query.get("gate", ""), **asked.period}
    return asked, by, await ask("report.denials", by=by, **of)


# --- devices ----------------------------------------------------------------------------------------------------


@page("/reports/devices", needs="report.devices")
async def devices(ask: Asking) -> Page:
    """For how much of the time devices were online, the worst first."""
    asked = await _asked(ask)
    found = await ask("report.devices", venue=asked.venue, gate=ask.query.get("gate", ""), **asked.period)
    return asked.page(
        "report_devices.html",
        "/reports/devices",
        found,
        chart=devices_chart(ask.lang, found.days),
        title=asked.title,
        badges=BADGES,
    )


@page("/reports/devices.csv", needs="report.devices")
async def devices_csv(ask: Asking) -> web.StreamResponse:
    """Seconds in each state."""
    asked = await _asked(ask)
    found = await ask("report.devices", venue=asked.venue, gate=ask.query.get("gate", ""), **asked.period)
    states = ("online", "behind", "silent", "alarm", "waiting", "unknown")
    columns = ["device", "gate", "venue", "online_share", *(f"{state}_s" for state in states), "silences"]
    rows = [
        [
            *(each.device, each.gate, each.venue, each.online),
            *(each.states_ms.get(state, 0) // 1_000 for state in states),
            each.silences,
        ]
        for each in found.devices
    ]
    return await csv_response(ask.request, f"devices-{found.since}-{found.until}.csv", columns, rows)
