"""SIGKILL while staff close a gate and open it again: what it says after a restart is the last word in its journal, and
that is no older than the last word that staff were told."""

import random
import time
from pathlib import Path

import msgspec
import pytest

from edge_agent.closing import CLOSED_BY_STAFF
from edge_agent.journal.verify import verify
from edge_agent.preview import at_rest
from protocol.closure import StaffClosing
from protocol.messages import ClosureDetail, Event, Kind, decode
from tests.faults import city
from tests.faults.trial_life import begin
from tests.support.auditor import read_journal
from tests.support.kill import KILLED, At, Nest

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
CALLS = [At("fdatasync", n) for n in (2, 5)] + [At("pwrite64", n) for n in (9, 30)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return begin(tmp_path, proven=False)


def told(place: Path) -> list[ClosureDetail]:
    """What the journal says, the oldest first."""
    events = [decode(Event, public) for public in read_journal(place / "store", city.DEVICE).publics.values()]
    said = sorted((e for e in events if e.kind == Kind.CLOSURE), key=lambda e: (e.boot_id, e.monotonic_ms))
    return [decode(ClosureDetail, e.detail) for e in said]


def examine(place: Path) -> int:
    """Returns how many words the journal holds."""
    words = told(place)
    _, facts = at_rest(place / "store")
    stored = facts.get(CLOSED_BY_STAFF)
    kept = msgspec.msgpack.decode(stored, type=StaffClosing) if stored else None
    last = words[-1] if words else None
    if kept is not None:
        assert last == ClosureDetail(kept.staff, kept.why, kept.from_ms, kept.until_ms)
    else:
        assert last is None or last.from_ms == last.until_ms
    seen = [line.split() for line in (place / "seen").read_text().splitlines()]
    staff_were_told = [line for line in seen if line[0] in ("closed", "open")]
    assert len(words) >= len(staff_were_told), "what staff were told stands in the journal"
    return len(words)


def test_an_agent_killed_at_random_moments_stays_as_its_journal_says(place: Path) -> None:
    chance = random.Random(11)
    with Nest("tests.faults.closing_life:live", place / "out", cwd=ROOT) as nest:
        for life in range(25):
            nest.start(str(place / "store"), str(place), str(life))
            time.sleep(chance.uniform(0, 0.15))
            assert nest.kill() == KILLED, nest.said()
            words = examine(place)
    assert words > 0
    assert verify(place / "store") == []


@pytest.mark.parametrize("at", CALLS, ids=lambda at: f"{at.call}-{at.when}")
def test_an_agent_killed_at_a_system_call_stays_as_its_journal_says(place: Path, at: At) -> None:
    with Nest("tests.faults.closing_life:live", place / "out", cwd=ROOT, at=at) as nest:
        for life in range(6):
            nest.start(str(place / "store"), str(place), str(life))
            assert nest.wait(60) == KILLED, nest.said()
            examine(place)
    assert verify(place / "store") == []
