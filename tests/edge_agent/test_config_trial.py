"""A configuration is put to use on trial: the machine goes back to the last one that it ran with, whatever fails and
whenever it is killed, and both are said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.verify import verify
from edge_agent.preview import at_rest
from edge_agent.published import parts
from edge_agent.published.proving import Standing, fact_of, standing_of
from edge_agent.published.uptake import Uptake
from protocol.allowlist import CardState
from protocol.errors import Failure, Refused
from protocol.messages import (
    Closure,
    ConfigDetail,
    Direction,
    GateConfig,
    Kind,
    PartName,
    Poll,
    ReleaseConfig,
    decode,
)
from tests.support.central_side import DEVICE, GATE, CentralSide
from tests.support.edge_side import Edge


class Machine:
    """What stands at the gate: does what it is set to, or cannot."""

    def __init__(self) -> None:
        self.has: GateConfig | None = None
        self.heard: list[int] = []
        self.broken_by: set[int] = set()
        self.cannot: set[str] = set()

    def wire(self, uptake: Uptake) -> None:
        self.has, self.heard = None, []
        uptake.judge_config, uptake.on_config = self.judge, self.apply

    def judge(self, config: GateConfig) -> None:
        if config.release.passage in self.cannot:
            raise Refused(Failure.NOT_SATISFIABLE, f"no input tells a passage through a {config.release.passage}")

    def apply(self, config: GateConfig | None) -> None:
        version = config.version if config else 0
        self.heard.append(version)
        if version in self.broken_by:
            raise OSError(5, f"pin {version} is not there")
        self.has = config


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def edge(tmp_path: Path, central: CentralSide, machine: Machine) -> Iterator[Edge]:
    """Runs with configuration 1, which is known to work."""
    with Edge(tmp_path / "edge", central, wire=machine.wire) as made:
        made.take_all()
        made.prove()
        yield made


def publish(edge: Edge, version: int, **changes: Any) -> None:
    """Central publishes, the agent polls."""
    edge.central.config = GateConfig(version, GATE, "door", **changes)
    edge.central.publish()
    poll(edge)


def poll(edge: Edge) -> list[bytes]:
    """Returns what central had to say."""
    holding, uptake = edge.gate.holding, edge.uptake
    asked = Poll(
        device=DEVICE,
        nonce=bytes(16),
        at_ms=0,
        manifest=holding.manifest.number if holding.manifest else 0,
        keys_number=uptake.statement.number if uptake.statement else 0,
        parts=holding.parts(),
        troubles=tuple(uptake.troubles.values()),
        backlog=0,
        wait_s=0,
        version="t",
        understands=(),
    )
    said = edge.central.answer(asked)
    edge.take(*said)
    return said


def kill(edge: Edge) -> None:
    """And start again."""
    edge.crash()
    edge.open()


def version(edge: Edge) -> int:
    return edge.gate.holding.config.version if edge.gate.holding.config else 0


def told(edge: Edge) -> list[tuple[str, int]]:
    """What the journal says of configurations, the first one left out."""
    details = [decode(ConfigDetail, event.detail) for event in edge.events() if event.kind == Kind.CONFIG]
    return [(detail.what, detail.version) for detail in details if detail.part == "config" and detail.version > 1]


def tick(edge: Edge, now_s: float = 0.0) -> None:
    edge.uptake.tick(now_s)


# --- arrival --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"release": ReleaseConfig(passage="door")}, "no input tells a passage through a door"),
        ({"time_zone": "Asia/Atlantis"}, "Asia/Atlantis"),
        ({"time_zone": "../../etc/passwd"}, "time zone"),
    ],
)
def test_what_the_machine_cannot_do_is_refused_before_anything_is_touched(
    edge: Edge, machine: Machine, changes: dict[str, Any], why: str
) -> None:
    machine.cannot = {"door"}
    edge.central.put_card(1, CardState.BLOCKED)
    publish(edge, 2, **changes)
    assert version(edge) == 1
    assert machine.heard == [1]
    assert "not-satisfiable" in edge.uptake.troubles["config"].why
    assert why in edge.uptake.troubles["config"].why
    assert edge.tap(1).reason == "card-blocked", "the other parts go on"
    tick(edge)
    assert told(edge) == []
    assert parts.floor_of(edge.store, PartName.CONFIG) == 1, "a correction may have any newer version"
    publish(edge, 3)
    assert version(edge) == 3
    assert not edge.uptake.troubles


def test_a_newer_one_is_in_use_at_once_said_and_proven_later(edge: Edge, machine: Machine) -> None:
    publish(edge, 2, direction=Direction.OUT)
    assert machine.has == edge.central.config
    assert edge.tap(99).reason == "leaving"
    assert edge.uptake.on_trial() == ["config 2"]
    tick(edge, 100.0)
    assert told(edge) == [("in-use", 2)]
    assert edge.events()[-1].held.config == 2
    tick(edge, 109.0)
    assert edge.uptake.on_trial() == ["config 2"], "not yet for long enough"
    tick(edge, 110.5)
    assert edge.uptake.on_trial() == []
    tick(edge, 200.0)
    assert told(edge) == [("in-use", 2)]
    assert verify(edge.directory) == []
    for _ in range(5):
        kill(edge)
    assert version(edge) == 2
    assert not edge.uptake.troubles


def test_idle_ticks_write_nothing(edge: Edge) -> None:
    before = edge.store.connection.total_changes
    for now_s in range(100):
        tick(edge, float(now_s))
    assert edge.store.connection.total_changes == before


# --- giving up ------------------------------------------------------------------------------------------------


def test_one_that_fails_at_once_is_given_up_at_once(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {2}
    publish(edge, 2, direction=Direction.OUT)
    assert machine.heard == [1, 2]
    assert machine.has is not None
    assert machine.has.version == version(edge) == 1
    assert edge.tap(99).reason == "unknown-card", "the direction is the old one's too"
    assert "pin 2 is not there" in edge.uptake.troubles["config"].why
    tick(edge)
    assert told(edge) == [("went-back", 2)]
    assert verify(edge.directory) == []


def test_the_version_stays_in_trouble_until_another_is_published(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {2}
    publish(edge, 2)
    machine.broken_by = set()
    assert poll(edge) == [edge.central.fresh()], "central does not send it again"
    edge.central.publish()
    poll(edge)
    edge.take(edge.central.seal(edge.central.manifest), edge.central.seal(edge.central.config))
    assert version(edge) == 1
    assert edge.uptake.troubles["config"].version == 2
    edge.reopen()
    assert version(edge) == 1
    assert edge.uptake.troubles["config"].version == 2
    assert poll(edge) == [edge.central.fresh()]
    tick(edge)
    assert told(edge) == [("went-back", 2)], "once, however often it starts"
    publish(edge, 3)
    assert version(edge) == 3
    assert not edge.uptake.troubles


def test_two_bad_ones_in_a_row_lead_back_to_the_same_good_one_and_a_good_one_after_them_is_taken(
    edge: Edge, machine: Machine
) -> None:
    machine.broken_by = {2, 3}
    for bad in (2, 3):
        publish(edge, bad)
        tick(edge)
        assert version(edge) == 1
    publish(edge, 4)
    edge.prove()
    assert told(edge) == [("went-back", 2), ("went-back", 3), ("in-use", 4)]
    machine.broken_by = {5}
    publish(edge, 5)
    assert machine.has is not None
    assert machine.has.version == version(edge) == 4
    assert verify(edge.directory) == []


def test_each_of_those_that_follow_at_once_is_said(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {2, 3}
    for following in (2, 3, 4, 5):
        publish(edge, following)
    tick(edge)
    assert told(edge) == [("went-back", 2), ("went-back", 3), ("in-use", 4), ("in-use", 5)]


def test_what_was_given_up_keeps_no_other_version_from_being_sent(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {2}
    publish(edge, 2)
    edge.central.config = GateConfig(3, GATE, "door")
    edge.take(edge.central.seal(edge.central.publish()))
    assert "config" not in edge.uptake.troubles
    poll(edge)
    assert version(edge) == 3


def test_a_newer_one_during_a_trial_does_not_make_the_untried_one_good(edge: Edge, machine: Machine) -> None:
    publish(edge, 2)
    machine.broken_by = {3}
    publish(edge, 3)
    assert version(edge) == 1


def test_an_agent_that_is_killed_in_the_trial_tries_once_more_and_then_goes_back(edge: Edge, machine: Machine) -> None:
    publish(edge, 2)
    kill(edge)
    assert version(edge) == 2
    assert machine.heard == [2]
    kill(edge)
    assert version(edge) == 1
    assert machine.heard == [1]
    assert edge.uptake.troubles["config"].version == 2
    assert "before it had run with it for 10 s" in edge.uptake.troubles["config"].why
    tick(edge)
    assert told(edge) == [("went-back", 2)]
    for _ in range(3):
        kill(edge)
        assert version(edge) == 1
    assert poll(edge) == [edge.central.fresh()]
    assert verify(edge.directory) == []


TYPHOON = Closure(0, 2**47, why_zh="颱風", why_en="Typhoon")


@pytest.mark.parametrize("release", [ReleaseConfig(), ReleaseConfig(pulse_ms=500)])
def test_a_closed_venue_stays_closed_though_its_configuration_is_given_up(edge: Edge, release: ReleaseConfig) -> None:
    publish(edge, 2, closures=(TYPHOON,), release=release)
    kill(edge)
    kill(edge)
    assert version(edge) == 1
    assert edge.gate.holding.closures == (TYPHOON,)
    kill(edge)
    assert edge.gate.holding.closures == (TYPHOON,)
    publish(edge, 3)
    assert edge.gate.holding.closures == ()
    kill(edge)
    kill(edge)
    assert version(edge) == 1
    assert edge.gate.holding.closures == (), "nor does an old closure come back"
    assert verify(edge.directory) == []


def test_a_closure_holds_though_the_machine_cannot_do_the_rest_of_it(edge: Edge, machine: Machine) -> None:
    machine.cannot = {"door"}
    publish(edge, 2, closures=(TYPHOON,), release=ReleaseConfig(passage="door"))
    machine.broken_by = {3}
    assert (version(edge), edge.gate.holding.closures) == (1, (TYPHOON,))
    kill(edge)
    assert (version(edge), edge.gate.holding.closures) == (1, (TYPHOON,))
    publish(edge, 3, closures=(TYPHOON, TYPHOON))
    assert (version(edge), edge.gate.holding.closures) == (1, (TYPHOON, TYPHOON))


def test_where_the_newest_configuration_is_damaged_the_next_one_that_verifies_closes(edge: Edge) -> None:
    publish(edge, 2, closures=(TYPHOON,))
    with edge.store.connection as connection:
        connection.execute("UPDATE parts SET envelope = x'00' WHERE name = 'config-newest'")
    kill(edge)
    assert edge.gate.holding.closures == (TYPHOON,)


def test_a_store_that_is_loaded_again_in_mid_run_is_no_further_start(edge: Edge) -> None:
    publish(edge, 2)
    kill(edge)
    for _ in range(3):
        edge.uptake.load()
        assert version(edge) == 2
    assert stored(edge) == Standing(2, starts=1)


def test_one_failed_start_and_a_long_run_prove_it(edge: Edge) -> None:
    publish(edge, 2)
    kill(edge)
    edge.prove()
    for _ in range(3):
        kill(edge)
        assert version(edge) == 2


def test_one_with_which_the_machine_cannot_start_is_given_up_in_that_start(edge: Edge, machine: Machine) -> None:
    publish(edge, 2)
    edge.crash()
    machine.broken_by = {2}
    edge.open()
    assert machine.heard == [2, 1]
    assert version(edge) == 1
    tick(edge)
    assert told(edge) == [("went-back", 2)]


def test_what_is_to_be_said_is_not_forgotten_by_a_kill(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {2}
    publish(edge, 2)
    kill(edge)
    assert told(edge) == []
    tick(edge)
    assert told(edge) == [("went-back", 2)]
    publish(edge, 3)
    kill(edge)
    tick(edge)
    assert told(edge) == [("went-back", 2), ("in-use", 3)]


def test_a_machine_that_lost_its_hardware_is_no_fault_of_a_proven_configuration(edge: Edge, machine: Machine) -> None:
    machine.broken_by = {1}
    kill(edge)
    assert version(edge) == 1
    assert "pin 1 is not there" in edge.uptake.troubles["config"].why
    edge.prove()
    assert told(edge) == []
    machine.broken_by = set()
    kill(edge)
    assert not edge.uptake.troubles


def test_the_only_one_there_ever_was_is_not_given_up_for_a_power_cut(
    tmp_path: Path, central: CentralSide, machine: Machine
) -> None:
    central.config = GateConfig(1, GATE, "door", direction=Direction.OUT)
    central.publish()
    with Edge(tmp_path / "edge", central, wire=machine.wire) as edge:
        edge.take_all()
        for _ in range(3):
            kill(edge)
            assert edge.tap(99).reason == "leaving"
        kill(edge)
        assert edge.gate.holding.config is None, "there is nothing to go back to"
        assert edge.uptake.troubles["config"].version == 1
        publish(edge, 2, direction=Direction.OUT)
        assert version(edge) == 2
        machine.broken_by = {3}
        publish(edge, 3)
        assert edge.gate.holding.config is None
        assert machine.heard[-1] == 0


# --- bad disks ------------------------------------------------------------------------------------------------


def test_a_disk_that_takes_nothing_tries_nothing(edge: Edge, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(edge, 2)
    edge.crash()
    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.journal.store.Store.commit", _full)
        patch.setattr("edge_agent.journal.store.Store.begin_epoch", lambda *given: None)
        edge.open()
        assert version(edge) == 1
        assert machine.heard == [1]
        with pytest.raises(JournalUnwritable):
            edge.store.commit(lambda transaction: None)
        tick(edge)
        edge.crash()
    edge.open()
    assert version(edge) == 2


def _full(*given: object) -> None:
    raise JournalUnwritable("full")


def test_giving_up_counts_for_this_run_even_where_it_cannot_be_written(
    edge: Edge, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.broken_by = {2}
    real, commits = edge.store.commit, iter((True, False))
    monkeypatch.setattr(edge.store, "commit", lambda work: real(work) if next(commits, True) else _full())
    edge.central.config = GateConfig(2, GATE, "door")
    edge.take(edge.central.seal(edge.central.publish()))
    monkeypatch.setattr(
        edge.store, "commit", lambda work, left=iter((True, True, False)): real(work) if next(left) else _full()
    )
    edge.take(edge.central.seal(edge.central.config))
    monkeypatch.undo()
    assert version(edge) == 1
    assert edge.uptake.troubles["config"].version == 2
    kill(edge)
    assert version(edge) == 1, "tried again, and given up again"
    tick(edge)
    assert told(edge) == [("went-back", 2)]


def flip(edge: Edge, name: str) -> None:
    """One bit of a stored part."""
    found = edge.store.connection.execute("SELECT envelope FROM parts WHERE name = ?", (name,)).fetchone()[0]
    bent = found[:60] + bytes([found[60] ^ 1]) + found[61:]
    edge.store.connection.execute("UPDATE parts SET envelope = ? WHERE name = ?", (bent, name))


def test_a_damaged_row_is_stood_in_for_by_the_good_one_and_fetched_again(edge: Edge) -> None:
    flip(edge, "config")
    kill(edge)
    assert version(edge) == 1
    assert verify(edge.directory) != []
    edge.uptake.fetch_again("config")
    assert len(poll(edge)) == 2
    assert verify(edge.directory) == []
    assert edge.uptake.on_trial() == [], "the same version again is no trial"


def test_a_damaged_copy_to_go_back_to_is_made_again(edge: Edge) -> None:
    flip(edge, "config-good")
    assert any("config-good" in line for line in verify(edge.directory))
    edge.uptake.fetch_again("config-good")
    edge.prove()
    assert verify(edge.directory) == []


def test_a_damaged_row_is_never_kept_as_the_good_one(edge: Edge, machine: Machine) -> None:
    publish(edge, 2)
    edge.prove()
    flip(edge, "config")
    kill(edge)
    edge.prove()
    machine.broken_by = {3}
    publish(edge, 3)
    assert version(edge) == 2
    kill(edge)
    assert version(edge) == 2


def test_a_store_from_before_there_were_trials_is_taken_as_it_is(edge: Edge, machine: Machine) -> None:
    edge.store.connection.execute("DELETE FROM parts WHERE name = 'config-good'")
    kill(edge)
    assert version(edge) == 1
    machine.broken_by = {2}
    publish(edge, 2)
    assert version(edge) == 1
    assert edge.gate.holding.part(PartName.CONFIG) is not None


def test_it_is_known_without_the_agent_what_the_next_start_will_use(edge: Edge, machine: Machine) -> None:
    publish(edge, 2)
    assert stored(edge) == Standing(2)
    kill(edge)
    assert stored(edge) == Standing(2, starts=1)
    tick(edge)
    assert stored(edge) == Standing(2, starts=1, is_told=True)
    machine.broken_by = {3}
    publish(edge, 3)
    found = stored(edge)
    assert found is not None
    assert "pin 3" in found.why_not
    publish(edge, 4)
    edge.prove()
    assert stored(edge) is None


def stored(edge: Edge) -> Standing | None:
    return standing_of(at_rest(edge.directory)[1].get(fact_of(PartName.CONFIG)))


def test_a_standing_of_another_version_of_the_agent_counts_as_none() -> None:
    assert standing_of(b"\x93\x01\x02") is None
    assert standing_of(b"") is None
    assert standing_of(msgspec.msgpack.encode([5, 1, "", False])) == Standing(5, 1)
