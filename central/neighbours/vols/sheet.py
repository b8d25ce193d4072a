"""A team's monthly sheet as a table for people: days as the Republic counts them, minutes exact. Pure."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from central.neighbours.vols.roc import slashed
from central.services.attendance.sheet import Line

MINUTES_AN_HOUR = 60
AMOUNTS = (
    ("people", "受服務人次"),
    ("transport", "交通費"),
    ("meal", "誤餐費"),
    ("people_abroad", "國外參與服務人次"),
    ("people_home", "國內參與服務人次"),
)


def sheet_table(lines: Sequence[Line]) -> tuple[list[str], Iterable[list[Any]]]:
    """Titles, and a row for each member: minutes of each day, of corrections, and in all, whole hours apart."""
    days = sorted({day for line in lines for day in line.days})
    titles = ["會員編號", *(slashed(dt.date.fromisoformat(day)) for day in days), "前月調整分鐘", "合計分鐘"]
    titles += ["合計-小時", "合計-分鐘", "不計時數分鐘", "次數", *(title for _, title in AMOUNTS)]
    return titles, (_row(line, days) for line in lines)


def _row(line: Line, days: Sequence[str]) -> list[Any]:
    hours, minutes = divmod(abs(line.minutes), MINUTES_AN_HOUR)
    sign = -1 if line.minutes < 0 else 1
    row: list[Any] = [line.member, *(line.days.get(day, "") for day in days), line.adjustments, line.minutes]
    row += [sign * hours, sign * minutes, line.not_counting_minutes, line.sessions]
    return row + [getattr(line, name) for name, _ in AMOUNTS]
