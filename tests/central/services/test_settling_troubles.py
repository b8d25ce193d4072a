"""What must not stop or falsify settling: one gate's odd journal, a late upload between two statements, two writers of
one member, a service that fails."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select

from central.keys import Keys
from central.privacy.destroying import destroy
from central.services import follower as follower_module
from central.services import registry, telling
from central.services.projector import settle
from central.services.service import Touched
from central.store.database import Database
from central.store.schema import denials, epochs, events, marks, projected, states, subject_states, visits
from protocol.messages import Kind, Personal, encode
from tests.central.actors import NOW_MS, Device
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person

A, B, C = person(1), person(2), person(3)


@pytest.fixture
def town(database: Database, keys: Keys, city: City) -> Town:
    return Town(database, keys)


async def test_a_run_of_repeats_that_never_ends_keeps_no_other_gate_waiting(town: Town, city: City) -> None:
    """More names than one query takes: a gate that is out of order may call every tap a repeat of the first."""
    number = 12_000
    await _put_repeats(city, number)
    other = Diary(await city.add_device(Device("door-1-second")))
    tap = other.came(B)
    await town.take(other)
    async with asyncio.timeout(120):
        await town.settle()
    fates = await town.fates()
    assert fates[other.epoch, tap] == "counts"
    assert sorted(fates.values()).count("repeat") == number - 1


async def _put_repeats(city: City, number: int) -> None:
    """Straight into custody: each of these taps repeats the first one."""
    epoch = b"endless!"
    personal = encode(Personal(bytes(16), subject=A, card=1))
    rows = [
        {
            "device": city.device.id,
            "epoch": epoch,
            "sequence": n,
            "at_ms": NOW_MS + n,
            "gate": "door-1",
            "kind": Kind.TAP,
            "direction": "in",
            "decision": "granted",
            "reason": "ok",
            "rule": "members",
            "repeat_of": 1 if n else 0,
            "outcome": "accepted",
            "personal": personal,
            "detail": None,
        }
        for n in range(number)
    ]
    held = {"device": city.device.id, "epoch": epoch, "through": number - 1, "head": bytes(32), "seen_ms": NOW_MS}
    async with city.database.write() as connection:
        await connection.execute(insert(events), rows)
        await connection.execute(insert(epochs).values(held | {"previous_epoch": b"", "previous_sequence": -1}))


@pytest.mark.parametrize("settled_before", [False, True])
async def test_lost_events_that_come_while_those_after_them_are_settled_count(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch, settled_before: bool
) -> None:
    """The late upload is durable after the slice was read and before it is written."""
    diary = Diary(city.device)
    first, lost, last = diary.came(A), diary.came(B), diary.came(C)
    await town.take(diary, 0, first)
    if settled_before:
        await town.settle()
    await town.take(diary, last, last, lost=1)
    real, late = follower_module.backlog.next_slice, [1]

    async def next_slice(connection: Any, found: Any, most: int) -> Any:
        part = await real(connection, found, most)
        while late:
            late.pop()
            assert await town.take(diary, lost, last) == "accepted"
        return part

    monkeypatch.setattr(follower_module.backlog, "next_slice", next_slice)
    await town.settle()
    assert not late
    assert {sequence for _, sequence in await town.fates()} == {first, lost, last}


async def test_what_is_destroyed_between_reading_and_settling_is_settled_without_the_person(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary(city.device)
    tap, denied = diary.came(A), diary.was_denied(A)
    other = diary.came(B)
    await town.take(diary)
    real, left = follower_module.backlog.next_slice, [1]

    async def next_slice(connection: Any, found: Any, most: int) -> Any:
        part = await real(connection, found, most)
        while left:
            left.pop()
            names = [(diary.device.id, diary.epoch, sequence) for sequence in (tap, denied)]
            async with town.database.write() as connection:
                assert (await destroy(connection, names, NOW_MS)).events == 2
        return part

    monkeypatch.setattr(follower_module.backlog, "next_slice", next_slice)
    await town.settle()
    assert {sequence for _, sequence in await town.fates()} == {other}
    for table in (marks, denials, visits, subject_states):
        assert all(A not in row for row in await town.rows(table))


async def test_lost_events_that_come_while_a_transaction_settles_count(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary(city.device)
    first, lost, last = diary.came(A), diary.came(B), diary.came(C)
    await town.take(diary, 0, first)
    await town.take(diary, last, last, lost=1)
    real, late = follower_module.settle_marks, list[asyncio.Task[str]]()

    async def settle_marks(connection: Any, happened: Any) -> list[Touched]:
        if not late:
            late.append(asyncio.create_task(town.take(diary, lost, last)))
            await asyncio.sleep(0.2)  # as far as it comes beside this transaction
        return await real(connection, happened)

    monkeypatch.setattr(follower_module, "settle_marks", settle_marks)
    await town.settle()
    assert await late[0] == "accepted"
    await town.settle()
    assert {sequence for _, sequence in await town.fates()} == {first, lost, last}


class Counting:
    """A service that writes how many marks its member has: what a lost update falsifies."""

    name = "counting"
    tables: Any = ()

    def __init__(self) -> None:
        self.written: dict[bytes, int] = {}

    async def settle(self, connection: Any, touched: Any) -> set[tuple[str, bytes]]:
        for each in touched:
            query = select(marks.c.sequence).where(marks.c.domain == each.domain, marks.c.subject == each.subject)
            found = len((await connection.execute(query)).all())
            await asyncio.sleep(0.1)
            self.written[each.subject] = found
        return set()


async def test_an_action_that_settles_a_member_waits_for_who_settles_now(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would write what it read before the other's marks were there."""
    await town.settle()
    service = Counting()
    monkeypatch.setattr(registry, "SERVICES", (service,))
    monkeypatch.setattr(registry, "PROMISES", ())
    diary = Diary(city.device)
    diary.came(A)
    await town.take(diary)
    following = asyncio.create_task(town.settle())
    await asyncio.sleep(0.05)
    async with city.database.write() as connection:
        await settle(connection, [Touched("library", A, 0)], NOW_MS)
    await following
    assert service.written == {A: 1}


class Fails:
    """A service that fails for everybody."""

    name = "fails"
    tables: Any = ()

    async def settle(self, connection: Any, touched: Any) -> set[tuple[str, bytes]]:
        await connection.execute(insert(projected).values(device="half", epoch=b"half-way", through=0))
        raise ValueError("a fault of ours")


class Works(Counting):
    name = "works"


@pytest.mark.parametrize("begun", [True, False])
async def test_a_service_that_fails_takes_no_other_service_along(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    if begun:
        await town.settle()
    works = Works()
    monkeypatch.setattr(registry, "SERVICES", (Fails(), works))
    diary = Diary(city.device)
    diary.came(A)
    diary.came(B)
    await town.take(diary)
    await town.settle()
    assert works.written == {A: 1, B: 1}
    async with city.database.read() as connection:
        devices = set((await connection.execute(select(projected.c.device))).scalars())
    assert devices == {city.device.id}, "what it had written when it failed is undone"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # PostgreSQL tells by its own NOTIFY
async def test_what_is_due_by_the_clock_may_fail_and_devices_are_told_all_the_same(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(*_: object) -> set[tuple[str, bytes]]:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(telling, "overtaken", overtaken)
    noted: list[str] = []
    real = telling.note

    async def note(connection: Any, topics: Any) -> None:
        noted.extend(topics)
        await real(connection, noted)

    monkeypatch.setattr(telling, "note", note)
    monkeypatch.setattr(telling, "LOOK_EVERY_S", 0.0)
    await town.settle()
    diary = Diary(city.device)
    diary.came(A)
    await town.take(diary)
    await town.settle()
    monkeypatch.setattr(telling, "TELL_EVERY_S", 3_600.0)
    diary.came(B)
    await town.take(diary, 2)
    await town.settle()
    noted.clear()  # devices were not woken by it, within a moment of the tap before it
    monkeypatch.setattr(telling, "TELL_EVERY_S", 0.0)
    task = asyncio.create_task(town.follower.run())
    try:
        async with asyncio.timeout(5):
            while not noted:
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert noted == ["state:library"]


async def test_what_is_due_by_the_clock_waits_for_no_end_of_a_backlog(
    town: Town, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def overtaken(_: object, after_ms: int, through_ms: int) -> set[tuple[str, bytes]]:
        asked.append(through_ms)
        return set()

    monkeypatch.setattr(telling, "overtaken", overtaken)
    monkeypatch.setattr(follower_module, "SLICE", 1)
    diary = Diary(city.device)
    for n in range(5):
        diary.came(A, NOW_MS + n)
    await town.take(diary)
    await town.follower.step()
    await town.follower.step()
    assert await town.follower.step(), "more is behind"
    assert asked


async def test_a_domain_is_told_although_taps_never_end(town: Town, city: City) -> None:
    """As after a restore by day: at every look there is something behind, of a moment ago."""
    diary = Diary(city.device)
    diary.came(A)
    await town.take(diary)
    for _ in range(10):
        await town.take(diary, diary.came(B))
        assert await town.follower.step()
    async with city.database.read() as connection:
        assert (await connection.execute(select(states.c.stage))).scalars().all() == ["told"]
