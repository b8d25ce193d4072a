"""Taps by hour and day: each once, in whatever order they come, and the same when they are counted again."""

from collections import Counter
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select, update

from central.keys import Keys
from central.services.rebuilding import rebuild
from central.store.database import Database
from central.store.schema import tap_counts, venues
from tests.central.actors import Device
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

NOON_MS, HOUR_MS = 1_789_963_200_000, 3_600_000
"""2026-09-21T12:00+08:00."""
TODAY = "2026-09-21"
A = person(1)


@pytest.fixture
def town(database: Database, keys: Keys, city: City) -> Town:
    return Town(database, keys)


async def counts(town: Town) -> dict[tuple[Any, ...], int]:
    return {row[1:3] + row[4:6]: row[6] for row in await town.rows(tap_counts)}


async def no_progress(_what: str, _done: int, _total: int) -> None:
    pass


async def different(town: Town) -> int:
    async with town.database.write() as connection:
        found = await rebuild(connection, ["marks"], no_progress)
    return sum(each.missing + each.wrong for each in found)


async def test_taps_are_counted_by_hour_and_day_and_by_what_was_answered(town: Town, city: City) -> None:
    diary = Diary(city.device)
    diary.came(A, NOON_MS)
    diary.came(A, NOON_MS + 59 * 60_000)
    diary.left(A, NOON_MS + HOUR_MS)
    diary.was_denied(A, NOON_MS + HOUR_MS)
    await town.take(diary)
    await town.settle()
    assert await counts(town) == {
        (12, TODAY, "granted", "ok"): 2,
        (13, TODAY, "granted", "leaving"): 1,
        (13, TODAY, "denied", "already-inside"): 1,
        (-1, TODAY, "granted", "ok"): 2,
        (-1, TODAY, "granted", "leaving"): 1,
        (-1, TODAY, "denied", "already-inside"): 1,
    }
    assert await different(town) == 0


async def test_repeats_admissions_and_what_is_no_tap_are_not_counted(town: Town, city: City) -> None:
    diary = Diary(city.device)
    first = diary.came(A, NOON_MS)
    diary.came(A, NOON_MS + 1_000, repeats=first)
    diary.admitted(at_ms=NOON_MS)
    diary.undid(first, NOON_MS + 2_000)
    await town.take(diary)
    await town.settle()
    assert await counts(town) == {(12, TODAY, "granted", "ok"): 1, (-1, TODAY, "granted", "ok"): 1}


async def test_cards_on_no_list_are_counted_too(town: Town, city: City) -> None:
    diary = Diary(city.device)
    diary.came(b"", NOON_MS, decision="denied", reason="unknown-card")
    await town.take(diary)
    await town.settle()
    assert (await counts(town))[-1, TODAY, "denied", "unknown-card"] == 1


async def test_hours_are_those_of_the_venue(town: Town, city: City) -> None:
    async with city.database.write() as connection:
        await connection.execute(update(venues).values(time_zone="Asia/Kathmandu"))  # 45 minutes off
    diary = Diary(city.device)
    for at_ms in (NOON_MS + 14 * 60_000, NOON_MS + 15 * 60_000):  # 09:59, 10:00 there
        diary.came(A, at_ms)
    await town.take(diary)
    await town.settle()
    assert {hour for hour, *_ in await counts(town)} == {-1, 9, 10}


async def test_events_that_were_declared_lost_are_counted_once_when_they_come(town: Town, city: City) -> None:
    diary = Diary(city.device)
    for minutes in range(10):
        diary.came(person(minutes), NOON_MS + minutes * 60_000, decision="denied" if minutes % 2 else "granted")
    last = len(diary.publics) - 1
    await town.take(diary, 0, 3)
    await town.take(diary, last, last, lost=last - 4)
    await town.settle()
    before = Counter(await counts(town))
    other = Diary(await city.add_device(Device("door-1-b")))
    other.came(A, NOON_MS)
    await town.take(other)
    await town.take(diary, 4, last - 1)
    await town.settle()
    after = await counts(town)
    assert sum(after.values()) == 2 * 11 > sum(before.values())
    assert await different(town) == 0


async def test_the_order_of_arrival_changes_nothing(town: Town, city: City) -> None:
    diaries = []
    for number in range(3):
        diary = Diary(await city.add_device(Device(f"d{number}")))
        for each in range(5):
            diary.came(person(each), NOON_MS + number * HOUR_MS + each * 60_000)
        diaries.append(diary)
    for diary in diaries:
        await town.take(diary)
        await town.settle()
    once = await town.rows(tap_counts)
    for order in list(permutations(diaries))[1:3]:
        for diary in order:
            await town.take(diary)
            await town.settle()
        assert await town.rows(tap_counts) == once  # and what is sent again is not counted again
    assert await different(town) == 0


async def test_the_hours_of_a_day_make_its_sum(town: Town, city: City) -> None:
    diary = Diary(city.device)
    for each in range(40):
        diary.came(person(each), NOON_MS + each * 1_500_000, reason="ok" if each % 3 else "no-rule")
    await town.take(diary)
    await town.settle()
    t = tap_counts.c
    async with city.database.read() as connection:
        rows = (await connection.execute(select(t.day, t.reason, t.hour, t.taps))).all()
    days, hours = Counter[Any](), Counter[Any]()
    for day, reason, hour, taps in rows:
        (days if hour < 0 else hours)[day, reason] += taps
    assert days == hours
    assert len(days) == 4
