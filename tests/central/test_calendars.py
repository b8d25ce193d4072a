"""Calendars: the days that are not what their weekday says, loaded into policies by an admin."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.calendars import Days, merged, of_country, of_rows
from tests.central.admin import Admin, admin_of
from tests.central.city import City

HEADER = "西元日期,星期,是否放假,備註\n"
RULES = [{"kind": "admit", "id": "members"}]


@pytest.fixture
def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def table(tmp_path: Path, rows: str, encoding: str = "utf-8-sig") -> Path:
    path = tmp_path / "calendar.csv"
    path.write_bytes((HEADER + rows).encode(encoding))
    return path


def test_a_country_has_its_holidays_and_make_up_workdays() -> None:
    found = of_country("TW", [2024])
    assert day("2024-02-17") in found.workdays, "the Saturday that made up for a day of the New Year"
    assert day("2024-02-17") not in found.holidays
    assert day("2024-10-10") in found.holidays
    assert {each.year for each in (*found.holidays, *found.workdays)} == {2024}


def test_a_day_off_at_a_weekend_is_a_holiday_only_where_it_has_a_name() -> None:
    rows = [
        (day("2026-02-28"), True, "和平紀念日"),  # a Saturday
        (day("2026-03-01"), True, ""),
        (day("2026-02-27"), True, "補假"),
        (day("2026-03-07"), False, "補行上班"),
        (day("2026-03-09"), False, ""),
    ]
    assert of_rows(rows) == Days((day("2026-02-27"), day("2026-02-28")), (day("2026-03-07"),))


def test_years_that_were_loaded_replace_what_was_held_of_them_and_no_other() -> None:
    held = Days((day("2025-10-10"), day("2026-10-09")), (day("2026-03-07"),))
    loaded = Days((day("2026-10-10"),), ())
    assert merged(held, loaded, [2026]) == Days((day("2025-10-10"), day("2026-10-10")), ())


async def test_a_calendar_is_put_in_force_in_each_policy_that_lacks_it(
    admin: Admin, city: City, tmp_path: Path
) -> None:
    for name in ("pool", "gym"):
        await admin.act("policy.put", id=name, body={"rules": RULES})
    rows = "20260101,四,2,開國紀念日\n20260228,六,2,和平紀念日\n20260307,六,0,補行上班\n20260302,一,0,\n"
    first = await admin.act("policy.calendar", policies=["pool"], file=table(tmp_path, rows))
    assert (first.years, first.workdays) == ([2026], [day("2026-03-07")])
    shown = await admin.act("policy.show", id="pool")
    assert shown.version == first.versions["pool"]
    assert shown.body["calendar"] == {"holidays": ["2026-01-01", "2026-02-28"], "workdays": ["2026-03-07"]}
    again = await admin.act("policy.calendar", policies=["pool", "gym"], file=table(tmp_path, rows, "cp950"))
    assert again.versions["pool"] == first.versions["pool"], "nothing changed, so no gate is told anything"
    assert (await admin.act("policy.show", id="gym")).body["calendar"] == shown.body["calendar"]
    country = await admin.act("policy.calendar", policies=["gym"], country="TW", years=[2024])
    held = (await admin.act("policy.show", id="gym")).body["calendar"]
    assert "2026-03-07" in held["workdays"]
    assert {each.isoformat() for each in country.workdays} <= set(held["workdays"])


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("", "no day"),
        ("20260101,四,3,\n", "row 2: 是否放假"),
        ("20260230,一,2,\n", "row 2"),
        ("20260101,四\n", "row 2"),
    ],
)
async def test_a_table_that_is_none_is_refused_and_nothing_is_put(
    admin: Admin, city: City, tmp_path: Path, rows: str, named: str
) -> None:
    put = await admin.act("policy.put", id="pool", body={"rules": RULES})
    with pytest.raises(ActionFailed, match=named):
        await admin.act("policy.calendar", policies=["pool"], file=table(tmp_path, rows))
    assert (await admin.act("policy.show", id="pool")).version == put.version


async def test_what_cannot_be_known_is_asked_for(admin: Admin, city: City) -> None:
    await admin.act("policy.put", id="pool", body={"rules": RULES})
    with pytest.raises(ActionFailed, match="which years"):
        await admin.act("policy.calendar", policies=["pool"])
    with pytest.raises(ActionFailed, match="no calendar of 'XX'"):
        await admin.act("policy.calendar", policies=["pool"], country="XX", years=[2026])
    with pytest.raises(ActionFailed, match="no policy 'other'"):
        await admin.act("policy.calendar", policies=["pool", "other"], years=[2026])
