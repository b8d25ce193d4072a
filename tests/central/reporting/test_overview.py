"""What is going on now, as each person may see it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from central.access import perform
from central.access.caller import Caller, Role
from central.actions.action import Context
from central.reporting import city as city_module
from central.reporting.fleet import read_fleet, write_changes
from central.store.schema import device_states, devices, evidence, gates, rollouts, venues
from protocol.fleet import Health, ReaderHealth
from protocol.messages import Clock, InputDetail, Kind, ReaderDetail, encode
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

MINUTE_MS, DAY_MS = 60_000, 86_400_000


@pytest.fixture(autouse=True)
def always_fresh() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(city_module.city_now, "__defaults__", (0.0,))
    yield
    patch.undo()


async def polled(city: City, device: Device, seen_ms: int = NOW_MS, **changes: Any) -> None:
    body = encode(device.poll_message(**({"wait_s": 30, "at_ms": seen_ms} | changes)))
    await city.change(devices, devices.c.id == device.id, seen_ms=seen_ms, report=body, confirmed_ms=NOW_MS - DAY_MS)


async def second_venue(city: City) -> Device:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-door", "venue": "branch", "kind": "door", "policy": "open"})
    return await city.add_device(Device("branch-device", "branch-door"))


async def states(admin: Admin) -> dict[str, tuple[str, list[str]]]:
    return {gate.gate: (gate.state, gate.reasons) for gate in (await admin.act("overview.show")).gates}


async def test_gates_have_the_state_of_their_devices(city: City, admin: Admin) -> None:
    branch = await second_venue(city)
    await city.add(gates, {"id": "empty", "venue": "branch", "kind": "door", "policy": "open"})
    await polled(city, city.device)
    await polled(city, branch, NOW_MS - 10 * MINUTE_MS)
    assert await states(admin) == {
        "branch-door": ("silent", ["not-seen"]),
        "door-1": ("online", []),
        "empty": ("off", ["no-device"]),
    }
    found = await admin.act("overview.show")
    assert [gate.gate for gate in found.gates] == ["branch-door", "door-1", "empty"]
    assert found.gates_by_state == {"online": 1, "silent": 1, "off": 1}
    assert {venue.venue: venue.state for venue in found.venues} == {"branch": "silent", "main": "online"}
    assert [(need.what, need.number) for need in found.needs] == [("gates-silent", 1)]


async def test_what_is_published_and_not_held_makes_a_gate_behind(city: City, admin: Admin) -> None:
    from central.lists import refresh_domain

    await city.add_members(1)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS - 5 * MINUTE_MS)
    await polled(city, city.device)
    assert (await states(admin))["door-1"] == ("behind", ["old-list"])


async def test_forks_tampering_and_readers_that_are_away_are_alarms(town: Town, city: City, admin: Admin) -> None:
    await polled(city, city.device)
    diary = Diary(city.device)
    diary.add(Kind.READER, detail=encode(ReaderDetail("r1", "absent", "", "", "")))
    diary.add(Kind.INPUT, detail=encode(InputDetail("tamper", True, 0)))
    await town.take(diary)
    assert (await states(admin))["door-1"] == ("alarm", ["tamper", "reader-failed"])
    diary.add(Kind.READER, detail=encode(ReaderDetail("r1", "ready", "", "", "")))
    diary.add(Kind.INPUT, detail=encode(InputDetail("tamper", False, 0)))
    await town.take(diary, 3)
    assert (await states(admin))["door-1"] == ("online", [])
    row = {"device": city.device.id, "digest": bytes(32), "kind": "fork", "at_ms": NOW_MS, "detail": "", "body": b""}
    await city.add(evidence, row)
    assert (await states(admin))["door-1"] == ("alarm", ["fork"])
    assert (await admin.act("overview.show")).needs[0].what == "gates-in-alarm"


async def test_what_a_device_says_of_its_machine_counts(city: City, admin: Admin) -> None:
    await polled(city, city.device)

    async def told(**changes: Any) -> tuple[str, list[str]]:
        readers = (ReaderHealth("r1", "pcsc", changes.pop("reader", "ready"), "", "", ""),)
        sizes = {"disk_free_bytes": 60, "disk_bytes": 100, "memory_free_bytes": 1, "memory_bytes": 2}
        fields = {"clock": Clock.TRUSTED, "machine_s": 1, "agent_s": 1, "readers": readers, **sizes, **changes}
        body = encode(Health(device=city.device.id, at_ms=NOW_MS, version="1", **fields))
        await city.change(devices, devices.c.id == city.device.id, health_ms=NOW_MS, health=body)
        return (await states(admin))["door-1"]

    assert await told() == ("online", [])
    assert await told(disk_free_bytes=4) == ("alarm", ["disk-full"])
    assert await told(reader="wedged") == ("alarm", ["reader-failed"])
    assert await told(clock=Clock.BEHIND) == ("alarm", ["clock-untrusted"])
    assert await told(clock=Clock.UNCONFIRMED) == ("online", [])
    assert await told(disk_free_bytes=0, disk_bytes=0) == ("online", [])


async def test_taps_who_is_inside_and_what_waits(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(city.device)
    for each in range(10):
        diary.came(person(each), NOW_MS - 2 * MINUTE_MS)
    diary.was_denied(person(1), NOW_MS - 2 * MINUTE_MS)
    diary.came(person(20), NOW_MS - 30 * MINUTE_MS)
    last = diary.left(person(3), NOW_MS - MINUTE_MS)
    await town.take(diary)
    await town.settle()
    await polled(city, city.device, backlog=250)
    found = await admin.act("overview.show")
    assert (found.inside, found.taps, found.denied, found.taps_per_minute) == (10, 13, 1, 2.4)
    assert found.inside == (await admin.act("occupancy", venue="main")).inside
    assert found.venues[0].inside == 10
    waiting = found.oldest_waiting
    assert (waiting.backlog, waiting.after_ms, found.waiting) == (250, NOW_MS - MINUTE_MS, 250)
    assert last == len(diary.publics) - 1


async def test_who_is_inside_is_what_staff_counted_and_nobody_after_closing(
    town: Town, city: City, admin: Admin
) -> None:
    await second_venue(city)
    diary = Diary(city.device)
    diary.came(person(1), NOW_MS - MINUTE_MS)
    await town.take(diary)
    await town.settle()
    await admin.act("occupancy.correct", venue="main", who="chen", why="counted", count=7)
    assert {v.venue: v.inside for v in (await admin.act("overview.show")).venues} == {"main": 7, "branch": 0}
    admin.now_ms += DAY_MS
    assert (await admin.act("overview.show")).inside == 0
    admin.now_ms = NOW_MS + MINUTE_MS
    await admin.act("venue.set", id="main", closes_at="21:00", who="chen")  # earlier today, and it is 21:33
    shown = (await admin.act("overview.show")).venues
    assert [v.inside for v in shown if v.venue == "main"] == [(await admin.act("occupancy", venue="main")).inside]


async def test_each_sees_what_is_theirs(town: Town, city: City, admin: Admin) -> None:
    branch = await second_venue(city)
    await polled(city, branch, NOW_MS - DAY_MS, backlog=9)
    await polled(city, city.device)
    await city.add_device(Device("new", "branch-door"), state="pending")

    async def shown(role: Role, **of: Any) -> Any:
        caller = Caller("lin", frozenset({role}), "192.0.2.1", **of)
        context = Context(admin.config, admin.database, admin.keys, NOW_MS, caller=caller)
        return await perform.perform(context, "overview.show", {})

    operator = await shown(Role.OPERATOR, venues=frozenset({"main"}))
    assert ([v.venue for v in operator.venues], [g.gate for g in operator.gates]) == (["main"], ["door-1"])
    assert (operator.needs, operator.oldest_waiting, operator.waiting) == ([], None, 0)
    coordinator = await shown(Role.COORDINATOR, teams=frozenset({"team"}))
    assert (coordinator.venues, coordinator.gates, coordinator.needs) == ([], [], [])
    auditor = await shown(Role.AUDITOR)
    assert {need.what: need.number for need in auditor.needs} == {"gates-silent": 1, "devices-to-confirm": 1}
    assert auditor.oldest_waiting.device == "branch-device"


async def test_a_rollout_that_halted_needs_a_person_of_its_gates(city: City, admin: Admin) -> None:
    values: dict[str, Any] = {column.name: 0 for column in rollouts.columns if column.name.endswith("_ms")}
    values |= {"halt_points": 0, "halt_taps": 0, "based_on": 0, "version": 0}
    values |= {"kind": "config", "policy": "", "gates": '["door-1"]', "first_gates": "[]", "body": b"", "title": "t"}
    values |= {"why": "", "who": "chen", "despite_freeze": "", "choices": False, "by_hand": False, "goes_back": True}
    await city.add(rollouts, {"id": "r1", "state": "halted", **values})
    assert "rollouts-halted" in {need.what for need in (await admin.act("overview.show")).needs}


async def test_it_is_read_once_a_second_for_all(city: City, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(city_module.city_now, "__defaults__", (60.0,))
    before = await admin.act("overview.show")
    await second_venue(city)
    assert await admin.act("overview.show") == before


async def test_changes_of_state_are_written_down_once(city: City, admin: Admin) -> None:
    await polled(city, city.device)
    assert await write_changes(city.database, NOW_MS) == 1
    assert await write_changes(city.database, NOW_MS + 1_000) == 0
    assert await write_changes(city.database, NOW_MS + 10 * MINUTE_MS) == 1
    await city.change(devices, devices.c.id == city.device.id, state="revoked")
    assert await write_changes(city.database, NOW_MS + 11 * MINUTE_MS) == 1
    async with city.database.read() as connection:
        query = select(device_states.c.state, device_states.c.reasons).order_by(device_states.c.at_ms)
        assert (await connection.execute(query)).all() == [("online", ""), ("silent", "not-seen"), ("off", "revoked")]


async def test_many_devices_are_read_by_as_many_queries_as_few(city: City) -> None:
    async def queries() -> int:
        said: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        async with city.database.read() as connection:
            event.listen(connection.sync_connection, "before_cursor_execute", note)
            fleet = await read_fleet(connection, NOW_MS)
        assert len(fleet) == len(await city.rows(devices))
        return len(said)

    await polled(city, city.device)
    few = await queries()
    for each in range(50):
        await polled(city, await city.add_device(Device(f"d{each:03}")))
    assert await queries() == few < 12
