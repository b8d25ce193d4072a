"""The doctor beside a running agent with a real central: what is well, and what is not once the line is cut."""

import asyncio
import json
from typing import Any

import pytest

from deploy.ports import Port
from deploy.town import Gate
from tests.end_to_end.quick_town import ALICE, DOOR, QuickTown, delivered, invoke, tap

pytestmark = pytest.mark.xdist_group("commands")

WELL = (
    "settings-file",
    "data-directory",
    "key-file",
    "agent-running",
    "enrolled",
    "list-age",
    "published-parts",
    "reader",
    "central",
    "certificate",
    "key-statement",
    "contact",
    "clock",
    "screen",
    "journal-whole",
    "journal-writable",
    "journal-set-aside",
)


async def examined(gate: Gate) -> dict[str, dict[str, Any]]:
    result = await asyncio.to_thread(
        invoke, "tapgate-edge", "--config", gate.config, "doctor", "--json", "--lang", "en"
    )
    assert result.stderr == ""
    return {finding["id"]: finding for finding in json.loads(result.stdout)["findings"]}


async def test_a_gate_that_works_is_found_well_and_one_that_is_cut_off_is_found_out(town: QuickTown) -> None:
    gate = await town.join(DOOR)
    screen_port = Port.free()
    gate.config.write_text(f"{gate.config.read_text()}\n[screen]\nport = {screen_port}\n")
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0 and status["policy_version"] > 0)
    await tap(gate, ALICE)
    status = await delivered(gate)
    assert 0 <= status["poll_age_s"] < 600
    assert 0 <= status["receipt_age_s"] < 600
    found = await examined(gate)
    assert {id_: found[id_]["seen"] for id_ in WELL if found[id_]["result"] != "ok"} == {}

    gate.line.cut()
    await gate.until(lambda status: status["central_reachable"] is False)
    found = await examined(gate)
    assert {id_: found[id_]["result"] for id_ in ("central", "certificate", "contact")} == {
        "central": "fail",
        "certificate": "not-known",
        "contact": "fail",
    }
    assert found["list-age"]["result"] == "ok", "the gate goes on by what it holds"
    gate.line.restore()
    await gate.until(lambda status: status["central_reachable"] is True)


async def test_a_device_that_nobody_confirmed_yet_is_told_how_to_go_on(town: QuickTown) -> None:
    gate = await town.new_gate()
    token = await town.invite(f"https://127.0.0.1:{gate.line.port}")
    device = json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json"))["device"]
    gate.process.start()
    await gate.until(lambda status: any("confirm" in text for text in status["troubles"]))
    enrolled = (await examined(gate))["enrolled"]
    assert enrolled["result"] == "fail"
    assert f"tapgate-central device confirm {device} --words WORDS" in enrolled["mend"]
