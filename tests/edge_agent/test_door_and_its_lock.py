"""A door whose lock fails, hangs, times nothing, hangs on a reader; and a journal that takes nothing meanwhile."""

import functools
import threading
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from edge_agent.door.door import ANSWER_S
from edge_agent.door.flutter import Budget
from edge_agent.journal.store import JournalUnwritable
from edge_agent.readers.answering import answer_to
from edge_agent.release import ReleaseFailed
from edge_agent.release.reader import ReaderRelay
from protocol.messages import ReaderDetail
from tests.edge_agent.door_site import Site
from tests.edge_agent.test_gate_amends import refuse
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


# --- locks that fail ------------------------------------------------------------------------------------------


def test_a_way_that_was_not_freed_is_an_error_an_event_and_no_entry(site: Site) -> None:
    site.use("door", passage_ms=100)
    assert site.relay is not None
    site.relay.fails = True
    signal = site.edge.tap(1)
    assert signal.failed
    assert answer_to(signal) == "error"
    assert site.told("release-failed")[0].reader == str(signal.sequence)
    site.until_told((signal.sequence, "not-taken"))
    assert site.door.state().lock_trouble == "no pulse 3000"
    site.relay.fails = False
    assert not site.edge.tap(1).failed
    until(lambda: not site.door.state().lock_trouble)
    assert len(site.told("release-failed")) == 1


def test_a_lock_that_hangs_holds_up_no_answer_for_long(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(site.relay, "pulse", lambda ms: hangs.wait(20))
    began_s = time.monotonic()
    signal = site.edge.tap(1)
    assert time.monotonic() - began_s < 10 * ANSWER_S
    assert signal.failed
    assert "did not answer" in site.told("release-failed")[0].why
    hangs.set()


def test_a_lock_that_is_not_asked_and_fails_is_told_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that goes away at night is known in the morning."""
    monkeypatch.setattr(site.relay, "trouble", lambda: "the board is gone")
    until(lambda: site.told("release-failed"))
    assert site.told("release-failed")[0] == ReaderDetail("-1", "failed", "the board is gone")
    assert site.door.state().lock_trouble == "the board is gone"


def test_a_pulse_that_the_output_does_not_time_is_ended(stocked: Edge) -> None:
    relay = Relay(may_be_untimed=True)
    site = Site(stocked, relay)
    assert relay.asked == ["off"], "at the start: an earlier run may have been killed in mid-pulse"
    site.use("none", pulse_ms=50)
    stocked.tap(1)
    until(lambda: relay.asked == ["off", "pulse 50", "off"])
    site.door.close()


def test_a_pulse_that_ends_in_a_fire_is_not_ended_here(stocked: Edge) -> None:
    relay = Relay(may_be_untimed=True)
    site = Site(stocked, relay)
    site.use("door", pulse_ms=100)
    site.set("fire-alarm", True)
    until(lambda: site.door.state().fire)
    stocked.tap(1)
    until(lambda: not site.door.state().free)
    assert relay.asked == ["off", "pulse 100"]
    site.set("fire-alarm", False)
    until(lambda: relay.asked == ["off", "pulse 100", "off"])
    site.door.close()


def test_a_door_contact_that_flutters_is_told_of_and_fills_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.door.flutter.MOST", 4)
    site.use("door")
    site.door._doorway._budget = Budget(0)
    for _ in range(6):
        for on in (True, False):
            site.set("door", on)
            until(functools.partial(seen, site, on))
    until(lambda: site.told("release-failed"))
    assert "flutters" in site.told("release-failed")[0].why
    assert len(site.passages()) < 12


def seen(site: Site, on: bool) -> bool:
    return site.door.state().open is on


def test_closing_locks_and_says_that_nobody_saw_the_rest(stocked: Edge, relay: Relay) -> None:
    site = Site(stocked, relay)
    site.use("turnstile")
    signals = [stocked.tap(1), stocked.tap(2)]
    site.door.close()
    assert relay.asked[-1] == "off"
    assert site.passages() == [(signal.sequence, "unknown") for signal in signals]


def test_an_outcome_waits_for_a_journal_that_takes_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.door.outcomes.RETRY_S", 0.02)
    site.use("door")
    signal = site.edge.tap(1)
    with capture_logs() as logged, monkeypatch.context() as broken:
        broken.setattr(site.edge.store, "commit", refuse(JournalUnwritable("full")))
        site.set("door", True)
        until(lambda: [entry["event"] for entry in logged].count("event-not-written") > 2)
    site.until_told((signal.sequence, "taken"))


# --- a lock on a reader's relay -------------------------------------------------------------------------------


class ReaderThread:
    """Plays the relay command of a reader: at once in its own thread, else when that one has time."""

    def __init__(self) -> None:
        self.played: list[int] = []
        self.why = ""

    def play(self) -> None:
        self.played.append(threading.get_ident())
        if self.why:
            raise ReleaseFailed(self.why)


@pytest.fixture
def driven(stocked: Edge) -> Iterator[tuple[Site, ReaderThread]]:
    relay, reader = ReaderRelay("lock", "front"), ReaderThread()
    relay.play = reader.play
    made = Site(stocked, relay)
    yield made, reader
    made.door.close()


def test_a_tap_pulses_its_own_reader_s_relay_in_its_own_thread(driven: tuple[Site, ReaderThread]) -> None:
    """Which would else wait for itself."""
    site, reader = driven
    site.use("door", passage_ms=100, pulse_ms=100)
    assert not site.edge.tap(1).failed
    assert reader.played == [threading.get_ident()]
    reader.why = "the reader's relay: answered 6300"
    until(lambda: not site.door.state().pending)
    signal = site.edge.tap(2)
    assert signal.failed
    assert [detail.reader for detail in site.told("release-failed")] == [str(signal.sequence)]
    until(lambda: (signal.sequence, "not-taken") in site.passages())
    assert site.door.state().lock_trouble == reader.why


def test_others_have_it_pulsed_aside_and_wait_for_no_reader(driven: tuple[Site, ReaderThread]) -> None:
    site, reader = driven
    site.use("door")
    site.edge.gate.admit("wang", "why")
    until(lambda: reader.played)
    assert threading.get_ident() not in reader.played
    reader.why = "the reader did not answer in time"
    signal = site.edge.gate.admit("wang", "why")
    assert not signal.failed, "nobody has heard of it yet"
    until(lambda: site.told("release-failed"))
    assert site.told("release-failed")[0] == ReaderDetail(str(signal.sequence), "failed", reader.why)
    site.set("exit-button", True)
    until(lambda: len(reader.played) == 3)
