"""Policies by stages: who is told what, by itself and by hand, halted and gone back from."""

import asyncio
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.rollouts import conducting, stages
from central.rollouts.conducting import conduct, end_all
from central.store.database import open_database
from central.store.schema import policies
from protocol.messages import decode
from protocol.policy import Policy
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.rollouts.fleet import OPEN, STRICT, Fleet

HOUR_MS = 3_600_000
BEFORE = NOW_MS - 1_000
"""The version that every gate held."""


async def start(admin: Admin, **more: Any) -> Any:
    return await admin.act("rollout.start", **({"policy": "open", "body": STRICT, "first": ["door-1"]} | more))


async def look(admin: Admin, after_ms: int = 0) -> Any:
    """The loop looks once, so long after the time before."""
    admin.now_ms += after_ms
    return await conduct(admin.database, admin.keys, admin.now_ms)


async def show(admin: Admin, rollout: Any) -> Any:
    return await admin.act("rollout.show", id=rollout.id)


async def newest(fleet: Fleet) -> Policy:
    rows = sorted(await fleet.rows(policies), key=lambda row: row.version)
    return decode(Policy, rows[-1].body)


# --- who is told what ----------------------------------------------------------------------------------------


async def test_first_gates_are_told_the_new_version_and_the_others_the_one_before(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin)
    assert (rollout.state, rollout.version, rollout.waits) == ("first", admin.now_ms, "uptake")
    assert [await fleet.version(gate) for gate in fleet.devices] == [rollout.version, BEFORE, BEFORE]
    assert (await admin.act("policy.show", id="open")).version == BEFORE
    admin.now_ms += 1
    on = await admin.act("rollout.go-on", id=rollout.id)
    assert (on.state, on.all_ms) == ("all", admin.now_ms)
    assert {await fleet.version(gate) for gate in fleet.devices} == {rollout.version}
    assert (await admin.act("policy.show", id="open")).version == rollout.version


async def test_a_gate_that_is_added_meanwhile_goes_by_what_is_in_force_everywhere(fleet: Fleet, admin: Admin) -> None:
    await start(admin)
    await fleet.city.add_gate("door-3")
    fleet.devices["door-3"] = await fleet.city.add_device(type(fleet.city.device)("door-3-device", "door-3"))
    assert await fleet.version("door-3") == BEFORE


async def test_without_first_gates_all_get_it_at_once(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, first=[])
    assert rollout.state == "all"
    assert {await fleet.version(gate) for gate in fleet.devices} == {rollout.version}


async def test_whoever_waits_at_a_gate_is_woken_by_each_stage(fleet: Fleet, admin: Admin) -> None:
    noted: list[set[str]] = []
    fleet.database.on_commit = noted.append
    rollout = await start(admin)
    await admin.act("rollout.go-on", id=rollout.id)
    await admin.act("rollout.back", id=rollout.id)
    if fleet.database.is_sqlite:
        assert noted == [{"policy:open"}] * 3


# --- by itself -----------------------------------------------------------------------------------------------


async def test_it_goes_on_by_itself_once_it_is_held_has_soaked_and_was_tried(fleet: Fleet, admin: Admin) -> None:
    await fleet.taps("door-1", NOW_MS - HOUR_MS, 95, 5)
    rollout = await start(admin)
    assert await look(admin, 1_000) == 0  # nobody holds it yet
    await fleet.take_up("door-1")
    assert await look(admin, 1_000) == 1
    assert (await show(admin, rollout)).waits == "soak"
    assert await look(admin, HOUR_MS - 1) == 0
    assert await look(admin, 1) == 0
    assert (await show(admin, rollout)).waits == "taps"
    await fleet.taps("door-1", admin.now_ms - 1, 29, 1)
    assert await look(admin, 1) == 1
    shown = await show(admin, rollout)
    assert (shown.state, shown.holding, shown.devices) == ("all", 1, 3)
    assert [(gate.gate, gate.progress) for gate in shown.gates] == [
        *(("door-1", "holds"), ("door-2", "waits"), ("pool-1", "waits")),
    ]
    await fleet.take_up("door-2")
    assert await look(admin, HOUR_MS) == 0
    await fleet.take_up("pool-1")
    assert await look(admin) == 1
    shown = await show(admin, rollout)
    assert (shown.state, shown.ended_ms) == ("done", admin.now_ms)
    assert [step.what for step in shown.steps] == ["draft", "first", "held", "all", "done"]
    assert {step.who for step in shown.steps[2:]} == {""}


async def test_it_halts_and_goes_back_by_itself_where_denials_jump(fleet: Fleet, admin: Admin) -> None:
    await fleet.taps("door-1", NOW_MS - HOUR_MS, 95, 5)
    rollout = await start(admin)
    await fleet.take_up("door-1")
    await fleet.taps("door-1", admin.now_ms, 20, 20)
    await fleet.taps("door-2", admin.now_ms, 900)  # other gates prove nothing
    assert await look(admin, 1_000) == 1
    shown = await show(admin, rollout)
    assert (shown.state, shown.back_ms) == ("halted", admin.now_ms)
    assert shown.why == "50% of 40 taps were denied since; 5% of 100 taps before"
    back = await newest(fleet)
    assert back.version > rollout.version
    assert [str(rule.id) for rule in back.rules] == ["members"]
    assert back.rules[0].classes == ()
    assert {await fleet.version(gate) for gate in fleet.devices} == {back.version}
    assert [gate.progress for gate in shown.gates] == ["returning", "later", "later"]
    await fleet.take_up("door-1")
    assert [gate.progress for gate in (await show(admin, rollout)).gates] == ["returned", "later", "later"]
    await admin.act("policy.put", id="open", body=OPEN)  # nothing is under way any more
    with pytest.raises(ActionFailed, match="cannot go on, it went back"):
        await admin.act("rollout.go-on", id=rollout.id)


@pytest.mark.parametrize(
    "changes", [{"repeat_of": 1}, {"outcome": "untrusted"}, {"kind": "admit"}, {"at_ms": NOW_MS - 5 * HOUR_MS}]
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_tap_since_is_not_counted(fleet: Fleet, admin: Admin, changes: dict[str, Any]) -> None:
    rollout = await start(admin)
    await fleet.taps("door-1", **({"at_ms": admin.now_ms, "granted": 0, "denied": 50} | changes))
    await fleet.take_up("door-1")
    assert await look(admin, 1_000) == 1
    assert (await show(admin, rollout)).state == "first"


async def test_without_going_back_it_stays_there_until_somebody_decides(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, goes_back=False)
    await fleet.taps("door-1", admin.now_ms, 0, 50)
    await look(admin, 1_000)
    shown = await show(admin, rollout)
    assert (shown.state, shown.back_ms, shown.waits) == ("halted", 0, "person")
    assert [await fleet.version(gate) for gate in fleet.devices] == [rollout.version, BEFORE, BEFORE]
    with pytest.raises(ActionFailed, match=f"rollout {rollout.id} of policy 'open' is under way"):
        await admin.act("policy.put", id="open", body=OPEN)
    on = await admin.act("rollout.go-on", id=rollout.id, why="it is meant so")
    assert (on.state, on.why, on.halt_points) == ("all", "it is meant so", 0)
    assert await look(admin, 1_000) == 0  # who went on had seen it


async def test_it_halts_where_a_first_gate_cannot_take_it_up(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, first=["door-1", "pool-1"])
    await fleet.take_up("door-1")
    await fleet.cannot("pool-1", "policy", rollout.version, "there is no time zone 'Mars'")
    await look(admin, 1_000)
    shown = await show(admin, rollout)
    assert (shown.state, shown.why) == ("halted", "pool-1 could not take it up: there is no time zone 'Mars'")
    assert await fleet.version("door-1") > rollout.version


async def test_denials_that_jump_after_it_is_everywhere_halt_it_too(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, first=[])
    await fleet.taps("pool-1", admin.now_ms, 10, 30)
    await look(admin, 1_000)
    assert (await show(admin, rollout)).state == "halted"
    assert (await newest(fleet)).rules[0].classes == ()


# --- at a date -----------------------------------------------------------------------------------------------


async def test_a_scheduled_one_begins_at_its_date_and_nothing_else_is_put_before(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, not_before_ms=admin.now_ms + HOUR_MS)
    assert (rollout.state, rollout.waits, rollout.waits_until_ms) == ("scheduled", "date", admin.now_ms + HOUR_MS)
    with pytest.raises(ActionFailed, match="under way \\(scheduled\\): withdraw it first"):
        await admin.act("policy.put", id="open", body=OPEN)
    with pytest.raises(ActionFailed, match="under way"):
        await admin.act("policy.calendar", policies=["open"], years=[2026])
    with pytest.raises(ActionFailed, match="under way"):
        await start(admin)
    assert await look(admin, HOUR_MS - 1) == 0
    assert await look(admin, 1) == 1
    assert (await show(admin, rollout)).state == "first"
    assert await fleet.version("door-1") == admin.now_ms


async def test_a_withdrawn_one_never_begins(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, not_before_ms=admin.now_ms + HOUR_MS)
    await admin.act("rollout.withdraw", id=rollout.id, why="postponed")
    assert await look(admin, 2 * HOUR_MS) == 0
    assert [await fleet.version(gate) for gate in fleet.devices] == [BEFORE] * 3
    with pytest.raises(ActionFailed, match="cannot be withdrawn, it is withdrawn"):
        await admin.act("rollout.withdraw", id=rollout.id)


async def test_a_draft_is_published_where_the_same_content_only_has_another_number(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, draft=True)
    admin.now_ms += 1
    await admin.act("policy.put", id="open", body=OPEN)
    assert (await admin.act("rollout.go-on", id=rollout.id)).state == "first"


async def test_a_draft_that_was_overtaken_is_not_published(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, draft=True)
    assert rollout.state == "draft"
    admin.now_ms += 1
    await admin.act("policy.put", id="open", body=OPEN | {"repeat_window_s": 5})
    with pytest.raises(ActionFailed, match="the policy was changed since this was written"):
        await admin.act("rollout.go-on", id=rollout.id)
    assert (await show(admin, rollout)).state == "draft"


# --- what cannot be ------------------------------------------------------------------------------------------


async def test_what_a_gate_cannot_evaluate_is_refused_and_names_it(fleet: Fleet, admin: Admin) -> None:
    await fleet.take_up("pool-1", understands=("rule:admit",))
    limit = {"rules": [{"kind": "limit", "id": "one", "most": 1}, *OPEN["rules"]]}
    with pytest.raises(ActionFailed, match="pool-1 cannot evaluate rules of kind rule:limit"):
        await start(admin, body=limit)
    assert await fleet.rows(stages.rollout_gates) == []


async def test_an_agent_that_went_back_to_an_older_version_keeps_it_from_going_on(fleet: Fleet, admin: Admin) -> None:
    limit = {"rules": [{"kind": "limit", "id": "one", "most": 1}, *OPEN["rules"]]}
    rollout = await start(admin, body=limit, soak_minutes=0, halt_points=0)
    await fleet.take_up("door-1")
    await look(admin, 1_000)
    await fleet.take_up("pool-1", understands=("rule:admit",))
    assert await look(admin, 1_000) == 1
    shown = await show(admin, rollout)
    assert (shown.state, shown.why) == ("halted", "pool-1 cannot evaluate it: update these gates' agents first")
    assert await fleet.version("pool-1") == BEFORE


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"first": ["nowhere"]}, "nowhere is none of the gates"),
        ({"policy": "closed"}, "there is no policy 'closed'"),
        ({"gates": ["door-1"]}, "one of the two"),
        ({"policy": ""}, "one of the two"),
        ({"body": {"rules": []}}, "policy: "),
        ({"body": STRICT | {"version": 3}}, "the server numbers policies"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_makes_no_sense_is_refused(fleet: Fleet, admin: Admin, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ActionFailed, match=says):
        await start(admin, **values)
    assert (await admin.act("rollout.list")).rollouts == []


async def test_a_first_gate_that_nobody_serves_is_refused(fleet: Fleet, admin: Admin) -> None:
    await fleet.city.add_gate("door-9")
    with pytest.raises(ActionFailed, match="door-9 has no active device"):
        await start(admin, first=["door-9"])


async def test_a_done_one_can_be_gone_back_from_while_nothing_newer_is_in_force(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, first=[], soak_minutes=0)
    for gate in fleet.devices:
        await fleet.take_up(gate)
    await look(admin, 1_000)
    assert (await show(admin, rollout)).state == "done"
    admin.now_ms += 1
    back = await admin.act("rollout.back", id=rollout.id, why="complaints")
    assert (back.state, back.why) == ("withdrawn", "complaints")
    assert (await newest(fleet)).rules[0].classes == ()
    with pytest.raises(ActionFailed, match="it went back"):
        await admin.act("rollout.back", id=rollout.id)
    other = await start(admin, first=[])
    admin.now_ms += 1
    await admin.act("policy.put", id="open", body=OPEN)
    with pytest.raises(ActionFailed, match="something newer"):
        await admin.act("rollout.back", id=other.id)


# --- two servers, a crash, a restore -------------------------------------------------------------------------


async def test_many_servers_take_each_step_once(fleet: Fleet, admin: Admin, database_url: str) -> None:
    rollout = await start(admin, not_before_ms=admin.now_ms + 1)
    if fleet.database.is_sqlite:  # it has one server
        taken = await asyncio.gather(*(conduct(fleet.database, admin.keys, admin.now_ms + 1) for _ in range(4)))
    else:
        async with open_database(database_url) as other:
            servers = [fleet.database, other] * 3
            taken = await asyncio.gather(*(conduct(each, admin.keys, admin.now_ms + 1) for each in servers))
    assert sum(taken) == 1
    assert [step.what for step in (await show(admin, rollout)).steps] == ["scheduled", "first"]
    assert len(await fleet.rows(policies)) == 2


async def test_a_step_that_breaks_leaves_nothing_behind_and_is_taken_by_the_next_look(
    fleet: Fleet, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = await start(admin, not_before_ms=admin.now_ms + 1)

    async def broken(*_args: Any, **_values: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(conducting, "change", broken)  # after the version was written
        assert await look(admin, 1) == 0
    assert len(await fleet.rows(policies)) == 1
    assert (await show(admin, rollout)).state == "scheduled"
    assert await look(admin, 1) == 1
    assert (await show(admin, rollout)).state == "first"


async def test_after_a_restore_nothing_goes_on_by_itself(fleet: Fleet, admin: Admin) -> None:
    first = await start(admin)
    body = (await fleet.rows(policies))[0].body
    await fleet.city.add(policies, {"id": "other", "version": 5, "at_ms": 5, "body": body})
    later = await start(admin, policy="other", first=[], not_before_ms=admin.now_ms + 1)
    async with fleet.database.write() as connection:
        await end_all(connection, fleet.keys, admin.now_ms, "central was restored")
    assert await look(admin, HOUR_MS) == 0
    first, later = await show(admin, first), await show(admin, later)
    assert (first.state, first.why, later.state) == ("halted", "central was restored", "draft")
    assert first.back_ms
    versions = {await fleet.version(gate) for gate in fleet.devices}
    assert len(versions) == 1
    assert versions.pop() > first.version
