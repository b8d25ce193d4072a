"""When a reader keeps new profiles, and when it goes back: pure, with a clock that is only a number."""

import pytest

from edge_agent.readers import ReaderState
from edge_agent.readers.fitting import UNREADABLE_TAPS, Fitting, Stage
from firmware_profiles import ProfileBook

READY, WEDGED, ABSENT, STARTING = ReaderState.READY, ReaderState.WEDGED, ReaderState.ABSENT, ReaderState.STARTING
SHIPPED, LOCAL, SECOND, THIRD = ProfileBook(), ProfileBook(), ProfileBook(), ProfileBook()
OWN, FACTORY = "acr122u (published 2)", "acr122u"
WITHIN_S = 15.0


def begun() -> Fitting:
    return Fitting(LOCAL, SHIPPED, WITHIN_S)


def at_work(*, reads: bool = True) -> Fitting:
    """Ready with its first profiles; it reads cards."""
    made = begun()
    assert made.judge(READY, OWN, "", 0) == ""
    assert made.stage is Stage.FITTING
    if reads:
        made.read(True)
    return made


def changed(state: ReaderState = READY, *, reads: bool = True) -> Fitting:
    """At 100 s it got the second profiles."""
    made = at_work(reads=reads)
    made.use(SECOND, 2, state, 100)
    return made


def test_a_reader_that_is_ready_again_and_reads_keeps_its_profiles() -> None:
    made = changed()
    assert made.judge(STARTING, OWN, "", 101) == ""
    assert made.judge(READY, OWN, "", 115) == ""
    assert made.stage is Stage.MUST_READ
    made.read(True)
    assert made.judge(READY, OWN, "", 116) == ""
    assert (made.stage, made.book, made.version) == (Stage.FITTING, SECOND, 2)


def test_one_that_could_not_read_before_has_only_to_be_ready() -> None:
    made = changed(reads=False)
    assert made.judge(READY, OWN, "", 115) == ""
    assert made.stage is Stage.FITTING


@pytest.mark.parametrize("state", [STARTING, ABSENT, ReaderState.RECOVERING])
def test_one_that_is_not_ready_in_time_goes_back(state: ReaderState) -> None:
    made = changed()
    assert made.judge(state, OWN, "", 114.9) == ""
    assert made.judge(state, OWN, "", 115) == "the reader was not ready again within 15 s"
    assert (made.book, made.version, made.stage) == (LOCAL, 0, Stage.FITTING)


def test_one_that_does_not_start_goes_back_at_once() -> None:
    made = changed()
    made.said(WEDGED, "silence: 6300")
    assert made.judge(WEDGED, OWN, "", 100.5) == "the reader does not start: silence: 6300"
    assert made.book is LOCAL


def test_a_card_that_was_read_settles_it_at_once() -> None:
    made = changed()
    made.read(True)
    made.said(WEDGED, "pulled too early")
    assert made.judge(WEDGED, OWN, "", 101) == ""
    assert made.stage is Stage.FITTING


def test_taps_that_nobody_can_read_any_more_send_it_back() -> None:
    made = changed()
    made.judge(READY, OWN, "", 115)
    for _ in range(UNREADABLE_TAPS - 1):
        made.read(False)
    assert made.judge(READY, OWN, "", 1_000) == ""
    made.read(False)
    assert made.judge(READY, OWN, "", 1_001) == f"none of {UNREADABLE_TAPS} taps could be read"
    assert made.book is LOCAL


def test_unreadable_taps_are_no_fault_of_profiles_that_once_read() -> None:
    made = changed()
    made.judge(READY, OWN, "", 115)
    made.read(True)
    made.judge(READY, OWN, "", 116)
    for _ in range(100):
        made.read(False)
    assert made.judge(READY, OWN, "", 1_000) == ""


def test_a_fault_long_after_the_change_is_no_fault_of_the_profiles() -> None:
    made = changed(reads=False)
    made.judge(READY, OWN, "", 115)
    made.said(WEDGED, "it hangs")
    assert made.judge(WEDGED, OWN, "nothing helped", 5_000) == ""


@pytest.mark.parametrize("state", [ABSENT, WEDGED, STARTING])
def test_one_that_was_not_ready_when_they_came_goes_back_when_nothing_helped(state: ReaderState) -> None:
    made = changed(state)
    assert made.stage is Stage.UNPROVEN
    made.said(WEDGED, "it hangs")
    assert made.judge(WEDGED, OWN, "", 1_000) == ""
    assert made.judge(WEDGED, OWN, "nothing helped", 1_001) == "nothing helped"
    assert made.book is LOCAL


def test_an_alarm_that_stood_before_they_came_gives_them_their_time() -> None:
    made = changed(WEDGED)
    assert made.judge(WEDGED, OWN, "nothing helped", 114) == ""
    assert made.judge(READY, OWN, "", 114.5) == ""
    assert made.stage is Stage.FITTING


def test_an_alarm_with_a_shipped_profile_is_no_fault_of_others() -> None:
    made = changed(WEDGED)
    assert made.judge(WEDGED, FACTORY, "nothing helped", 1_000) == ""
    assert made.book is SECOND


def test_profiles_that_never_worked_since_the_start_give_way_to_those_before_them() -> None:
    made = begun()
    made.use(SECOND, 2, STARTING, 0)  # as an agent starts: its own, then what was published
    assert made.judge(WEDGED, OWN, "nothing helped", 20) == "nothing helped"
    assert (made.book, made.version, made.stage) == (LOCAL, 0, Stage.UNPROVEN)
    assert made.judge(WEDGED, "acr122u (local)", "nothing helped", 34) == ""
    assert made.judge(WEDGED, "acr122u (local)", "nothing helped", 35) == "nothing helped"
    assert made.book is SHIPPED
    assert made.judge(WEDGED, FACTORY, "nothing helped", 500) == ""


def test_what_it_went_back_to_is_not_tried_again() -> None:
    made = changed()
    made.judge(ABSENT, OWN, "", 115)
    assert made.judge(ABSENT, OWN, "nothing helped", 5_000) == ""
    assert made.book is LOCAL


def test_newer_ones_that_come_on_trial_go_back_to_the_last_that_worked() -> None:
    made = changed()
    made.use(THIRD, 3, STARTING, 105)
    assert made.judge(STARTING, OWN, "", 116) == ""
    assert made.judge(STARTING, OWN, "", 120) != ""
    assert (made.book, made.version) == (LOCAL, 0)


def test_newer_ones_that_come_after_going_back_have_their_own_trial() -> None:
    made = changed()
    made.judge(ABSENT, OWN, "", 115)
    made.use(THIRD, 3, READY, 200)
    made.judge(READY, OWN, "", 215)
    made.read(True)
    made.judge(READY, OWN, "", 216)
    assert (made.stage, made.version) == (Stage.FITTING, 3)
    made.use(SECOND, 4, READY, 300)
    assert made.judge(STARTING, OWN, "", 315) != ""
    assert (made.book, made.version) == (THIRD, 3)


def test_many_that_never_worked_do_not_pile_up() -> None:
    made = begun()
    for version in range(1, 1_000):
        made.use(SECOND, version, ABSENT, version)
    assert len(made._before) <= 3
