"""Visits by hour, weekday, day, month or venue, of each venue or class; and when it is busiest."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result, action
from central.actions.reporting.period import DAYS, Date, Name, Period, Place, period_of, places_of
from central.reporting.counting import EVERYBODY, WHOLE_DAY, days_between
from central.reporting.suppression import Count, Hidden, suppress, suppress_list
from central.store.schema import visit_counts, visit_days_due

MOST_DAYS, MOST_DAYS_PARTED, MOST_DAYS_BY_CLASS_AND_HOUR = 400, 92, 31
HOURS = range(24)
TOP = 10

v = visit_counts.c


class VisitsReportParams(Params, frozen=True):
    """Of a venue or of all. By class, whole months are counted, and small counts are hidden."""

    venue: Name = ""
    since: Date = ""
    until: Date = ""
    by: Literal["hour", "weekday", "day", "month", "venue", "all"] = "day"
    split: Literal["", "venue", "class"] = ""


class VisitsReportRow(msgspec.Struct, frozen=True):
    """`label`: 00 to 23, 1 (Monday) to 7, a date, a month or a venue. `part`: a venue or a class; empty: everybody.

    `visits` null: hidden, and `hidden` says why: `small` (1 to 4) or `beside` (another could be computed from it).
    `members`: different ones, where one day of one venue is meant. `without_exit`: no exit is known, or not yet.
    """

    label: str
    part: str
    visits: int | None
    hidden: str = ""
    members: int | None = None
    by_hand: int | None = None
    corrected: int | None = None
    without_exit: int | None = None
    peak: int | None = None
    peak_ms: int | None = None


class VisitsSum(msgspec.Struct, frozen=True):
    """Of a label, or of a part."""

    name: str
    visits: int | None
    hidden: str = ""


class VisitsReport(Result, frozen=True):
    """`due`: so many days changed since they were counted. By class, a member of several counts in each."""

    since: str
    until: str
    by: str
    split: str
    rows: list[VisitsReportRow]
    labels: list[VisitsSum]
    parts: list[VisitsSum]
    total: VisitsSum
    due: int


class PeaksParams(Params, frozen=True):
    """Of a venue or of all."""

    venue: Name = ""
    since: Date = ""
    until: Date = ""


class BusyHour(msgspec.Struct, frozen=True):
    """An hour with many visits."""

    venue: str
    day: str
    hour: int
    visits: int


class Peak(msgspec.Struct, frozen=True):
    """How many were inside at once on a day, and when."""

    venue: str
    day: str
    peak: int
    peak_ms: int


class PeaksReport(Result, frozen=True):
    """`week`: visits of an average Monday to Sunday, by hour. `hours`, `peaks`: the highest."""

    since: str
    until: str
    week: list[list[float]]
    hours: list[BusyHour]
    peaks: list[Peak]
    due: int


@action("report.visits", VisitsReportParams, writes=False)
async def report_visits(context: Context, params: VisitsReportParams) -> VisitsReport:
    """Counted by the hour and day of entry, as far as is settled."""
    async with context.database.read() as connection:
        places = await places_of(connection, context, params.venue)
        by_class = params.split == "class"
        of = (params.since, params.until, places, context.now_ms)
        days = 1 if by_class else DAYS  # this month
        period = period_of(*of, most_days=_most_days(params), days=days, whole_months=by_class)
        due = await _due(connection, places, period)
        found = await _rows(connection, params, places, period)
    if by_class:
        return _hiding(params, period, found, due)
    labels, parts = _sums(found, "label"), _sums(found, "part") if params.split else []
    total = VisitsSum("", sum(row.visits or 0 for row in found))
    return VisitsReport(
        since=period.since,
        until=period.until,
        by=params.by,
        split=params.split,
        rows=found,
        labels=labels,
        parts=parts,
        total=total,
        due=due,
    )


@action("report.peaks", PeaksParams, writes=False)
async def report_peaks(context: Context, params: PeaksParams) -> PeaksReport:
    """When it is busiest: an average week, the busiest hours, and how many were inside at once."""
    async with context.database.read() as connection:
        places = await places_of(connection, context, params.venue)
        period = period_of(params.since, params.until, places, context.now_ms, most_days=MOST_DAYS_PARTED)
        due = await _due(connection, places, period)
        hourly = _of(places, period, HOURS)
        query = select(v.day, v.hour, func.sum(v.visits)).where(*hourly).group_by(v.day, v.hour)
        sums = [(day, hour, int(visits)) for day, hour, visits in await connection.execute(query)]
        busy = select(v.venue, v.day, v.hour, v.visits).where(*hourly).order_by(v.visits.desc(), v.day, v.hour)
        hours = [BusyHour(*row) for row in await connection.execute(busy.limit(TOP))]
        most = select(v.venue, v.day, v.peak, v.peak_ms).where(*_of(places, period, [WHOLE_DAY]))
        peaks = [Peak(*row) for row in await connection.execute(most.order_by(v.peak.desc(), v.day).limit(TOP))]
    week = _week(sums, period)
    return PeaksReport(since=period.since, until=period.until, week=week, hours=hours, peaks=peaks, due=due)


def _most_days(params: VisitsReportParams) -> int:
    """So many that the answer comes at once, whatever the size of the city."""
    if params.split == "class":
        return MOST_DAYS_BY_CLASS_AND_HOUR if params.by == "hour" else MOST_DAYS_PARTED
    if params.by == "hour" or (params.split and params.by in ("day", "weekday")):
        return MOST_DAYS_PARTED
    return MOST_DAYS


def _of(
    places: Sequence[Place], period: Period, hours: Iterable[int], names: Sequence[str] = (EVERYBODY,)
) -> list[Any]:
    """Conditions that an index answers."""
    found = [v.venue.in_([place.id for place in places]), v.hour.in_(list(hours)), v.class_name.in_(names)]
    return [*found, v.day >= period.since, v.day <= period.until]


_NAMES = text(
    "WITH RECURSIVE names (venue, name) AS ("
    " SELECT v.id, (SELECT min(c.class_name) FROM visit_counts c WHERE c.venue = v.id AND c.hour = -1"
    " AND c.class_name > '') FROM venues v"
    " UNION ALL SELECT n.venue, (SELECT min(c.class_name) FROM visit_counts c WHERE c.venue = n.venue AND c.hour = -1"
    " AND c.class_name > n.name) FROM names n WHERE n.name IS NOT NULL)"
    " SELECT DISTINCT name FROM names WHERE name IS NOT NULL"
)
"""The classes of which any visit was counted, by a few steps in an index for each venue."""


async def _due(connection: AsyncConnection, places: Sequence[Place], period: Period) -> int:
    d = visit_days_due.c
    query = select(func.count()).where(d.day >= period.since, d.day <= period.until)
    query = query.where(d.venue.in_([place.id for place in places]))
    return int((await connection.execute(query)).scalar_one())


async def _rows(
    connection: AsyncConnection, params: VisitsReportParams, places: Sequence[Place], period: Period
) -> list[VisitsReportRow]:
    """One for each label and part."""
    by: dict[str, Any] = {"hour": v.hour, "venue": v.venue, "month": func.substr(v.day, 1, 7), "all": literal("")}
    column = by.get(params.by, v.day)
    part = {"venue": v.venue, "class": v.class_name}.get(params.split)
    keys = [column.label("label"), *([] if part is None else [part.label("part")])]
    numbers = (v.visits, v.members, v.by_hand, v.corrected, v.without_exit)
    by_class = params.split == "class"
    names = list((await connection.execute(_NAMES)).scalars()) if by_class else [EVERYBODY]
    query = (
        select(*keys, *(func.sum(each).label(each.name) for each in numbers), func.max(v.peak).label("peak"))
        .where(*_of(places, period, HOURS if params.by == "hour" else [WHOLE_DAY], names))
        .group_by(*keys)
    )
    one_day = params.by == "day" and (len(places) == 1 or params.split == "venue") and not by_class
    one_place = len(places) == 1 or "venue" in (params.by, params.split)
    sums: dict[tuple[str, str], list[int]] = {}
    for row in (await connection.execute(query)).mappings():
        key = _label(params.by, row["label"]), row.get("part", "")
        values = [int(row[name]) for name in ("visits", "members", "by_hand", "corrected", "without_exit", "peak")]
        held = sums.setdefault(key, [0] * 6)
        held[:] = [*(a + b for a, b in zip(held[:5], values[:5], strict=True)), max(held[5], values[5])]
    return [
        VisitsReportRow(
            *key, visits, "", members if one_day else None, by_hand, corrected, without, peak if one_place else None
        )
        for key, (visits, members, by_hand, corrected, without, peak) in sorted(sums.items())
    ]


def _label(by: str, value: Any) -> str:
    if by == "hour":
        return f"{value:02d}"
    if by == "weekday":
        return str(dt.date.fromisoformat(value).isoweekday())
    return "" if by == "all" else str(value)


def _sums(rows: Sequence[VisitsReportRow], name: str) -> list[VisitsSum]:
    found: dict[str, int] = {}
    for row in rows:
        key = getattr(row, name)
        found[key] = found.get(key, 0) + (row.visits or 0)
    return [VisitsSum(key, visits) for key, visits in found.items()]


def _hiding(params: VisitsReportParams, period: Period, found: Sequence[VisitsReportRow], due: int) -> VisitsReport:
    """By class: whoever was alone in a class at an hour could be told by it."""
    labels, parts = sorted({row.label for row in found}), sorted({row.part for row in found})
    visits = {(row.label, row.part): row.visits or 0 for row in found}
    counts = [[visits.get((label, part), 0) for part in parts] for label in labels]
    if len(labels) == 1:
        shown, total = suppress_list(counts[0])
        rows, of_labels, of_parts = [shown], [total], shown
    else:
        table = suppress(counts)
        rows, of_labels, of_parts, total = table.rows, table.row_totals, table.column_totals, table.total
    return VisitsReport(
        since=period.since,
        until=period.until,
        by=params.by,
        split=params.split,
        rows=[
            VisitsReportRow(label, part, *_told(count))
            for label, row in zip(labels, rows, strict=True)
            for part, count in zip(parts, row, strict=True)
        ],
        labels=[VisitsSum(label, *_told(count)) for label, count in zip(labels, of_labels, strict=True)],
        parts=[VisitsSum(part, *_told(count)) for part, count in zip(parts, of_parts, strict=True)],
        total=VisitsSum("", *_told(total)),
        due=due,
    )


def _told(count: Count) -> tuple[int | None, str]:
    return (None, count.value) if isinstance(count, Hidden) else (count, "")


def _week(sums: Sequence[tuple[str, int, int]], period: Period) -> list[list[float]]:
    """Monday first."""
    days = [0] * 7
    for day in days_between(period.since, period.until):
        days[dt.date.fromisoformat(day).weekday()] += 1
    found = [[0.0] * 24 for _ in range(7)]
    for day, hour, visits in sums:
        weekday = dt.date.fromisoformat(day).weekday()
        found[weekday][hour] += visits / days[weekday]
    return [[round(value, 1) for value in row] for row in found]
