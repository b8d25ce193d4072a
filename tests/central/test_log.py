"""The log: its stable lines, its filters, and that it neither grows nor stops."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central import enrolment
from central.actions.custody import log as custody_log
from central.custody import Custodian
from central.device_keys import DeviceKeys
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin, admin_of
from tests.central.city import City

KEYS = {
    *("device", "epoch", "sequence", "gate", "time", "decision", "reason", "outcome"),
    *("kind", "direction", "rule", "repeat_of", "detail"),
}


@pytest.fixture
def custodian(database: Any, keys: Any) -> Custodian:
    return Custodian(database, keys, DeviceKeys(database))


@pytest.fixture
def admin(database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


async def lines(admin: Admin, **filters: Any) -> list[Any]:
    result = await admin.act("log", **filters)
    assert result.lines == len(admin.items)
    return admin.items


async def test_a_line_says_what_scripts_rely_on(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = Journal(city.device)
    journal.tap()
    await custodian.take(journal.upload(), NOW_MS)
    start, tap = map(msgspec.to_builtins, await lines(admin))
    assert set(tap) == KEYS
    assert tap == {
        "device": city.device.id,
        "epoch": journal.epoch.hex(),
        "sequence": 1,
        "gate": "door-1",
        "time": "2026-09-21T14:13:20.000Z",
        "kind": "tap",
        "direction": "in",
        "decision": "granted",
        "reason": "ok",
        "rule": "members",
        "repeat_of": 0,
        "outcome": "accepted",
        "detail": {},
    }
    assert (start["kind"], start["decision"]) == ("start", "")


async def test_every_outcome_is_told(admin: Admin, city: City, custodian: Custodian, database: Any) -> None:
    journal = Journal(city.device)
    journal.add("from-the-future")
    journal.add_raw(b"\x93\x01\x02\x03")
    other = journal.branch(1)
    other.tap()
    await custodian.take(journal.upload(), NOW_MS)
    await custodian.take(other.upload(1), NOW_MS)
    async with database.write() as connection:
        await enrolment.revoke(connection, city.device.id, "stolen", NOW_MS)
    journal.tap()
    await custodian.take(journal.upload(3), NOW_MS)
    found = {(line.sequence, line.outcome) for line in await lines(admin)}
    assert found == {(0, "accepted"), (1, "held"), (2, "refused"), (3, "untrusted"), (1, "forked")}


@pytest.fixture
async def busy(admin: Admin, city: City, custodian: Custodian) -> Admin:
    """Two gates, three devices, times a second apart, some denied."""
    await city.add_gate("door-2")
    for number, gate in enumerate(("door-1", "door-1", "door-2")):
        device = await city.add_device(Device(f"{gate}-{number}", gate))
        journal = Journal(device)
        for second in range(10):
            at_ms = NOW_MS + second * 1_000 + number
            decision = "denied" if second % 5 == 0 else "granted"
            journal.add("tap", at_ms=at_ms, direction="in", decision=decision, reason="ok", rule="")
        await custodian.take(journal.upload(), NOW_MS)
    return admin


@pytest.mark.parametrize(
    ("filters", "number"),
    [
        ({}, 33),
        ({"gate": "door-1"}, 22),
        ({"device": "door-2-2"}, 11),
        ({"decision": "denied"}, 6),
        ({"since_ms": NOW_MS + 5_000, "until_ms": NOW_MS + 7_000}, 6),
        ({"gate": "door-2", "decision": "denied", "since_ms": NOW_MS + 1_000}, 1),
        ({"gate": "nowhere"}, 0),
        ({"limit": 4}, 4),
        ({"limit": 100}, 33),
    ],
)
async def test_filters(busy: Admin, filters: dict[str, Any], number: int) -> None:
    found = await lines(busy, **filters)
    assert len(found) == number
    assert [line.time for line in found] == sorted(line.time for line in found)


async def test_a_limit_gives_the_newest(busy: Admin) -> None:
    assert {line.time for line in await lines(busy, limit=3)} == {f"2026-09-21T14:13:29.00{n}Z" for n in range(3)}


async def test_lines_come_in_small_lots(busy: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody_log, "LINES_AT_ONCE", 4)
    lots: list[int] = []
    inner = busy._emit

    async def emit(items: Any) -> None:
        lots.append(len(items))
        await inner(items)

    monkeypatch.setattr(busy, "_emit", emit)
    assert len(await lines(busy)) == 33
    assert max(lots) == 4


async def test_following_goes_on_with_what_comes_and_tells_nothing_twice(
    admin: Admin, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody_log, "FOLLOW_S", 0.01)
    journal = Journal(city.device)
    journal.tap(2)
    await custodian.take(journal.upload(), NOW_MS)
    following = asyncio.create_task(admin.act("log", follow=True, gate="door-1"))
    await _until(lambda: len(admin.items) == 3)
    journal.tap(3)
    await custodian.take(journal.upload(3), NOW_MS)
    again = Journal(city.device, journal)
    await custodian.take(again.upload(), NOW_MS)
    await _until(lambda: len(admin.items) >= 7)
    await asyncio.sleep(0.05)
    following.cancel()
    found = [(line.epoch, line.sequence) for line in admin.items]
    expected = [(journal.epoch.hex(), n) for n in range(6)] + [(again.epoch.hex(), 0)]
    assert sorted(found) == sorted(expected)


async def _until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)
