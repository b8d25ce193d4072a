"""When a pattern's steps are due, and when the lights are left alone."""

import pytest

from edge_agent.readers import Answer
from edge_agent.readers.lights import FAILURES_UNTIL_GIVEN_UP, HANGS_AFTER_S, Lights
from firmware_profiles import HexBytes, PatternName, Send, Step

GREEN, RED, DARK = (
    Step(command=HexBytes(text), send=Send.APDU, lasts_ms=lasts_ms, pause_ms=pause_ms)
    for text, lasts_ms, pause_ms in (("01", 200, 800), ("02", 0, 300), ("00", 0, 0))
)


def lights() -> Lights:
    return Lights({PatternName.GRANTED: (GREEN, DARK), PatternName.DENIED: (RED, RED, DARK)})


def test_every_answer_to_a_tap_is_the_name_of_a_pattern() -> None:
    assert {answer.value for answer in Answer} <= {name.value for name in PatternName}


def test_nothing_is_due_before_anything_is_shown() -> None:
    shown = lights()
    assert (shown.due(0.0), shown.wait_s(0.0)) == (None, None)


def test_a_step_is_due_once_and_the_next_after_its_time_and_its_pause() -> None:
    shown = lights()
    shown.show(PatternName.GRANTED, 10.0)
    assert (shown.due(10.0), shown.due(10.0), shown.wait_s(10.2)) == (GREEN, None, pytest.approx(0.8))
    assert (shown.due(10.9), shown.due(11.0), shown.due(12.0), shown.wait_s(12.0)) == (None, DARK, None, None)


def test_a_newer_answer_takes_the_place_of_an_older_one() -> None:
    shown = lights()
    shown.show(PatternName.GRANTED, 10.0)
    shown.due(10.0)
    shown.show(PatternName.DENIED, 10.1)
    assert [shown.due(at_s) for at_s in (10.1, 10.5, 10.9, 11.5)] == [RED, RED, DARK, None]


def test_an_answer_without_a_pattern_lets_the_older_one_end() -> None:
    shown = lights()
    shown.show(PatternName.GRANTED, 10.0)
    shown.due(10.0)
    shown.show(PatternName.ERROR, 10.1)
    assert shown.due(11.0) == DARK


def test_lights_that_fail_again_and_again_are_given_up_with_what_failed_last() -> None:
    shown = lights()
    for number in range(FAILURES_UNTIL_GIVEN_UP):
        shown.show(PatternName.GRANTED, 10.0)
        assert shown.due(10.0) is GREEN
        assert not shown.given_up
        shown.sent(GREEN, 0.1, f"answered 6300 ({number})")
    assert shown.given_up == "answered 6300 (2)"
    shown.show(PatternName.GRANTED, 20.0)
    assert (shown.due(20.0), shown.wait_s(20.0)) == (None, None)


def test_a_success_between_forgives_failures() -> None:
    shown = lights()
    for failure in ("answered 6300", "answered 6300", "", "answered 6300", "answered 6300"):
        shown.sent(GREEN, 0.1, failure)
    assert not shown.given_up


def test_a_command_that_takes_far_longer_than_it_lasts_counts_as_a_failure() -> None:
    shown = lights()
    for _ in range(FAILURES_UNTIL_GIVEN_UP):
        shown.sent(GREEN, 0.2 + HANGS_AFTER_S - 0.01, "")
    assert not shown.given_up
    for _ in range(FAILURES_UNTIL_GIVEN_UP):
        shown.sent(GREEN, 0.2 + HANGS_AFTER_S + 0.01, "")
    assert shown.given_up == "a command took 1.2 s"
