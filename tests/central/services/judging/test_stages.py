"""A policy that is at some gates first: every gate is judged by what was in force at that gate."""

from typing import Any

from central.store.schema import policy_stages
from protocol.policy import Admit, Policy
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.services.judging.borough import MINUTE_MS, POLICY_MS, Borough, open_borough

SENIORS = Policy(POLICY_MS, (Admit(id="all", classes=("senior",)),))
"""It denies the members of the borough, who are citizens."""
STAGED_MS, EVERYWHERE_MS = NOW_MS - 55 * MINUTE_MS, NOW_MS - 20 * MINUTE_MS
TURNED_AWAY = {"decision": "denied", "reason": "class-not-admitted", "rule": ""}


async def staged(city: Any, admin: Admin) -> Borough:
    borough = await open_borough(city, admin, SENIORS)
    await borough.put(Policy(STAGED_MS, (Admit(id="all"),)), STAGED_MS)
    stage = {"id": "both", "version": STAGED_MS, "first_gates": '["door-1"]', "all_ms": EVERYWHERE_MS}
    await city.add(policy_stages, stage)
    return borough


async def test_a_denial_is_wrong_where_the_new_policy_was_in_force_and_right_where_it_was_not(
    city: Any, admin: Admin
) -> None:
    borough = await staged(city, admin)
    wrong = borough.tap(borough.here, NOW_MS - 40 * MINUTE_MS, **TURNED_AWAY)  # it still holds the old one
    borough.tap(borough.there, NOW_MS - 30 * MINUTE_MS, **TURNED_AWAY)
    late = borough.tap(borough.there, NOW_MS - 10 * MINUTE_MS, **TURNED_AWAY)
    await borough.take()
    found = {row.event: row for row in await borough.conflicts()}
    assert {event: row.kind for event, row in found.items()} == dict.fromkeys((wrong, late), "denied-but-entitled")
    assert found[wrong].detail["policy_in_force"] == STAGED_MS
    assert {row.detail["why"] for row in found.values()} == {"policy"}


async def test_what_a_gate_let_in_by_the_policy_that_it_held_is_no_conflict(city: Any, admin: Admin) -> None:
    borough = await staged(city, admin)
    borough.tap(borough.here, NOW_MS - 50 * MINUTE_MS, held=borough.held(policy=STAGED_MS))
    borough.tap(borough.there, NOW_MS - 10 * MINUTE_MS, held=borough.held(policy=STAGED_MS))
    against = borough.tap(borough.there, NOW_MS - 5 * MINUTE_MS)  # it says that it held the one for seniors
    await borough.take()
    assert [(row.event, row.kind) for row in await borough.conflicts()] == [(against, "policy-differs")]


async def test_an_explanation_names_what_was_in_force_at_the_gate(city: Any, admin: Admin) -> None:
    borough = await staged(city, admin)
    events = [borough.tap(gate, NOW_MS - 40 * MINUTE_MS, **TURNED_AWAY) for gate in (borough.here, borough.there)]
    await borough.take()
    said = [await admin.act("explain", event=event) for event in events]
    assert [each.policy_in_force for each in said] == [STAGED_MS, POLICY_MS]
