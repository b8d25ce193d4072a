"""SIGKILL of the whole programs, agent and central, in turn and together, while taps flow."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.programs import STRANGER, UIDS, Programs
from tests.support.kill import KILLED, At

pytestmark = [pytest.mark.timeout(300)]


def tap_for(programs: Programs, chance: random.Random, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        programs.tap(chance.choice([*UIDS, STRANGER]))
        time.sleep(chance.expovariate(300))


@pytest.mark.parametrize("seed", [5])
def test_programs_killed_while_taps_flow_lose_nothing_and_count_nothing_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Programs(tmp_path) as programs:
        programs.start_edge()
        for _ in range(24):
            tap_for(programs, chance, chance.uniform(0.05, 0.4))
            for victim in chance.choice(
                ([programs.edge], [programs.edge], [programs.central], [programs.edge, programs.central])
            ):
                victim.kill()
            tap_for(programs, chance, chance.uniform(0, 0.1))
            if not programs.central.alive:
                programs.central.start()
            if not programs.edge.alive:
                before = programs.lines()
                programs.edge.start()
                programs.tap(UIDS[0])
                if chance.random() < 0.7:  # else the next kill comes while it starts
                    programs.until(lambda before=before: programs.lines() > before, "it taps again")  # type: ignore[misc]
        programs.until(programs.drained, "everything is receipted")
        kills = programs.edge.kills + programs.central.kills
        assert kills >= 24
        findings = programs.audit()
        assert findings == [], f"seed {seed}, {kills} kills"
        assert len(programs.released()) > 200


@pytest.mark.system
@pytest.mark.parametrize(
    ("who", "at"),
    [
        ("edge", At("fdatasync", 4)),
        ("edge", At("fdatasync", 30)),
        ("edge", At("pwrite64", 90)),
        ("central", At("fdatasync", 2)),
        ("central", At("pwrite64", 12)),
    ],
    ids=lambda value: f"{value.call}-{value.when}" if isinstance(value, At) else value,
)
def test_a_program_killed_inside_its_store_goes_on_where_it_was(tmp_path: Path, who: str, at: At) -> None:
    chance = random.Random(f"{who} {at}")
    with Programs(tmp_path) as programs:
        programs.start_edge()
        tap_for(programs, chance, 0.2)
        victim = programs.edge if who == "edge" else programs.central
        for _ in range(2):
            victim.stop()
            victim.start(at)
            deadline = time.monotonic() + 60
            while victim.alive and time.monotonic() < deadline:
                programs.tap(chance.choice(UIDS))
                time.sleep(0.01)
            assert victim.wait(1) == KILLED
        victim.start()
        programs.until(programs.drained, "everything is receipted")
        assert programs.audit() == []
