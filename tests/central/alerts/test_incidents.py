"""Only what holds for a while becomes an incident, and only what is over for a while ends one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.alerts.conditions import Kind, Level
from central.alerts.incidents import CLEARS_MS, HOLDS_MS, Move, Phase, Watch, after_pause, step
from tests.central.actors import NOW_MS

GOOD, BETWEEN, BAD = Level.GOOD, Level.BETWEEN, Level.BAD
HOLD, CLEAR = HOLDS_MS[Kind.SILENT], CLEARS_MS[Kind.SILENT]
OPEN = Watch(Phase.OPEN, NOW_MS, alert=b"x")


def test_what_holds_long_enough_is_opened_once() -> None:
    watch, move = step(None, Kind.SILENT, BAD, NOW_MS)
    assert (watch, move) == (Watch(Phase.RISING, NOW_MS), Move.NONE)
    watch, move = step(watch, Kind.SILENT, BAD, NOW_MS + HOLD - 1)
    assert move is Move.NONE
    watch, move = step(watch, Kind.SILENT, BAD, NOW_MS + HOLD)
    assert move is Move.OPEN
    watch, move = step(OPEN, Kind.SILENT, BAD, NOW_MS + 10 * HOLD)
    assert (watch, move) == (OPEN, Move.NONE)


@pytest.mark.parametrize("level", [GOOD, BETWEEN])
def test_what_was_bad_for_a_moment_is_forgotten(level: Level) -> None:
    watch, _ = step(None, Kind.SILENT, BAD, NOW_MS)
    assert step(watch, Kind.SILENT, level, NOW_MS + HOLD) == (None, Move.NONE)


def test_it_is_over_when_it_was_good_for_long_enough() -> None:
    watch, move = step(OPEN, Kind.SILENT, GOOD, NOW_MS)
    assert (watch, move) == (OPEN._replace(good_ms=NOW_MS), Move.NONE)
    assert step(watch, Kind.SILENT, GOOD, NOW_MS + CLEAR - 1)[1] is Move.NONE
    assert step(watch, Kind.SILENT, GOOD, NOW_MS + CLEAR) == (None, Move.RESOLVE)


@pytest.mark.parametrize("level", [BAD, BETWEEN])
def test_a_good_moment_in_between_does_not_count(level: Level) -> None:
    watch, _ = step(OPEN, Kind.SILENT, GOOD, NOW_MS)
    watch, _ = step(watch, Kind.SILENT, level, NOW_MS + 1)
    watch, move = step(watch, Kind.SILENT, GOOD, NOW_MS + CLEAR)
    assert (watch, move) == (OPEN._replace(good_ms=NOW_MS + CLEAR), Move.NONE)


def test_what_a_person_resolved_stays_silent_until_it_was_over_once() -> None:
    dismissed: Watch | None = OPEN._replace(phase=Phase.DISMISSED)
    dismissed, move = step(dismissed, Kind.SILENT, BAD, NOW_MS + 10 * HOLD)
    assert dismissed is not None
    assert (dismissed.phase, move) == (Phase.DISMISSED, Move.NONE)
    dismissed, _ = step(dismissed, Kind.SILENT, GOOD, NOW_MS)
    assert step(dismissed, Kind.SILENT, GOOD, NOW_MS + CLEAR) == (None, Move.NONE)


def test_a_time_in_which_nobody_looked_counts_for_nothing() -> None:
    later = NOW_MS + 9 * HOLD
    rising, _ = step(None, Kind.SILENT, BAD, NOW_MS)
    assert rising is not None
    assert step(after_pause(rising, later), Kind.SILENT, BAD, later)[1] is Move.NONE
    falling, _ = step(OPEN, Kind.SILENT, GOOD, NOW_MS)
    assert falling is not None
    assert step(after_pause(falling, later), Kind.SILENT, GOOD, later)[1] is Move.NONE
    assert after_pause(OPEN, later) == OPEN


def test_a_clock_that_is_put_back_delays_and_breaks_nothing() -> None:
    watch, _ = step(None, Kind.SILENT, BAD, NOW_MS)
    watch, move = step(watch, Kind.SILENT, BAD, NOW_MS - 3_600_000)
    assert move is Move.NONE
    assert step(watch, Kind.SILENT, BAD, NOW_MS - 3_600_000 + HOLD)[1] is Move.OPEN


@given(st.lists(st.sampled_from([GOOD, BETWEEN, BAD]), max_size=200), st.sampled_from(list(Kind)))
def test_incidents_never_flap(levels: list[Level], kind: Kind) -> None:
    """However it goes up and down, between two moves of one thing lies at least its time of holding or clearing."""
    watch, is_open, moved_ms = None, False, 0
    for number, level in enumerate(levels):
        now_ms = NOW_MS + number * 15_000
        watch, move = step(watch, kind, level, now_ms)
        if move is Move.OPEN:
            assert not is_open
            assert watch is not None
            watch, is_open = watch._replace(phase=Phase.OPEN, alert=b"x"), True
            assert now_ms - moved_ms >= HOLDS_MS[kind]
            moved_ms = now_ms
        elif move is Move.RESOLVE:
            assert is_open
            is_open = False
            assert now_ms - moved_ms >= CLEARS_MS[kind]
            moved_ms = now_ms
        assert is_open == (watch is not None and watch.phase is Phase.OPEN)
