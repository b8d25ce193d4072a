"""Taichung's sports centres, as published: free for seniors Mon-Fri 08-10 and 14-16, not at weekends."""

import pytest

from tests.services.visitor import SEASON_2018, Visitor, policy_of

FREE, POINTS, SPLIT = ("ok", "seniors-free", 0, 0), ("ok", "seniors", 50, 0), ("ok", "seniors", 30, 20)
CLOSED = ("outside-hours", "seniors-free", 0, 0)

CASES = [
    # a Wednesday
    ("2018-11-07T07:59:59", POINTS),
    ("2018-11-07T08:00:00", FREE),
    ("2018-11-07T09:59:59", FREE),
    ("2018-11-07T10:00:00", POINTS),
    ("2018-11-07T13:59:59", POINTS),
    ("2018-11-07T14:00:00", FREE),
    ("2018-11-07T15:59:59", FREE),
    ("2018-11-07T16:00:00", POINTS),
    # its edges: the day opens at six, the last entry is half an hour before it closes
    ("2018-11-07T05:59:59", CLOSED),
    ("2018-11-07T06:00:00", POINTS),
    ("2018-11-07T21:29:59", POINTS),
    ("2018-11-07T21:30:00", CLOSED),
    ("2018-11-07T23:59:59", CLOSED),
    ("2018-11-08T00:00:00", CLOSED),
    # the week's
    ("2018-11-05T08:00:00", FREE),
    ("2018-11-09T15:59:59", FREE),
    ("2018-11-10T08:30:00", POINTS),
    ("2018-11-11T14:30:00", POINTS),
    # make-up workdays on Saturdays are workdays, the Saturdays beside them are not
    ("2018-12-22T08:30:00", FREE),
    ("2018-12-15T08:30:00", POINTS),
    ("2019-01-19T14:00:00", FREE),
    ("2019-02-23T09:59:59", FREE),
    # a leap day that is a Saturday, and the Friday before it
    ("2020-02-29T08:30:00", POINTS),
    ("2020-02-28T08:30:00", FREE),
    # a leap day that is a Thursday
    ("2024-02-29T08:30:00", FREE),
]


@pytest.mark.parametrize(("when", "expected"), CASES)
@pytest.mark.parametrize("who", ["senior", "caring"])
def test_seniors_are_free_in_the_free_hours_and_pay_by_points_outside_them(
    when: str, expected: tuple[str, str, int, int], who: str
) -> None:
    policy = policy_of("sports-centre", calendar=SEASON_2018)
    assert Visitor(policy, who, points=1_000).comes(when) == expected


def test_points_that_do_not_go_far_enough_are_completed_in_cash() -> None:
    visitor = Visitor(policy_of("sports-centre"), "senior", points=80)
    assert visitor.comes("2018-11-07T10:30:00") == POINTS
    visitor.leaves("2018-11-07T11:30:00")
    assert visitor.comes("2018-11-07T12:30:00") == SPLIT
    visitor.leaves("2018-11-07T13:30:00")
    assert visitor.comes("2018-11-07T16:30:00") == ("ok", "seniors", 0, 50)


@pytest.mark.parametrize("monthly", [1_000, 1_500])
def test_a_months_points_last_for_as_many_visits_as_they_pay(monthly: int) -> None:
    """1,000 a month, 1,500 for indigenous seniors: at 50 a visit twenty or thirty visits, whatever the gate."""
    visitor = Visitor(policy_of("sports-centre"), "senior", points=monthly)
    paid = 0
    for day in range(1, 16):
        for hour in (10, 12, 17):
            paid += visitor.comes(f"2018-11-{day:02}T{hour}:30:00").points
            visitor.leaves(f"2018-11-{day:02}T{hour + 1}:00:00")
    assert paid == monthly


def test_others_pay_cash_at_any_hour() -> None:
    for when in ("2018-11-07T08:30:00", "2018-11-10T08:30:00"):
        assert Visitor(policy_of("sports-centre"), "citizen").comes(when) == ("ok", "members", 0, 50)


def test_a_senior_who_is_inside_does_not_come_in_until_the_night_is_over() -> None:
    visitor = Visitor(policy_of("sports-centre"), "senior")
    assert visitor.comes("2018-11-07T08:00:00") == FREE
    assert visitor.comes("2018-11-07T09:00:00").reason == "already-inside"
    assert visitor.comes("2018-11-08T08:00:00") == FREE, "the exit was forgotten, and four o'clock has passed"


def test_a_full_house_lets_in_staff_alone_and_lets_everybody_out() -> None:
    policy = policy_of("sports-centre")
    senior, staff = Visitor(policy, "senior"), Visitor(policy, "staff")
    assert senior.comes("2018-11-07T08:00:00") == FREE
    senior.inside = staff.inside = 300
    assert staff.comes("2018-11-07T08:00:00") == ("ok", "staff", 0, 0)
    assert senior.leaves("2018-11-07T09:00:00").reason == "leaving"
    assert senior.comes("2018-11-07T09:10:00").reason == "full"
    senior.inside = 299
    assert senior.comes("2018-11-07T09:20:00") == FREE
