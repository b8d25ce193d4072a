"""A door as a whole: who passes, what the contacts tell, which configuration is in use."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge_agent.door.door import Door
from edge_agent.door.door_state import DoorState
from edge_agent.readers.answering import answer_to
from edge_agent.release import ReleaseFailed
from edge_agent.release.dry import DryRelease
from protocol.errors import Refused
from protocol.messages import InputDetail, UndoDetail
from tests.edge_agent.door_site import Site, config
from tests.edge_agent.test_gate_amends import history
from tests.edge_agent.test_lock import Relay
from tests.support.edge_side import Edge
from tests.support.relay_board import until


@pytest.fixture
def relay() -> Relay:
    return Relay(times_itself=True, longest_ms=60_000)


@pytest.fixture
def site(stocked: Edge, relay: Relay) -> Iterator[Site]:
    made = Site(stocked, relay)
    relay.asked.clear()
    yield made
    made.door.close()


# --- doors ----------------------------------------------------------------------------------------------------


def test_who_opens_the_door_has_passed_and_it_locks_behind_them(site: Site) -> None:
    site.use("door", pulse_ms=5_000)
    signal = site.edge.tap(1)
    assert site.relay is not None
    assert site.relay.asked == ["pulse 5000"], "when the tap is answered the lock has moved"
    assert (site.door.state().free, site.door.state().pending) == (True, 1)
    site.set("door", True)
    site.until_told((signal.sequence, "taken"))
    until(lambda: not site.door.state().free)
    assert site.relay.asked == ["pulse 5000", "off"]
    assert site.edge.tap(1).repeat


def test_who_does_not_open_the_door_never_came_and_the_next_tap_is_fresh(site: Site) -> None:
    site.use("door", passage_ms=50)
    signal = site.edge.tap(1)
    site.until_told((signal.sequence, "not-taken"))
    assert history(site.edge, 1) is None
    assert not site.edge.tap(1).repeat


def test_who_is_denied_moves_nothing(site: Site) -> None:
    site.use("door")
    site.edge.tap(99)
    site.set("door", True)
    site.until_told((-1, "forced"))
    assert site.relay is not None
    assert site.relay.asked == []
    assert site.door.state().forced


def test_a_door_held_open_warns_alarms_and_is_closed(site: Site) -> None:
    site.use("door", held_warn_ms=50, held_ms=1_000)
    states: list[DoorState] = []
    site.door.on_change.append(states.append)
    signal = site.edge.tap(1)
    site.set("door", True)
    site.until_told((signal.sequence, "taken"), (-1, "held"))
    site.set("door", False)
    site.until_told((signal.sequence, "taken"), (-1, "held"), (-1, "closed"))
    seen = [(state.held_warning, state.held) for state in states]
    assert [now for at, now in enumerate(seen) if not at or now != seen[at - 1]] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert [state.version for state in states] == list(range(states[0].version, states[-1].version + 1))


def test_staff_let_somebody_through_as_a_tap_does(site: Site) -> None:
    site.use("door")
    signal = site.edge.gate.admit("wang", "why")
    site.set("door", True)
    site.until_told((signal.sequence, "taken"))


def test_who_takes_it_back_is_locked_out(site: Site) -> None:
    site.use("door")
    signal = site.edge.tap(1)
    assert site.edge.gate.amends.undo(signal.sequence)
    until(lambda: not site.door.state().pending)
    assert site.relay is not None
    assert site.relay.asked == ["pulse 3000", "off"]
    site.set("door", True)
    site.until_told((-1, "forced"))
    assert site.told("undo") == [UndoDetail(signal.sequence, "not-me")]


# --- turnstiles -----------------------------------------------------------------------------------------------


def test_at_a_turnstile_who_comes_first_goes_first(site: Site) -> None:
    site.use("turnstile")
    first, second = site.edge.tap(1), site.edge.tap(2)
    assert site.relay is not None
    assert site.relay.asked == ["pulse 3000"], "one at a time"
    site.turn()
    site.until_told((first.sequence, "taken"))
    assert site.relay.asked == ["pulse 3000"] * 2
    site.turn()
    site.until_told((first.sequence, "taken"), (second.sequence, "taken"))
    site.turn()
    site.until_told((first.sequence, "taken"), (second.sequence, "taken"), (-1, "forced"))


def test_a_turnstile_that_did_not_turn_gives_the_entry_back_offline(site: Site) -> None:
    """Nothing here has a network at all."""
    site.use("turnstile", passage_ms=50)
    signal = site.edge.tap(1)
    site.until_told((signal.sequence, "not-taken"))
    again = site.edge.tap(1)
    assert (again.outcome, again.repeat) == ("granted", False)


def test_who_comes_behind_too_many_is_told_and_loses_nothing(site: Site) -> None:
    site.use("turnstile")
    waiting = [site.edge.tap(number) for number in (0, 1, 2, 3)]
    signal = site.edge.tap(4)
    assert signal.failed
    assert answer_to(signal) == "error"
    site.until_told((signal.sequence, "not-taken"))
    assert history(site.edge, 4) is None
    assert site.door.state().pending == len(waiting)


# --- contacts -------------------------------------------------------------------------------------------------


def test_the_exit_button_frees_the_way_and_nothing_is_forced(site: Site) -> None:
    site.use("door")
    site.set("exit-button", True)
    until(lambda: site.told("input"))
    site.set("exit-button", False)
    site.set("door", True)
    until(lambda: site.relay is not None and site.relay.asked == ["pulse 3000", "off"])
    assert site.told("input") == [InputDetail("exit-button", True)]
    assert site.passages() == []
    assert not site.door.state().forced


def test_tampering_is_written_down_when_it_begins_and_when_it_ends(site: Site) -> None:
    site.set("tamper", True)
    until(lambda: site.door.state().tamper)
    site.set("tamper", None)
    site.set("tamper", False)
    until(lambda: len(site.told("input")) == 2)
    assert site.told("input") == [InputDetail("tamper", True), InputDetail("tamper", False)]


def test_a_fire_alarm_is_recorded_with_who_may_be_inside_and_is_not_fought(site: Site) -> None:
    site.edge.clock.wall_ms = site.edge.central.now_ms
    site.use("door")
    inside = site.edge.tap(1)
    site.set("door", True)
    site.until_told((inside.sequence, "taken"))
    site.set("door", False)
    until(lambda: site.relay is not None and site.relay.asked[-1] == "off")
    pending = site.edge.tap(2)
    assert site.relay is not None
    site.relay.asked.clear()
    site.set("fire-alarm", True)
    site.set("door", True)
    until(lambda: site.told("input"))
    assert site.told("input") == [InputDetail("fire-alarm", True, 2)]
    assert site.door.state().fire
    site.until_told((inside.sequence, "taken"), (pending.sequence, "unknown"))
    site.edge.tap(3)
    assert site.relay.asked == ["pulse 3000"], "nothing locks"
    site.set("fire-alarm", None)
    until(lambda: site.door._contacts.level("fire-alarm") is None)
    assert site.door.state().fire, "an alarm that cannot be heard is not over"
    site.set("fire-alarm", False)
    until(lambda: len(site.told("input")) == 2)
    assert site.told("input")[1] == InputDetail("fire-alarm", False)
    assert "forced" not in dict(site.passages()).values()


def test_contacts_that_cannot_be_read_are_told_of_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.door.doorway.BLIND_MS", 50)
    site.use("door")
    signal = site.edge.tap(1)
    site.set("door", None)
    until(lambda: site.told("release-failed"))
    assert site.door.state().blind == ("door",)
    assert "door" in site.told("release-failed")[0].why
    site.door.close()
    site.until_told((signal.sequence, "unknown"))
    assert len(site.told("release-failed")) == 1


# --- configuration --------------------------------------------------------------------------------------------


def test_a_configuration_is_put_to_use_when_nobody_is_on_their_way(site: Site) -> None:
    site.use("door")
    signal = site.edge.tap(1)
    site.door.use(config("turnstile"))
    site.turn()
    assert site.door.state().passage == "door"
    assert site.passages() == []
    site.set("door", True)
    site.until_told((signal.sequence, "taken"))
    until(lambda: site.door.state().passage == "turnstile")
    second = site.edge.tap(2)
    site.turn()
    site.until_told((signal.sequence, "taken"), (second.sequence, "taken"))
    site.door.use(None)
    until(lambda: site.door.state().passage == "none")
    assert not site.edge.tap(3).awaited


def test_what_this_machine_cannot_do_is_refused_and_changes_nothing(stocked: Edge, relay: Relay) -> None:
    door = Door(relay, {})
    stocked.gate.release = door
    door.start(stocked.gate)
    for wanted in (config("door"), config("none", pulse_ms=60_001)):
        for ask in (door.accepts, door.use):
            with pytest.raises(Refused, match="not-satisfiable"):
                ask(wanted)
    assert door.state().passage == "none"
    stocked.tap(1)
    assert relay.asked[-1] == "pulse 3000"
    door.close()


def test_a_door_that_never_started_closes() -> None:
    Door().close()


# --- without a lock -------------------------------------------------------------------------------------------


def test_a_dry_door_writes_its_lines_and_still_watches(stocked: Edge, tmp_path: Path) -> None:
    site = Site(stocked, None, DryRelease(tmp_path / "released"))
    site.use("turnstile")
    signals = [stocked.tap(1), stocked.tap(99)]
    site.turn()
    site.until_told((signals[0].sequence, "taken"))
    epoch = stocked.store.epoch.epoch.hex()
    lines = [f"{epoch} {signal.sequence} {signal.outcome} {signal.reason}" for signal in signals]
    assert (tmp_path / "released").read_text().splitlines() == lines
    site.door.close()


def test_a_dry_door_that_cannot_write_fails_the_release(stocked: Edge) -> None:
    class Full(DryRelease):
        def signal(self, signal: object) -> None:
            raise ReleaseFailed("No space left on device")

    site = Site(stocked, None, Full())
    site.use("door")
    signal = stocked.tap(1)
    assert signal.failed
    site.set("door", True)
    site.until_told((signal.sequence, "taken"))
    site.door.close()


def test_who_listens_and_fails_breaks_nothing(site: Site) -> None:
    def loud(state: DoorState) -> None:
        raise RuntimeError("the screen is gone")

    seen: list[DoorState] = []
    site.door.on_change += [loud, seen.append]
    with capture_logs():
        site.use("door")
        site.edge.tap(1)
        until(lambda: any(state.pending for state in seen))


def test_many_readers_at_once_have_one_outcome_each(site: Site) -> None:
    site.use("door", passage_ms=300)
    taps: list[Callable[[], Any]] = [functools.partial(site.edge.tap, number % 5) for number in range(20)]
    threads = [threading.Thread(target=tap) for tap in taps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(site.passages()) == 20)
    assert len({sequence for sequence, _ in site.passages()}) == 20
