"""A locked month stays; what becomes known later is booked where it became known."""

import datetime as dt

import pytest

from central.services.attendance.hours import counted_minutes, rounded
from central.services.attendance.local import end_of, month_after, start_of
from central.services.attendance.months import digest
from central.services.attendance.rules import Certificate, Rounding, Rules, reached, valid_until
from central.services.attendance.sheet import line
from central.services.attendance.stated import Reassigned, Row, Served
from central.services.attendance.teams import Team, TeamRule, check
from tests.central.services.attendance.life import CHILDREN, DESK, TAIPEI, Life, changed, key, ms, total


def morning(life: Life, day: str, known: str = "", team: str = "desk") -> bytes:
    """Nine to twelve."""
    name = life.tap(f"{day} 09:00", "in", team, known)
    life.tap(f"{day} 12:00", "out", team, known)
    return name


def test_a_late_batch_of_an_open_month_is_booked_in_its_month() -> None:
    life = Life()
    morning(life, "2026-02-10", known="2026-03-20 10:00")
    assert life.booked() == [("desk", "2026-02", 180)]


def test_a_late_batch_of_a_locked_month_is_an_adjustment_of_the_month_it_became_known_in() -> None:
    life = Life()
    morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    before = life.rows
    late = morning(life, "2026-02-10", known="2026-03-20 10:00")
    assert life.booked() == [("desk", "2026-02", 180), ("desk", "2026-03", 180)]
    assert [row for row in life.rows if row.month == "2026-02"] == before
    (adjustment,) = life.of(late)
    assert (adjustment.adjustment_of, adjustment.in_ms) == (late, ms("2026-02-10 09:00"))


def test_a_month_that_is_locked_with_nothing_of_a_member_stays_without_anything() -> None:
    life = Life()
    life.lock("2026-02", "2026-03-02 10:00")
    morning(life, "2026-02-10", known="2026-03-20 10:00")
    assert life.booked() == [("desk", "2026-03", 180)]


def test_a_correction_of_a_locked_month_is_the_difference() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    life.settle(name, "2026-03-05 10:00", "2026-02-09 09:00", "2026-02-09 11:00")
    assert life.booked() == [("desk", "2026-02", 180), ("desk", "2026-03", -60)]
    life.lock("2026-03", "2026-04-01 10:00")
    life.settle(name, "2026-04-05 10:00", "2026-02-09 09:00", "2026-02-09 11:20")
    assert [minutes for _, _, minutes in life.booked()] == [180, -60, 20]
    assert [row.month for row in life.of(name)] == ["2026-02", "2026-03", "2026-04"]


def test_what_became_known_in_a_month_that_is_locked_by_now_goes_to_the_next_open_one() -> None:
    life = Life()
    morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    morning(life, "2026-03-09")
    life.lock("2026-03", "2026-04-01 10:00")
    life.lock("2026-04", "2026-05-01 10:00")
    morning(life, "2026-02-10", known="2026-03-20 10:00")
    assert life.booked()[-1] == ("desk", "2026-03", 180)
    assert ("desk", "2026-05", 180) in life.booked()


def test_a_voided_session_of_a_locked_month_is_taken_back_and_still_named() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    life.settle(name, "2026-03-05 10:00")
    assert total(life.rows) == 0
    assert [(row.month, row.state, row.minutes) for row in life.of(name)] == [
        ("", "void", 0),
        ("2026-02", "counted", 180),
        ("2026-03", "counted", -180),
    ]


def test_a_tap_that_was_undone_after_the_lock_is_taken_back() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    life.taps.clear()
    assert [(row.month, row.minutes, row.why) for row in life.of(name)] == [
        ("2026-02", 180, ""),
        ("2026-03", -180, "no-longer-known"),
    ]


def test_a_session_reassigned_after_the_lock_moves_by_two_bookings() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    life.state(Reassigned(key=name, team="children", why="upstairs"), 0, ms("2026-03-05 10:00"))
    assert sorted(life.booked()) == [("children", "2026-02", 180), ("desk", "2026-02", 180), ("desk", "2026-03", -180)]
    life.lock("2026-03", "2026-04-01 10:00")
    life.state(Reassigned(key=name, team="desk", why="no, it was the desk"), 0, ms("2026-04-05 10:00"))
    assert total(life.rows) == 180
    assert ("desk", "2026-04", 180) in life.booked()


def test_a_reassignment_says_which_team_a_doubtful_session_was_for() -> None:
    life = Life()
    name = life.tap("2026-03-02 09:00", "in", "")
    life.tap("2026-03-02 12:00", "out", "")
    life.state(Reassigned(key=name, team="children", why="his"), 0, ms("2026-03-05 10:00"))
    assert life.booked() == [("children", "2026-03", 180)]


def test_a_reassignment_makes_no_hours_of_a_forgotten_sign_out() -> None:
    life = Life()
    name = life.tap("2026-03-02 09:00", "in")
    morning(life, "2026-03-04")
    life.state(Reassigned(key=name, team="children", why="his"), 0, ms("2026-03-05 10:00"))
    (row,) = life.of(name)
    assert (row.team, row.state, row.why, row.minutes) == ("children", "review", "no-sign-out", 0)


def test_a_forgotten_sign_out_becomes_hours_by_a_named_persons_word_alone() -> None:
    life = Life()
    name = life.tap("2026-03-02 09:00", "in")
    morning(life, "2026-03-04")
    assert total(life.rows) == 180
    fact = life.settle(name, "2026-03-05 10:00", "2026-03-02 09:00", "2026-03-02 12:05")
    (row,) = life.of(name)
    assert (row.minutes, row.stated, row.why, row.month) == (185, fact, "seen", "2026-03")


def test_settled_after_the_lock_a_forgotten_sign_out_is_an_adjustment() -> None:
    life = Life()
    name = life.tap("2026-02-02 09:00", "in")
    morning(life, "2026-02-04")
    life.lock("2026-02", "2026-03-02 10:00")
    life.settle(name, "2026-03-05 10:00", "2026-02-02 09:00", "2026-02-02 12:05")
    assert [(row.month, row.minutes, row.adjustment_of) for row in life.of(name)] == [("2026-03", 185, name)]


def test_the_newest_word_on_a_session_counts() -> None:
    life = Life()
    name = life.tap("2026-03-02 09:00", "in")
    morning(life, "2026-03-04")
    life.settle(name, "2026-03-05 10:00", "2026-03-02 09:00", "2026-03-02 12:05")
    life.settle(name, "2026-03-06 10:00")
    assert [row.state for row in life.of(name)] == ["void"]


def test_of_two_that_overlap_what_a_person_said_stands_and_the_taps_go_to_review() -> None:
    life = Life()
    name = life.tap("2026-03-02 12:00", "out")
    life.settle(name, "2026-03-05 10:00", "2026-03-02 09:00", "2026-03-02 12:00")
    late = life.tap("2026-03-02 10:00", "in", known="2026-03-20 10:00")
    life.tap("2026-03-02 13:00", "out", known="2026-03-20 10:00")
    assert [(row.state, row.why) for row in life.of(late)] == [("review", "overlap")]
    assert total(life.rows) == 180


def test_what_is_locked_stands_against_what_comes_late() -> None:
    life = Life()
    first = life.by_hand("2026-02-02 09:00", "in")
    life.by_hand("2026-02-02 12:00", "out")
    life.lock("2026-02", "2026-03-02 10:00")
    name = life.tap("2026-02-03 12:00", "out")
    life.settle(name, "2026-03-05 10:00", "2026-02-02 11:00", "2026-02-02 13:00")
    assert [(row.month, row.minutes) for row in life.of(first)] == [("2026-02", 180)]
    assert [row.state for row in life.of(name)] == ["review"]


def test_taps_that_are_locked_stand_also_against_a_later_word_on_another_session() -> None:
    life = Life()
    first = morning(life, "2026-02-02")
    life.lock("2026-02", "2026-03-02 10:00")
    name = life.tap("2026-02-03 12:00", "out", known="2026-03-04 10:00")
    life.settle(name, "2026-03-05 10:00", "2026-02-02 11:00", "2026-02-02 13:00")
    assert life.booked() == [("desk", "2026-02", 180)]
    assert [row.why for row in life.of(name)] == ["overlap"]
    assert len(life.of(first)) == 1


def test_what_did_not_count_when_it_was_locked_is_added_once_it_does() -> None:
    life = Life()
    name = life.tap("2026-02-02 09:00", "in", activity="training")
    life.tap("2026-02-02 12:00", "out")
    life.lock("2026-02", "2026-03-02 10:00")
    life.state(Reassigned(key=name, team="desk", activity="service", why="it was"), 0, ms("2026-03-05 10:00"))
    assert [(row.month, row.state, row.minutes) for row in life.of(name)] == [
        ("2026-02", "not-counting", 180),
        ("2026-03", "counted", 180),
    ]


def test_a_settled_session_takes_its_taps_with_it() -> None:
    life = Life()
    name = morning(life, "2026-02-02")
    life.settle(name, "2026-02-05 10:00", "2026-02-02 09:00", "2026-02-02 11:00")
    assert [(row.key, row.state, row.minutes) for row in life.rows] == [(name, "counted", 120)]


def test_a_word_that_leaves_no_time_is_no_hours_whatever_else_is_said() -> None:
    life = Life()
    name = life.tap("2026-02-02 12:00", "out")
    life.settle(name, "2026-02-05 10:00", "2026-02-02 12:00", "2026-02-02 11:00")
    life.state(Reassigned(key=name, team="children", why="his"), 0, ms("2026-02-06 10:00"))
    assert [(row.state, row.why, row.minutes) for row in life.rows] == [("review", "no-time", 0)]


def test_a_reassigned_session_is_of_the_other_teams_shift() -> None:
    life = Life()
    name = morning(life, "2026-03-02")
    assert life.rows[0].shift == "morning"
    life.state(Reassigned(key=name, team="children", why="upstairs"), 0, ms("2026-03-05 10:00"))
    assert (life.rows[0].shift, life.rows[0].shift_end_ms) == ("", None)


def test_people_served_and_allowances_are_kept_and_corrected_apart() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.state(Served(key=name, people=30, transport=60, meal=80), 0, ms("2026-02-10 10:00"))
    life.state(Served(key=name, people=34, remark="bus"), 0, ms("2026-02-11 10:00"))
    (row,) = life.rows
    assert (row.people, row.transport, row.meal, row.remark) == (34, 60, 80, "bus")
    life.lock("2026-02", "2026-03-02 10:00")
    life.state(Served(key=name, transport=40), 0, ms("2026-03-05 10:00"))
    assert [(row.month, row.minutes, row.people, row.transport) for row in life.of(name)] == [
        ("2026-02", 180, 34, 60),
        ("2026-03", 0, 0, -20),
    ]


def test_another_version_of_a_team_changes_no_locked_row() -> None:
    life = Life()
    morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    before = life.rows
    life.taps = [tap._replace(team="") for tap in life.taps]  # the rule is no team's any more
    assert [row for row in life.rows if row.month == "2026-02"] == before


# --- totals -------------------------------------------------------------------------------------------------------


def test_only_the_total_is_cut_off_to_half_hours_from_the_day_of_the_rule_on() -> None:
    """Chiayi 2024: 2 × 1 h 20 min are 2 h 30 min, not 2 × 1 h."""
    rules = Rules(rounding=(Rounding(valid_from=dt.date(2024, 1, 1), unit_minutes=30),))
    life = Life()
    for day in ("2024-01-08", "2024-01-09"):
        life.tap(f"{day} 09:00", "in")
        life.tap(f"{day} 10:20", "out")
    exact = counted_minutes(life.rows)
    assert (exact, rounded(exact, rules.unit_of("2024-01"))) == (160, 150)
    assert rounded(exact, rules.unit_of("2023-12")) == 160
    assert [row.minutes for row in life.rows] == [80, 80]


@pytest.mark.parametrize(("total_", "shown"), [(0, 0), (29, 0), (30, 30), (59, 30), (-29, 0), (-31, -30), (-60, -60)])
def test_a_total_is_cut_off_towards_nothing(total_: int, shown: int) -> None:
    assert rounded(total_, 30) == shown


def test_the_newest_rule_in_force_rounds_whatever_the_order_in_the_file() -> None:
    rules = Rules(rounding=(Rounding(valid_from=dt.date(2025, 7, 1), unit_minutes=15), Rounding(
        valid_from=dt.date(2024, 1, 1), unit_minutes=30)))  # fmt: skip
    assert [rules.unit_of(month) for month in ("2023-12", "2024-01", "2025-06", "2025-07")] == [1, 30, 30, 15]
    assert [rules.unit_of_year(year) for year in (2023, 2024, 2025)] == [1, 30, 15]


def test_a_sheet_has_members_by_days_and_adjustments_apart() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    life.lock("2026-02", "2026-03-02 10:00")
    life.settle(name, "2026-03-05 10:00", "2026-02-09 09:00", "2026-02-09 11:45")
    morning(life, "2026-03-09")
    life.tap("2026-03-09 14:00", "in")
    life.tap("2026-03-09 14:50", "out")
    life.tap("2026-03-10 14:00", "in", activity="training")
    life.tap("2026-03-10 15:00", "out")
    sheet = line("A-1", [row for row in life.rows if row.month == "2026-03"], 30, TAIPEI)
    assert sheet.days == {"2026-03-09": 230, "2026-03-10": 0}
    assert (sheet.adjustments, sheet.minutes, sheet.rounded_minutes, sheet.not_counting_minutes) == (-15, 215, 210, 60)


def test_the_digest_of_a_month_follows_its_rows() -> None:
    life = Life()
    name = morning(life, "2026-02-09")
    before = digest({b"s": life.rows})
    assert digest({b"s": life.rows, b"t": []}) == before
    assert digest({b"t": life.rows}) != before
    life.state(Served(key=name, people=1), 0, ms("2026-02-10 10:00"))
    assert digest({b"s": life.rows}) != before


# --- certificates -------------------------------------------------------------------------------------------------


def served(*hours: int) -> list[Row]:
    """One session a day from 2026-01-01 on."""
    at_ms = [ms("2026-01-01 08:00") + day * 86_400_000 for day in range(len(hours))]
    return [
        Row(
            key=key(number),
            team="desk",
            month="2026-01",
            at_ms=at,
            in_ms=at,
            out_ms=at + each * 3_600_000,
            minutes=each * 60,
            state="counted",
        )
        for number, (each, at) in enumerate(zip(hours, at_ms, strict=True))
    ]


def test_300_hours_are_flagged_with_the_moment_they_were_reached() -> None:
    found = reached(served(*[10] * 29, 9, 1, 5), 0, Certificate())
    assert (found.minutes, found.at_ms) == (305 * 60, ms("2026-01-31 09:00"))
    assert reached(served(*[10] * 29, 9), 0, Certificate()).at_ms is None


def test_hours_of_one_certificate_do_not_count_for_the_next() -> None:
    rows = served(*[10] * 35)
    first = reached(rows, 0, Certificate())
    assert first.at_ms is not None
    assert reached(rows, first.at_ms, Certificate()) == (50 * 60, None)


def test_adjustments_and_what_does_not_count_are_reckoned_with() -> None:
    rows = served(*[10] * 30)
    taken_back = Row(**{**_fields(rows[0]), "minutes": -1, "month": "2026-02", "adjustment_of": rows[0].key})
    assert reached([*rows, taken_back], 0, Certificate()).at_ms is None
    training = Row(**{**_fields(rows[0]), "state": "not-counting"})
    assert reached([training, *rows[1:]], 0, Certificate()).at_ms is None


def _fields(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def test_a_certificate_is_good_for_three_years_also_of_a_leap_day() -> None:
    assert valid_until(dt.date(2026, 3, 1), Certificate()) == dt.date(2029, 3, 1)
    assert valid_until(dt.date(2028, 2, 29), Certificate()) == dt.date(2031, 3, 1)


# --- what cannot work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("team", "says"),
    [
        (changed(DESK, rules=(TeamRule(id="a"), TeamRule(id="a"))), "rule 'a' stands twice"),
        (changed(DESK, rules=(TeamRule(id="a", shift="noon"),)), "there is no shift 'noon'"),
        (changed(DESK, shifts=(DESK.shifts[0],) * 2), "shift 'morning' stands twice"),
        (changed(DESK, shifts=(changed_shift := DESK.shifts[0].__class__(id="x", hours="12:00-09:00", days=("mon",)),)),
         "is no span of hours"),
        (changed(DESK, shifts=(changed_shift.__class__(id="x", hours="09:00-12:00"),)), "is on no day"),
        (Team(venue="main", rules=()), "no coordinators"),
    ],
)  # fmt: skip
def test_a_team_with_a_mistake_is_refused_with_what_is_wrong(team: Team, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(team)
    check(CHILDREN)


def test_months_of_a_year() -> None:
    assert month_after("2026-12") == "2027-01"
    assert end_of("2028-02", TAIPEI) - start_of("2028-02", TAIPEI) == 29 * 86_400_000
    for wrong in ("2026-13", "2026-2", "2026", "2026-00", "2026-02-01"):
        with pytest.raises(ValueError, match="is not a month"):
            start_of(wrong, TAIPEI)
