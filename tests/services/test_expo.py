"""The expo pass of 2018-11-03 to 2019-04-24: three parks, one domain, and rules that changed in mid-season."""

import datetime as dt

import pytest

from tests.services.visitor import Visitor, policy_of

HOULI, WAIPU, FENGYUAN = "houli:gate", "waipu:gate", "fengyuan:gate"
PARKS = (HOULI, WAIPU, FENGYUAN)
FREE, HALF, CITIZEN = ("ok", "pass", 0, 0), ("ok", "pass", 0, 175), ("ok", "citizens", 0, 0)
NOT_IN_SEASON = ("class-not-admitted", "", 0, 0)


def visits(*classes: str, days: list[str], gate: str = HOULI) -> list[tuple[str, str, int, int]]:
    visitor = Visitor(policy_of("expo"), *classes)
    return [tuple(visitor.comes(f"{day}T10:00:00", gate)) for day in days]


def test_first_day_is_free_in_all_three_parks_as_often_as_one_likes() -> None:
    visitor = Visitor(policy_of("expo"), "expo")
    for hour, park in enumerate((*PARKS, HOULI, *PARKS), 9):
        assert visitor.comes(f"2018-11-03T{hour:02}:30:00", park) == FREE


@pytest.mark.parametrize("park", PARKS)
@pytest.mark.parametrize("first", PARKS)
def test_later_entries_are_half_price_in_each_park_wherever_the_first_day_was(first: str, park: str) -> None:
    visitor = Visitor(policy_of("expo"), "expo")
    assert visitor.comes("2018-11-17T10:00:00", first) == FREE
    assert visitor.comes("2018-11-18T10:00:00", park) == HALF
    assert visitor.comes("2018-11-18T11:00:00", park) == HALF, "each entry of a later day"
    assert visitor.comes("2019-02-18T10:00:00", park) == HALF


def test_first_day_ends_at_local_midnight_and_with_the_gates() -> None:
    visitor = Visitor(policy_of("expo"), "expo")
    assert visitor.comes("2018-12-24T17:29:59") == FREE
    assert visitor.comes("2018-12-24T17:30:00") == ("outside-hours", "pass", 0, 0)
    assert visitor.comes("2018-12-25T08:59:59") == ("outside-hours", "pass", 0, 0)
    assert visitor.comes("2018-12-25T09:00:00") == HALF


@pytest.mark.parametrize(
    ("day", "expo", "citizen"),
    [
        ("2018-11-02", NOT_IN_SEASON, NOT_IN_SEASON),
        ("2018-11-03", FREE, FREE),
        ("2018-12-31", FREE, FREE),
        ("2019-01-01", FREE, CITIZEN),
        ("2019-02-28", FREE, CITIZEN),
        ("2019-04-24", FREE, CITIZEN),
        ("2019-04-25", NOT_IN_SEASON, NOT_IN_SEASON),
    ],
)
def test_seasons_first_and_last_day_and_the_day_on_which_the_rule_changed(
    day: str, expo: tuple[str, str, int, int], citizen: tuple[str, str, int, int]
) -> None:
    assert visits("expo", days=[day]) == [expo]
    assert visits("expo", "citizen", days=[day]) == [citizen]


def test_a_citizen_pays_half_in_december_and_nothing_in_january() -> None:
    days = ["2018-11-03", "2018-12-31", "2019-01-01", "2019-04-24"]
    assert visits("expo", "citizen", days=days) == [FREE, HALF, CITIZEN, CITIZEN]
    assert visits("expo", days=days) == [FREE, HALF, HALF, HALF]


def test_rule_changes_at_local_midnight_of_new_year() -> None:
    """The gates are shut then, so the hours are taken away to see it."""
    policy = policy_of("expo").policy
    open_all_night = {"parks": type(policy.schedules["parks"])(mon=("00:00-24:00",), tue=("00:00-24:00",))}
    visitor = Visitor(policy_of("expo", schedules=open_all_night), "expo", "citizen")
    assert visitor.comes("2018-12-31T09:00:00") == FREE
    assert visitor.comes("2018-12-31T23:29:59") == FREE
    assert visitor.comes("2019-01-01T00:00:00") == CITIZEN


def test_free_entries_as_a_citizen_make_no_first_day_of_the_pass() -> None:
    """Who moves away in March has had no day by the pass yet."""
    visitor = Visitor(policy_of("expo"), "expo", "citizen")
    assert visitor.comes("2019-01-05T10:00:00") == CITIZEN
    visitor.entry = Visitor(visitor.policy, "expo").entry
    assert visitor.comes("2019-03-05T10:00:00") == FREE
    assert visitor.comes("2019-03-06T10:00:00") == HALF


def test_a_whole_season_of_visits_replays_by_one_file() -> None:
    """Every day of the season, one entry: who pays how often under which rule."""
    first, last = dt.date(2018, 11, 3), dt.date(2019, 4, 24)
    days = [(first + dt.timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    told = visits("expo", "citizen", days=days)
    assert len(told) == 173
    assert told.count(FREE) == 1
    assert told.count(HALF) == (dt.date(2018, 12, 31) - first).days == 58
    assert told.count(CITIZEN) == (last - dt.date(2019, 1, 1)).days + 1 == 114


def test_leaving_costs_nothing_in_any_park() -> None:
    visitor = Visitor(policy_of("expo"), "expo")
    visitor.comes("2018-11-03T10:00:00", HOULI)
    for park in PARKS:
        assert visitor.leaves("2018-11-03T15:00:00", park) == ("leaving", "", 0, 0)
