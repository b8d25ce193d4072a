"""Taps of one member become sessions; nothing is guessed."""

from zoneinfo import ZoneInfo

import pytest

from central.services.attendance.teams import Teams, Version
from tests.central.services.attendance.life import DESK, HOUR_MS, TAIPEI, TEAMS, Life, changed, key, ms, versions

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_tap_signs_in_and_the_next_one_signs_out() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 12:10", "out")
    (row,) = life.rows
    assert (row.state, row.minutes, row.month, row.team) == ("counted", 190, "2026-03", "desk")


def test_minutes_are_exact_and_whole_ones_only() -> None:
    life = Life()
    life.tap("2026-03-02 09:00:30", "in")
    life.tap("2026-03-02 12:10:29", "out")
    assert life.booked() == [("desk", "2026-03", 189)]


@pytest.mark.parametrize("second", ["in", "", "out"])
@pytest.mark.parametrize("first", ["in", ""])
def test_a_double_tap_is_never_a_sign_out_also_at_two_kiosks_apart(first: str, second: str) -> None:
    life = Life()
    name = life.tap("2026-03-02 09:00:00", first)
    life.tap("2026-03-02 09:00:59", second)
    (row,) = life.rows
    assert (row.key, row.minutes, row.in_ms or row.out_ms) == (name, 0, ms("2026-03-02 09:00"))
    assert row.state != "counted"


@pytest.mark.parametrize("second", ["in", "", "out"])
def test_a_double_tap_at_the_sign_out_is_no_sign_in(second: str) -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 12:00:00", "out")
    life.tap("2026-03-02 12:00:40", second)
    assert life.booked() == [("desk", "2026-03", 180)]
    assert len(life.rows) == 1


def test_a_tap_just_past_the_double_tap_is_another_one() -> None:
    life = Life()
    life.tap("2026-03-02 09:00:00", "in")
    life.tap("2026-03-02 09:01:00", "out")
    assert life.booked() == [("desk", "2026-03", 1)]


def test_the_double_tap_is_as_long_as_the_kiosk_went_by() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 09:04", "out", double_tap_ms=300_000)
    assert life.booked() == []


def test_many_quick_taps_do_not_lengthen_the_window() -> None:
    life = Life()
    for second in (0, 30, 59):
        life.tap(f"2026-03-02 09:00:{second:02}", "in")
    life.tap("2026-03-02 09:01:10", "out")
    assert [row.minutes for row in life.rows] == [1]


def test_a_neutral_tap_is_paired_with_the_sign_in_before_it() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 12:00")
    assert life.booked() == [("desk", "2026-03", 180)]


def test_a_neutral_tap_is_paired_with_the_sign_out_after_it() -> None:
    life = Life()
    life.tap("2026-03-02 09:00")
    life.tap("2026-03-02 12:00", "out")
    assert life.booked() == [("desk", "2026-03", 180)]


def test_neutral_taps_between_known_ones_take_their_place() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 10:00")
    life.tap("2026-03-02 11:00")
    life.tap("2026-03-02 12:30", "out")
    assert [minutes for _, _, minutes in life.booked()] == [60, 90]


def test_neutral_taps_alone_pair_among_themselves() -> None:
    life = Life()
    for at in ("09:00", "12:00", "13:00", "15:30"):
        life.tap(f"2026-03-02 {at}")
    assert [minutes for _, _, minutes in life.booked()] == [180, 150]


def test_an_odd_neutral_tap_between_known_ones_makes_none_of_them_hours() -> None:
    """Somebody left at ten and came back, or tapped once too often: nobody knows."""
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 10:00")
    life.tap("2026-03-02 12:00", "out")
    assert life.booked() == []
    assert life.states() == [("review", "odd-tap")] * 2


def test_an_odd_neutral_tap_stays_open_and_the_next_one_makes_it_even() -> None:
    life = Life()
    for at in ("09:00", "12:00", "13:00"):
        life.tap(f"2026-03-02 {at}")
    assert life.states() == [("open", "odd-tap")] * 2
    life.tap("2026-03-02 14:00")
    assert life.states() == [("counted", "")] * 2


def test_an_odd_neutral_tap_goes_to_review_once_the_next_day_begins() -> None:
    life = Life()
    for at in ("02 09:00", "02 12:00", "02 13:00", "03 09:00", "03 10:00"):
        life.tap(f"2026-03-{at}")
    assert life.states() == [("review", "odd-tap"), ("review", "odd-tap"), ("counted", "")]


def test_settling_the_odd_one_makes_the_others_hours() -> None:
    life = Life()
    for at in ("02 09:00", "02 12:00", "02 13:00", "03 09:00", "03 10:00"):
        life.tap(f"2026-03-{at}")
    life.settle(key(2), "2026-03-04 09:00")
    assert life.states() == [("counted", ""), ("void", "seen"), ("counted", "")]


def test_signing_out_at_another_kiosk_of_the_domain_ends_the_session() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.taps.append(life.taps[0]._replace(key=key(9), at_ms=ms("2026-03-02 11:00"), way="out", venue="branch"))
    (row,) = life.rows
    assert (row.minutes, row.venue) == (120, "main")


def test_a_shift_across_midnight_is_one_session_of_the_month_it_began_in() -> None:
    life = Life()
    life.tap("2026-02-28 22:30", "in")
    life.tap("2026-03-01 01:30", "out")
    assert life.booked() == [("desk", "2026-02", 180)]


def test_two_teams_in_a_day() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in", "desk")
    life.tap("2026-03-02 12:00", "out", "desk")
    life.tap("2026-03-02 13:00", "in", "children")
    life.tap("2026-03-02 15:00", "out", "children")
    assert life.booked() == [("desk", "2026-03", 180), ("children", "2026-03", 120)]


def test_signing_in_to_a_team_while_signed_in_to_another_ends_nothing_by_guess() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in", "desk")
    life.tap("2026-03-02 12:00", "in", "children")
    life.tap("2026-03-02 15:00", "out", "children")
    first, second = life.rows
    assert (first.team, first.state, first.out_ms, first.minutes) == ("desk", "review", None, 0)
    assert (second.team, second.state, second.minutes) == ("children", "counted", 180)


def test_a_tap_that_speaks_for_another_team_ends_nothing_by_guess() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in", "desk")
    life.tap("2026-03-02 12:00", "", "children")
    assert life.states() == [("review", "two-teams")]


def test_a_tap_that_speaks_for_no_team_becomes_no_hours() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in", "")
    life.tap("2026-03-02 12:00", "out", "")
    assert life.states() == [("review", "no-team")]


def test_a_forgotten_sign_out_goes_to_review_with_what_is_known_and_is_no_hours() -> None:
    life = Life()
    life.tap("2026-03-02 08:50", "in")
    life.tap("2026-03-03 09:00", "in")
    life.tap("2026-03-03 12:00", "out")
    forgotten, next_day = life.rows
    assert (forgotten.state, forgotten.why, forgotten.minutes) == ("review", "no-sign-out", 0)
    assert (forgotten.in_ms, forgotten.out_ms, forgotten.month) == (ms("2026-03-02 08:50"), None, "")
    assert (forgotten.shift, forgotten.shift_end_ms) == ("morning", ms("2026-03-02 12:00"))
    assert next_day.minutes == 180


def test_an_open_session_says_until_when_it_may_still_be_ended() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    (row,) = life.rows
    assert (row.state, row.ends_by_ms) == ("open", ms("2026-03-03 01:00"))


def test_a_tap_as_long_after_as_the_longest_session_ends_nothing() -> None:
    life = Life()
    life.tap("2026-03-02 08:00", "in")
    life.tap("2026-03-03 00:00")
    assert [state for state, _ in life.states()] == ["review", "open"]
    life.taps[1] = life.taps[1]._replace(at_ms=ms("2026-03-02 23:59:59"))
    assert life.booked() == [("desk", "2026-03", 959)]


def test_a_sign_out_without_a_sign_in_goes_to_review() -> None:
    life = Life()
    life.tap("2026-03-02 12:00", "out")
    (row,) = life.rows
    assert (row.state, row.why, row.in_ms, row.out_ms) == ("review", "no-sign-in", None, ms("2026-03-02 12:00"))


def test_a_late_tap_closes_what_was_open() -> None:
    life = Life()
    life.tap("2026-03-02 12:00", "out")
    life.tap("2026-03-02 09:00", "in", known="2026-03-20 09:00")
    assert life.booked() == [("desk", "2026-03", 180)]


# --- by hand ------------------------------------------------------------------------------------------------------


def test_a_coordinator_signs_out_who_forgot_to() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.by_hand("2026-03-02 12:00", "out")
    assert life.booked() == [("desk", "2026-03", 180)]


def test_a_kiosk_that_did_not_hear_the_coordinator_is_paired_by_place() -> None:
    """The kiosk says `in` at noon, because it never heard that he was signed in by hand."""
    life = Life()
    life.by_hand("2026-03-02 09:00", "in")
    life.tap("2026-03-02 12:00", "in")
    assert life.booked() == [("desk", "2026-03", 180)]


def test_taps_after_a_sign_out_by_hand_are_not_turned_round() -> None:
    """The kiosk holds him signed in since nine, and says `out` when he comes back."""
    life = Life()
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 13:00", "out")
    life.tap("2026-03-02 17:00", "in")
    life.by_hand("2026-03-02 12:00", "out")
    assert [minutes for _, _, minutes in life.booked()] == [180, 240]


def test_once_kiosk_and_coordinator_agree_the_kiosks_directions_count_again() -> None:
    life = Life()
    life.by_hand("2026-03-02 07:00", "in")
    life.by_hand("2026-03-02 08:00", "out")
    life.tap("2026-03-02 09:00", "in")
    life.tap("2026-03-02 10:00", "in")
    life.tap("2026-03-02 12:00", "out")
    assert [minutes for _, _, minutes in life.booked()] == [60, 120]
    assert ("review", "no-sign-out") in life.states()


def test_a_word_and_a_tap_that_say_the_same_are_one() -> None:
    life = Life()
    life.tap("2026-03-02 09:00:20", "in")
    life.by_hand("2026-03-02 09:00:00", "in")
    life.tap("2026-03-02 12:00", "out")
    assert life.booked() == [("desk", "2026-03", 180)]
    assert len(life.rows) == 1


# --- zones and days -----------------------------------------------------------------------------------------------


def test_minutes_are_those_that_passed_where_the_clock_was_put_forward_or_back() -> None:
    life = Life(versions(("desk", DESK), zone=BERLIN), BERLIN)
    for evening, morning in (("2026-03-28", "2026-03-29"), ("2026-10-24", "2026-10-25")):
        life.tap(f"{evening} 23:00", "in")
        life.tap(f"{morning} 04:00", "out")
    assert life.booked() == [("desk", "2026-03", 4 * 60), ("desk", "2026-10", 6 * 60)]


def test_an_hour_that_comes_twice_is_told_apart_by_its_instant() -> None:
    life = Life(versions(("desk", DESK), zone=BERLIN), BERLIN)
    life.tap("2026-10-25 02:30", "in")
    life.tap("2026-10-25 02:30", "out")
    life.taps[1] = life.taps[1]._replace(at_ms=life.taps[1].at_ms + HOUR_MS)  # 02:30 again
    assert life.booked() == [("desk", "2026-10", 60)]


def test_a_leap_day_is_a_day_of_its_month() -> None:
    life = Life()
    life.tap("2028-02-29 22:00", "in")
    life.tap("2028-03-01 02:00", "out")
    assert life.booked() == [("desk", "2028-02", 240)]


def test_a_shift_past_midnight_is_known_from_the_evening_before() -> None:
    assert TEAMS.shift_at("desk", "", ms("2026-03-06 21:30")) == ("night", ms("2026-03-07 02:00"))
    assert TEAMS.shift_at("desk", "", ms("2026-03-07 01:30")) == ("night", ms("2026-03-07 02:00"))
    assert TEAMS.shift_at("desk", "", ms("2026-03-07 02:00")) == ("", None)
    assert TEAMS.shift_at("desk", "", ms("2026-03-06 20:30")) == ("", None)


def test_a_shift_chosen_on_the_kiosk_is_that_shift_at_any_hour() -> None:
    assert TEAMS.shift_at("desk", "morning", ms("2026-03-07 15:00")) == ("morning", None)
    assert TEAMS.shift_at("desk", "night", ms("2026-03-06 22:00"))[0] == "night"


# --- activities ---------------------------------------------------------------------------------------------------


def test_training_and_meetings_are_kept_and_do_not_count() -> None:
    life = Life()
    life.tap("2026-03-02 09:00", "in", activity="training")
    life.tap("2026-03-02 12:00", "out")
    (row,) = life.rows
    assert (row.state, row.minutes, row.month) == ("not-counting", 180, "2026-03")
    assert life.booked() == []


def test_which_activities_do_not_count_is_dated() -> None:
    later = changed(DESK, not_counting=("meeting",))
    dated = Teams([Version("desk", 1, 0, DESK, TAIPEI), Version("desk", 2, ms("2026-04-01 00:00"), later, TAIPEI)])
    for month, state in (("03", "not-counting"), ("04", "counted")):
        life = Life(dated)
        life.tap(f"2026-{month}-15 09:00", "in", activity="training")
        life.tap(f"2026-{month}-15 12:00", "out")
        assert life.rows[0].state == state
