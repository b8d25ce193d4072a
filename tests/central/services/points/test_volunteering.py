"""Volunteers' hours as points: given when their month is locked, and put right when a later one is."""

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from central.facts import Fact
from central.keys import Keys
from central.services.attendance.stated import MemberMonthLocked, Row
from central.services.points.ledger import CITY_LOSS, ISSUED, Given, Taken, keep
from central.services.points.plans import Plan, check
from central.services.points.volunteering import Locked, locked_of, of_hours
from central.store.database import Database
from protocol.errors import Refused
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import ms

TAIPEI = ZoneInfo("Asia/Taipei")
LINE = {"points": 10, "valid_from": "2026-01-01", "expire_months": 12}
WHY = "the sheet on paper"


def plan(*hours: dict[str, Any]) -> Plan:
    found = msgspec.convert({"domain": "library", "hours": hours}, Plan)
    check(found)
    return found


def locked(number: int, when: str, *minutes: tuple[str, int], team: str = "desk") -> Locked:
    return Locked(ms(when), team, f"fact {number}", tuple((ms(day), some) for day, some in minutes))


def points(of: Plan, every: Sequence[Locked]) -> list[tuple[str, int]]:
    given, taken = of_hours({"volunteers": of}, every)
    moved = [(each.at_ms, each.cause, each.points) for each in given]
    moved += [(each.at_ms, each.cause, -each.points) for each in taken]
    return [(cause, some) for _, cause, some in sorted(moved)]


FEBRUARY = locked(1, "2026-03-02 09:00", ("2026-02-02 09:00", 90), ("2026-02-09 09:00", 40))


def test_full_hours_give_points_when_their_month_is_locked() -> None:
    given, taken = of_hours({"volunteers": plan(LINE)}, [FEBRUARY])
    assert given == [Given(ms("2026-03-02 09:00"), 20, ms("2027-03-01 00:00"), "fact 1", "earned")]
    assert taken == []


def test_minutes_that_are_left_over_count_on_in_the_next_month() -> None:
    march = locked(2, "2026-04-02 09:00", ("2026-03-02 09:00", 50))
    assert points(plan(LINE), [FEBRUARY, march]) == [("fact 1", 20), ("fact 2", 10)]


def test_an_adjustment_takes_or_gives_the_difference() -> None:
    fewer = locked(2, "2026-04-02 09:00", ("2026-02-02 09:00", -30))
    more = locked(3, "2026-05-02 09:00", ("2026-02-02 09:00", 20))
    assert points(plan(LINE), [FEBRUARY, fewer, more]) == [("fact 1", 20), ("fact 2", -10), ("fact 3", 10)]


def test_what_is_taken_back_and_spent_already_is_the_citys_loss() -> None:
    fewer = locked(2, "2026-04-02 09:00", ("2026-02-02 09:00", -130))
    given, taken = of_hours({"volunteers": plan(LINE)}, [FEBRUARY, fewer])
    assert taken == [Taken(ms("2026-04-02 09:00"), 20, ISSUED, CITY_LOSS, "fact 2", "earned")]
    spent = Taken(ms("2026-03-10 09:00"), 15, "venue:pool", "venue:pool:loss", "event", "spent")
    kept = keep(given, [spent, *taken], ms("2026-04-03 09:00"))
    assert kept.balance == 0
    assert [(each.source, each.points) for each in kept.postings if each.target == ISSUED] == [
        ("member", 5),
        (CITY_LOSS, 15),
    ]


def test_the_day_of_a_session_decides_which_line_it_counts_for() -> None:
    of = plan({**LINE, "valid_until": "2026-02-05"}, {**LINE, "points": 15, "valid_from": "2026-02-05"})
    month = locked(1, "2026-03-02 09:00", ("2026-02-04 23:30", 60), ("2026-02-05 00:00", 60), ("2025-12-31 23:59", 600))
    assert points(of, [month]) == [("fact 1", 10), ("fact 1", 15)]


def test_a_line_may_be_of_one_team_alone() -> None:
    other = locked(2, "2026-03-03 09:00", ("2026-02-03 09:00", 300), team="children")
    assert points(plan({**LINE, "team": "desk"}), [FEBRUARY, other]) == [("fact 1", 20)]
    assert points(plan(LINE), [FEBRUARY, other]) == [("fact 1", 20), ("fact 2", 50)]


@pytest.mark.parametrize("seed", range(20))
def test_what_was_given_less_what_was_taken_back_is_always_that_of_the_total(seed: int) -> None:
    chance = random.Random(seed)
    every, total = [], 0
    for number in range(1, 13):
        minutes = max(-total, chance.randrange(-200, 400))
        total += minutes
        when = dt.datetime(2026, 1, 1, 9) + dt.timedelta(days=30 * number)
        every.append(locked(number, when.isoformat(), ("2026-01-02 09:00", minutes)))
        assert sum(some for _, some in points(plan(LINE), every)) == total // 60 * 10


def test_of_two_that_locked_a_month_at_once_the_first_counts_and_review_counts_for_nothing() -> None:
    rows = (
        Row(key=b"a", team="desk", at_ms=5, minutes=60, state="counted"),
        Row(key=b"b", team="desk", at_ms=6, minutes=60, state="not-counting"),
    )

    def fact(number: int) -> Fact:
        body = MemberMonthLocked(team="desk", month="2026-02", rows=rows)
        return Fact("library", bytes([number]), 100 + number, 0, "lin", body.KIND, b"s", "main", body)

    assert locked_of([fact(1), fact(2)]) == [Locked(101, "desk", "fact 01", ((5, 60),))]


@pytest.mark.parametrize(
    ("hours", "why"),
    [
        ([LINE, {**LINE, "team": "desk", "valid_from": "2027-01-01"}], "hours 2 gives for the same hours"),
        ([{**LINE, "team": "desk"}, {**LINE, "team": "desk"}], "hours 2 gives for the same hours"),
        ([{**LINE, "valid_until": "2025-01-01"}], "hours 1 ends before it begins"),
    ],
)
def test_hours_that_give_twice_or_never_are_refused(hours: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(Refused) as refused:
        plan(*hours)
    assert why in refused.value.detail


# --- in a database ------------------------------------------------------------------------------------------------


@pytest.fixture
async def crew(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Any) -> Crew:
    crew = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await crew.found()
    return crew


async def put(crew: Crew, *hours: dict[str, Any]) -> int:
    body = {"domain": "library", "hours": list(hours)}
    return int((await crew.admin.act("points.plan.put", id="volunteers", body=body)).settled)


async def lock(crew: Crew, month: str, at: str) -> None:
    crew.now(at)
    for act in ("approve", "lock"):
        await crew.act(act, team="desk", month=month, who="lin")


async def balance(crew: Crew, member: str) -> int:
    return int((await crew.admin.act("points.balance", member=member, domain="library")).points)


async def lines(crew: Crew, member: str, month: str) -> list[tuple[str, int]]:
    found = await crew.admin.act("points.statement", member=member, domain="library", month=month)
    return [(line["what"], line["points"] * (1 if line["target"] == "member" else -1)) for line in found.lines]


async def test_a_locked_month_earns_and_a_later_correction_books_the_difference(crew: Crew) -> None:
    await put(crew, LINE)
    name = await crew.session("A-1", "2026-02-02", ("09:00", "12:10"))
    await crew.session("A-2", "2026-02-02", ("09:00", "09:50"))
    assert await balance(crew, "A-1") == 0
    await lock(crew, "2026-02", "2026-03-02 09:00")
    assert (await balance(crew, "A-1"), await balance(crew, "A-2")) == (30, 0)
    corrected = {"session": name.hex(), "outcome": "hours", "why": WHY, "who": "lin"}
    await crew.act("settle", **corrected, until="2026-02-02T10:30")
    assert await balance(crew, "A-1") == 30
    await lock(crew, "2026-03", "2026-04-02 09:00")
    assert await balance(crew, "A-1") == 10
    assert await lines(crew, "A-1", "2026-03") == [("earned", 30)]
    assert await lines(crew, "A-1", "2026-04") == [("earned", -20)]
    assert await is_the_same_rebuilt(crew)


async def test_a_plan_that_comes_later_gives_for_months_that_are_locked_already(crew: Crew) -> None:
    await crew.session("A-1", "2026-02-02", ("09:00", "12:10"))
    await lock(crew, "2026-02", "2026-03-02 09:00")
    assert await put(crew, LINE) == 1
    assert await balance(crew, "A-1") == 30
    assert await put(crew, {**LINE, "points": 20}) == 1
    assert await balance(crew, "A-1") == 60
    crew.now("2026-04-02 09:00")
    await crew.admin.act("points.close", domain="library", month="2026-03", who="chen")
    assert await put(crew, LINE) == 1
    assert await lines(crew, "A-1", "2026-03") == [("earned", 60)]
    assert await lines(crew, "A-1", "2026-04") == [("earned", -30)]
    assert await is_the_same_rebuilt(crew)


async def is_the_same_rebuilt(crew: Crew) -> bool:
    return int((await crew.admin.act("rebuild")).different) == 0
