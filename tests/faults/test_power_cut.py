"""Power cuts under an agent and under central: whatever was promised before the cut holds after it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import agent_exam, central_exam, central_life, city
from tests.support.power_cut import Cut, Recording, record

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


def recorded(tmp_path: Path, module: str, seed: int, steps: int) -> Recording:
    """A life of the store in `tmp_path / "store"`, from its first start on, cut into ops."""
    program = f"from tests.faults.{module} import live; live('store', '.', '{seed}', '{steps}')"
    recording = record(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '{ROOT}'); {program}"],
        tmp_path / "store",
        tmp_path / "log",
        cwd=tmp_path,
        witnesses=[tmp_path / "seen", tmp_path / "released"],
    )
    assert sum(op.kind == "seen" for op in recording.ops) >= steps / 2
    return recording


def failures(recording: Recording, seed: int, cuts: int, into: Path, examine: Callable[[Cut], list[str]]) -> list[str]:
    """A line for every cut that broke a promise."""
    found = []
    for cut in recording.cuts(seed, cuts, into):
        try:
            findings = examine(cut)
        except Exception as error:  # a disk that cannot be opened is a finding too
            findings = [f"{type(error).__name__}: {error}"]
        if findings:
            found.append(f"{cut}: {findings}")
    return found


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_no_power_cut_takes_from_the_agent_what_was_released_receipted_or_published(tmp_path: Path, seed: int) -> None:
    (tmp_path / "store").mkdir()
    city.enrol(tmp_path / "store")
    recording = recorded(tmp_path, "agent_life", seed, 250)

    def examine(cut: Cut) -> list[str]:
        return agent_exam.examine(cut.directory, cut.seen[tmp_path / "seen"], cut.seen[tmp_path / "released"])

    found = failures(recording, seed, 150, tmp_path / "cut", examine)
    assert not found, "\n".join(found[:10])


@pytest.mark.parametrize("seed", [21, 22])
def test_no_power_cut_takes_from_central_what_it_has_receipted(tmp_path: Path, seed: int) -> None:
    (tmp_path / "store").mkdir()
    central_life.prepare(tmp_path / "store")
    recording = recorded(tmp_path, "central_life", seed, 120)

    def examine(cut: Cut) -> list[str]:
        return central_exam.examine(cut.directory, cut.seen[tmp_path / "seen"])

    found = failures(recording, seed, 60, tmp_path / "cut", examine)
    assert not found, "\n".join(found[:10])
