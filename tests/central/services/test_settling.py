"""Events in custody become marks, whatever the order in which they came (SPEC §8.4, §8.5)."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from central.keys import Keys
from central.services import follower as follower_module
from central.services import registry
from central.services.service import Touched
from central.store.database import Database
from central.store.schema import events, marks, projected, states
from protocol.messages import Kind, Passage
from tests.central.actors import NOW_MS, Device
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

A, B = person(1), person(2)


@pytest.fixture
def town(database: Database, keys: Keys, city: City) -> Town:
    return Town(database, keys)


async def settled(town: Town, *diaries: Diary) -> dict[int, str]:
    """By sequence, of the marks of the last of these epochs."""
    for diary in diaries:
        await town.take(diary)
    await town.settle()
    return {sequence: fate for (epoch, sequence), fate in (await town.fates()).items() if epoch == diaries[-1].epoch}


async def test_granted_taps_leave_marks_and_denied_ones_none(town: Town, city: City) -> None:
    diary = Diary(city.device)
    came = diary.came(A, points=5, due=20)
    diary.was_denied(B)
    left = diary.left(A, NOW_MS + 60_000)
    assert await settled(town, diary) == {came: "counts", left: "counts"}
    (first, *_) = await town.rows(marks)
    row = dict(zip(marks.c.keys(), first, strict=True))
    assert (row["domain"], row["subject"], row["venue"], row["gate"]) == ("library", A, "main", "door-1")
    assert (row["points"], row["due"], row["card"], row["rule"], row["repeats"]) == (5, 20, 1, "members", -1)


async def test_what_was_undone_or_not_taken_does_not_count(town: Town, city: City) -> None:
    diary = Diary(city.device)
    undone, not_taken, taken, unknown = (diary.came(person(n)) for n in range(1, 5))
    diary.undid(undone)
    diary.passed(not_taken, Passage.NOT_TAKEN)
    diary.passed(taken, Passage.TAKEN)
    diary.passed(unknown, Passage.UNKNOWN)
    diary.passed(-1, Passage.FORCED)
    expected = {undone: "undone", not_taken: "not-taken", taken: "counts", unknown: "counts"}
    assert await settled(town, diary) == expected


async def test_a_repeat_counts_only_in_the_place_of_one_that_was_given_back(town: Town, city: City) -> None:
    diary = Diary(city.device)
    first = diary.came(A, NOW_MS, points=7, rule="swim")
    again = diary.came(A, NOW_MS + 1_000, repeats=first)
    third = diary.came(A, NOW_MS + 2_000, repeats=first)
    assert await settled(town, diary) == {first: "counts", again: "repeat", third: "repeat"}
    diary.passed(first, Passage.NOT_TAKEN)
    await town.take(diary, third + 1)
    await town.settle()
    fates = {sequence: fate for (_, sequence), fate in (await town.fates()).items()}
    assert fates == {first: "not-taken", again: "counts", third: "repeat"}
    heir = next(row for row in await _marks(town) if row.sequence == again)
    assert (heir.at_ms, heir.points, heir.rule, heir.repeats) == (NOW_MS, 7, "swim", first)
    diary.undid(again)
    last = diary.came(A, NOW_MS + 3_000, repeats=again)  # as a gate names the one that took the place
    await town.take(diary, third + 2)
    await town.settle()
    fates = {sequence: fate for (_, sequence), fate in (await town.fates()).items()}
    assert fates == {first: "not-taken", again: "undone", third: "counts", last: "repeat"}


async def test_a_tap_that_was_not_taken_and_then_undone_is_undone(town: Town, city: City) -> None:
    diary = Diary(city.device)
    tap = diary.came(A)
    diary.passed(tap, Passage.NOT_TAKEN)
    assert await settled(town, diary) == {tap: "not-taken"}
    diary.undid(tap)
    await town.take(diary, tap + 2)
    await town.settle()
    assert await town.fates() == {(diary.epoch, tap): "undone"}


async def test_a_repeat_of_a_tap_of_an_earlier_epoch_never_counts(town: Town, city: City) -> None:
    diary = Diary(city.device)
    sequence = len(diary.publics)
    diary.came(A, repeats=sequence)
    after = diary.came(A, repeats=sequence + 1)
    diary.passed(sequence, Passage.NOT_TAKEN)
    assert await settled(town, diary) == {sequence: "not-taken", after: "repeat"}


async def test_a_fate_may_be_settled_before_its_tap(town: Town, city: City) -> None:
    old = Diary(city.device)
    tap, other = old.came(A), old.came(B)
    new = Diary(city.device, old)
    new.passed(tap, Passage.NOT_TAKEN, epoch=old.epoch)
    new.passed(other, Passage.UNKNOWN, epoch=old.epoch)
    assert await town.take(new) == "gap"
    assert await town.take(new) == "accepted"
    await town.settle()
    assert await town.fates() == {}
    assert await settled(town, old) == {tap: "not-taken", other: "counts"}


async def test_an_admission_is_of_whom_was_denied_before_it(town: Town, city: City) -> None:
    diary = Diary(city.device)
    denied = diary.was_denied(A)
    known, unknown = diary.admitted(denied), diary.admitted()
    assert await settled(town, diary) == {known: "counts", unknown: "counts"}
    assert {row.sequence: (row.subject, row.kind, row.points) for row in await _marks(town)} == {
        known: (A, "admit", 0),
        unknown: (b"", "admit", 0),
    }


async def test_a_tap_whose_personal_part_is_destroyed_is_nobodys(town: Town, city: City) -> None:
    diary = Diary(city.device)
    diary.came(A)
    denied = diary.was_denied(B)
    diary.admitted(denied)
    await town.take(diary)
    await city.change(events, events.c.kind == Kind.TAP, personal=None)
    await town.settle()
    assert [(row.subject, row.kind) for row in await _marks(town)] == [(b"", "admit")]


async def test_only_what_was_accepted_is_settled(town: Town, city: City) -> None:
    diary = Diary(city.device)
    first = diary.came(A)
    diary.add_raw(b"\xc1 no event")
    diary.add("weather", decision="granted", direction="in")
    last = diary.came(B)
    assert await settled(town, diary) == {first: "counts", last: "counts"}
    other = Device("door-1-other")
    await city.add_device(other, "revoked")
    late = Diary(other)
    late.came(A)
    await town.take(late)
    await town.settle()
    assert {row.device for row in await _marks(town)} == {city.device.id}
    assert [row.through for row in await _table(town, projected)] == [len(diary.publics) - 1, 1]


async def test_a_gate_that_is_not_of_the_devices_domain_is_not_believed(town: Town, city: City) -> None:
    await city.add_gate("door-2")
    diary = Diary(city.device)
    at = [diary.came(A, gate=gate) for gate in ("door-2", "elsewhere", "")]
    await settled(town, diary)
    assert [row.gate for row in sorted(await _marks(town), key=lambda row: row.sequence)] == [
        "door-2",
        "door-1",
        "door-1",
    ]
    assert len(at) == 3


# --- lost, late, twice, again -----------------------------------------------------------------------------------


async def test_sequences_that_are_lost_are_passed_over(town: Town, city: City) -> None:
    diary = Diary(city.device)
    first = diary.came(A)
    for _ in range(5):
        diary.came(B)
    last = diary.came(A, NOW_MS + 1)
    await town.take(diary, 0, first)
    assert await town.take(diary, last, last, lost=last - first - 1) == "accepted"
    await town.settle()
    assert {sequence for _, sequence in await town.fates()} == {first, last}
    assert (await _through(town))[diary.epoch] == last


async def test_events_that_had_been_declared_lost_are_settled_when_they_come(town: Town, city: City) -> None:
    diary = Diary(city.device)
    first = diary.came(A, points=3)
    again = diary.came(A, NOW_MS + 1_000, repeats=first)
    diary.passed(first, Passage.NOT_TAKEN)
    await town.take(diary, 0, 0)
    await town.take(diary, again, again, lost=1)
    await town.settle()
    assert await town.fates() == {(diary.epoch, again): "repeat"}
    assert await town.take(diary, 1) == "accepted"
    await town.settle()
    assert await town.fates() == {(diary.epoch, first): "not-taken", (diary.epoch, again): "counts"}
    heir = next(row for row in await _marks(town) if row.sequence == again)
    assert (heir.points, heir.at_ms) == (3, NOW_MS)


def history(device: Device, seed: int) -> list[Diary]:
    """Some epochs of one gate, with everything that a gate writes of people."""
    chance, diaries = random.Random(seed), []
    at_ms = NOW_MS
    for _ in range(3):
        diary = Diary(device, diaries[-1] if diaries else None)
        open_taps: list[int] = []
        for _ in range(20):
            at_ms += chance.choice((1_000, 60_000, 3_600_000, 20_000_000))
            someone = person(chance.randint(1, 4))
            match chance.randint(0, 9):
                case 0 | 1 | 2 | 3:
                    open_taps.append(diary.came(someone, at_ms, points=chance.randint(0, 3)))
                case 4:
                    open_taps.append(diary.left(someone, at_ms))
                case 5 if open_taps:
                    diary.came(someone, at_ms, repeats=chance.choice(open_taps))
                case 6 if open_taps:
                    diary.passed(chance.choice(open_taps), chance.choice([Passage.TAKEN, Passage.NOT_TAKEN]), at_ms)
                case 7 if open_taps:
                    diary.undid(chance.choice(open_taps), at_ms)
                case 8:
                    diary.admitted(diary.was_denied(someone, at_ms), at_ms)
                case _:
                    diary.admitted(at_ms=at_ms)
        if diaries:
            diary.passed(len(diaries[-1].publics) - 3, Passage.NOT_TAKEN, at_ms, diaries[-1].epoch)
        diaries.append(diary)
    return diaries


@pytest.mark.parametrize("seed", range(2))
async def test_the_order_of_arrival_changes_nothing(
    town: Town, city: City, keys: Keys, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole epochs in order and settled at once, or torn into batches, shuffled, sent twice, settled in between."""
    other = await city.add_device(Device("door-1-second"))
    diaries = history(city.device, seed) + history(other, seed + 100)
    for diary in diaries:
        assert await town.take(diary) == "accepted"
    await town.settle()
    expected = await town.everything()
    assert len(expected["marks"]) > 50
    assert expected["visits"]
    for table in (*follower_tables(), projected, states):
        await _clear(town, table)
    for table in ("events", "batches", "epochs", "evidence"):
        await _clear(town, events.metadata.tables[table])

    chance = random.Random(seed)
    monkeypatch.setattr(follower_module, "SLICE", chance.choice((1, 3, 7)))
    again = Town(town.database, keys)
    waiting = {diary.epoch: 0 for diary in diaries}
    by_epoch = {diary.epoch: diary for diary in diaries}
    while waiting:
        epoch = chance.choice(sorted(waiting))
        diary, first = by_epoch[epoch], waiting[epoch]
        last = min(first + chance.randint(0, 9), len(diary.publics) - 1)
        outcome = await again.take(diary, max(0, first - chance.randint(0, 3)), last)
        if outcome == "gap":
            continue
        await again.take(diary, first, last)
        waiting[epoch] = last + 1
        if last + 1 == len(diary.publics):
            del waiting[epoch]
        if chance.random() < 0.4:
            await again.settle()
    await again.settle()
    assert await again.everything() == expected


async def test_two_servers_settle_the_same_events_once(
    town: Town, city: City, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    diaries = history(city.device, 3)
    for diary in diaries:
        await town.take(diary)
    await town.settle()
    expected = await town.everything()
    for table in (*follower_tables(), projected, states):
        await _clear(town, table)
    monkeypatch.setattr(follower_module, "SLICE", 4)
    others = [Town(town.database, keys) for _ in range(3)]
    await asyncio.gather(*(other.settle() for other in others))
    assert await town.everything() == expected
    assert await _through(town) == {diary.epoch: len(diary.publics) - 1 for diary in diaries}


async def test_after_a_restore_all_is_settled_again(town: Town, city: City, keys: Keys) -> None:
    diaries = history(city.device, 1)
    for diary in diaries:
        await town.take(diary)
    await town.settle()
    expected = await town.everything()
    for table in (*follower_tables(), projected, states):
        await _clear(town, table)
    fresh = Town(town.database, keys)
    await fresh.settle()
    assert await fresh.everything() == expected


async def test_nothing_is_settled_beyond_what_is_held(town: Town, city: City) -> None:
    """A database that was set back: its projections may know more than its epochs."""
    diary = Diary(city.device)
    diary.came(A)
    await town.take(diary)
    await town.settle()
    await city.change(projected, projected.c.epoch == diary.epoch, through=100)
    diary.came(B)
    await town.take(diary, 2)
    await town.settle()
    assert (await _through(town))[diary.epoch] == 100  # left to `rebuild`; the feed never tells more than is held


# --- the task ---------------------------------------------------------------------------------------------------


async def test_the_task_settles_what_comes_and_is_woken_by_an_upload(town: Town, city: City) -> None:
    task = asyncio.create_task(town.follower.run())
    try:
        diary = Diary(city.device)
        diary.came(A)
        await asyncio.sleep(0.2)
        with town.follower.custody_at_work():
            await town.take(diary)
        async with asyncio.timeout(2):
            while not await town.fates():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_goes_on_while_uploads_never_end(town: Town, city: City) -> None:
    with town.follower.custody_at_work():
        diary = Diary(city.device)
        diary.came(A)
        await town.take(diary)
        async with asyncio.timeout(5):
            await town.settle()
    assert len(await town.fates()) == 1


class Poisonous:
    """A service that cannot bear one member."""

    name = "poisonous"
    tables = ()

    def __init__(self, broken: bytes) -> None:
        self.broken, self.settled = broken, set[bytes]()

    async def settle(self, connection: Any, touched: Any) -> set[tuple[str, bytes]]:
        if any(each.subject == self.broken for each in touched):
            raise ValueError("a fault of ours")
        self.settled |= {each.subject for each in touched}
        return set()


async def test_a_service_that_fails_keeps_no_other_member_waiting(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Poisonous(B)
    await town.settle()
    monkeypatch.setattr(registry, "SERVICES", (service,))
    diary = Diary(city.device)
    for number in range(1, 6):
        diary.came(person(number))
    await town.take(diary)
    await town.settle()
    assert len(await town.fates()) == 5, "the marks are there, also of whom the service failed for"
    assert service.settled == {person(n) for n in (1, 3, 4, 5)}
    assert b'tapgate_not_settled_total{what="service"} 1.0' in town.metrics.text()


async def test_nor_does_it_when_a_domain_is_settled_for_the_first_time(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Poisonous(B)
    monkeypatch.setattr(registry, "SERVICES", (service,))
    diary = Diary(city.device)
    for number in range(1, 6):
        diary.came(person(number))
    await town.take(diary)
    await town.settle()
    assert service.settled == {person(n) for n in (1, 3, 4, 5)}
    assert [row.stage for row in await _table(town, states)] == ["told"]
    assert b'tapgate_not_settled_total{what="member"} 1.0' in town.metrics.text()


async def test_an_event_that_cannot_be_settled_is_passed_over(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = follower_module.settle_marks

    async def settle_marks(connection: Any, happened: Any) -> list[Touched]:
        if any(event.rule == "poison" for event in happened):
            raise ValueError("a fault of ours")
        return await real(connection, happened)

    monkeypatch.setattr(follower_module, "settle_marks", settle_marks)
    diary = Diary(city.device)
    diary.came(A)
    diary.came(A, rule="poison")
    last = diary.came(B)
    await town.take(diary)
    await town.settle()
    assert {sequence for _, sequence in await town.fates()} == {1, last}
    assert (await _through(town))[diary.epoch] == last
    assert b'tapgate_not_settled_total{what="event"} 1.0' in town.metrics.text()


async def test_a_database_that_is_in_trouble_for_a_while_loses_nothing(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = follower_module.settle_marks, [OperationalError("", None, OSError("disk full"))] * 3

    async def settle_marks(connection: Any, happened: Any) -> list[Touched]:
        if failures:
            raise failures.pop()
        return await real(connection, happened)

    monkeypatch.setattr(follower_module, "settle_marks", settle_marks)
    monkeypatch.setattr(follower_module, "RETRY_S", 0.01)
    diary = Diary(city.device)
    diary.came(A)
    await town.take(diary)
    task = asyncio.create_task(town.follower.run())
    try:
        async with asyncio.timeout(5):
            while not await town.fates():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert failures == []
    assert b'tapgate_not_settled_total{what="event"}' not in town.metrics.text()


async def test_what_is_behind_is_told_to_monitoring(town: Town, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "SLICE", 2)
    diary = Diary(city.device)
    for _ in range(9):
        diary.came(A)
    await town.take(diary)
    await town.follower.step()
    assert b"tapgate_events_behind 10.0" in town.metrics.text()
    await town.settle()
    await town.follower.step()
    assert b"tapgate_events_behind 0.0" in town.metrics.text()


def follower_tables() -> list[Any]:
    names = ("marks", "fates", "visits", "subject_states")
    return [table for table in events.metadata.tables.values() if table.name in names]


async def _clear(town: Town, table: Any) -> None:
    async with town.database.write() as connection:
        await connection.execute(table.delete())


async def _marks(town: Town) -> list[Any]:
    return await _table(town, marks)


async def _table(town: Town, table: Any) -> list[Any]:
    async with town.database.read() as connection:
        return list(await connection.execute(select(table)))


async def _through(town: Town) -> dict[bytes, int]:
    return {row.epoch: row.through for row in await _table(town, projected)}
