"""Who is given how many points when: the cities' own numbers (FACTS §8), dates and their edges."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from central.services.points.ledger import Taken, keep
from central.services.points.plans import Held, Plan, Tap, check, earned, month_span, of_month
from protocol.errors import Refused

TAIPEI = ZoneInfo("Asia/Taipei")


def plan(**body: Any) -> Plan:
    found = msgspec.convert({"domain": "sports", **body}, Plan)
    check(found)
    return found


def at(text: str, zone: ZoneInfo = TAIPEI) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000)


TAICHUNG = plan(
    monthly=[
        {"class": "indigenous-senior", "points": 1_500, "valid_from": "2018-11-01"},
        {"class": "senior", "points": 1_000, "valid_from": "2018-11-01"},
    ]
)
TAIPEI_PLAN = plan(
    monthly=[
        {"class": "senior", "points": 480, "valid_from": "2016-01-01", "valid_until": "2026-07-01"},
        {"class": "senior", "points": 600, "valid_from": "2026-07-01"},
    ]
)
SENIOR, INDIGENOUS = Held("senior", 0, 0), Held("indigenous-senior", 0, 0)


@pytest.mark.parametrize(
    ("of", "month", "classes", "points"),
    [
        (TAICHUNG, "2018-10", [SENIOR], 0),
        (TAICHUNG, "2018-11", [SENIOR], 1_000),
        (TAICHUNG, "2018-11", [INDIGENOUS], 1_500),
        (TAICHUNG, "2018-11", [SENIOR, INDIGENOUS], 1_500),
        (TAICHUNG, "2018-11", [Held("student", 0, 0)], 0),
        (TAICHUNG, "2018-11", [], 0),
        (TAIPEI_PLAN, "2026-06", [SENIOR], 480),
        (TAIPEI_PLAN, "2026-07", [SENIOR], 600),
        (TAICHUNG, "2024-02", [SENIOR], 1_000),
    ],
)
def test_a_month_gives_what_the_city_says(of: Plan, month: str, classes: list[Held], points: int) -> None:
    given = of_month(of, month, classes, "c")
    assert (given.points if given else 0) == points


@pytest.mark.parametrize(
    ("held", "gets"),
    [
        (Held("senior", at("2026-07-01"), 0), True),
        (Held("senior", at("2026-07-01T00:00:00.001"), 0), False),
        (Held("senior", at("2026-07-15"), 0), False),
        (Held("senior", 0, at("2026-07-01")), False),
        (Held("senior", 0, at("2026-07-01T00:00:00.001")), True),
        (Held("senior", 0, at("2026-07-15")), True),
    ],
)
def test_the_months_first_instant_decides_whose_class_begins_or_lapses_in_it(held: Held, gets: bool) -> None:
    assert (of_month(TAIPEI_PLAN, "2026-07", [held], "c") is not None) is gets


@pytest.mark.parametrize(
    ("line", "month", "expires"),
    [
        ({}, "2026-07", "2026-08-01"),
        ({}, "2024-02", "2024-03-01"),
        ({}, "2026-12", "2027-01-01"),
        ({"expire_months": 3}, "2026-11", "2027-02-01"),
        ({"expire_on": "2027-06-30", "valid_until": "2027-01-01"}, "2026-07", "2027-06-30"),
        ({"expire_months": 0}, "2026-07", ""),
    ],
)
def test_points_expire_when_the_plan_says(line: dict[str, Any], month: str, expires: str) -> None:
    of = plan(monthly=[{"class": "senior", "points": 10, "valid_from": "2016-01-01", **line}])
    given = of_month(of, month, [SENIOR], "c")
    assert given is not None
    assert given.expires_ms == (at(expires) if expires else 0)


def test_a_months_points_are_gone_at_midnight_in_taipei_and_the_next_ones_are_there() -> None:
    june, july = (of_month(TAIPEI_PLAN, month, [SENIOR], month) for month in ("2026-06", "2026-07"))
    assert june is not None
    assert july is not None
    spent = Taken(at("2026-06-30T23:59:59.998"), 85, "venue:taxi", "venue:taxi:loss", "e", "spent")
    last_ms = at("2026-07-01") - 1
    assert dt.datetime.fromtimestamp(last_ms / 1_000, dt.UTC).isoformat() == "2026-06-30T15:59:59.999000+00:00"
    assert keep([june, july], [spent], last_ms - 1).balance == 480 - 85
    kept = keep([june, july], [spent], last_ms)
    assert (kept.balance, kept.postings[-1].points) == (0, 480 - 85)
    assert keep([june, july], [spent], last_ms + 1).balance == 600


def test_months_are_local_also_where_the_clock_is_changed() -> None:
    zone = ZoneInfo("Europe/Paris")
    from_ms, until_ms = month_span("2026-03", zone)
    assert until_ms - from_ms == (31 * 24 - 1) * 3_600_000


def tap(when: str, rule: str = "health-check", venue: str = "clinic", direction: str = "in") -> Tap:
    return Tap(at(when), venue, "g", direction, rule, 0, f"event d 00 {when}")


def test_an_entry_by_a_rule_earns_points_at_most_so_often() -> None:
    of = plan(
        earn=[
            {"rule": "health-check", "venue": "clinic", "points": 50, "valid_from": "2026-01-01", "per": "month"},
            {"rule": "walk", "points": 5, "most": 2, "valid_from": "2026-01-01", "expire_months": 6},
        ]
    )
    taps = [
        tap("2026-07-31T23:59:00"),
        tap("2026-07-10T09:00:00"),
        tap("2026-08-01T00:00:00"),
        tap("2026-08-02T09:00:00", venue="elsewhere"),
        tap("2026-07-09T09:00:00", direction="out"),
        tap("2025-12-31T23:59:59"),
        *(tap(f"2026-07-03T1{n}:00:00", "walk") for n in range(4)),
        tap("2026-07-04T10:00:00", "walk", "park"),
    ]
    found = sorted(earned([of], taps))
    assert [(each.at_ms, each.points, each.expires_ms) for each in found] == [
        (at("2026-07-03T10:00:00"), 5, at("2027-01-01")),
        (at("2026-07-03T11:00:00"), 5, at("2027-01-01")),
        (at("2026-07-04T10:00:00"), 5, at("2027-01-01")),
        (at("2026-07-10T09:00:00"), 50, at("2026-08-01")),
        (at("2026-08-01T00:00:00"), 50, at("2026-09-01")),
    ]
    assert sorted(earned([of], taps[::-1])) == found


LINE = {"class": "senior", "points": 10, "valid_from": "2026-01-01"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "gives nothing"),
        ({"monthly": [LINE], "time_zone": "Asia/Atlantis"}, "no time zone 'Asia/Atlantis'"),
        ({"monthly": [{**LINE, "valid_until": "2026-01-01"}]}, "monthly 1 ends before it begins"),
        ({"monthly": [LINE, {**LINE, "valid_from": "2026-06-01"}]}, "monthly 2 overlaps"),
        ({"monthly": [{**LINE, "expire_on": "2026-06-01"}]}, "monthly 1 gives points after they expire"),
        (
            {"earn": [{"rule": "r", "points": 1, "valid_from": "2026-02-01", "valid_until": "2026-01-01"}]},
            "earn 1 ends",
        ),
    ],
)
def test_a_plan_that_cannot_work_is_refused_by_its_line(body: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused) as refused:
        plan(**body)
    assert why in refused.value.detail
