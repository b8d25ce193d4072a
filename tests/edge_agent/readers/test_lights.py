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


def show(shown: Lights, pattern: PatternName, *failures: str) -> None:
    """Shows a whole pattern, each step of which comes out as said."""
    shown.show(pattern, 0.0)
    for at_s, failure in enumerate(failures):
        step = shown.due(float(at_s))
        assert step is not None
        shown.sent(step, 0.01, failure)
    assert shown.due(100.0) is None


def test_lights_that_fail_again_and_again_are_given_up_with_what_failed_last() -> None:
    shown = lights()
    for number in range(FAILURES_UNTIL_GIVEN_UP):
        assert not shown.given_up
        show(shown, PatternName.DENIED, "answered 6300", f"answered 6300 ({number})", "")
    assert shown.given_up == "answered 6300 (2)"
    shown.show(PatternName.GRANTED, 20.0)
    assert (shown.due(20.0), shown.wait_s(20.0)) == (None, None)


def test_a_pattern_that_works_forgives_those_that_failed() -> None:
    shown = lights()
    for first in ("failed", "failed", "", "failed", "failed", "", "failed"):
        show(shown, PatternName.GRANTED, first, "")
    assert not shown.given_up


def test_a_pattern_that_failed_counts_even_when_the_next_answer_cuts_it_short() -> None:
    shown = lights()
    for _ in range(FAILURES_UNTIL_GIVEN_UP):
        shown.show(PatternName.GRANTED, 0.0)
        shown.due(0.0)
        shown.sent(GREEN, 0.01, "failed")
    shown.show(PatternName.GRANTED, 0.0)
    assert shown.given_up == "failed"


def test_a_command_that_hangs_ends_all_light_and_sound_at_once() -> None:
    shown = lights()
    shown.show(PatternName.GRANTED, 0.0)
    shown.due(0.0)
    shown.sent(GREEN, 0.2 + HANGS_AFTER_S - 0.01, "")
    assert not shown.given_up
    shown.show(PatternName.GRANTED, 10.0)
    shown.due(10.0)
    shown.sent(GREEN, 0.2 + HANGS_AFTER_S + 0.01, "")
    assert (shown.given_up, shown.due(100.0)) == ("a command took 3.2 s", None)
