"""Which gates hold a change already, by what their devices said last."""

from typing import Any

import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import devices, domains, gates, venues
from protocol.messages import Part, encode
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.people.conftest import Listed

STRANGER = caller("hu", "operator", venues=("elsewhere",))
AUDITOR = caller("wu", "auditor")
LIN = caller("lin", "operator", venues=("main",))


async def says(city: City, device: Device, version: int, seen_ms: int = NOW_MS) -> None:
    """The device polled, holding this version of the list."""
    poll = device.poll_message(parts=(Part("allowlist", version, bytes(32)),))
    await city.change(devices, devices.c.id == device.id, report=encode(poll), seen_ms=seen_ms)


def states(lists: Any) -> list[tuple[str, str]]:
    return [(gate.gate, gate.state) for each in lists for gate in each.gates]


async def test_a_gate_waits_until_it_holds_the_list_that_has_the_change(
    city: City, admin: Admin, listed: Listed
) -> None:
    await city.add_gate("door-2")
    other = await city.add_device(Device("door-2-device", "door-2"))
    await says(city, city.device, await listed.version())
    admin.now_ms += 5
    (card,) = (await ask(admin, LIN, "card.block", member="M-1")).cards
    version = await listed.version()
    (found,) = (await ask(admin, LIN, "card.uptake", card=card.card)).lists
    assert (found.version, found.holding, found.waiting) == (version, 0, 2)
    assert states([found]) == [("door-1", "waits"), ("door-2", "waits")]
    assert [gate.seen_ms for gate in found.gates] == [NOW_MS, 0]
    await says(city, other, version)
    (found,) = (await ask(admin, LIN, "card.uptake", member="M-1")).lists
    assert states([found]) == [("door-1", "waits"), ("door-2", "holds")]
    await says(city, city.device, version + 7)
    (found,) = (await ask(admin, LIN, "card.uptake", member="M-1", waiting=True)).lists
    assert (found.gates, found.holding) == ([], 2)


async def test_a_change_of_another_card_keeps_nobody_waiting(city: City, admin: Admin, listed: Listed) -> None:
    (card,) = (await ask(admin, LIN, "card.block", member="M-1")).cards
    await says(city, city.device, await listed.version())
    admin.now_ms += 5
    await ask(admin, LIN, "card.block", member="M-2")
    (first,) = (await ask(admin, LIN, "card.uptake", card=card.card)).lists
    (newest,) = (await ask(admin, LIN, "card.uptake", domain="library")).lists
    assert (first.waiting, newest.waiting, newest.version) == (0, 1, await listed.version())


async def test_revoked_devices_and_other_domains_do_not_count(city: City, admin: Admin) -> None:
    city.keys.new_domain_key("sports", 1)
    await city.add(domains, {"id": "sports", "key_number": 1})
    await city.add(venues, {"id": "pool", "domain": "sports", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "turnstile-1", "venue": "pool", "kind": "turnstile", "policy": "open"})
    await city.add_device(Device("t-1", "turnstile-1"))
    await city.add_device(Device("old", "door-1"), "revoked")
    found = (await ask(admin, AUDITOR, "card.uptake", member="M-1")).lists
    assert states(found) == [("door-1", "waits")]


async def test_an_operator_sees_the_own_gates_alone(city: City, admin: Admin) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-1", "venue": "branch", "kind": "door", "policy": "open"})
    await city.add_device(Device("b-1", "branch-1"))
    lin = (await ask(admin, LIN, "card.uptake", member="M-1")).lists
    everybody = (await ask(admin, AUDITOR, "card.uptake", member="M-1")).lists
    assert (states(lin), len(states(everybody))) == ([("door-1", "waits")], 2)
    assert (await ask(admin, STRANGER, "card.uptake", domain="library")).lists == []
    with pytest.raises(Forbidden):
        await ask(admin, STRANGER, "card.uptake", member="M-1")


async def test_what_names_no_card_is_refused_with_words(admin: Admin) -> None:
    for values in ({}, {"member": "M-1", "domain": "library"}, {"domain": "nowhere"}, {"card": "f" * 32}):
        with pytest.raises(ActionFailed):
            await ask(admin, AUDITOR, "card.uptake", **values)
