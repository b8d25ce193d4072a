"""The pure rules: when denials have jumped, when nothing is published, what a rollout does next."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.rollouts.course import LONGEST_UPTAKE_MS, Known, Next, Plan, State, Step, Uptake, Waits, next_step
from central.rollouts.freezing import Freeze, end_ms, frozen, minutes
from central.rollouts.halting import (
    DAY_MS,
    WEEK_MS,
    HaltRule,
    Tally,
    Window,
    before,
    expected,
    has_jumped,
    longest_ms,
    since,
)

TAIPEI = ZoneInfo("Asia/Taipei")
RULE = HaltRule(10, 30)
NOW_MS = 1_790_000_000_000


def at(text: str, zone: ZoneInfo = TAIPEI) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000)


# --- halting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "halts"),
    [
        (Tally(200, 6), Tally(50, 20), True),  # 3 % to 40 %
        (Tally(200, 6), Tally(29, 29), False),  # too few taps to say anything
        (Tally(200, 6), Tally(30, 30), True),
        (Tally(200, 80), Tally(200, 84), False),  # 2 points more
        (Tally(10_000, 500), Tally(10_000, 1_400), False),  # 9 points are sure, and not enough
        (Tally(10_000, 500), Tally(10_000, 1_600), True),
        (Tally(30, 3), Tally(30, 6), False),  # 10 points that may be chance
        (Tally(), Tally(40, 4), True),  # nothing is known of before
        (Tally(), Tally(40, 3), False),
        (Tally(200, 200), Tally(200, 0), False),  # fewer
    ],
)
def test_denials_have_jumped_where_more_are_denied_than_chance_gives(was: Tally, now: Tally, halts: bool) -> None:
    assert has_jumped(was, now, RULE) is halts


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(1, 100))
def test_a_share_that_did_not_rise_never_halts(a: int, b: int, c: int, d: int, points: int) -> None:
    was, now = Tally(a + b, b), Tally(c + d, d)
    halts = has_jumped(was, now, HaltRule(points, 1))
    assert not halts or now.share > was.share
    assert not has_jumped(was, now, HaltRule(0, 1))


def test_what_is_compared_is_the_same_hours_before_and_never_after_the_publication() -> None:
    looked_at = since(NOW_MS, NOW_MS + 3_600_000)
    assert looked_at == Window(NOW_MS, NOW_MS + 3_600_000)
    week, day, whole = before(NOW_MS, looked_at)
    assert (week, day) == (Window(*(ms - WEEK_MS for ms in looked_at)), Window(*(ms - DAY_MS for ms in looked_at)))
    assert whole == Window(NOW_MS - WEEK_MS, NOW_MS)
    late = since(NOW_MS, NOW_MS + 3 * DAY_MS)
    assert late == Window(NOW_MS + 2 * DAY_MS, NOW_MS + 3 * DAY_MS)  # the newest day alone
    assert all(window.until_ms <= NOW_MS for window in before(NOW_MS, late))


def test_of_many_gates_less_is_looked_at_and_never_less_than_an_hour() -> None:
    assert [longest_ms(gates) for gates in (0, 1, 20, 40, 10_000)] == [DAY_MS, DAY_MS, DAY_MS, DAY_MS // 2, HOUR_MS]
    assert since(NOW_MS, NOW_MS + DAY_MS, 40) == Window(NOW_MS + DAY_MS // 2, NOW_MS + DAY_MS)


def test_the_first_time_with_enough_taps_is_what_is_expected() -> None:
    assert expected([Tally(5, 5), Tally(40, 2), Tally(900, 90)], RULE) == Tally(40, 2)
    assert expected([Tally(5, 5), Tally(7, 0)], RULE) == Tally(7, 0)
    assert expected([], RULE) == Tally()


# --- freezes -------------------------------------------------------------------------------------------------

EVENING = Freeze("evenings", "", "nobody looks", ("fri",), "22:00-26:00")


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-11-27T21:59", None),
        ("2026-11-27T22:00", "2026-11-28T02:00"),
        ("2026-11-28T01:59", "2026-11-28T02:00"),  # yesterday's runs into today
        ("2026-11-28T02:00", None),
        ("2026-11-28T23:00", None),
    ],
)
def test_a_weekly_freeze_holds_on_its_days_and_into_the_next(moment: str, until: str | None) -> None:
    assert end_ms(EVENING, at(moment)) == (at(until) if until else None)


def test_a_freeze_follows_its_own_time_zone() -> None:
    tokyo = EVENING._replace(time_zone="Asia/Tokyo")
    assert end_ms(tokyo, at("2026-11-27T21:00")) == at("2026-11-28T01:00")
    berlin = Freeze("x", "", "x", ("sun",), "01:00-05:00", "Europe/Berlin")  # the night that has an hour twice
    zone = ZoneInfo("Europe/Berlin")
    assert end_ms(berlin, at("2026-10-25T04:59", zone)) == at("2026-10-25T05:00", zone)


def test_a_dated_freeze_ends_with_its_last_moment() -> None:
    exams = Freeze("exams", "main", "exams", from_ms=10, until_ms=20)
    assert [end_ms(exams, ms) for ms in (9, 10, 19, 20)] == [None, 20, 20, None]


def test_a_freeze_of_a_venue_holds_there_alone_and_one_of_the_city_everywhere() -> None:
    exams, city = Freeze("exams", "main", "exams", until_ms=20), Freeze("city", "", "election", until_ms=15)
    assert frozen([exams, city], ["pool"], 5).freeze is city
    assert frozen([exams, city], ["pool", "main"], 5).until_ms == 20  # the longest
    assert frozen([exams], ["pool"], 5) is None
    assert "main is frozen until 1970-01-01 08:00 (exams: exams)" in frozen([exams], ["main"], 5).told


@pytest.mark.parametrize("span", ["", "24:00-25:00", "10:00-10:00", "11:00-10:00", "10:60-12:00", "10:00-48:01", "x"])
def test_a_span_that_is_none_is_known(span: str) -> None:
    assert minutes(span) is None


# --- the course ----------------------------------------------------------------------------------------------

FIRST = Plan(State.FIRST, 0, 3_600_000, False, RULE, first_ms=NOW_MS)
HELD = FIRST._replace(held_ms=NOW_MS)
ALL = Plan(State.ALL, 0, 3_600_000, False, RULE, first_ms=NOW_MS, held_ms=NOW_MS, all_ms=NOW_MS)
TRIED = Known(Uptake(2, 2), Tally(100, 3), Tally(100, 3))
JUMPED = Known(Uptake(2, 2), Tally(100, 3), Tally(100, 60))
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("plan", "known", "after_ms", "step", "waits"),
    [
        (Plan(State.SCHEDULED, NOW_MS + 5, 0, False, RULE), TRIED, 0, Step.WAIT, Waits.DATE),
        (Plan(State.SCHEDULED, NOW_MS + 5, 0, False, RULE), TRIED, 5, Step.BEGIN, None),
        (Plan(State.SCHEDULED, NOW_MS, 0, False, RULE), Known(frozen="exams"), 0, Step.WAIT, Waits.FREEZE),
        (FIRST, Known(Uptake(2, 1)), HOUR_MS, Step.WAIT, Waits.UPTAKE),
        (FIRST, Known(Uptake(0, 0)), HOUR_MS, Step.WAIT, Waits.UPTAKE),  # nobody is there to hold it
        (FIRST, Known(Uptake(2, 2)), 0, Step.HELD, None),
        (FIRST, Known(Uptake(2, 1, ("door-1 could not take it up: x",))), 0, Step.HALT, None),
        (FIRST, JUMPED, 0, Step.HALT, None),  # at the gate that holds it, while another one does not yet
        (HELD, TRIED, HOUR_MS - 1, Step.WAIT, Waits.SOAK),
        (HELD, TRIED, HOUR_MS, Step.GO_ON, None),
        (HELD, JUMPED, HOUR_MS, Step.HALT, None),
        (HELD, Known(Uptake(2, 2), Tally(100, 3), Tally(29, 0)), HOUR_MS, Step.WAIT, Waits.TAPS),
        (HELD._replace(rule=HaltRule(0, 30)), Known(Uptake(2, 2)), HOUR_MS, Step.GO_ON, None),  # it never halts
        (HELD._replace(by_hand=True), TRIED, HOUR_MS, Step.WAIT, Waits.PERSON),
        (HELD._replace(by_hand=True), JUMPED, 0, Step.HALT, None),
        (HELD, TRIED._replace(frozen="exams"), HOUR_MS, Step.WAIT, Waits.FREEZE),
        (HELD, JUMPED._replace(frozen="exams"), 0, Step.HALT, None),  # nothing delays that
        (ALL, TRIED, HOUR_MS - 1, Step.WAIT, Waits.SOAK),
        (ALL, JUMPED, HOUR_MS - 1, Step.HALT, None),
        (ALL, JUMPED, HOUR_MS, Step.DONE, None),  # it was watched for long enough
        (ALL, Known(Uptake(2, 1, ("door-2 could not take it up: x",))), HOUR_MS, Step.WAIT, Waits.UPTAKE),
        (ALL, Known(Uptake(2, 1)), LONGEST_UPTAKE_MS, Step.DONE, None),
        (ALL, TRIED._replace(is_superseded=True), 0, Step.DONE, None),
        (FIRST._replace(state=State.HALTED), JUMPED, 0, Step.WAIT, Waits.PERSON),
        (Plan(State.DRAFT, 0, 0, False, RULE), TRIED, 0, Step.WAIT, Waits.PERSON),
        (ALL._replace(state=State.DONE), JUMPED, 0, Step.WAIT, Waits.NOTHING),
    ],
)
def test_what_a_rollout_does_next(plan: Plan, known: Known, after_ms: int, step: Step, waits: Waits | None) -> None:
    found = next_step(plan, known, NOW_MS + after_ms)
    assert (found.step, found.waits) == (step, waits or Waits.NOTHING)


def test_a_halt_says_why() -> None:
    assert next_step(FIRST, JUMPED, NOW_MS).why == "60% of 100 taps were denied since; 3% of 100 taps before"
    refused = Known(Uptake(1, 0, ("door-1 could not take it up: there is no time zone",)))
    assert next_step(FIRST, refused, NOW_MS) == Next(
        Step.HALT, why="door-1 could not take it up: there is no time zone"
    )
