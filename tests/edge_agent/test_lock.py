"""The lock, and what a machine must be able to do for a configuration."""

from collections.abc import Container

import pytest

from edge_agent.door.fitness import judge
from edge_agent.door.lock import RETRY_MS, Lock
from edge_agent.release import Output, ReleaseFailed
from edge_agent.release.dry import DryOutput
from edge_agent.release.reader import ReaderRelay
from protocol.errors import Failure, Refused
from protocol.messages import ReleaseConfig


class Relay(Output):
    """Writes down what it was asked, and fails when told to."""

    def __init__(self, **abilities: object) -> None:
        self.asked: list[str] = []
        self.fails, self.away = False, ""
        for name, value in abilities.items():
            setattr(self, name, value)

    def _do(self, what: str) -> None:
        if self.fails:
            raise ReleaseFailed(f"no {what}")
        self.asked.append(what)

    def pulse(self, ms: int) -> None:
        self._do(f"pulse {ms}")

    def on(self) -> None:
        self._do("on")

    def off(self) -> None:
        self._do("off")

    def trouble(self) -> str:
        return self.away


def locked(relay: Relay) -> Lock:
    """As after its start."""
    lock = Lock(relay)
    lock.tend(0)
    assert relay.asked == ["off"], "an earlier run may have been killed in mid-pulse"
    relay.asked.clear()
    return lock


def test_a_pulse_that_the_hardware_times_is_left_to_it() -> None:
    relay = Relay(times_itself=True, longest_ms=10_000)
    lock = locked(relay)
    assert lock.free(3_000, 1_000) == ""
    assert (lock.is_free(3_999), lock.is_free(4_000), lock.next_ms()) == (True, False, None)
    lock.tend(4_000)
    lock.relock(4_000)
    assert relay.asked == ["pulse 3000"]


def test_a_pulse_that_nobody_times_is_ended_here() -> None:
    relay = Relay()
    lock = locked(relay)
    lock.free(3_000, 1_000)
    assert lock.next_ms() == 4_000
    lock.tend(3_999)
    lock.tend(4_000)
    assert relay.asked == ["pulse 3000", "off"]
    assert lock.next_ms() is None


@pytest.mark.parametrize("times_itself", [True, False])
def test_who_went_through_is_locked_behind_in_mid_pulse(times_itself: bool) -> None:
    relay = Relay(times_itself=times_itself, longest_ms=10_000)
    lock = locked(relay)
    lock.free(3_000, 1_000)
    lock.relock(2_000)
    assert relay.asked == ["pulse 3000", "off"]
    assert not lock.is_free(2_000)
    lock.relock(2_001)
    assert len(relay.asked) == 2


def test_a_lock_that_does_not_lock_is_asked_until_it_does() -> None:
    relay = Relay()
    lock = locked(relay)
    lock.free(1_000, 0)
    relay.fails = True
    lock.tend(1_000)
    assert (lock.trouble(), lock.next_ms()) == ("no off", 1_000 + RETRY_MS)
    lock.tend(1_000 + RETRY_MS)
    relay.fails = False
    lock.tend(1_000 + 2 * RETRY_MS)
    assert (relay.asked, lock.trouble(), lock.next_ms()) == (["pulse 1000", "off"], "", None)


def test_a_lock_that_does_not_free_says_why_and_is_not_free() -> None:
    relay = Relay(times_itself=True, longest_ms=10_000)
    lock = locked(relay)
    relay.fails = True
    assert lock.free(1_000, 0) == "no pulse 1000"
    assert not lock.is_free(0)
    assert lock.trouble() == "no pulse 1000"
    relay.fails = False
    assert lock.free(1_000, 0) == ""
    assert lock.trouble() == ""


def test_an_output_that_was_away_is_locked_once_more() -> None:
    """A board that lost its power let go of the relay that holds the door."""
    relay = Relay(times_itself=True, longest_ms=10_000)
    lock = locked(relay)
    relay.away = "no answer"
    lock.tend(1_000)
    relay.away = ""
    lock.tend(2_000)
    lock.tend(3_000)
    assert relay.asked == ["off"]
    lock.free(5_000, 4_000)
    relay.away = "no answer"
    lock.tend(5_000)
    relay.away = ""
    lock.tend(6_000)
    assert relay.asked == ["off", "pulse 5000"], "not in somebody's pulse"


def test_a_reader_s_relay_is_not_cut_short() -> None:
    relay = ReaderRelay("lock", "front")
    relay.play = lambda: None
    lock = Lock(relay)
    lock.free(1_000, 0)
    lock.relock(1)
    assert lock.is_free(1)


def test_without_an_output_nothing_moves_and_nothing_fails() -> None:
    lock = Lock(None)
    assert (lock.free(1_000, 0), lock.is_free(999), lock.trouble(), lock.next_ms()) == ("", True, "", None)
    lock.tend(5)
    lock.relock(5)


# --- fitness --------------------------------------------------------------------------------------------------

TIMED = Relay(times_itself=True, longest_ms=5_000)


@pytest.mark.parametrize(
    ("config", "lock", "inputs"),
    [
        (ReleaseConfig(), None, ()),
        (ReleaseConfig(), TIMED, ()),
        (ReleaseConfig(pulse_ms=5_000), TIMED, ()),
        (ReleaseConfig(passage="door"), TIMED, ("door",)),
        (ReleaseConfig(passage="turnstile"), None, ("turned",)),
        (ReleaseConfig(), Relay(reverts=True), ()),
        (ReleaseConfig(), Relay(may_be_untimed=True), ()),
        (ReleaseConfig(fail="safe"), Relay(), ()),
        (ReleaseConfig(fail="safe"), Relay(rests_free=True), ()),
        (ReleaseConfig(), DryOutput(), ()),
        (ReleaseConfig(), ReaderRelay("lock", "front"), ()),
    ],
)
def test_what_a_machine_can_do_is_accepted(config: ReleaseConfig, lock: Output | None, inputs: Container[str]) -> None:
    judge(config, lock, inputs)


@pytest.mark.parametrize(
    ("config", "lock", "inputs", "words"),
    [
        (ReleaseConfig(passage="door"), TIMED, ("turned",), ["door", "inputs.door"]),
        (ReleaseConfig(passage="turnstile"), None, (), ["turnstile", "inputs.turned"]),
        (ReleaseConfig(pulse_ms=5_001), TIMED, (), ["5001", "5000"]),
        (ReleaseConfig(), Relay(), (), ["fail-secure", "allow_untimed"]),
        (ReleaseConfig(), Relay(times_itself=True, longest_ms=9_000, rests_free=True), (), ["fail-secure", "at_rest"]),
        (
            ReleaseConfig(passage="door", passage_ms=1_000, pulse_ms=3_000),
            ReaderRelay("lock", "front"),
            ("door",),
            ["passage_ms"],
        ),
    ],
)
def test_what_a_machine_lacks_is_named(
    config: ReleaseConfig, lock: Output | None, inputs: Container[str], words: list[str]
) -> None:
    with pytest.raises(Refused) as caught:
        judge(config, lock, inputs)
    assert caught.value.kind is Failure.NOT_SATISFIABLE
    for word in words:
        assert word in caught.value.detail
