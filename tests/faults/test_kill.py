"""SIGKILL, hundreds of times, at random moments and at the store's own system calls, in agent and central.

Most lives here are `agent_life` and `central_life`: the real store, gate, uptake and custody in a process of their
own, without the time that a whole program takes to start.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.messages import Event, Kind, decode
from tests.faults import agent_exam, central_exam, central_life, city
from tests.support.auditor import read_journal, released
from tests.support.kill import KILLED, At, Nest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
AGENT_CALLS = (
    [At("fdatasync", n) for n in (1, 2, 3, 5, 9, 17, 33)]
    + [At("pwrite64", n) for n in (1, 2, 4, 8, 15, 31, 64, 130, 257)]
    + [At("write", n) for n in (25, 40)]
    + [At("fsync", n) for n in (1, 2, 3, 4)]
    + [At("unlink", n) for n in (1, 2, 4)]
    + [At("rename", 1), At("ftruncate", 1), At("ftruncate", 2)]
)
CENTRAL_CALLS = [At("fdatasync", n) for n in (1, 2, 5, 11)] + [At("pwrite64", n) for n in (1, 3, 10, 29, 80, 150)]
LIFE_S = 0.25
"""At most, before a life that was to be killed at random is."""


def survive(nest: Nest, lives: int, start: Callable[[int], tuple[str, ...]], chance: random.Random | None) -> int:
    """So many lives in a row, each killed at a random moment, or by the nest's own system call. Returns the kills."""
    kills = 0
    for life in range(lives):
        nest.start(*start(life))
        if chance is None:
            code = nest.wait(60)
        else:
            time.sleep(chance.uniform(0, LIFE_S))
            code = nest.kill()
        assert code == KILLED, f"life {life} ended by itself ({code}):\\n{nest.said()}"
        kills += 1
    return kills


def agent(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    city.enrol(tmp_path / "store")
    return tmp_path


def findings_of_agent(place: Path) -> list[str]:
    lines = [(place / name).read_bytes() if (place / name).exists() else b"" for name in ("seen", "released")]
    return agent_exam.examine(place / "store", *lines)


def agent_start(place: Path, seed: int) -> Callable[[int], tuple[str, ...]]:
    return lambda life: (str(place / "store"), str(place), f"{seed}-{life}")


@pytest.mark.parametrize("seed", [1, 2])
def test_an_agent_killed_at_random_moments_loses_nothing_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    place, chance, kills = agent(tmp_path), random.Random(seed), 0
    with Nest("tests.faults.agent_life:live", tmp_path / "out", cwd=ROOT) as nest:
        for _ in range(6):
            kills += survive(nest, 20, agent_start(place, kills), chance)
            assert findings_of_agent(place) == [], f"seed {seed}, after {kills} kills"
    journal = read_journal(place / "store", city.DEVICE)
    told = {line.name for line in released(place / "released")}
    lines = agent_exam.seen_lines((place / "seen").read_bytes())
    held = {(line[1], int(line[2])): bytes.fromhex(line[3]) for line in lines if line[0] == "held"}
    taps = {name for name, public in (journal.publics | held).items() if decode(Event, public).kind == Kind.TAP}
    assert len(told) > kills
    # a kill between commit and release leaves one tap without its release: never more than one each
    assert len(taps - told) <= kills


@pytest.mark.parametrize("at", AGENT_CALLS, ids=lambda at: f"{at.call}-{at.when}")
def test_an_agent_killed_at_a_system_call_loses_nothing(tmp_path: Path, at: At) -> None:
    place, kills = agent(tmp_path), 0
    with Nest("tests.faults.agent_life:live", tmp_path / "out", cwd=ROOT, at=at) as nest:
        for _ in range(2):
            kills += survive(nest, 4, agent_start(place, kills), None)
            assert findings_of_agent(place) == [], f"{at}, after {kills} kills"


def findings_of_central(place: Path) -> list[str]:
    seen = place / "seen"
    return central_exam.examine(place / "store", seen.read_bytes() if seen.exists() else b"")


@pytest.mark.parametrize("seed", [3])
def test_central_killed_at_random_moments_keeps_all_that_it_receipted(tmp_path: Path, seed: int) -> None:
    (tmp_path / "store").mkdir()
    central_life.prepare(tmp_path / "store")
    chance, kills = random.Random(seed), 0
    with Nest("tests.faults.central_life:live", tmp_path / "out", cwd=ROOT) as nest:
        for _ in range(4):
            kills += survive(nest, 25, agent_start(tmp_path, kills), chance)
            assert findings_of_central(tmp_path) == [], f"seed {seed}, after {kills} kills"
    assert len((tmp_path / "seen").read_text().splitlines()) > kills


@pytest.mark.parametrize("at", CENTRAL_CALLS, ids=lambda at: f"{at.call}-{at.when}")
def test_central_killed_at_a_system_call_keeps_all_that_it_receipted(tmp_path: Path, at: At) -> None:
    (tmp_path / "store").mkdir()
    central_life.prepare(tmp_path / "store")
    with Nest("tests.faults.central_life:live", tmp_path / "out", cwd=ROOT, at=at) as nest:
        survive(nest, 6, agent_start(tmp_path, at.when), None)
    assert findings_of_central(tmp_path) == [], f"{at}"
