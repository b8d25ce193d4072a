"""Power cuts under an agent and under central: whatever was promised before the cut holds after it."""

import sys
from pathlib import Path

import pytest

from tests.faults import city
from tests.faults.agent_exam import examine
from tests.support.power_cut import Recording, record

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


def record_agent(tmp_path: Path, seed: int, steps: int) -> Recording:
    """An agent's life from its first start on, cut into ops."""
    (tmp_path / "agent").mkdir()
    city.enrol(tmp_path / "agent")
    program = f"from tests.faults.agent_life import live; live('agent', '.', '{seed}', '{steps}')"
    return record(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '{ROOT}'); {program}"],
        tmp_path / "agent",
        tmp_path / "log",
        cwd=tmp_path,
        witnesses=[tmp_path / "seen", tmp_path / "released"],
    )


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_no_power_cut_takes_from_the_agent_what_was_released_receipted_or_published(tmp_path: Path, seed: int) -> None:
    recording = record_agent(tmp_path, seed, 250)
    assert sum(op.kind == "seen" for op in recording.ops) > 200
    failures = []
    for cut in recording.cuts(seed, 150, tmp_path / "cut"):
        try:
            findings = examine(cut.directory, cut.seen[tmp_path / "seen"], cut.seen[tmp_path / "released"])
        except Exception as error:  # noqa: BLE001 - a disk that cannot be opened is a finding too
            findings = [f"{type(error).__name__}: {error}"]
        if findings:
            failures.append(f"{cut}: {findings}")
    assert not failures, "\n".join(failures[:10])
