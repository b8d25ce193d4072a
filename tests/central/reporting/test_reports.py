"""Reports of visits, denials and devices, of what was settled and counted."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from central.access import perform
from central.access.caller import Caller, Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context
from central.reporting import thinning
from central.reporting.visit_counts import count_due
from central.store.schema import (
    device_states,
    devices,
    gate_configs,
    gates,
    subjects,
    venues,
    visit_counts,
    visit_days_due,
)
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

NOON_MS, HOUR_MS, DAY_MS = 1_789_963_200_000, 3_600_000, 86_400_000
"""2026-09-21T12:00+08:00, a Monday, the day of NOW_MS (21:33)."""


async def counted(town: Town, *diaries: Diary) -> None:
    for diary in diaries:
        await town.take(diary)
    await town.settle()
    await count_due(town.database)


def table(found: Any) -> dict[tuple[str, str], int | str]:
    return {(row.label, row.part): row.hidden or row.visits for row in found.rows}


async def two_venues(city: City) -> tuple[Diary, Diary]:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-door", "venue": "branch", "kind": "door", "policy": "open"})
    return Diary(city.device), Diary(await city.add_device(Device("b", "branch-door")))


def operator_of(admin: Admin, *of: str) -> Context:
    caller = Caller("lin", frozenset({Role.OPERATOR}), "192.0.2.1", venues=frozenset(of))
    return Context(admin.config, admin.database, admin.keys, admin.now_ms, caller=caller)


async def test_visits_by_day_hour_weekday_month_and_venue(town: Town, city: City, admin: Admin) -> None:
    main, branch = await two_venues(city)
    for days in (0, 1, 8):
        main.came(person(days), NOON_MS - days * DAY_MS)
    branch.came(person(9), NOON_MS + HOUR_MS, gate="branch-door")
    await counted(town, main, branch)
    expected: dict[str, dict[tuple[str, str], int | str]] = {
        "day": {("2026-09-13", ""): 1, ("2026-09-20", ""): 1, ("2026-09-21", ""): 2},
        "hour": {("12", ""): 3, ("13", ""): 1},
        "weekday": {("1", ""): 2, ("7", ""): 2},
        "month": {("2026-09", ""): 4},
        "venue": {("branch", ""): 1, ("main", ""): 3},
        "all": {("", ""): 4},
    }
    for by, rows in expected.items():
        found = await admin.act("report.visits", by=by)
        assert table(found) == rows, by
        assert (found.total.visits, found.due) == (4, 0)
    found = await admin.act("report.visits", by="month", split="venue", since="2026-09-20")
    assert table(found) == {("2026-09", "branch"): 1, ("2026-09", "main"): 2}
    assert [(each.name, each.visits) for each in found.parts] == [("branch", 1), ("main", 2)]


async def test_of_one_venue_members_and_peaks_are_told_too(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    diary.came(person(1), NOON_MS)
    diary.came(person(2), NOON_MS + 1_000)
    diary.left(person(1), NOON_MS + HOUR_MS)
    diary.came(person(1), NOON_MS + 2 * HOUR_MS)
    diary.admitted(at_ms=NOON_MS + 2 * HOUR_MS)
    await counted(town, diary)
    (row,) = (await admin.act("report.visits", venue="main", since="2026-09-21")).rows
    assert (row.visits, row.members, row.by_hand, row.without_exit, row.peak) == (4, 2, 1, 3, 3)


async def test_a_late_batch_and_an_undone_entry_are_counted_again(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    entry = diary.came(person(1), NOON_MS - DAY_MS)
    await counted(town, diary)
    assert (await admin.act("report.visits")).total.visits == 1
    diary.undid(entry, NOON_MS)
    late = Diary(await city.add_device(Device("late")))
    late.came(person(2), NOON_MS - 2 * DAY_MS)
    await town.take(diary, entry + 1)
    await town.take(late)
    await town.settle()
    assert (await admin.act("report.visits")).due > 0
    await count_due(town.database)
    found = await admin.act("report.visits")
    assert (table(found), found.due) == ({("2026-09-19", ""): 1}, 0)


async def test_a_day_that_changes_while_it_is_counted_stays_due(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary(city.device)
    diary.came(person(1), NOON_MS)
    await town.take(diary)
    await town.settle()
    import central.reporting.visit_counts as module

    counting = module._cells

    async def meanwhile(connection: Any, due: Any) -> Any:
        found = await counting(connection, due)
        if len(diary.publics) == 2:
            diary.came(person(2), NOON_MS)
            await town.take(diary, 2)
            await town.settle()
        return found

    monkeypatch.setattr(module, "_cells", meanwhile)
    await count_due(town.database)
    assert len(await city.rows(visit_days_due)) == 1
    await count_due(town.database)
    assert await city.rows(visit_days_due) == []
    assert {row.visits for row in await city.rows(visit_counts)} == {2}


async def test_by_class_small_counts_are_hidden_and_months_are_whole(town: Town, city: City, admin: Admin) -> None:
    await city.add_members(12)
    people = [row.subject for row in await city.rows(subjects)]
    diary = Diary(city.device)
    for each in people:
        diary.came(each, NOON_MS)
    for each in range(3):
        diary.came(person(each), NOON_MS - DAY_MS)
    for each in range(30):
        diary.came(person(each), NOON_MS - 2 * DAY_MS)
    await counted(town, diary)
    found = await admin.act("report.visits", split="class", since="2026-09-21", until="2026-09-21")
    assert (found.since, found.until) == ("2026-09-01", "2026-09-30")
    assert table(found)["2026-09-20", "–"] in ("small", "beside")
    assert 3 not in [row.visits for row in found.rows]
    found = await admin.act("report.visits", by="all", split="class")
    assert table(found) == {("", "citizen"): 12, ("", "–"): 33}
    assert (found.total.visits, found.labels[0].visits) == (45, 45)


async def test_an_average_week_and_the_highest_peaks(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    for weeks in range(4):
        for each in range(2 + weeks % 2):
            diary.came(person(each), NOON_MS - weeks * 7 * DAY_MS)
    await counted(town, diary)
    found = await admin.act("report.peaks", venue="main")
    assert found.week[0][12] == 2.5
    assert sum(map(sum, found.week)) == 2.5
    assert [(each.day, each.peak) for each in found.peaks[:2]] == [("2026-08-31", 3), ("2026-09-14", 3)]
    assert found.hours[0].visits == 3


async def test_denials_by_reason_gate_and_day(town: Town, city: City, admin: Admin) -> None:
    main, branch = await two_venues(city)
    main.was_denied(person(1), NOON_MS)
    main.came(person(1), NOON_MS)
    branch.came(b"", NOON_MS - DAY_MS, gate="branch-door", decision="denied", reason="unknown-card")
    branch.came(b"", NOON_MS - DAY_MS, gate="branch-door", decision="denied", reason="unknown-card")
    await counted(town, main, branch)
    found = await admin.act("report.denials")
    assert (found.taps, found.denied) == (4, 3)
    assert [(row.label, row.denied) for row in found.rows] == [("unknown-card", 2), ("already-inside", 1)]
    by_gate = (await admin.act("report.denials", by="gate")).rows
    assert [(row.label, row.taps, row.denied) for row in by_gate] == [("branch-door", 2, 2), ("door-1", 2, 1)]
    by_day = (await admin.act("report.denials", by="day", venue="branch")).rows
    assert [(row.label, row.reasons) for row in by_day] == [("2026-09-20", {"unknown-card": 2})]
    assert [row.label for row in (await admin.act("report.denials", by="hour", gate="door-1")).rows] == ["12"]


async def test_devices_by_how_long_they_were_online(city: City, admin: Admin) -> None:
    midnight_ms = NOON_MS - 12 * HOUR_MS
    await city.add(
        device_states,
        {"device": city.device.id, "at_ms": midnight_ms - DAY_MS, "state": "online", "reasons": ""},
        {"device": city.device.id, "at_ms": midnight_ms + HOUR_MS, "state": "silent", "reasons": "not-seen"},
        {"device": city.device.id, "at_ms": midnight_ms + 3 * HOUR_MS, "state": "online", "reasons": ""},
    )
    found = await admin.act("report.devices", since="2026-09-21")
    (device,) = found.devices
    assert (device.silences, device.longest_silent_ms) == (1, 2 * HOUR_MS)
    assert device.states_ms["silent"] == 2 * HOUR_MS
    assert sum(device.states_ms.values()) == NOW_MS - midnight_ms
    found = await admin.act("report.devices", until="2026-09-21")
    assert [day.states_ms.get("unknown", 0) > 0 for day in found.days] == [True] * 5 + [False] * 2


async def test_old_states_are_forgotten_and_how_it_did_from_then_on_is_not(
    city: City, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "AT_ONCE", 2)
    before_ms = NOW_MS - thinning.KEPT_MS
    times = [before_ms - each * HOUR_MS for each in range(6)] + [before_ms + HOUR_MS, NOW_MS - HOUR_MS]
    await city.add(
        device_states,
        *({"device": city.device.id, "at_ms": at_ms, "state": "online", "reasons": ""} for at_ms in times),
    )
    await city.add_device(Device("quiet"))
    await city.add(device_states, {"device": "quiet", "at_ms": 1, "state": "silent", "reasons": "not-seen"})
    report = await admin.act("report.devices", since="2026-09-21")
    assert await thinning.thin(city.database, NOW_MS) == 5
    kept = sorted((row.device, row.at_ms) for row in await city.rows(device_states))
    assert kept == [(city.device.id, before_ms), (city.device.id, before_ms + HOUR_MS), (city.device.id, times[-1])] + [
        ("quiet", 1)
    ]
    assert await admin.act("report.devices", since="2026-09-21") == report
    assert await thinning.thin(city.database, NOW_MS) == 0


# --- whose it is, and what makes no sense -----------------------------------------------------------------------


async def test_an_operator_sees_their_own_venues_alone(town: Town, city: City, admin: Admin) -> None:
    main, branch = await two_venues(city)
    main.came(person(1), NOON_MS)
    main.was_denied(person(1), NOON_MS)
    for each in range(2, 9):
        branch.came(person(each), NOON_MS, gate="branch-door")
    await counted(town, main, branch)
    theirs = operator_of(admin, "main")
    visits: Any = await perform.perform(theirs, "report.visits", {})
    denials: Any = await perform.perform(theirs, "report.denials", {})
    assert (visits.total.visits, denials.taps) == (1, 2)
    assert len((await perform.perform(theirs, "report.devices", {})).devices) == 1  # type: ignore[attr-defined]
    assert await perform.perform(replace(theirs), "report.peaks", {})
    for action in ("report.visits", "report.peaks", "report.denials", "report.devices"):
        with pytest.raises(Forbidden):
            await perform.perform(theirs, action, {"venue": "branch"})
    with pytest.raises(Forbidden):
        await perform.perform(theirs, "report.denials", {"gate": "branch-door"})
    with pytest.raises(Forbidden):
        await perform.perform(theirs, "report.recount", {})


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"since": "yesterday"}, "is not a date"),
        ({"since": "2026-09-02", "until": "2026-09-01"}, "before the first one"),
        ({"since": "2020-01-01"}, "days: ask for"),
        ({"since": "1990-01-01", "until": "2999-12-31"}, "days: ask for"),
        ({"venue": "nowhere"}, "there is no venue"),
    ],
)
async def test_what_cannot_be_reported_is_said(admin: Admin, values: dict[str, Any], why: str) -> None:
    for action in ("report.visits", "report.peaks", "report.denials", "report.devices"):
        with pytest.raises(ActionFailed, match=why):
            await admin.act(action, **values)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1582-10-15"])
async def test_days_at_the_ends_of_the_calendar_are_refused(admin: Admin, day: str) -> None:
    for action in ("report.visits", "report.peaks", "report.denials", "report.devices", "report.recount"):
        with pytest.raises(ActionFailed):
            await admin.act(action, since=day, until=day)
    with pytest.raises(ActionFailed):
        await admin.act("report.visits", since=day, until=day, split="class")


async def test_a_city_without_venues_has_empty_reports(database: Any, admin: Admin) -> None:
    async with database.write() as connection:
        for each in (devices, gate_configs, gates, venues):
            await connection.execute(each.delete())
    assert (await admin.act("report.visits")).total.visits == 0
    assert (await admin.act("report.denials")).rows == []
    assert (await admin.act("report.devices")).devices == []
    assert (await admin.act("overview.show")).venues == []


async def test_a_recount_takes_classes_as_they_are_now(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    for each in range(6):
        diary.came(person(each), NOON_MS)
    await counted(town, diary)
    members = await city.add_members(6)
    async with city.database.write() as connection:
        await connection.execute(subjects.delete())
        rows = [{"domain": "library", "member": each, "subject": person(n)} for n, each in enumerate(members)]
        await connection.execute(insert(subjects), rows)
    assert await classes(town) == {"", "–"}
    found = await admin.act("report.recount", since="2026-09-21", until="2026-09-21")
    assert (found.days, await classes(town)) == (1, {"", "citizen"})


async def classes(town: Town) -> set[str]:
    async with town.database.read() as connection:
        return set((await connection.execute(select(visit_counts.c.class_name))).scalars())
