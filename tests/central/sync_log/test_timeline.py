"""The timeline of a device: runs, what is missing between them, and whose it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.access.caller import Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.actions.custody import timeline
from central.actions.custody.timeline_runs import FORKED, MISSING, Came, missing, runs
from central.custody import Custodian
from central.moving import move
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.sync_log.test_batches import HOUR_MS, eventful


async def test_what_came_is_drawn_together_and_what_is_missing_stands_between(
    admin: Admin, city: City, custodian: Custodian
) -> None:
    journal = await eventful(custodian, city.device)
    later = Journal(city.device, journal)
    await custodian.take(later.upload(), NOW_MS + 2 * HOUR_MS)
    found = await admin.act("device.timeline", device=city.device.id, until_ms=NOW_MS + 3 * HOUR_MS)
    newest, first = found.epochs
    assert (newest.epoch, newest.previous) == (later.epoch.hex(), journal.epoch.hex())
    assert [(run.kind, run.first, run.through, run.batches) for run in first.runs] == [
        ("live", 0, 2, 1),
        ("queued", 3, 5, 1),
        ("missing", 6, 7, 0),
        ("queued", 8, 9, 1),
        ("live", 10, 10, 1),
        ("forked", 9, 9, 1),
    ]
    assert (first.missing, first.through, first.runs[0].resent) == (2, 10, 1)
    assert {mark.kind: mark.epoch for mark in found.marks} == dict.fromkeys(
        ("gap", "loss", "fork"), journal.epoch.hex()
    )


async def test_of_many_batches_the_newest_are_drawn_and_that_is_said(
    admin: Admin, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(city.device)
    for number in range(6):
        await custodian.take(journal.upload(number), NOW_MS + number * 1_000)
        journal.tap()
    monkeypatch.setattr(timeline, "MAX_BATCHES", 3)
    found = await admin.act("device.timeline", device=city.device.id, until_ms=NOW_MS + HOUR_MS)
    assert found.since_ms == NOW_MS + 3_000
    assert [(run.first, run.through) for run in found.epochs[0].runs] == [(3, 5)]
    assert found.epochs[0].missing == 0, "what was not looked at is not missing"


async def test_a_device_that_sent_nothing_has_an_empty_timeline(admin: Admin, city: City) -> None:
    found = await admin.act("device.timeline", device=city.device.id)
    assert (found.epochs, found.marks, found.gate) == ([], [], "door-1")
    with pytest.raises(ActionFailed, match="there is no device"):
        await admin.act("device.timeline", device="nobody")


async def test_a_timeline_is_for_those_of_its_venue(
    admin: Admin, pool: Device, city: City, custodian: Custodian
) -> None:
    await eventful(custodian, city.device)
    mei = caller("mei", Role.OPERATOR, venues=("pool",))
    assert (await ask(admin, mei, "device.timeline", device=pool.id)).epochs == []
    for device in (city.device.id, "nobody"):
        with pytest.raises(Forbidden):
            await ask(admin, mei, "device.timeline", device=device)


async def test_a_device_that_moved_shows_its_new_venue_nothing_of_its_former_time(
    admin: Admin, pool: Device, city: City, custodian: Custodian
) -> None:
    journal = await eventful(custodian, city.device)
    moved_ms = NOW_MS + 2 * HOUR_MS
    journal.tap()  # at its former gate, delivered from the new one
    async with city.database.write() as connection:
        await move(connection, admin.keys, city.device.id, "pool-1", "root", "", moved_ms)
    await custodian.take(journal.upload(11), moved_ms + 1)
    journal.add("tap", gate="pool-1", at_ms=moved_ms + 2)
    await custodian.take(journal.upload(12), moved_ms + 3)
    admin.now_ms = moved_ms + 10
    mei, both = (caller(name, Role.OPERATOR, venues=of) for name, of in (("mei", ("pool",)), ("lin", ("main", "pool"))))
    here: dict[str, Any] = {"device": city.device.id}
    (epoch,) = (await ask(admin, mei, "device.timeline", **here)).epochs
    assert [(run.first, run.through, run.from_ms) for run in epoch.runs] == [(11, 12, moved_ms + 1)]
    assert (epoch.begun_ms, epoch.missing) == (0, 0)
    assert (await ask(admin, mei, "device.timeline", **here)).marks == []
    assert (await ask(admin, mei, "evidence", **here)).evidence == []
    assert [line.first for line in (await ask(admin, mei, "batch.list", **here)).batches] == [12]
    times = {"from_ms": NOW_MS, "until_ms": moved_ms + 5, "ms": 60_000, "why": "battery"}
    with pytest.raises(Forbidden, match="stood at a venue of others"):
        await ask(admin, mei, "clock.offset", **here, **times)
    await ask(admin, mei, "clock.offset", **here, **times | {"from_ms": moved_ms})
    timeline = await ask(admin, both, "device.timeline", **here)
    assert {run.kind for run in timeline.epochs[0].runs} >= {"queued", "forked"}
    assert timeline.marks
    assert len((await ask(admin, both, "evidence", **here)).evidence) == 3
    await ask(admin, both, "clock.offset", **here, **times)


def came(sequences: range, **changes: Any) -> Came:
    at_ms = 1_000_000 + sequences[0] * 1_000
    batch = Came(sequences[0], sequences[-1], at_ms, at_ms, at_ms + 10, "accepted", 0)
    return batch._replace(**changes)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=12))
def test_runs_cover_every_sequence_once_and_name_every_hole(spans: list[tuple[int, int]]) -> None:
    next_, batches, held = 0, list[Came](), set[int]()
    for lost, number in spans:
        first = next_ + lost
        batches.append(came(range(first, first + number)))
        held |= set(range(first, first + number))
        next_ = first + number
    found = runs(reversed(batches), late_ms=60_000)
    covered = [sequence for run in found for sequence in range(run.first, run.through + 1)]
    assert covered == sorted(set(covered))
    there = {at for run in found if run.kind != MISSING for at in range(run.first, run.through + 1)}
    assert there == held
    assert missing(found) == (max(held) - min(held) + 1 - len(held) if held else 0)
    assert all(one.kind != other.kind for one, other in zip(found, found[1:], strict=False))


def test_a_fork_makes_no_hole_and_hides_none() -> None:
    found = runs([came(range(3)), came(range(2, 4), outcome="forked"), came(range(5, 6))], late_ms=60_000)
    assert [run.kind for run in found] == ["live", MISSING, "live", FORKED]
    assert missing(found) == 2
