"""How a gate joins, is doubted, is trusted, and leaves; and how it comes back after a long time away."""

import asyncio
import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from central.keys import state_keys
from central.tls import certificate_digest
from deploy.ports import Port
from deploy.town import CommandFailed, Gate
from edge_agent import identity as identity_file
from edge_agent.agent import Agent
from edge_agent.uplink import NetworkFailure
from tests.end_to_end.clocked_town import Clock, ClockedAgent, ClockedCentral, make_certificate, tap
from tests.end_to_end.quick_town import (
    ALICE,
    CHEN,
    DOOR,
    Places,
    QuickTown,
    delivered,
    invoke,
    until,
    until_reason,
)
from tests.end_to_end.quick_town import tap as tap_at
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_proxy_plan import Fault, script

PLAIN = 'tls = "none"\n'


async def device_of(town: QuickTown, device: str) -> dict[str, str]:
    found = json.loads(await town.do("device", "list", "--json"))
    return next(row for row in found if row["device"] == device)


@pytest.mark.xdist_group("enrol-plain")
async def test_a_lost_answer_is_asked_for_again_and_another_key_is_refused_with_an_alarm(places: Places) -> None:
    town = places.settle(PLAIN)
    await town.start_central()
    gate, thief = await town.new_gate(), await town.new_gate(name="thief")
    with FaultProxy(town.port, script([Fault.DROP_ANSWER], "/v1/enrol")) as proxy:
        token = await town.invite(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(CommandFailed, match="/v1/enrol"):
            await asyncio.to_thread(gate.command, "enrol", token)
        assert proxy.struck_by(Fault.DROP_ANSWER) == 1
        assert len(json.loads(await town.do("device", "list", "--json"))) == 1, "central had committed"

        with pytest.raises(CommandFailed, match="belongs to another key"):
            await asyncio.to_thread(thief.command, "enrol", token)
        assert town.evidence() == ["alarm"]

        again = json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json"))
        assert json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json")) == again
    (device,) = json.loads(await town.do("device", "list", "--json"))
    assert (device["device"], device["words"], device["state"]) == (again["device"], again["words"], "pending")


@pytest.mark.xdist_group("enrol-plain")
async def test_a_device_that_nobody_confirmed_gets_nothing_and_loses_nothing(town: QuickTown) -> None:
    gate = await town.new_gate()
    token = await town.invite(f"https://127.0.0.1:{gate.line.port}")
    joined = json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json"))
    wrong = town.fails("device", "confirm", joined["device"], "--words", "babab-babab-babab")
    assert wrong.exit_code == 1
    assert "not the words" in wrong.stderr
    assert (await device_of(town, joined["device"]))["state"] == "pending"

    gate.process.start()
    await gate.until(lambda status: any("confirm" in trouble for trouble in status["troubles"]))
    assert (await tap_at(gate, ALICE)).reason == "list-missing"
    status = await gate.until(lambda status: status["central_reachable"] is False)
    assert status["allowlist_version"] == status["policy_version"] == 0
    assert town.log() == []
    assert identity_of(gate).domain_keys == ()

    spoken = joined["words"].replace("-", " ").upper()
    await town.do("device", "confirm", joined["device"], "--words", spoken)
    await until_reason(gate, ALICE, "ok")
    await delivered(gate)
    assert [event["reason"] for event in town.log() if event["kind"] == "tap"][0] == "list-missing"


def identity_of(gate: Gate) -> identity_file.Identity:
    identity = identity_file.load(gate.directory / "data")
    assert identity is not None
    return identity


@pytest.mark.xdist_group("enrol-revoke")
async def test_a_revoked_device_destroys_keys_and_lists_keeps_its_journal_and_is_not_believed(places: Places) -> None:
    town = places.settle(PLAIN)
    await town.start_central()
    polls_are_lost = False

    def plan(request: object) -> Fault:
        lost = polls_are_lost and getattr(request, "path", "") == "/v1/poll"
        return Fault.DROP_REQUEST if lost else Fault.NONE

    with FaultProxy(town.port, plan) as proxy:
        gate = await town.join_at(f"http://127.0.0.1:{proxy.port}")
        device = town.device_of(gate)
        gate.process.start()
        await until_reason(gate, ALICE, "ok")
        await delivered(gate)

        proxy.cut()
        polls_are_lost = True  # so that what was written down comes before the news
        for _ in range(5):
            assert (await tap_at(gate, ALICE)).reason == "ok"
        trusted = set(town.held())  # only now, when nothing is on its way any more
        await town.do("device", "revoke", device, "--why", "stolen")
        proxy.restore()
        await until(lambda: not (gate.directory / "data" / "identity.json").exists(), "the agent's keys go")
        assert (await tap_at(gate, ALICE)).reason == "not-enrolled"

    assert gate.process.stop() == 0
    assert "revoked" in gate.process.last_words()
    data = gate.directory / "data"
    left = {path.name for path in data.iterdir()}
    assert "identity.json" not in left
    assert not [name for name in left if "list" in name]
    assert json.loads(invoke("tapgate-edge", "--config", gate.config, "status", "--json").stdout)["sequence"] >= 5
    assert invoke("tapgate-edge", "--config", gate.config, "journal", "verify").exit_code == 0
    with pytest.raises(CommandFailed, match="keys are gone"):
        gate.command("enrol", await town.invite(f"http://127.0.0.1:{town.port}"))
    outcomes = {(event["epoch"], event["sequence"]): event["outcome"] for event in town.log()}
    told = {(signal[0], int(signal[1])) for signal in gate.signals() if "not-enrolled" not in signal}
    assert told <= outcomes.keys()
    for name, outcome in outcomes.items():
        assert outcome == ("accepted" if (device, *name) in trusted else "untrusted")
    assert list(outcomes.values()).count("untrusted") >= 5
    assert (await device_of(town, device))["state"] == "revoked"
    final = town.fails("device", "confirm", device, "--words", "babab-babab-babab")
    assert "final" in final.stderr
    assert (await town.do("verify")).startswith("Whole")


@pytest.mark.xdist_group("enrol-revoke")
async def test_a_certificate_rolls_over_while_an_agent_is_connected(town: QuickTown) -> None:
    gate = await town.open_gate()
    keys = town.data / "keys"
    old = certificate_digest(keys / "tls.crt")
    (keys / "next").mkdir()
    new = make_certificate(keys / "next", time.time_ns() // 1_000_000)
    before = town.keys.statement.number
    state_keys(keys, [old, new], time.time_ns() // 1_000_000)
    await town.restart_central()
    await tap_at(gate, ALICE)
    await delivered(gate)
    await until(lambda: statement_number(gate) > before, "the agent knows both certificates")

    for name in ("tls.crt", "tls.key"):
        shutil.copy(keys / "next" / name, keys / name)
    await town.restart_central()
    await tap_at(gate, ALICE)
    await delivered(gate)
    await town.do("card", "block", CHEN, "--notation", "hex")
    await until_reason(gate, CHEN, "card-blocked")


def statement_number(gate: Gate) -> int:
    with closing(sqlite3.connect(f"file:{gate.directory / 'data' / 'agent.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT max(version) FROM parts WHERE name LIKE 'keys%'").fetchone()[0])


# --- time -------------------------------------------------------------------------------------------------------


class Clocked:
    """One central and one agent on one clock."""

    def __init__(self, places: Places) -> None:
        town = places.settle()
        self.directory: Path = town.directory
        self.clock = Clock(time.time_ns() // 1_000_000)
        self.central = ClockedCentral(town.data, self.clock, Port.free())
        self.agent = ClockedAgent(town.directory / "door", self.clock)

    async def invite(self) -> str:
        return str((await self.central.act("device.invite", gate=DOOR.gate)).token)

    async def join(self) -> None:
        device, words = await self.agent.enrol(await self.invite())
        await self.central.act("device.confirm", device=device, words=words)


async def up_to_date(agent: Agent) -> None:
    holding = agent.gate.holding
    await until(lambda: agent.gate.holding is not holding or agent.subscription.reachable, "a word from central")
    await until(lambda: agent.gate.holding.allowlist, "a list")
    await until(lambda: agent.status()["backlog"] == 0, "everything delivered")


@pytest.mark.xdist_group("enrol-time")
async def test_a_join_token_that_was_not_used_in_ten_minutes_is_refused(places: Places) -> None:
    clocked = Clocked(places)
    async with clocked.central.serving():
        token = await clocked.invite()
        clocked.clock.now_ms += 10 * 60_000 + 1
        with pytest.raises(NetworkFailure, match=r"410 .*ten minutes"):
            await clocked.agent.enrol(token)
        assert (await clocked.central.act("device.list")).devices == []
        await clocked.join()
        assert [device.state for device in (await clocked.central.act("device.list")).devices] == ["active"]


@pytest.mark.xdist_group("enrol-time")
async def test_the_same_key_gets_the_same_answer_for_a_day_and_no_longer(places: Places) -> None:
    clocked = Clocked(places)
    async with clocked.central.serving():
        token = await clocked.invite()
        first = await clocked.agent.enrol(token)
        clocked.clock.pass_days(0.99)
        assert await clocked.agent.enrol(token) == first
        clocked.clock.pass_days(0.02)
        with pytest.raises(NetworkFailure, match="409"):
            await clocked.agent.enrol(token)


@pytest.mark.xdist_group("enrol-time")
@pytest.mark.parametrize("certificate", ["same", "another"])
async def test_an_agent_that_was_off_for_ninety_days_comes_back(places: Places, certificate: str) -> None:
    clocked = Clocked(places)
    central, clock = clocked.central, clocked.clock
    async with central.serving():
        await clocked.join()
        async with clocked.agent.running() as agent:
            await up_to_date(agent)
            assert (await tap(agent, ALICE)).reason == "ok"
            await up_to_date(agent)

    clock.pass_days(45)
    if certificate == "another":
        state_keys(central.config.keys_dir, [central.new_certificate()], clock.now_ms)
    async with central.serving():
        await central.act("card.block", uid=CHEN, notation="hex", state="blocked", why="")
    clock.pass_days(45, switched_off=True)

    async with clocked.agent.running() as agent:
        assert (await tap(agent, ALICE)).reason == "list-too-old", "ninety days without word: closed"
        async with central.serving():
            await until(lambda: agent.subscription.reachable, "central is found again")
            await until(lambda: agent.gate.age_ms(clock.now()) < 60_000, "the list is confirmed")
            assert (await tap(agent, ALICE)).reason == "ok"
            assert (await tap(agent, CHEN)).reason == "card-blocked"
            await until(lambda: agent.status()["backlog"] == 0, "everything delivered")
            assert agent.status()["clock"] == "trusted"
            taps = [line for line in await central.log() if line.kind == "tap"]
            assert [line.reason for line in taps] == ["ok", "list-too-old", "ok", "card-blocked"]
