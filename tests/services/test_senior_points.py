"""Hsinchu County's tariff and Taipei's caps, as published: points first, the rest due."""

import datetime as dt

import pytest

from protocol.policy import Calendar
from tests.services.visitor import Visitor, policy_of

GYM, POOL, COURT = "senior-points-gym", "senior-points-pool", "senior-points-courts"
PRICES = {GYM: 25, POOL: 60, COURT: 100}

WHEN = [
    # a Tuesday: free hours 08-10 and 14-16, points 08-18, cash at other times
    ("2026-11-24T07:59:59", "by-cash"),
    ("2026-11-24T08:00:00", "free"),
    ("2026-11-24T10:00:00", "by-points"),
    ("2026-11-24T13:59:59", "by-points"),
    ("2026-11-24T14:00:00", "free"),
    ("2026-11-24T16:00:00", "by-points"),
    ("2026-11-24T17:59:59", "by-points"),
    ("2026-11-24T18:00:00", "by-cash"),
    ("2026-11-24T21:59:59", "by-cash"),
    # the week's edges
    ("2026-11-27T17:59:59", "by-points"),
    ("2026-11-28T10:30:00", "by-cash"),
    ("2026-11-29T10:30:00", "by-cash"),
    ("2026-11-30T10:30:00", "by-points"),
    # a public holiday on a Sunday, and the Monday that stands in for it
    ("2026-04-05T10:30:00", "by-cash"),
    ("2026-04-06T10:30:00", "by-cash"),
    ("2026-04-06T08:30:00", "by-cash"),
    ("2026-04-07T10:30:00", "by-points"),
    ("2026-10-25T10:30:00", "by-cash"),
    ("2026-10-26T10:30:00", "by-cash"),
    # holidays on weekdays
    ("2026-09-25T10:30:00", "by-cash"),
    ("2026-12-25T08:30:00", "by-cash"),
    ("2027-01-01T10:30:00", "by-cash"),
]


@pytest.mark.parametrize(("when", "rule"), WHEN)
@pytest.mark.parametrize("place", PRICES)
def test_points_are_taken_outside_free_hours_on_workdays_alone(place: str, when: str, rule: str) -> None:
    price = PRICES[place]
    charge = {"free": (0, 0), "by-points": (price, 0), "by-cash": (0, price)}[rule]
    assert Visitor(policy_of(place), "senior", points=500).comes(when) == ("ok", rule, *charge)


@pytest.mark.parametrize("place", PRICES)
def test_a_make_up_workday_counts_as_a_monday_and_the_day_that_it_makes_up_for_does_not(place: str) -> None:
    """A public holiday on a Sunday: its Monday is off, and a Saturday makes up for it."""
    made_up = Calendar(holidays=(dt.date(2026, 4, 5), dt.date(2026, 4, 6)), workdays=(dt.date(2026, 4, 11),))
    policy = policy_of(place, calendar=made_up)
    told = {
        day: Visitor(policy, "senior", points=500).comes(f"2026-04-{day:02}T10:30:00").rule
        for day in (4, 5, 6, 7, 11, 12, 18)
    }
    assert told == {
        **dict.fromkeys((4, 5, 6, 12, 18), "by-cash"),
        **dict.fromkeys((7, 11), "by-points"),
    }
    assert Visitor(policy, "senior").comes("2026-04-11T08:30:00").rule == "free"


HOURS = [
    ("10:30:00", "11:29:59", 0),
    ("10:30:00", "11:30:00", 0),
    ("10:30:00", "11:30:01", 1),
    ("10:30:00", "12:30:00", 1),
    ("10:30:00", "12:30:01", 2),
    ("10:30:00", "17:00:00", 6),
    ("17:30:00", "21:00:00", 3),
]


@pytest.mark.parametrize(("came", "left", "more"), HOURS)
@pytest.mark.parametrize(("place", "price"), [(GYM, 25), (COURT, 100)])
def test_started_hours_are_charged_at_the_exit(came: str, left: str, more: int, place: str, price: int) -> None:
    visitor = Visitor(policy_of(place), "senior", points=5_000)
    assert visitor.comes(f"2026-11-24T{came}") == ("ok", "by-points", price, 0)
    rule = "by-points" if more else ""
    assert visitor.leaves(f"2026-11-24T{left}") == ("leaving", rule, more * price, 0)


def test_ten_points_left_on_a_charge_of_25_are_ten_points_and_fifteen_in_cash() -> None:
    assert Visitor(policy_of(GYM), "senior", points=10).comes("2026-11-24T10:30:00") == ("ok", "by-points", 10, 15)


SPLITS = [
    (GYM, 0, 0, 25),
    (GYM, 1, 1, 24),
    (GYM, 24, 24, 1),
    (GYM, 25, 25, 0),
    (POOL, 59, 59, 1),
    (POOL, 60, 60, 0),
    (COURT, 10, 10, 90),
    (COURT, 100, 100, 0),
    (COURT, 5_000, 100, 0),
]


@pytest.mark.parametrize(("place", "left", "points", "due"), SPLITS)
def test_what_points_do_not_cover_is_due(place: str, left: int, points: int, due: int) -> None:
    told = Visitor(policy_of(place), "senior", points=left).comes("2026-11-24T10:30:00")
    assert (told.points, told.due) == (points, due)


def test_an_hour_that_was_begun_is_split_at_the_exit_too() -> None:
    visitor = Visitor(policy_of(GYM), "senior", points=35)
    assert visitor.comes("2026-11-24T10:30:00") == ("ok", "by-points", 25, 0)
    assert visitor.leaves("2026-11-24T12:00:00") == ("leaving", "by-points", 10, 15)


def test_who_came_in_free_hours_stays_free() -> None:
    visitor = Visitor(policy_of(GYM), "senior", points=500)
    assert visitor.comes("2026-11-24T09:59:59") == ("ok", "free", 0, 0)
    assert visitor.leaves("2026-11-24T12:30:00") == ("leaving", "", 0, 0)


def test_others_pay_cash_also_in_the_free_hours() -> None:
    assert Visitor(policy_of(POOL), "citizen").comes("2026-11-24T08:30:00") == ("ok", "by-cash", 0, 60)


# --- Taipei --------------------------------------------------------------------------------------------------------

USES = [("taxi", 85, 0), ("clinic", 50, 100), ("hot-spring", 60, 20)]


@pytest.mark.parametrize(("use", "points", "due"), USES)
def test_each_use_takes_points_up_to_its_cap(use: str, points: int, due: int) -> None:
    visitor = Visitor(policy_of("capped-uses"), "senior", points=480)
    assert visitor.comes("2026-06-30T10:00:00", choice=use) == ("ok", use, points, due)
    assert visitor.comes("2026-06-30T11:00:00", choice=use) == ("ok", use, points, due), "a cap is of one use"


@pytest.mark.parametrize(("monthly", "covered"), [(480, 8), (600, 10)])
def test_a_months_points_are_the_ledgers_and_the_same_policy_spends_both(monthly: int, covered: int) -> None:
    """480 to June, 600 from July 2026: what is reserved changes, no rule does."""
    visitor = Visitor(policy_of("capped-uses"), "senior", points=monthly)
    told = [visitor.comes(f"2026-07-01T{hour:02}:00:00", choice="hot-spring") for hour in range(8, 20)]
    assert [each.points for each in told] == [60] * covered + [0] * (12 - covered)
    assert [each.due for each in told] == [20] * covered + [80] * (12 - covered)


def test_the_last_points_of_a_month_are_taken_below_the_cap() -> None:
    visitor = Visitor(policy_of("capped-uses"), "caring", points=100)
    assert visitor.comes("2026-07-01T10:00:00", choice="taxi").points == 85
    assert visitor.comes("2026-07-01T11:00:00", choice="clinic")[2:] == (15, 135)
