"""Every policy file that operators find: it says what it is, it works, and a mistake in it is refused by name."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from protocol.compiled import CompiledPolicy
from protocol.errors import Failure, Refused
from protocol.messages import decode, encode
from protocol.policy import RULE_KINDS, Policy, kinds_of
from tests.services.visitor import SERVICES, body_of

NAMES = sorted(path.stem for path in SERVICES.glob("*.toml"))
Body = dict[str, Any]


def compiled(body: Body) -> CompiledPolicy:
    return CompiledPolicy(msgspec.convert(body | {"version": 1}, Policy))


def refusal(body: Body) -> str:
    with pytest.raises(Refused) as refused:
        compiled(body)
    assert refused.value.kind is Failure.NOT_SATISFIABLE
    return refused.value.detail


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_it_is_in_two_lines(name: str) -> None:
    first, second, third, *_ = (SERVICES / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith("# ")
    assert not third.startswith("#")
    assert max(len(first), len(second)) <= 125


@pytest.mark.parametrize("name", NAMES)
def test_file_is_a_policy_that_can_work_and_travel(name: str) -> None:
    policy = compiled(body_of(name)).policy
    assert decode(Policy, encode(policy)) == policy
    assert kinds_of(policy) <= {f"rule:{kind}" for kind in RULE_KINDS}


def scheduled(body: Body) -> list[Body]:
    return [rule for rule in body["rules"] if "schedule" in rule]


def priced(body: Body) -> list[Body]:
    return [rule for rule in body["rules"] if "tariff" in rule]


def without_schedule(body: Body) -> str:
    rule = scheduled(body)[-1]
    del body["schedules"][rule["schedule"]]
    return next(each["id"] for each in scheduled(body) if each["schedule"] == rule["schedule"])


def twice(body: Body) -> str:
    body["rules"].append(body["rules"][0])
    return str(body["rules"][0]["id"])


def backwards(body: Body) -> str:
    rule = body["rules"][-1]
    rule["valid_from"], rule["valid_until"] = "2026-12-02", "2026-12-01"
    return str(rule["id"])


def overlapping(body: Body) -> str:
    name, schedule = next(iter(body["schedules"].items()))
    schedule["mon"] = ["08:00-12:00", "11:00-13:00"]
    return str(name)


def impossible_hours(body: Body) -> str:
    name, schedule = next(iter(body["schedules"].items()))
    schedule["sun"] = ["17:00-09:00"]
    return str(name)


def both_days(body: Body) -> str:
    body["calendar"] = {"holidays": ["2026-10-10"], "workdays": ["2026-10-10"]}
    return "2026-10-10"


def strange_limit(body: Body) -> str:
    body["rules"].insert(0, {"kind": "limit", "id": "once-a-day", "most": 1, "of": ["swimmers"]})
    return "once-a-day"


def endless_period(body: Body) -> str:
    body["rules"].insert(0, {"kind": "limit", "id": "once-a-season", "most": 1, "per": "period"})
    return "once-a-season"


def no_tariff(body: Body) -> str:
    rule = body["rules"][0]
    if rule["kind"] != "admit":
        rule = next(each for each in body["rules"] if each["kind"] == "admit")
    rule["tariff"] = "senior-discount"
    return str(rule["id"])


def idle_tariff(body: Body) -> str:
    body.setdefault("tariffs", {})["of-last-year"] = {"price": 25}
    return "of-last-year"


def nobody_can_pay(body: Body) -> str:
    name = priced(body)[0]["tariff"]
    body["tariffs"][name] = {"price": 100, "pay": "points", "short": "deny", "cap_use": 50}
    return str(name)


def nowhere(body: Body) -> str:
    body["time_zone"] = "Asia/Taipeh"
    return "Asia/Taipeh"


def without_hours(body: Body) -> str:
    body["rules"][0].pop("schedule", None)
    body["rules"][0]["last_entry_minutes"] = 30
    return str(body["rules"][0]["id"])


MISTAKES: dict[str, Callable[[Body], str]] = {
    "a schedule that does not exist": without_schedule,
    "a rule that stands twice": twice,
    "a rule that ends before it begins": backwards,
    "hours that overlap": overlapping,
    "hours that end before they begin": impossible_hours,
    "a day that is both holiday and workday": both_days,
    "a limit on entries by nobody": strange_limit,
    "a period without a beginning": endless_period,
    "a tariff that does not exist": no_tariff,
    "a tariff that nobody pays": idle_tariff,
    "a tariff that nobody can pay": nobody_can_pay,
    "a time zone that does not exist": nowhere,
    "hours that are moved and are none": without_hours,
}


NEEDS = {
    "a schedule that does not exist": "schedules",
    "hours that overlap": "schedules",
    "hours that end before they begin": "schedules",
    "a tariff that nobody can pay": "tariffs",
}
CASES = [(name, mistake) for name in NAMES for mistake in MISTAKES if NEEDS.get(mistake, "rules") in body_of(name)]


@pytest.mark.parametrize(("name", "mistake"), CASES)
def test_mistake_in_a_file_is_refused_by_name(name: str, mistake: str) -> None:
    body = copy.deepcopy(body_of(name))
    named = MISTAKES[mistake](body)
    assert named in refusal(body)


def test_every_mistake_is_made_in_some_file() -> None:
    assert {mistake for _, mistake in CASES} == set(MISTAKES)


def test_a_tariff_beside_a_session_is_refused() -> None:
    body = body_of("volunteers")
    body["tariffs"] = {"fee": {"price": 10}}
    body["rules"][0]["tariff"] = "fee"
    assert "reading-team" in refusal(body)
