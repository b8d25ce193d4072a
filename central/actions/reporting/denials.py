"""Taps and why they were denied: by reason, gate, venue, hour, day or month."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import func, select

from central.actions.action import Context, Params, Result, action
from central.actions.reporting.period import DAYS, Date, Name, period_of, places_of
from central.reporting.counting import WHOLE_DAY
from central.store.schema import tap_counts
from protocol.messages import Outcome

MOST_DAYS, MOST_DAYS_BY_HOUR, DAYS_BY_HOUR = 92, 31, 7

t = tap_counts.c


class DenialsParams(Params, frozen=True):
    """Of a venue, a gate, or all."""

    venue: Name = ""
    gate: Name = ""
    since: Date = ""
    until: Date = ""
    by: Literal["reason", "gate", "venue", "hour", "day", "month"] = "reason"


class DenialsRow(msgspec.Struct, frozen=True):
    """`label`: what it is by. `taps`: granted and denied ones, without repeats; by reason, those denied for it.
    `reasons`: how many were denied for each."""

    label: str
    taps: int
    denied: int
    reasons: dict[str, int]


class DenialsReport(Result, frozen=True):
    """`taps`, `denied`: altogether. Reasons by how often they were given."""

    since: str
    until: str
    by: str
    taps: int
    denied: int
    reasons: dict[str, int]
    rows: list[DenialsRow]


@action("report.denials", DenialsParams, writes=False)
async def report_denials(context: Context, params: DenialsParams) -> DenialsReport:
    """Of what gates decided, as far as it is settled. What staff let in by hand is not in it."""
    column: Any = {"gate": t.gate, "venue": t.venue, "hour": t.hour, "month": func.substr(t.day, 1, 7)}.get(
        params.by, t.day if params.by == "day" else t.reason
    )
    async with context.database.read() as connection:
        places = await places_of(connection, context, params.venue)
        most_days = MOST_DAYS_BY_HOUR if params.by == "hour" else MOST_DAYS
        days = DAYS_BY_HOUR if params.by == "hour" else DAYS
        period = period_of(params.since, params.until, places, context.now_ms, most_days=most_days, days=days)
        query = (
            select(column.label("label"), t.decision, t.reason, func.sum(t.taps).label("taps"))
            .where(t.venue.in_([place.id for place in places]))
            .where(t.hour.in_(list(range(24)) if params.by == "hour" else [WHOLE_DAY]))
            .where(t.day >= period.since, t.day <= period.until)
            .group_by(column, t.decision, t.reason)
        )
        if params.gate:
            query = query.where(t.gate == params.gate)
        rows = (await connection.execute(query)).all()
    denied = _reasons(rows)
    found = _by_reason(denied) if params.by == "reason" else _by_label(params.by, rows)
    return DenialsReport(
        since=period.since,
        until=period.until,
        by=params.by,
        taps=sum(int(row.taps) for row in rows),
        denied=sum(denied.values()),
        reasons=denied,
        rows=found,
    )


def _reasons(rows: Sequence[Any]) -> dict[str, int]:
    """How often each was given, the most frequent first."""
    found: dict[str, int] = {}
    for row in rows:
        if row.decision == Outcome.DENIED:
            found[row.reason] = found.get(row.reason, 0) + int(row.taps)
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _by_reason(denied: dict[str, int]) -> list[DenialsRow]:
    return [DenialsRow(reason, taps, taps, {reason: taps}) for reason, taps in denied.items()]


def _by_label(by: str, rows: Sequence[Any]) -> list[DenialsRow]:
    labels: dict[str, list[Any]] = {}
    for row in rows:
        labels.setdefault(f"{row.label:02d}" if by == "hour" else row.label, []).append(row)
    found = []
    for label, those in sorted(labels.items()):
        reasons = _reasons(those)
        found.append(DenialsRow(label, sum(int(row.taps) for row in those), sum(reasons.values()), reasons))
    return found
