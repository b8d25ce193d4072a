"""What one gate knows of another, over real agents, real TLS and a running server: what is told and what is settled."""

import asyncio
import json
import time
from typing import Any

import pytest

from deploy.town import Gate, Spot
from tests.end_to_end.quick_town import ALICE, BORIS, CHEN, DOOR, QuickTown, delivered, tap, until_reason

AGREES_WITHIN_S = 2.0
EXIT = Spot("library-exit", DOOR.venue, DOOR.domain, "door", "inside-once", "圖書館出口", "Library exit")
BRANCH = Spot("branch-door", "branch", DOOR.domain, "door", "inside-once", "分館入口", "Branch door")
ONCE = """
repeat_window_s = 0
apart_s = 10
rules = [
  {kind = "passback", id = "inside-once", when_unknown = "admit"},
  {kind = "admit", id = "members", classes = ["citizen"]},
]
"""
FEW = """
repeat_window_s = 0
rules = [{kind = "occupancy", id = "two", most = 2}, {kind = "admit", id = "members", classes = ["citizen"]}]
"""
PAID = """
repeat_window_s = 0
[[rules]]
kind = "admit"
id = "gym"
classes = ["citizen"]
tariff = "gym"
[tariffs.gym]
price = 25
pay = "points"
"""
PLAN = """
domain = "library"
reserve = 40
ahead = "all"
monthly = [{class = "citizen", points = 60, valid_from = 2020-01-01}]
"""
KIOSK = """
rules = [{kind = "admit", id = "desk", classes = ["citizen"]}]
[session]
double_tap_s = 1
"""
TEAM = """
venue = "central-library"
rules = [{id = "desk"}]
coordinators = ["lin"]
"""


async def told(gate: Gate) -> dict[str, Any]:
    """The gate's status once it knows of the others."""
    return await gate.until(lambda status: status["state_version"] > 0 and status["apart"] is False)


async def settled(town: QuickTown, *command: str, until: Any) -> Any:
    """What a command says once it says it."""
    end_s = time.monotonic() + 20
    while not until(found := json.loads(await town.do(*command, "--json"))):
        assert time.monotonic() < end_s, f"{' '.join(command)} still says {found}"
        await asyncio.sleep(0.1)
    return found


async def put(town: QuickTown, policy: str, text: str) -> None:
    path = town.directory / f"{policy}.toml"
    path.write_text(text)
    await town.do("policy", "put", policy, str(path))


async def add(town: QuickTown, spot: Spot, *options: str) -> Gate:
    await town.do(
        *("gate", "add", spot.gate, "--venue", spot.venue, "--policy", spot.policy, "--kind", spot.kind), *options
    )
    return await town.open_gate(spot)


async def use(town: QuickTown, policy: str, text: str) -> Gate:
    """The library's door under another policy."""
    await put(town, policy, text)
    spot = DOOR._replace(gate="other-door", policy=policy)
    return await add(town, spot)


async def three_gates(town: QuickTown) -> tuple[Gate, Gate, Gate]:
    """Two doors in of two venues, and a door out of one."""
    await put(town, "inside-once", ONCE)
    await town.do("venue", "add", BRANCH.venue, "--domain", BRANCH.domain)
    entry = await add(town, DOOR._replace(gate="front-door", policy="inside-once"))
    exit_ = await add(town, EXIT, "--direction", "out")
    branch = await add(town, BRANCH)
    for gate in (entry, exit_, branch):
        await told(gate)
    return entry, exit_, branch


async def agreed(town: QuickTown) -> None:
    await asyncio.sleep(AGREES_WITHIN_S)


@pytest.mark.xdist_group("services-passback")
async def test_gates_of_a_domain_agree_within_two_seconds_and_what_they_could_not_know_becomes_a_conflict(
    town: QuickTown,
) -> None:
    entry, exit_, branch = await three_gates(town)
    assert (await tap(entry, ALICE)).reason == "ok"
    await agreed(town)
    assert (await tap(branch, ALICE)).reason == "already-inside"
    assert (await tap(exit_, ALICE)).reason == "leaving"
    await agreed(town)
    assert (await tap(branch, ALICE)).reason == "ok"

    branch.line.cut()
    assert (await tap(entry, BORIS)).reason == "ok"
    assert (await tap(branch, BORIS)).reason == "ok", "nobody is kept out for what cannot be known"
    await branch.until(lambda status: status["apart"] is True, 40)
    branch.line.restore()
    await delivered(branch)
    await agreed(town)
    assert (await tap(branch, BORIS)).reason == "already-inside", "a gate that is back agrees within two seconds"
    (conflict,) = await settled(town, "conflict", "list", "--open", "--kind", "used-apart", until=bool)
    assert conflict["gate"] in ("front-door", "branch-door")
    await town.do("conflict", "settle", conflict["id"], "--why", "asked him", "--who", "chen")
    assert json.loads(await town.do("conflict", "list", "--open", "--kind", "used-apart", "--json")) == []
    await town.do("rebuild")  # which fails where a row differs
    assert await asyncio.to_thread(town.audit, branch) == []


@pytest.mark.xdist_group("services-passback")
async def test_a_second_card_of_the_same_member_shares_the_history(town: QuickTown) -> None:
    second = "04AABBCCDDEEFF"
    (town.directory / "more.csv").write_text(f"uid,member,class,valid_from,valid_until\n{second},M-0,citizen,,\n")
    await town.do(
        *("card", "import", str(town.directory / "more.csv"), "--domain", DOOR.domain, "--notation", "hex", "--apply")
    )
    entry, _, branch = await three_gates(town)
    await until_reason(branch, "DEADBEEF", "unknown-card")
    assert (await tap(entry, ALICE)).reason == "ok"
    assert (await tap(entry, second)).reason == "already-inside"
    await agreed(town)
    assert (await tap(branch, second)).reason == "already-inside"


@pytest.mark.xdist_group("services-occupancy")
async def test_a_venue_that_is_full_waits_until_staff_or_an_exit_says_otherwise(town: QuickTown) -> None:
    gate = await use(town, "few", FEW)
    await told(gate)
    assert [(await tap(gate, uid)).reason for uid in (ALICE, BORIS, CHEN)] == ["ok", "ok", "full"]
    await settled(town, "occupancy", DOOR.venue, until=lambda found: found["inside"] == 2)
    await town.do("occupancy", DOOR.venue, "--correct", "1", "--why", "counted", "--who", "chen")
    await until_reason(gate, CHEN, "ok", AGREES_WITHIN_S + 1)
    assert (await tap(gate, CHEN)).reason == "full"


@pytest.mark.xdist_group("services-points")
async def test_points_are_spent_offline_as_far_as_they_are_reserved_and_the_rest_is_due(town: QuickTown) -> None:
    gate = await use(town, "paid", PAID)
    (town.directory / "plan.toml").write_text(PLAN)
    await town.do("points", "plan", "put", "citizens", str(town.directory / "plan.toml"))
    await told(gate)
    await settled_reservation(gate, town)
    gate.line.cut()
    for _ in range(3):
        assert (await tap(gate, ALICE)).reason == "ok"
    gate.line.restore()
    await delivered(gate)
    balance = await settled(
        town, "points", "balance", "M-0", "--domain", "library", until=lambda found: found["points"] == 20
    )
    assert balance["points"] == 20, "25, then what was left of the 40 that were reserved, then nothing"


async def settled_reservation(gate: Gate, town: QuickTown) -> None:
    """The gate holds points of the first member."""
    end_s = time.monotonic() + 20
    while True:
        said = json.loads(await asyncio.to_thread(gate.command, "decide", ALICE, "--explain", "--json"))
        if said["points"] == 25:
            return
        assert time.monotonic() < end_s, said
        await asyncio.sleep(0.2)


@pytest.mark.xdist_group("services-volunteers")
async def test_a_volunteer_signs_in_and_out_and_the_minutes_are_counted(town: QuickTown) -> None:
    kiosk = await use(town, "kiosk", KIOSK)
    (town.directory / "team.toml").write_text(TEAM)
    await town.do("volunteer", "team", "put", "desk", str(town.directory / "team.toml"), "--who", "lin")
    await told(kiosk)
    first = await tap(kiosk, ALICE)
    assert (first.reason, (await tap(kiosk, ALICE)).reason) == ("signed-in", "signed-in")
    await asyncio.sleep(1.2)
    assert (await tap(kiosk, ALICE)).reason == "signed-out"
    (session,) = await settled(
        town, "volunteer", "sessions", "--member", "M-0", until=lambda found: found and found[0]["state"] == "counted"
    )
    assert session["team"] == "desk"
