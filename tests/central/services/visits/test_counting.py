"""Visits and occupancy as operators ask for them, on both databases."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select

from central.actions.action import ActionFailed
from central.keys import Keys
from central.store.database import Database
from central.store.schema import gates, venues, visits
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

A, B, C = person(1), person(2), person(3)
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOON_MS = 1_789_963_200_000
"""2026-09-21T12:00+08:00, the day of NOW_MS (21:33)."""


@pytest.fixture
def town(database: Database, keys: Keys, city: City) -> Town:
    return Town(database, keys)


@pytest.fixture
def admin(database: Database, keys: Keys, database_url: str, tmp_path: Path, city: City) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


async def taken(town: Town, diary: Diary, first: int = 0) -> None:
    await town.take(diary, first)
    await town.settle()


async def inside(admin: Admin) -> int:
    return int((await admin.act("occupancy", venue="main")).inside)


async def test_who_came_and_did_not_leave_is_inside_until_the_venue_closes(
    town: Town, city: City, admin: Admin
) -> None:
    diary = Diary(city.device)
    diary.came(A, NOON_MS)
    diary.came(B, NOON_MS)
    diary.left(A, NOON_MS + HOUR_MS)
    diary.admitted(at_ms=NOON_MS)
    await taken(town, diary)
    assert await inside(admin) == 2
    found = await admin.act("occupancy", venue="main")
    assert found.closes_ms == NOON_MS + 12 * HOUR_MS
    assert found.closed_ms == NOON_MS - 12 * HOUR_MS
    admin.now_ms = found.closes_ms
    assert await inside(admin) == 0


async def test_an_entry_that_was_undone_is_no_visit(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    entry = diary.came(A, NOON_MS)
    await taken(town, diary)
    assert await inside(admin) == 1
    diary.undid(entry, NOON_MS + 5_000)
    await taken(town, diary, entry + 1)
    assert (await inside(admin), await held(city)) == (0, [])


async def test_a_tap_at_a_counter_is_neither_an_entry_nor_an_exit(town: Town, city: City, admin: Admin) -> None:
    await city.add(gates, {"id": "desk", "venue": "main", "kind": "counter", "policy": "open"})
    door, desk = Diary(city.device), Diary(await city.add_device(Device("desk-device", "desk")))
    door.came(A, NOON_MS)
    desk.came(A, NOON_MS + MINUTE_MS, gate="desk")
    desk.left(A, NOON_MS + 2 * MINUTE_MS, gate="desk")
    desk.came(B, NOON_MS, gate="desk")
    for diary in (desk, door):
        await taken(town, diary)
    assert [(row.in_ms, row.out_ms) for row in await held(city)] == [(NOON_MS, None)]
    assert await inside(admin) == 1
    door.left(A, NOON_MS + HOUR_MS)
    await taken(town, door, 1)
    assert [(row.in_ms, row.out_ms) for row in await held(city)] == [(NOON_MS, NOON_MS + HOUR_MS)]


async def held(city: City) -> list[Any]:
    async with city.database.read() as connection:
        return list(await connection.execute(select(visits)))


async def test_what_staff_counted_holds_until_the_venue_closes(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    diary.came(A, NOON_MS)
    await taken(town, diary)
    corrected = await admin.act("occupancy.correct", venue="main", who="chen", why="counted at the pool", count=7)
    assert (corrected.inside, corrected.corrected) == (7, 1)
    admin.now_ms += MINUTE_MS
    assert (await admin.act("occupancy.correct", venue="main", who="chen", why="one more", change=1)).inside == 8
    diary.left(A, admin.now_ms)
    diary.came(B, admin.now_ms)
    diary.came(C, admin.now_ms)
    await taken(town, diary, 2)
    assert await inside(admin) == 9
    admin.now_ms += DAY_MS
    assert await inside(admin) == 0


async def test_a_late_batch_changes_nothing_of_what_staff_counted(town: Town, city: City, admin: Admin) -> None:
    await admin.act("occupancy.correct", venue="main", who="chen", why="counted", count=7)
    late = Diary(await city.add_device(Device("door-1-late")))
    late.came(A, NOON_MS)
    late.came(B, NOW_MS + 1)
    await taken(town, late)
    admin.now_ms += MINUTE_MS
    assert await inside(admin) == 8


async def test_fewer_than_nobody_are_never_inside(city: City, admin: Admin) -> None:
    assert (await admin.act("occupancy.correct", venue="main", who="chen", why="empty", change=-5)).inside == 0


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"venue": "nowhere", "count": 1}, "no venue 'nowhere'"),
        ({"count": None}, "either how many"),
        ({"count": 3, "change": 1}, "either how many"),
        ({"count": -1}, "more people than"),
        ({"change": 2_000_000}, "more people than"),
        ({"count": 1, "why": ""}, "why it is corrected"),
    ],
)
async def test_a_correction_that_says_nothing_is_refused(
    city: City, admin: Admin, values: dict[str, Any], why: str
) -> None:
    with pytest.raises(ActionFailed, match=why):
        await admin.act("occupancy.correct", **{"venue": "main", "who": "chen", "why": "counted"} | values)


async def test_another_closing_time_holds_for_whoever_comes_after_it(town: Town, city: City, admin: Admin) -> None:
    admin.now_ms = NOON_MS
    await admin.act("venue.set", id="main", closes_at="20:00", who="chen")
    diary = Diary(city.device)
    diary.came(A, NOON_MS - 1)
    diary.came(B, NOON_MS)
    await taken(town, diary)
    rows = {row.subject: row.ends_by_ms for row in await city.rows(visits)}
    assert rows == {A: NOON_MS + 12 * HOUR_MS, B: NOON_MS + 8 * HOUR_MS}
    (venue,) = [row for row in (await admin.act("venue.list")).rows if row["id"] == "main"]
    assert venue["closes_at"] == "20:00"


async def test_each_venue_of_a_domain_counts_its_own(town: Town, city: City, admin: Admin) -> None:
    await city.add(venues, {"id": "annex", "domain": "library", "time_zone": "Asia/Taipei"})
    async with town.database.write() as connection:
        gate = {"id": "annex-door", "venue": "annex", "kind": "door", "policy": "open"}
        await connection.execute(insert(gates).values(gate))
    other = await city.add_device(Device("annex-device", "annex-door"))
    here, there = Diary(city.device), Diary(other)
    here.came(A, NOON_MS)
    there.came(A, NOON_MS + 1)
    there.left(A, NOON_MS + 2)
    await taken(town, here)
    await taken(town, there)
    assert await inside(admin) == 1
    assert (await admin.act("occupancy", venue="annex")).inside == 0


# --- counts and peaks -------------------------------------------------------------------------------------------


async def lines(admin: Admin, **values: Any) -> dict[str, Any]:
    found = await admin.act("visits", venue="main", **values)
    return {line.label: line for line in found.rows}


async def busy(town: Town, city: City) -> None:
    """Yesterday one stays until closing; today A comes twice, B overlaps, one is let in by hand."""
    diary = Diary(city.device)
    diary.came(C, NOON_MS - 14 * HOUR_MS)
    diary.came(A, NOON_MS)
    diary.came(B, NOON_MS + 30 * MINUTE_MS)
    diary.left(A, NOON_MS + 40 * MINUTE_MS)
    diary.came(A, NOON_MS + 2 * HOUR_MS)
    diary.admitted(at_ms=NOON_MS + 2 * HOUR_MS + 1)
    diary.came(B, NOON_MS + 3 * HOUR_MS)
    diary.left(B, NOON_MS + 4 * HOUR_MS)
    await taken(town, diary)


async def test_a_day_is_counted(town: Town, city: City, admin: Admin) -> None:
    await busy(town, city)
    (line,) = (await lines(admin)).values()
    assert (line.label, line.visits, line.members, line.by_hand) == ("all", 5, 2, 1)
    assert (line.exits_unknown, line.open) == (1, 2)
    assert (line.peak, line.peak_ms) == (3, NOON_MS + 2 * HOUR_MS + 1)
    days = await lines(admin, since="2026-09-20", until="2026-09-21", by="day")
    assert {label: (day.visits, day.exits_unknown, day.peak) for label, day in days.items()} == {
        "2026-09-20": (1, 1, 1),
        "2026-09-21": (5, 1, 3),
    }


async def test_hours_are_the_venues_own(town: Town, city: City, admin: Admin) -> None:
    await busy(town, city)
    hours = await lines(admin, by="hour")
    assert {label[11:13]: (hour.visits, hour.peak) for label, hour in hours.items()} == {
        "12": (2, 2),
        "14": (2, 3),
        "15": (1, 3),
    }


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_by_class_only_the_report_counts_which_hides_small_counts(city: City, admin: Admin) -> None:
    with pytest.raises(msgspec.ValidationError, match="class"):
        await lines(admin, by="class")


@pytest.mark.parametrize(
    ("values", "why"),
    [({"since": "2026-02-30"}, "no such day"), ({"since": "2026-03-02", "until": "2026-03-01"}, "before the first")],
)
async def test_days_that_cannot_be_are_refused(city: City, admin: Admin, values: dict[str, str], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await lines(admin, **values)
