"""`proof` and `verify FILE`: what a person sees, and what a script can rely on."""

import asyncio
import json
from pathlib import Path

import pytest

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store.database import open_database
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.city import City
from tests.central.sync_log.conftest import name_of
from tests.central.terminal import Operator


@pytest.fixture
def event(run: Operator) -> str:
    """The name of a tap in custody."""

    async def take() -> str:
        keys = Keys(run.directory / "keys")
        async with open_database(f"sqlite:///{run.directory / 'central.db'}") as database:
            device = await City(database, keys).add_device(Device("door-1-device", "door-1"))
            journal = Journal(device)
            journal.tap(2)
            await Custodian(database, keys, DeviceKeys(database)).take(journal.upload(), NOW_MS)
            return name_of(journal, 1)

    return asyncio.run(take())


@pytest.fixture
def elsewhere(tmp_path: Path) -> Operator:
    """Another machine: no database, no keys."""
    return Operator(tmp_path / "elsewhere")


def test_a_proof_is_written_here_and_checked_elsewhere(
    run: Operator, elsewhere: Operator, event: str, tmp_path: Path
) -> None:
    file, root = tmp_path / "tap.proof", run.directory / "keys" / "root.public"
    assert "verify" in run("proof", event, str(file)).stdout
    done = elsewhere("verify", str(file), "--root", str(root))
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["holds"] * 10
    assert f"Event {event} stands in the batch" in done.stdout
    assert lines[-1] == "The event is proven."
    said = elsewhere("verify", str(file)).stdout
    assert root.read_text().strip() in said
    assert said.endswith("if the root is the one that you trust.\n")
    found = elsewhere.json("verify", str(file), "--root", root.read_text().strip())
    assert found["holds"]
    assert not elsewhere.directory.exists()


def test_a_proof_that_does_not_hold_ends_with_one(
    run: Operator, elsewhere: Operator, event: str, tmp_path: Path
) -> None:
    file = tmp_path / "tap.proof"
    made = run.json("proof", event, str(file), "--personal")
    assert (made["holds"], made["personal"], made["bytes"]) == (True, True, file.stat().st_size)
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    done = elsewhere("verify", str(file), code=1)
    assert "FAILS" in done.stdout
    assert "does not prove its event" in done.stderr
    assert not json.loads(elsewhere("verify", str(file), "--json", code=1).stdout)["holds"]
    other = elsewhere("verify", str(file), "--root", "00" * 32, code=1)
    assert "not by " + "00" * 32 in other.stdout
    huge = tmp_path / "huge"
    huge.write_bytes(bytes(3_000_000))
    assert "oversized" in elsewhere("verify", str(huge), code=1).stdout


def test_wrong_use_is_told(run: Operator, elsewhere: Operator, event: str, tmp_path: Path) -> None:
    assert "is no event" in run.refused("proof", "tap", str(tmp_path / "x"))
    assert "no event" in run.refused("proof", event[:-1] + "9", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()
    elsewhere("verify", "--root", "00" * 32, code=2)
    elsewhere("verify", str(tmp_path / "nothing"), code=2)
    elsewhere("verify", str(tmp_path), "--root", "xyz", code=2)


def test_the_sync_log_is_read_at_the_command_line(run: Operator, event: str) -> None:
    device, epoch, _ = event.rsplit("/", 2)
    assert "door-1-device" in run("sync", "batches").stdout
    page = run.json("sync", "events", "--kind", "tap", "--limit", "1")
    assert [line["event"] for line in page["events"]] == [f"{device}/{epoch}/2"]
    (older,) = run.json("sync", "events", "--kind", "tap", "--limit", "1", "--after", page["next"])["events"]
    assert older["event"] == event
    assert f"--after {page['next']}" in run("sync", "events", "--kind", "tap", "--limit", "1").stdout
    shown = run("sync", "event", event).stdout
    assert shown.count("holds  ") == 11
    assert run("sync", "batch", device, epoch, "0").stdout.count("holds  ") == 7
    assert run.json("sync", "batch", device, epoch, "0", "--raw")["raw"]
    assert (
        "live" in run("sync", "timeline", device, "--since", "2026-01-01T00:00", "--until", "2027-01-01T00:00").stdout
    )
    assert "Nothing came that fits." in run("sync", "batches", "--outcome", "odd").stdout
    assert "no outcome" in run.refused("sync", "batches", "--outcome", "bad")
