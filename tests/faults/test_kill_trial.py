"""SIGKILL in the middle of a configuration's trial: what was proven is never lost, what was given up never returns,
and nothing that has to be said of it is forgotten."""

import random
import time
from pathlib import Path

import pytest

from edge_agent.journal.verify import verify
from edge_agent.preview import at_rest
from edge_agent.published.parts import AtRest, good
from edge_agent.published.proving import fact_of, in_use, standing_of
from protocol.envelope import Keyring
from protocol.messages import ConfigDetail, Event, Kind, PartName, decode
from tests.faults import city
from tests.faults.trial_life import begin, kills, raises
from tests.support.auditor import read_journal
from tests.support.kill import KILLED, At, Nest

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
CALLS = [At("fdatasync", n) for n in (1, 3)] + [At("pwrite64", n) for n in (6, 25)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return begin(tmp_path, proven=True)


def findings(place: Path) -> list[str]:
    """Of the disk as it lies there, against what was seen."""
    lines = [line.split() for line in (place / "seen").read_text().splitlines()]
    proven = max((int(line[1]) for line in lines if line[0] == "proven"), default=0)
    gave_up = {int(line[1]) for line in lines if line[0] == "gave-up"}
    envelopes, facts = at_rest(place / "store")
    found = AtRest(envelopes, Keyring.of(city.ROOT.public))
    chosen = in_use(found, PartName.CONFIG, standing_of(facts.get(fact_of(PartName.CONFIG))))
    kept = found.opened(good(PartName.CONFIG))
    said = [f"part {name}: {error}" for name, error in found.refused.items()]
    version = chosen.message.version if chosen else 0
    if version < proven:
        said.append(f"{proven} was proven, {version} is to be used")
    if version in gave_up:
        said.append(f"{version} was given up and is to be used")
    if kept is not None and (kills(kept.message.version) or raises(kept.message.version)):
        said.append(f"{kept.message.version} counts as good and cannot be")
    return said


def told(place: Path) -> set[tuple[str, int]]:
    publics = read_journal(place / "store", city.DEVICE).publics.values()
    details = [decode(ConfigDetail, e.detail) for e in (decode(Event, p) for p in publics) if e.kind == Kind.CONFIG]
    return {(detail.what, detail.version) for detail in details}


def examine(place: Path) -> None:
    """After the last kill: a calm start says what was left to be said."""
    lines = [line.split() for line in (place / "seen").read_text().splitlines()]
    with Nest("tests.faults.trial_life:live", place / "out", cwd=ROOT) as nest:
        for life in range(9):  # one more of those that end the process may be on trial
            nest.start(str(place / "store"), str(place), f"calm-{life}", "1")
            nest.wait(60)
            assert findings(place) == []
    assert verify(place / "store") == []
    went_back = {version for what, version in told(place) if what == "went-back"}
    assert {int(line[1]) for line in lines if line[0] == "gave-up"} <= went_back
    assert {int(line[1]) for line in lines if line[0] == "proven"} <= {v for what, v in told(place) if what == "in-use"}


def test_an_agent_killed_at_random_moments_of_a_trial_goes_back_and_forth_as_it_should(place: Path) -> None:
    chance = random.Random(7)
    with Nest("tests.faults.trial_life:live", place / "out", cwd=ROOT) as nest:
        for life in range(30):
            nest.start(str(place / "store"), str(place), str(life))
            time.sleep(chance.uniform(0, 0.1))
            assert nest.kill() == KILLED, nest.said()
            assert findings(place) == [], f"after {life + 1} kills"
    seen = (place / "seen").read_text()
    assert "proven" in seen
    assert "gave-up" in seen
    examine(place)


@pytest.mark.parametrize("at", CALLS, ids=lambda at: f"{at.call}-{at.when}")
def test_an_agent_killed_at_a_system_call_of_a_trial_goes_back_and_forth_as_it_should(place: Path, at: At) -> None:
    with Nest("tests.faults.trial_life:live", place / "out", cwd=ROOT, at=at) as nest:
        for life in range(8):
            nest.start(str(place / "store"), str(place), str(life))
            assert nest.wait(60) == KILLED, nest.said()
            assert findings(place) == [], f"{at}, after {life + 1} kills"
    examine(place)
