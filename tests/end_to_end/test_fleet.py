"""A real agent is asked for a bundle over the line that it holds, is moved to another gate, and is replaced."""

import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.edge_agent.support.test_redaction import forms_of
from tests.end_to_end.quick_town import ALICE, CHEN, DESK, STRANGER, QuickTown, delivered, tap, until, until_reason

pytestmark = pytest.mark.xdist_group("fleet")


async def test_health_comes_by_itself_and_a_bundle_when_it_is_asked_for(town: QuickTown, tmp_path: Path) -> None:
    gate = await town.open_gate()
    device = town.device_of(gate)
    for uid in (ALICE, CHEN, STRANGER):
        await tap(gate, uid)
    await delivered(gate)

    async def shown() -> dict[str, object]:
        return dict(json.loads(await town.do("device", "show", device, "--json")))

    async def told() -> bool:
        return (await shown())["health"] is not None

    async def is_current() -> bool:
        found = await shown()
        return bool(found["is_taken_up"]) and all(part["is_current"] for part in found["published_parts"])  # type: ignore[attr-defined]

    await eventually(told, "the agent tells its health")
    await eventually(is_current, "what is published is taken up")
    found = await shown()
    assert found["disk_bytes"] > found["disk_free_bytes"] > 0  # type: ignore[operator]
    assert abs(int(found["skew_ms"])) < 5_000  # type: ignore[call-overload]

    asked = json.loads(await town.do("device", "bundle", "ask", device, "--who", "chen", "--json"))["bundle"]["bundle"]

    async def arrived() -> bool:
        (listed,) = json.loads(await town.do("device", "bundle", "list", "--json"))
        assert listed["state"] in ("asked", "arrived"), listed
        return bool(listed["state"] == "arrived")

    await eventually(arrived, "the bundle arrives")
    archive = tmp_path / "bundle.tar.gz"
    await town.do("device", "bundle", "fetch", asked, "--out", archive)
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as packed:
        files = {entry.name: packed.extractfile(entry).read().decode() for entry in packed.getmembers()}  # type: ignore[union-attr]
    status = json.loads(files["tapgate-bundle/status.json"])
    assert (status["device"], status["running"]) == (device, True)
    assert json.loads(files["tapgate-bundle/doctor.json"])
    whole = "\n".join(files.values())
    for uid in (ALICE, CHEN, STRANGER):
        for form in forms_of(bytes.fromhex(uid)):
            assert form not in whole, form
    assert town.fails("device", "bundle", "fetch", "0" * 32).exit_code == 1


async def test_a_moved_gate_goes_on_at_once_as_the_other_one(town: QuickTown) -> None:
    gate = await town.open_gate()
    device = town.device_of(gate)
    await tap(gate, ALICE)
    await delivered(gate)
    await town.do("device", "move", device, DESK.gate, "--why", "rebuilt", "--who", "chen")

    async def taken_up() -> bool:
        shown = json.loads(await town.do("device", "show", device, "--json"))
        return bool(shown["is_taken_up"] and all(part["is_current"] for part in shown["published_parts"]))

    await eventually(taken_up, "the agent takes the other gate up")
    await gate.until(lambda status: status["gate"] == DESK.gate and not status["troubles"])
    assert (await tap(gate, CHEN)).reason == "ok"
    await delivered(gate)
    assert [event["gate"] for event in town.log() if event["kind"] == "tap"] == ["library-door", "library-desk"]
    gate.process.stop()
    gate.process.start()  # and after a restart
    await gate.until(lambda status: status["gate"] == DESK.gate)
    assert (await town.do("verify")).startswith("Whole")


async def test_a_replaced_gate_goes_out_of_service_as_the_new_one_is_confirmed(town: QuickTown) -> None:
    gate = await town.open_gate()
    old = town.device_of(gate)
    await tap(gate, ALICE)
    await delivered(gate)
    other = await town.new_gate(name="spare")
    url = f"https://127.0.0.1:{other.line.port}"
    token = json.loads(await town.do("device", "replace", old, "--url", url, "--json"))["token"]
    joined = json.loads(await asyncio.to_thread(other.command, "enrol", token, "--json"))
    assert (await tap(gate, ALICE)).reason == "ok", "nothing changes before the words are confirmed"
    confirmed = json.loads(await town.do("device", "confirm", joined["device"], "--words", joined["words"], "--json"))
    assert confirmed["replaced"] == old
    await until(lambda: not (gate.directory / "data" / "identity.json").exists(), "the old agent's keys go")
    other.process.start()
    await until_reason(other, ALICE, "ok")
    assert (await tap(gate, ALICE)).reason == "not-enrolled"


async def eventually(holds, what: str, timeout_s: float = 60) -> None:  # type: ignore[no-untyped-def]
    try:
        async with asyncio.timeout(timeout_s):
            while not await holds():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s} s: {what}") from None
