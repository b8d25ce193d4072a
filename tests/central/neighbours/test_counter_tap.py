"""Whoever taps next at a counter, and nobody who tapped there before."""

import asyncio
import os

import pytest

from central.actions.action import ActionFailed
from central.store.schema import devices, events, gates, subjects
from protocol.messages import Personal, encode
from tests.central.actors import NOW_MS
from tests.central.neighbours.conftest import LibraryTown

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
async def town(town: LibraryTown, monkeypatch: pytest.MonkeyPatch) -> LibraryTown:
    monkeypatch.setattr("central.actions.neighbours.counter_tap.LOOK_EVERY_S", 0.01)
    await town.people(2)
    await town.city.change(gates, gates.c.id == "door-1", kind="counter")
    return town


async def tap(town: LibraryTown, member: int, at_ms: int, **values: str) -> None:
    """It has come from the gate."""
    (subject,) = [row.subject for row in await town.city.rows(subjects) if row.member == town.members[member]]
    personal = encode(Personal(os.urandom(16), subject=subject, card=1))
    where = {"device": "door-1-device", "epoch": bytes(8), "gate": "door-1", "kind": "tap", "direction": "in"}
    said = {"decision": "granted", "reason": "ok", "rule": "members", "repeat_of": 0, "outcome": "accepted"} | values
    sequence = len(await town.city.rows(events)) + 1
    row = where | said | {"sequence": sequence, "at_ms": at_ms, "personal": personal, "detail": None}
    await town.city.add(events, row)


async def test_only_a_tap_from_now_on_counts(town: LibraryTown) -> None:
    await tap(town, 0, NOW_MS - 1)
    waiting = asyncio.create_task(town.admin.act("library.tap", gate="door-1"))
    await asyncio.sleep(0.05)
    await tap(town, 0, NOW_MS - 60_000)  # delivered late
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await tap(town, 1, NOW_MS + 900)
    found = await waiting
    assert (found.member, found.at_ms) == (town.members[1].hex(), NOW_MS + 900)


async def test_how_far_the_gates_clock_is_off_is_counted_in(town: LibraryTown) -> None:
    await town.city.change(devices, devices.c.gate == "door-1", skew_ms=60_000)
    await tap(town, 0, NOW_MS + 59_000)  # a second ago
    await tap(town, 1, NOW_MS + 61_000)
    assert (await town.admin.act("library.tap", gate="door-1")).member == town.members[1].hex()
    await town.city.change(devices, devices.c.gate == "door-1", skew_ms=-60_000)
    assert (await town.admin.act("library.tap", gate="door-1")).member == town.members[0].hex()


async def test_what_the_gate_denies_is_nobodys_loan(town: LibraryTown) -> None:
    await tap(town, 0, NOW_MS + 1, decision="denied", reason="card-lost")
    with pytest.raises(ActionFailed, match="did not take the card: card-lost"):
        await town.admin.act("library.tap", gate="door-1")


async def test_waiting_ends_and_only_counters_are_waited_at(town: LibraryTown) -> None:
    with pytest.raises(ActionFailed, match="nobody tapped a card at door-1 within 1 s"):
        await town.admin.act("library.tap", gate="door-1", seconds=1)
    await town.city.change(gates, gates.c.id == "door-1", kind="door")
    with pytest.raises(ActionFailed, match="no gate of the kind counter"):
        await town.admin.act("library.tap", gate="door-1")
