"""A person is erased: with a real server and a real agent, no file of either holds anything of them afterwards."""

import json
import time
from pathlib import Path

import pytest

from tests.end_to_end.quick_town import ALICE, BORIS, QuickTown, delivered, tap, until, until_reason

NAME = "歐陽菲菲"


def holding(directory: Path, needles: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which file holds what."""
    files = [(path, path.read_bytes()) for path in directory.rglob("*") if path.is_file()]
    return sorted((path.name, name) for path, data in files for name, needle in needles.items() if needle in data)


@pytest.mark.xdist_group("erasing")
async def test_no_file_of_centre_or_gate_holds_who_was_erased(town: QuickTown, tmp_path: Path) -> None:
    await town.do("member", "put", "M-0", "--domain", "library", "--name", NAME, "--who", "lin")
    gate = await town.open_gate()
    for uid in (ALICE, BORIS, ALICE):
        assert (await tap(gate, uid)).reason == "ok"
    await delivered(gate)
    query = "SELECT s.subject FROM subjects s JOIN members m ON m.id = s.member WHERE m.reference = ?"
    ((mine,),), ((others,),) = town.look_up(query, "M-0"), town.look_up(query, "M-1")
    needles = {"subject": mine, "subject in hex": mine.hex().encode(), "name": NAME.encode()}
    edge = gate.directory / "data"
    assert holding(edge, needles), "or the search finds nothing because it cannot"
    assert holding(town.data, {"subject": mine})

    started_s = time.monotonic()
    done = json.loads(await town.do("member", "erase", "M-0", "--apply", "--receipt", tmp_path / "receipt", "--json"))
    assert done["files_clean"]
    await until_reason(gate, ALICE, "unknown-card")
    assert time.monotonic() - started_s < 5
    await until(lambda: not holding(edge, needles), f"the gate lets go of all of it: {holding(edge, needles)}")
    assert holding(edge, {"subject": others}), "of somebody else nothing is lost"
    assert (await tap(gate, BORIS)).reason == "ok"
    await delivered(gate)

    async def central_let_go() -> bool:
        await town.do("erasure", "compact")
        return not holding(town.data, needles)

    end_s = time.monotonic() + 20
    while not await central_let_go():
        assert time.monotonic() < end_s, holding(town.data, needles)
    assert (await town.do("verify")).startswith("Whole")
    assert "M-0" not in await town.do("audit", "list", "--json")
    backup = tmp_path / "after.backup"
    await town.do("backup", backup, "--compression", "none")
    assert holding(tmp_path, {"subject": mine, "name": NAME.encode()}) == []
    ((left,),) = town.look_up("SELECT count(*) FROM events WHERE personal IS NOT NULL")
    assert left >= 2
