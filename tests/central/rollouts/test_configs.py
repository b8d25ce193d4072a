"""Configurations by stages, freezes that keep publications back, and whose rollouts are whose."""

from typing import Any

import msgspec
import pytest

from central.access.caller import Caller, Role
from central.access.perform import perform
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context
from central.configs import read_configs, renew_staff
from central.rollouts.conducting import conduct
from central.services.judging.held_policies import held_policies
from protocol.messages import GateConfig, PartName
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.rollouts.fleet import OPEN, STRICT, Fleet

HOUR_MS = 3_600_000
MUTE = {"screen": {"sound": False}}


async def held(admin: Admin, gate: str) -> GateConfig:
    async with admin.database.read() as connection:
        return (await read_configs(connection, [gate]))[gate].config


async def sounds(admin: Admin) -> dict[str, bool]:
    return {gate: (await held(admin, gate)).screen.sound for gate in ("door-1", "door-2", "pool-1")}


async def start(admin: Admin, **more: Any) -> Any:
    values = {"gates": ["door-1", "door-2"], "body": MUTE, "first": ["door-1"]} | more
    return await admin.act("rollout.start", **values)


# --- configurations ------------------------------------------------------------------------------------------


async def test_a_change_of_configurations_comes_to_the_first_gates_and_then_to_the_rest(
    fleet: Fleet, admin: Admin
) -> None:
    rollout = await start(admin)
    assert await sounds(admin) == {"door-1": False, "door-2": True, "pool-1": True}
    shown = await admin.act("rollout.show", id=rollout.id)
    assert [(gate.gate, gate.progress) for gate in shown.gates] == [("door-1", "waits"), ("door-2", "later")]
    await fleet.take_up("door-1")
    admin.now_ms += 1
    on = await admin.act("rollout.go-on", id=rollout.id)
    assert (on.holding, on.devices) == (1, 2)
    assert await sounds(admin) == {"door-1": False, "door-2": False, "pool-1": True}


async def test_staff_and_closures_that_change_meanwhile_are_no_other_content(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin, body={"screen": {"sound": False, "staff_admit": True}})
    admin.now_ms += 1
    await fleet.city.add_staff("main", "chen", "135790")
    async with admin.database.write() as connection:
        assert await renew_staff(connection, admin.keys, admin.now_ms, venue="main") == ["door-1"]
    await fleet.take_up("door-1")
    assert (await admin.act("rollout.show", id=rollout.id)).holding == 1
    admin.now_ms += 1
    await admin.act("rollout.back", id=rollout.id)
    assert (await held(admin, "door-1")).screen.sound


async def test_going_back_gives_every_gate_its_own_content_again(fleet: Fleet, admin: Admin) -> None:
    await admin.act("gate.config.put", gates=["door-2"], body={"screen": {"show_ms": 9_000}})
    before = {gate: await held(admin, gate) for gate in ("door-1", "door-2")}
    admin.now_ms += 1
    rollout = await start(admin, body={"screen": {"sound": False, "show_ms": 5_000}})
    admin.now_ms += 1
    await admin.act("rollout.go-on", id=rollout.id)
    admin.now_ms += 1
    back = await admin.act("rollout.back", id=rollout.id, why="too quiet")
    assert back.state == "withdrawn"
    for gate, was in before.items():
        now = await held(admin, gate)
        assert now.version == admin.now_ms
        assert msgspec.structs.replace(now, version=was.version) == was


async def test_what_was_changed_by_hand_since_is_not_overwritten_by_going_back(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin)
    admin.now_ms += 1
    await admin.act("rollout.go-on", id=rollout.id)
    admin.now_ms += 1
    await admin.act("gate.config.put", gates=["door-2"], body={"screen": {"show_ms": 9_000}})
    with pytest.raises(ActionFailed, match="the configuration of door-2 was changed since"):
        await admin.act("rollout.back", id=rollout.id)
    assert await sounds(admin) == {"door-1": False, "door-2": False, "pool-1": True}


async def test_while_it_is_under_way_nobody_configures_its_gates(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin)
    for name, values in (
        ("gate.config.put", {"gates": ["door-2"], "body": {"screen": {"undo": True}}}),
        ("gate.config.back", {"gate": "door-1", "version": NOW_MS - 500}),
        ("rollout.start", {"venue": "main", "body": {"screen": {"undo": True}}}),
    ):
        with pytest.raises(ActionFailed, match=f"rollout {rollout.id} of the configuration of door-1, door-2"):
            await admin.act(name, **values)
    await admin.act("gate.config.put", gates=["pool-1"], body={"screen": {"undo": True}})
    await admin.act("policy.put", id="open", body=OPEN)


async def test_what_a_machine_went_back_from_halts_it(fleet: Fleet, admin: Admin) -> None:
    rollout = await start(admin)
    version = await fleet.version("door-1", PartName.CONFIG)
    await fleet.cannot("door-1", "config", version, "no such sound card")
    await conduct(admin.database, admin.keys, admin.now_ms + 1)
    shown = await admin.act("rollout.show", id=rollout.id)
    assert (shown.state, shown.why) == ("halted", "door-1 could not take it up: no such sound card")
    assert (await held(admin, "door-1")).screen.sound


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"body": {"screen": {"loud": True}}}, "configuration of door-"),
        ({"body": {"staff": []}}, "see `staff add`"),
        ({"body": {"screen": {"sound": True}}}, "nothing would change"),
        ({"gates": ["door-9"]}, "there is no gate 'door-9'"),
        ({"first": ["pool-1"]}, "pool-1 is none of the gates"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_cannot_be_configured_is_refused_and_nothing_is_kept(
    fleet: Fleet, admin: Admin, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ActionFailed, match=says):
        await start(admin, **values)
    assert (await admin.act("rollout.list")).rollouts == []


# --- freezes -------------------------------------------------------------------------------------------------


async def freeze(admin: Admin, venue: str = "main", **more: Any) -> Any:
    values = {"id": f"exams-{venue}", "venue": venue, "why": "exams", "until_ms": NOW_MS + HOUR_MS} | more
    return await admin.act("freeze.put", **values)


async def test_within_a_freeze_nothing_is_published_at_its_gates_and_elsewhere_it_is(
    fleet: Fleet, admin: Admin
) -> None:
    await freeze(admin)
    shown = await admin.act("policy.show", id="open")
    for name, values in (
        ("policy.put", {"id": "open", "body": STRICT}),
        ("policy.calendar", {"policies": ["open"], "years": [2026]}),
        ("gate.config.put", {"gates": ["door-1"], "body": MUTE}),
        ("gate.config.back", {"gate": "door-1", "version": NOW_MS - 500}),
        ("rollout.start", {"policy": "open", "body": STRICT, "first": ["door-1"]}),
    ):
        with pytest.raises(ActionFailed, match="main is frozen until .* \\(exams-main: exams\\)"):
            await admin.act(name, **values)
    assert (await admin.act("policy.show", id="open")).version == shown.version
    await admin.act("gate.config.put", gates=["pool-1"], body=MUTE)
    await admin.act("rollout.start", policy="open", body=STRICT, first=["pool-1"])  # the first stage is elsewhere


async def test_closing_a_venue_and_blocking_never_wait_for_a_freeze(fleet: Fleet, admin: Admin) -> None:
    await freeze(admin)
    told = {"since": "2026-09-22", "until": "2027-01-01", "why_zh": "颱風", "why_en": "Typhoon"}
    done = await admin.act("closure.add", venue="main", **told)
    assert done.gates == ["door-1", "door-2"]
    admin.now_ms += 1
    await admin.act("staff.add", venue="main", id="chen", pin="135790")
    await admin.act("device.revoke", device="door-2-device", why="stolen")


async def test_an_admin_publishes_within_a_freeze_with_a_reason_and_nobody_else(fleet: Fleet, admin: Admin) -> None:
    await freeze(admin)
    operator = Caller("lin", frozenset({Role.OPERATOR}), "192.0.2.1", frozenset({"main"}))
    values = {"gates": ["door-1"], "body": MUTE, "despite_freeze": "the sound is broken"}
    with pytest.raises(ActionFailed, match="only an admin publishes despite it"):
        await ask(admin, operator, "gate.config.put", values)
    root = Caller("wu", frozenset({Role.ADMIN}), "192.0.2.1")
    done = await ask(admin, root, "gate.config.put", values)
    assert done.gates[0].changed == ["screen.sound"]


async def test_a_scheduled_rollout_waits_for_the_end_of_a_freeze_but_going_back_does_not(
    fleet: Fleet, admin: Admin
) -> None:
    rollout = await admin.act(
        "rollout.start", policy="open", body=STRICT, first=["door-1"], not_before_ms=admin.now_ms + 1
    )
    await freeze(admin)
    admin.now_ms += 1
    assert await conduct(admin.database, admin.keys, admin.now_ms) == 0
    shown = await admin.act("rollout.show", id=rollout.id)
    assert (shown.state, shown.waits, shown.waits_until_ms) == ("scheduled", "freeze", NOW_MS + HOUR_MS)
    assert await conduct(admin.database, admin.keys, NOW_MS + HOUR_MS) == 1
    admin.now_ms = NOW_MS + HOUR_MS + 1
    await freeze(admin, until_ms=NOW_MS + 3 * HOUR_MS)
    with pytest.raises(ActionFailed, match="is frozen"):
        await admin.act("rollout.go-on", id=rollout.id)
    back = await admin.act("rollout.halt", id=rollout.id, why="wrong")
    assert back.back_ms == admin.now_ms


async def test_a_freeze_is_listed_by_where_it_bears_and_removed(fleet: Fleet, admin: Admin) -> None:
    await freeze(admin)
    (shown,) = (await freeze(admin, "", id="nights", days=["sun", "mon"], span="20:00-30:00", until_ms=0)).freezes
    assert (shown.days, shown.span, shown.time_zone) == (["mon", "sun"], "20:00-30:00", "Asia/Taipei")
    assert [each.id for each in (await admin.act("freeze.list", venue="main")).freezes] == ["exams-main", "nights"]
    assert [each.id for each in (await admin.act("freeze.list", venue="pool")).freezes] == ["nights"]
    await admin.act("freeze.remove", id="nights")
    with pytest.raises(ActionFailed, match="there is no freeze"):
        await admin.act("freeze.remove", id="nights")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"until_ms": 0}, "weekdays, or from when until when"),
        ({"days": ["mon"]}, "weekdays, or from when until when"),
        ({"days": ["mon"], "until_ms": 0, "span": "24:30-25:00"}, "no span of hours"),
        ({"from_ms": NOW_MS + HOUR_MS}, "ends after it begins"),
        ({"time_zone": "Mars"}, "no time zone"),
        ({"venue": "nowhere"}, "no venue"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_freeze_that_is_none_is_refused(fleet: Fleet, admin: Admin, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ActionFailed, match=says):
        await freeze(admin, **values)
    assert (await admin.act("freeze.list")).freezes == []


# --- whose ---------------------------------------------------------------------------------------------------


async def ask(admin: Admin, caller: Caller, name: str, values: dict[str, Any]) -> Any:
    context = Context(admin.config, admin.database, admin.keys, admin.now_ms, caller=caller)
    return await perform(context, name, values)


@pytest.fixture
def operator() -> Caller:
    """Of `main`."""
    return Caller("lin", frozenset({Role.OPERATOR}), "192.0.2.1", frozenset({"main"}))


async def test_an_operator_rolls_out_configurations_at_own_gates_alone(
    fleet: Fleet, admin: Admin, operator: Caller
) -> None:
    values: dict[str, Any] = {"body": MUTE, "gates": ["door-1", "door-2"], "first": ["door-1"]}
    own = await ask(admin, operator, "rollout.start", values)
    assert own.who == "lin"
    await ask(admin, operator, "rollout.halt", {"id": own.id})
    for more in ({"gates": ["door-1", "pool-1"]}, {"gates": [], "venue": "pool"}):
        with pytest.raises(Forbidden):
            await ask(admin, operator, "rollout.start", values | more)
    other = await admin.act("rollout.start", gates=["pool-1"], body=MUTE)
    for name in ("rollout.show", "rollout.go-on", "rollout.halt", "rollout.back", "rollout.withdraw"):
        with pytest.raises(Forbidden):
            await ask(admin, operator, name, {"id": other.id})
    listed = await ask(admin, operator, "rollout.list", {})
    assert [each.id for each in listed.rollouts] == [own.id]


async def test_policies_are_published_by_admins_and_seen_by_operators_as_far_as_their_gates_go(
    fleet: Fleet, admin: Admin, operator: Caller
) -> None:
    with pytest.raises(Forbidden):
        await ask(admin, operator, "rollout.start", {"policy": "open", "body": STRICT})
    with pytest.raises(Forbidden):
        await ask(admin, operator, "rollout.start", {"policy": "open", "gates": ["door-1"], "body": STRICT})
    rollout = await admin.act("rollout.start", policy="open", body=STRICT, first=["pool-1"])
    shown = await ask(admin, operator, "rollout.show", {"id": rollout.id})
    assert [gate.gate for gate in shown.gates] == ["door-1", "door-2"]
    for name in ("rollout.go-on", "rollout.halt", "rollout.back"):
        with pytest.raises(Forbidden):
            await ask(admin, operator, name, {"id": rollout.id})


async def test_an_operator_freezes_own_venues_alone(fleet: Fleet, admin: Admin, operator: Caller) -> None:
    values = {"id": "exams", "venue": "main", "why": "exams", "until_ms": NOW_MS + HOUR_MS}
    await ask(admin, operator, "freeze.put", values)
    await freeze(admin, "pool", id="swim")
    for wrong in ({"venue": ""}, {"venue": "pool"}):
        with pytest.raises(Forbidden):
            await ask(admin, operator, "freeze.put", values | {"id": "more"} | wrong)
    with pytest.raises(ActionFailed, match="choose another name"):
        await ask(admin, operator, "freeze.put", values | {"id": "swim"})
    with pytest.raises(Forbidden):
        await ask(admin, operator, "freeze.remove", {"id": "swim"})
    await ask(admin, operator, "freeze.remove", {"id": "exams"})


# --- what was in force where ---------------------------------------------------------------------------------


async def test_the_judges_know_what_was_in_force_at_each_gate(fleet: Fleet, admin: Admin) -> None:
    start_ms = admin.now_ms
    rollout = await admin.act("rollout.start", policy="open", body=STRICT, first=["door-1"])
    admin.now_ms = start_ms + 100
    await admin.act("rollout.go-on", id=rollout.id)
    admin.now_ms = start_ms + 200
    await admin.act("rollout.back", id=rollout.id)
    admin.now_ms = start_ms + 300
    halted = await admin.act("rollout.start", policy="open", body=STRICT, first=["door-1"])
    admin.now_ms = start_ms + 400
    await admin.act("rollout.halt", id=halted.id)
    async with admin.database.read() as connection:
        found = await held_policies(connection, ["door-1", "door-2"], [rollout.version, halted.version])
    old, back = NOW_MS - 1_000, start_ms + 200

    def in_force(gate: str, after_ms: int) -> int:
        version = found.in_force(gate, "open", start_ms + after_ms)
        assert version is not None
        return version.version

    assert [in_force("door-1", ms) for ms in (-1, 0, 99, 100, 200, 300, 400)] == [
        *(old, rollout.version, rollout.version, rollout.version, back, halted.version, start_ms + 400)
    ]
    assert [in_force("door-2", ms) for ms in (-1, 0, 99, 100, 200, 300, 400)] == [
        *(old, old, old, rollout.version, back, back, start_ms + 400)
    ]
    lately = found.lately("door-2", "open", start_ms + 50, start_ms + 150)
    assert [(each.version, each.at_ms) for each in lately] == [(old, NOW_MS), (rollout.version, start_ms + 100)]
    held = found.held("door-2", halted.version)
    assert held is not None  # by a device that came from another gate
    assert held.version == halted.version


async def test_history_and_differences_tell_of_stages(fleet: Fleet, admin: Admin) -> None:
    rollout = await admin.act("rollout.start", policy="open", body=STRICT, first=["door-1"])
    (line,) = (await admin.act("policy.list")).policies
    assert (line.version, line.first_version, line.first_gates) == (NOW_MS - 1_000, rollout.version, ["door-1"])
    assert (line.rollout, line.rollout_state, line.gates, line.rules) == (rollout.id, "first", 3, 1)
    newest, oldest = (await admin.act("policy.history", id="open")).versions
    assert (newest.first_gates, newest.everywhere_ms, newest.rollout) == (["door-1"], 0, rollout.id)
    assert (newest.added, newest.removed, oldest.is_in_force, newest.is_in_force) == (1, 0, True, True)
    page = await admin.act("policy.history", id="open", limit=1)
    assert [each.version for each in page.versions] == [newest.version]
    rest = await admin.act("policy.history", id="open", limit=1, after=page.next)
    assert ([each.version for each in rest.versions], rest.next) == ([oldest.version], "")
    found = await admin.act("policy.diff", id="open", body=STRICT)
    assert [line.text for line in found.lines if line.kind == "added"] == ['classes = ["senior"]']
    assert (await admin.act("policy.diff", id="open", to=newest.version)).lines == found.lines
    assert (await admin.act("policy.diff", id="open", body=OPEN)).lines == []
    with pytest.raises(ActionFailed, match="never had a version 7"):
        await admin.act("policy.diff", id="open", to=7)
    old = await admin.act("policy.show", id="open", version=oldest.version)
    assert (old.version, old.body["rules"][0]["id"]) == (oldest.version, "members")


async def test_lists_page_by_key(fleet: Fleet, admin: Admin) -> None:
    for n in range(5):
        admin.now_ms += 1
        await admin.act("rollout.start", gates=["pool-1"], body={"screen": {"show_ms": 2_000 + n}}, title=f"no. {n}")
    seen, after = [], ""
    while True:
        page = await admin.act("rollout.list", limit=2, after=after)
        seen += [each.title for each in page.rollouts]
        if not (after := page.next):
            break
    assert seen == [f"no. {n}" for n in range(4, -1, -1)]
    assert (await admin.act("rollout.list", gate="door-1")).rollouts == []
    assert len((await admin.act("rollout.list", state="all", gate="pool-1")).rollouts) == 5
