"""Yesterday comes back: central from its backup, an agent from a copied disk, and both at once."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.town import BIN, Gate
from tests.end_to_end.quick_town import (
    ALICE,
    BORIS,
    CHEN,
    DEADLINE_S,
    DESK,
    Crowd,
    Places,
    QuickTown,
    delivered,
    tap,
    until,
    until_reason,
)


async def restore(town: QuickTown, backup: Path) -> dict[str, Any]:
    """Stop central, put the backup in its place, start it again."""
    await asyncio.to_thread(town.central.stop)
    said = json.loads(await town.do("restore", backup, "--replace", "--json"))
    await town.start_central()
    return dict(said)


async def versions(gate: Gate) -> tuple[int, int, int]:
    status = await gate.until(lambda status: status["allowlist_version"] > 0)
    return status["manifest"], status["allowlist_version"], status["policy_version"]


async def in_custody_once(town: QuickTown, *gates: Gate) -> set[tuple[str, str, int]]:
    """All that is held, after the gates have delivered all they have and the auditor had nothing to say."""
    end_s = time.monotonic() + DEADLINE_S
    while findings := await audited(town, *gates):
        assert time.monotonic() < end_s, findings  # an agent may not have heard of the restoration yet
    held = await asyncio.to_thread(town.held)
    assert len(held) == len(set(held)), "something is counted twice"
    assert (await town.do("verify")).startswith("Whole")
    return set(held)


async def audited(town: QuickTown, *gates: Gate) -> list[str]:
    for gate in gates:
        await delivered(gate)
    for gate in gates:
        gate.line.cut()  # nobody writes while the auditor looks
    findings = [finding for gate in gates for finding in await asyncio.to_thread(town.audit, gate)]
    for gate in gates:
        gate.line.restore()
    return findings


@pytest.mark.xdist_group("restore-central")
async def test_a_central_restored_under_load_gets_back_what_its_backup_lacks(town: QuickTown) -> None:
    gates = door, desk = await town.open_gate(), await town.open_gate(DESK)
    for gate in gates:
        assert (await tap(gate, ALICE)).reason == "ok"
        await delivered(gate)
    backup = town.directory / "yesterday.backup"
    await town.do("backup", backup)

    async with Crowd(*gates):
        await town.do("card", "block", CHEN, "--notation", "hex")
        (town.directory / "policy.toml").write_text(
            'repeat_window_s = 0\n[[rules]]\nkind = "admit"\nid = "anybody-listed"\n'
        )
        await town.do("policy", "put", "open-house", town.directory / "policy.toml")
        await asyncio.gather(*(until_reason(gate, CHEN, "card-blocked") for gate in gates))
        await until(lambda: min(len(gate.signals()) for gate in gates) > 30, "a morning of taps")
        for gate in gates:
            await gate.until(lambda status: status["receipted_through"] > 20)
        receipted = set(await asyncio.to_thread(town.held))
        before = [await versions(gate) for gate in gates]
        await restore(town, backup)

        for gate, floors in zip(gates, before, strict=True):
            await gate.until(lambda status, floor=floors: status["allowlist_version"] > floor[1])
            assert all(new > old for new, old in zip(await versions(gate), floors, strict=True))
            assert (await tap(gate, CHEN)).reason == "ok", "the backup knows nothing of the block"
        assert json.loads(await town.do("card", "find", CHEN, "--notation", "hex", "--json"))[0]["state"] == "active"
        await town.do("card", "block", CHEN, "--notation", "hex", "--state", "lost")
        await asyncio.gather(*(until_reason(gate, CHEN, "card-lost") for gate in gates))

    held = await in_custody_once(town, *gates)
    assert receipted <= held
    assert set(town.evidence()) <= {"gap"}, "batches that came before the agent heard of the restoration"


@pytest.mark.xdist_group("restore-central")
async def test_a_backup_may_be_restored_twice_and_never_goes_back_below_the_field(town: QuickTown) -> None:
    gate = await town.open_gate()
    backup = town.directory / "yesterday.backup"
    await town.do("backup", backup)
    seen = []
    for _ in range(2):
        await tap(gate, BORIS)
        await delivered(gate)
        floors = await versions(gate)
        seen.append((await restore(town, backup))["generation"])
        await gate.until(lambda status, floor=floors: status["allowlist_version"] > floor[1])
        await in_custody_once(town, gate)
    assert seen == sorted(set(seen))


# --- a copied disk ----------------------------------------------------------------------------------------------


def set_back(gate: Gate, copy: Path) -> None:
    """The agent's data directory as it was when the copy was made."""
    shutil.rmtree(gate.directory / "data")
    shutil.copytree(copy, gate.directory / "data")


async def copied_disk(gate: Gate) -> Path:
    """A copy of the agent's data, made while it stands still; it runs again afterwards."""
    await asyncio.to_thread(gate.process.stop)
    copy = gate.directory / "copy"
    shutil.copytree(gate.directory / "data", copy)
    gate.process.start()
    await gate.until(lambda _: True)
    return copy


class Twin:
    """A second agent on a copy of the first one's disk, with a reader and a release of its own."""

    def __init__(self, places: Places, gate: Gate, copy: Path) -> None:
        self.gate = Gate(gate.spot, places.directory() / "twin", gate.line, has_card_reader=False)
        shutil.copytree(copy, self.gate.directory / "data")
        self.gate.process = places.process(self.gate.process.command, self.gate.directory / "log")


@pytest.mark.xdist_group("restore-agent")
async def test_an_agent_set_back_to_an_older_disk_shows_as_a_fork_and_loses_nothing(town: QuickTown) -> None:
    gate = await town.open_gate()
    await tap(gate, ALICE)
    await delivered(gate)
    copy = await copied_disk(gate)
    for _ in range(5):
        await tap(gate, BORIS)
    await delivered(gate)
    before = set(town.held())
    await asyncio.to_thread(gate.process.stop)
    set_back(gate, copy)
    gate.process.start()
    await gate.until(lambda _: True)
    for _ in range(5):
        assert (await tap(gate, ALICE)).reason == "ok"
    held = await in_custody_once(town, gate)
    assert before < held
    assert len({epoch for _, epoch, _ in held}) == 3
    assert town.evidence() == ["fork"]
    assert {event["outcome"] for event in town.log()} == {"accepted"}


@pytest.mark.xdist_group("restore-agent")
async def test_two_agents_on_copies_of_one_disk_are_both_kept_and_told_apart(town: QuickTown, places: Places) -> None:
    gate = await town.open_gate()
    await tap(gate, ALICE)
    await delivered(gate)
    copy = await copied_disk(gate)
    twin = Twin(places, gate, copy).gate
    twin.process.start()
    await twin.until(lambda _: True)
    async with Crowd(gate, twin):
        await until(lambda: min(len(gate.signals()), len(twin.signals())) > 20, "taps at both")
    held = await in_custody_once(town, gate, twin)
    assert {(signal[0], int(signal[1])) for signal in twin.signals()} <= {(epoch, number) for _, epoch, number in held}
    assert town.evidence() == ["fork"]
    await asyncio.to_thread(twin.stop)


@pytest.mark.xdist_group("restore-both")
async def test_a_restored_central_and_a_copied_agent_at_once_lose_nothing(town: QuickTown, places: Places) -> None:
    gate = await town.open_gate()
    await tap(gate, ALICE)
    await delivered(gate)
    backup = town.directory / "yesterday.backup"
    await town.do("backup", backup)
    for _ in range(5):
        await tap(gate, BORIS)
    await delivered(gate)
    copy = await copied_disk(gate)
    twin = Twin(places, gate, copy).gate
    async with Crowd(gate):
        await until(lambda: len(gate.signals()) > 20, "taps after the copy was made")
        receipted = set(await asyncio.to_thread(town.held))
        await asyncio.to_thread(town.central.stop)
        twin.process.start()
        await twin.until(lambda _: True)
        await restore(town, backup)
        async with Crowd(twin):
            await until(lambda: len(twin.signals()) > 20, "taps at the twin")
    held = await in_custody_once(town, gate, twin)
    assert receipted <= held
    # a gap: what a restored central sends for again
    assert [kind for kind in town.evidence() if kind != "gap"] == [
        "fork"
    ]  # a gap: sent for again after the restoration
    await asyncio.to_thread(twin.stop)


@pytest.mark.xdist_group("restore-both")
async def test_what_a_restored_central_and_a_set_back_agent_still_have_is_put_together(town: QuickTown) -> None:
    """What lay between the copy and the restoration is nowhere any more; everything else must be."""
    gate = await town.open_gate()
    backup = town.directory / "yesterday.backup"
    await town.do("backup", backup)
    for _ in range(5):
        await tap(gate, BORIS)
    await delivered(gate)
    await asyncio.to_thread(gate.process.stop)
    on_both = set(town.held())
    copy = gate.directory / "copy"
    shutil.copytree(gate.directory / "data", copy)
    gate.process.start()
    await gate.until(lambda _: True)
    await tap(gate, ALICE)
    await delivered(gate)
    await asyncio.to_thread(gate.process.stop)

    set_back(gate, copy)
    gate.released.unlink()  # what it told people after the copy is the loss that nobody can notice
    gate.process.start()
    await restore(town, backup)
    await tap(gate, ALICE)
    assert on_both < await in_custody_once(town, gate)


@pytest.mark.xdist_group("restore-both")
async def test_a_gate_that_joined_after_the_backup_comes_back_with_all_that_it_ever_told(town: QuickTown) -> None:
    backup = town.directory / "yesterday.backup"
    await town.do("backup", backup)
    gate = await town.open_gate()
    device = town.device_of(gate)
    await tap(gate, ALICE)
    await delivered(gate)
    receipted = set(town.held())
    await restore(town, backup)
    for _ in range(3):
        assert (await tap(gate, ALICE)).reason == "ok", "what it holds stays good"
    status = await gate.until(lambda status: status["central_reachable"] is False)
    assert status["backlog"] >= 3
    assert town.held() == []

    await asyncio.to_thread(gate.process.stop)
    url = f"https://127.0.0.1:{gate.line.port}"
    joined = json.loads(await asyncio.to_thread(gate.command, "enrol", await town.invite(url), "--json"))
    assert joined["device"] == device
    await town.do("device", "confirm", device, "--words", joined["words"])
    gate.process.start()
    await gate.until(lambda _: True)
    assert (await tap(gate, ALICE)).reason == "ok"
    assert receipted < await in_custody_once(town, gate)


def test_a_backup_is_restored_by_the_program_itself(places: Places) -> None:
    """The whole way as an operator walks it, with exit codes."""
    town = places.settle()
    backup = town.directory / "a.backup"
    assert run(town, "backup", backup).returncode == 0
    refused = run(town, "restore", backup)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert run(town, "restore", backup, "--replace").returncode == 0
    assert run(town, "verify").returncode == 0
    damaged = town.directory / "damaged.backup"
    damaged.write_bytes(backup.read_bytes()[:-100])
    refused = run(town, "restore", damaged, "--replace")
    assert refused.returncode == 1
    assert "damaged.backup" in refused.stderr
    assert run(town, "verify").returncode == 0, "what was there is untouched"


def run(town: QuickTown, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "tapgate-central", "--config", town.config, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
