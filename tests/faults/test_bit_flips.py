"""Bits flipped in every file of an agent, one at a time: noticed by opening or verifying, or nothing that counts has
changed; and in no case is a card let in that was not to be."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.verify import verify
from edge_agent.moments import SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.release.dry import DryRelease
from tests.faults import city
from tests.faults.agent_life import LIMITS, Life
from tests.faults.bit_flips import FLIPS, SEED, flips, tables
from tests.support.kill import Nest

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["stopped", "killed"])
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent's directory after a busy day, with its write-ahead files where it was killed."""
    place = tmp_path_factory.mktemp(request.param)
    (place / "store").mkdir()
    city.enrol(place / "store")
    with Nest("tests.faults.agent_life:live", place / "out", cwd=ROOT) as nest:
        for life in range(3):
            nest.start(str(place / "store"), str(place), str(life), "120")
            assert nest.wait(60) == 0, nest.said()
    if request.param == "stopped":
        Store(place / "store", LIMITS).close()
        for path in (place / "store").glob("list-*.db"):
            with closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return place / "store"


def stored(directory: Path) -> list[str]:
    """The files that hold anything. The reserve's content is nobody's."""
    return [
        path.name
        for path in sorted(directory.iterdir())
        if path.is_file() and path.stat().st_size and not path.name.endswith(("-shm", ".reserve"))
    ]


def state_of_card(number: int, version: int) -> str:
    return "unknown-card" if number >= city.CARDS else "card-blocked" if city.is_blocked(number, version) else "ok"


def wrong_grants(directory: Path) -> list[str]:
    """Taps of all cards at an agent that starts on this disk, as it is, before anything was scrubbed."""
    try:
        identity = identity_file.load(directory)
        if identity is None:
            return []
        store = Store(directory, LIMITS)
    except (IdentityDamaged, StoreDamaged):
        return []
    found = []
    try:
        gate = Gate(store, DryRelease(), SystemMoments(), Holding(identity.device, identity.gate))
        uptake = Uptake(directory, gate, identity)
        uptake.load()
        moment = gate.moments.now()
        store.begin_epoch(city.DEVICE, city.GATE, identity.signer(), moment, gate.clock(moment), "test")
        listed = gate.holding.allowlist
        version = listed.header.version if listed else 0
        for number in range(city.CARDS + 3):
            signal = gate.tap(city.card(number))
            if signal.outcome == "granted" and state_of_card(number, version) != "ok":
                found.append(f"card {number} was let in, it is {state_of_card(number, version)} at {version}")
    except StoreDamaged:
        return found
    finally:
        store.close()
    return found


def changed(directory: Path, original: Path) -> list[str]:
    """What an agent that noticed nothing has lost. Set back to an earlier state of what central gives again (a
    receipt, a list) is no loss; an event is."""
    before, after = tables(original / "agent.db"), tables(directory / "agent.db")
    found = [f"{name} differ" for name in ("events", "epochs") if name == "events" and before[name] != after[name]]
    versions = {row[0]: row[1] for row in before["parts"]}
    found += [f"part {row[0]} is {row[1]}" for row in after["parts"] if row[1] > versions.get(row[0], -1)]
    delivered = {row[0]: row[2] for row in before["epochs"]}
    found += [f"epoch {row[0]} is delivered further" for row in after["epochs"] if row[2] > delivered[row[0]]]
    return found


def test_a_flipped_bit_in_an_agents_file_is_noticed_or_changes_nothing(agent: Path, tmp_path: Path) -> None:
    shutil.copytree(agent, tmp_path / "copy")
    assert verify(tmp_path / "copy") == []
    overlooked, noticed = [], 0
    for name in stored(agent):
        for text in flips(agent, tmp_path / "copy", name):
            if verify(tmp_path / "copy"):
                noticed += 1
            elif found := changed(tmp_path / "copy", agent):
                overlooked.append(f"{text}: {found[:2]}")
    assert not overlooked, f"seed {SEED}: {len(overlooked)} of {noticed + len(overlooked)}:\n" + "\n".join(
        overlooked[:10]
    )
    assert noticed > FLIPS


def test_a_flipped_bit_in_an_agents_file_lets_nobody_in_who_was_not_to_be(agent: Path, tmp_path: Path) -> None:
    wrong = []
    for name in stored(agent):
        for text in flips(agent, tmp_path / "copy", name):
            if found := wrong_grants(tmp_path / "copy"):
                wrong.append(f"{text}: {found[:2]}")
    assert not wrong, f"seed {SEED}: {len(wrong)}:\n" + "\n".join(wrong[:10])


def test_a_blocked_card_whose_row_was_altered_is_not_let_in(tmp_path: Path) -> None:
    """The one bit that would hurt most: `blocked` (1) to `active` (0)."""
    (tmp_path / "store").mkdir()
    city.enrol(tmp_path / "store")
    life = Life(tmp_path / "store", tmp_path)
    life.take(whole=True)
    life.gate.holding.allowlist.close()  # type: ignore[union-attr]
    life.store.close()
    (path,) = (tmp_path / "store").glob("list-*.db")
    entry = next(city.entries(1)[number] for number in range(city.CARDS) if city.is_blocked(number, 1))
    data = bytearray(path.read_bytes())
    state = data.index(entry) + 20  # behind the array's head, the subject and the card's number
    assert data[state] == 1
    data[state] = 0
    path.write_bytes(data)
    assert wrong_grants(tmp_path / "store") == []
