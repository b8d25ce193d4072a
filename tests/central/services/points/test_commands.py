"""`points` at the command line: what a person sees, what a script gets, and what is refused in one line."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.central.terminal import Operator

MONTH = dt.datetime.now(ZoneInfo("Asia/Taipei")).date().isoformat()[:7]
PLAN = """
domain = "library"
monthly = [{class = "citizen", points = 480, valid_from = 2016-01-01}]
earn = [{rule = "health-check", points = 50, valid_from = 2026-01-01}]
"""
OF = ("--domain", "library")


@pytest.fixture
def city(run: Operator, tmp_path: Path) -> Operator:
    (tmp_path / "plan.toml").write_text(PLAN)
    run("points", "plan", "put", "seniors", str(tmp_path / "plan.toml"))
    return run


def test_points_are_given_by_the_round_and_stated_by_named_people(city: Operator) -> None:
    assert city.json("points", "round", *OF) == {"members": 2}
    assert city.json("points", "balance", "A-1", *OF)["points"] == 480
    granted = city.json("points", "grant", "A-1", "20", *OF, "--why", "vaccination day", "--who", "chen")
    assert (granted["points"], granted["free"], granted["reserved"]) == (500, 500, 0)
    assert city.json("points", "adjust", "A-1", "-5", *OF, "--why", "too many")["points"] == 495
    assert city.json("points", "redeem", "A-1", "100", *OF, "--why", "transit subsidy")["points"] == 395
    assert "has 395" in city.refused("points", "redeem", "A-1", "396", *OF, "--why", "transit subsidy")
    found = city.json("points", "statement", "A-1", *OF, "--month", MONTH)
    assert [(line["what"], line["points"]) for line in found["lines"]] == [
        *[("month", 480), ("granted", 20), ("adjusted", 5), ("redeemed", 100)]
    ]
    assert (found["opening"], found["closing"], found["closed"]) == (0, 395, False)
    totals = city.json("points", "totals", *OF, "--month", MONTH)["accounts"]
    assert totals == {"city:issued": -975, "city:redeemed": 100, "member": 875}
    shown = city("points", "statement", "A-1", *OF, "--month", MONTH).stdout
    assert "Before: 0" in shown
    assert "After: 395; open." in shown
    assert "395 points, 395 free, 0 reserved" in city("points", "balance", "A-1", *OF).stdout


def test_who_states_something_is_the_login_name_where_nobody_else_is_named(
    city: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "lin")
    city("points", "grant", "A-1", "20", *OF, "--why", "a walk")
    city("points", "grant", "A-1", "20", *OF, "--why", "a walk", "--who", "", code=2)


def test_a_plan_is_shown_as_it_is_put(city: Operator, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_text(city("points", "plan", "show", "seniors").stdout)
    city("points", "plan", "put", "seniors", str(tmp_path / "again.json"))
    assert city.json("points", "plan", "show", "seniors")["body"]["monthly"][0]["class"] == "citizen"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("monthly = [{class = 'a', points = 0, valid_from = 2026-01-01}]", "points"),
        ("monthly = [{class = 'a', points = 1}]", "valid_from"),
        ("monthly = []", "gives nothing"),
        ("extra = 1", "extra"),
    ],
)
def test_a_plan_with_a_mistake_is_refused_by_its_place(run: Operator, tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "plan.toml").write_text(f'domain = "library"\n{line}\n')
    assert why in run.refused("points", "plan", "put", "p", str(tmp_path / "plan.toml"))


def test_what_does_not_exist_is_refused_in_one_line(city: Operator) -> None:
    assert "'B-1' is not known" in city.refused("points", "balance", "B-1", *OF)
    assert "no domain 'sports'" in city.refused("points", "balance", "A-1", "--domain", "sports")
    assert "no gate 'pool'" in city.refused("points", "write-off", "pool", "--before", "2026-01-01", "--why", "gone")
    assert "not a date" in city.refused("points", "write-off", "door-1", "--before", "soon", "--why", "gone")
    assert f"{MONTH} is not over" in city.refused("points", "close", MONTH, *OF)
    city("points", "close", "2026-13", *OF, code=2)
    assert "Nothing was overspent." in city("points", "overspent", *OF).stdout


def test_a_month_is_closed_at_the_command_line(city: Operator) -> None:
    city("points", "round", *OF)
    closed = city.json("points", "close", "2020-01", *OF, "--who", "chen")
    assert closed == {"domain": "library", "month": "2020-01", "closed": True, "accounts": {}}
    assert "closed already" in city.refused("points", "close", "2020-01", *OF)
    assert "2020-02 is closed." in city("points", "close", "2020-02", *OF).stdout
