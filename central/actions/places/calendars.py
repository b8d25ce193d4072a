"""Loading a calendar into policies: each is put in force anew with the days of the years that were loaded."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.dates import parse_date
from central.actions.places.keeping_back import Despite
from central.actions.places.places import Id
from central.actions.places.policies import PolicyParams, ShowParams, policy_put, policy_show
from central.actions.table_file import TableFile
from central.calendars import Days, merged, of_country, of_rows

REQUIRED, OPTIONAL = ("西元日期", "是否放假"), ("星期", "備註")
DAY_OFF = {"2": True, "0": False}


class CalendarParams(Params, frozen=True):
    """Which policies, and whence: the attached table, or the days of a country in some years."""

    policies: Annotated[tuple[Id, ...], Meta(min_length=1)]
    country: str = "TW"
    years: Annotated[tuple[int, ...], Meta(max_length=20)] = ()
    despite_freeze: Despite = ""


class CalendarLoaded(Result, frozen=True):
    """The days that were loaded, and the version that each policy has now; one that had them already stays."""

    years: list[int]
    holidays: list[dt.date]
    workdays: list[dt.date]
    versions: dict[str, int]


@action("policy.calendar", CalendarParams, writes=True)
async def policy_calendar(context: Context, params: CalendarParams) -> CalendarLoaded:
    """Raises ActionFailed before anything is put where the table or one of the policies is not what was said."""
    days, years = _loaded(context.file, params)
    held = {id_: await policy_show(context, ShowParams(id=id_)) for id_ in params.policies}
    versions = {}
    for id_, shown in held.items():
        before = shown.body.get("calendar") or {}
        after = merged(_days(before), days, years)
        versions[id_] = shown.version
        if after != _days(before):
            calendar = {"holidays": list(after.holidays), "workdays": list(after.workdays)}
            body = {**shown.body, "calendar": calendar}
            put = await policy_put(context, PolicyParams(id=id_, body=body, despite_freeze=params.despite_freeze))
            versions[id_] = put.version
    return CalendarLoaded(years=years, holidays=list(days.holidays), workdays=list(days.workdays), versions=versions)


def _days(calendar: object) -> Days:
    found = msgspec.convert(calendar, dict[str, tuple[dt.date, ...]])
    return Days(*(tuple(sorted(found.get(name, ()))) for name in Days._fields))


def _loaded(file: Path | None, params: CalendarParams) -> tuple[Days, list[int]]:
    if file is None:
        if not params.years:
            raise ActionFailed("years: say which years of the country's calendar, or attach a table")
        try:
            return of_country(params.country, params.years), sorted(set(params.years))
        except NotImplementedError:
            raise ActionFailed(f"country: no calendar of {params.country!r} is known; attach a table") from None
    rows = list(_rows(TableFile(file, REQUIRED, OPTIONAL)))
    if not rows:
        raise ActionFailed("the table has no day")
    return of_rows(rows), sorted({date.year for date, _, _ in rows})


def _rows(table: TableFile) -> Iterator[tuple[dt.date, bool, str]]:
    for number, (date, off, _weekday, remark), problem in table.cells():
        try:
            if problem or off not in DAY_OFF:
                raise ValueError(problem or f"是否放假 is {off!r}, not 0 or 2")
            yield parse_date(date), DAY_OFF[off], remark
        except ValueError as error:
            raise ActionFailed(f"row {number}: {error}") from None
