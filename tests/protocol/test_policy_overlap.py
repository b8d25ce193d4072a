"""A rule that is named as shadowed never decides; what can decide, in whatever case, is never named."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import CompiledPolicy
from protocol.decision import Staleness, Tap, decide
from protocol.explain import explain
from protocol.messages import Clock, Direction
from protocol.policy import Admit, Calendar, Limit, Passback, Policy, Refuse, Rule, Schedule, Session
from protocol.policy_overlap import shadowed

DAY = dt.date(2026, 11, 29)
SCHEDULES = {
    "day": Schedule(mon=("09:00-17:00",), sun=("09:00-17:00",)),
    "same": Schedule(mon=("09:00-17:00",), sun=("09:00-17:00",), sat=("09:00-17:00",)),
    "night": Schedule(sun=("20:00-26:00",), mon=("09:00-12:00",)),
    "feast": Schedule(mon=("09:00-17:00",), sun=("09:00-17:00",), holiday=("10:00-12:00",)),
}


def named(*rules: Rule, with_choice: bool = False, **more: Any) -> list[tuple[str, str]]:
    return [tuple(each) for each in shadowed(Policy(1, rules, schedules=SCHEDULES, **more), with_choice)]


@pytest.mark.parametrize(
    "later",
    [
        Admit(id="b"),
        Refuse(id="b", classes=("senior",)),
        Limit(id="b", most=1),
        Passback(id="b", mode="soft"),
        Admit(id="b", schedule="day"),
        Admit(id="b", valid_from=DAY),
    ],
)
def test_nothing_decides_after_a_rule_for_everybody_at_any_time(later: Rule) -> None:
    assert named(Refuse(id="a"), later) == [("b", "a")]
    assert named(Admit(id="a"), later) == [("b", "a")]
    assert named(later, Refuse(id="a")) != [("b", "a")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"classes": ("senior", "student")}, {"classes": ("student",)}),
        ({"classes": ("senior",)}, {"classes": ("senior",), "schedule": "night"}),
        ({"schedule": "day"}, {"schedule": "day"}),
        ({"schedule": "day", "opens_early_minutes": 30}, {"schedule": "day", "last_entry_minutes": 30}),
        ({"schedule": "same"}, {"schedule": "day"}),
        ({"valid_until": DAY}, {"valid_from": dt.date(2026, 1, 1), "valid_until": DAY}),
    ],
)
def test_what_reaches_no_further_is_named(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    assert named(Admit(id="a", **earlier), Refuse(id="b", **later)) == [("b", "a")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"classes": ("senior",)}, {"classes": ("senior", "student")}),
        ({"classes": ("senior",)}, {}),
        ({"schedule": "day"}, {}),
        ({"schedule": "day"}, {"schedule": "same"}),
        ({"schedule": "day"}, {"schedule": "night"}),
        ({"schedule": "feast"}, {"schedule": "day"}),
        ({"schedule": "day"}, {"schedule": "feast"}),
        ({"schedule": "day"}, {"schedule": "day", "opens_early_minutes": 1}),
        ({"schedule": "day", "last_entry_minutes": 1}, {"schedule": "day"}),
        ({"valid_until": DAY}, {}),
        ({"valid_from": DAY}, {"valid_from": dt.date(2026, 11, 28)}),
        ({"valid_until": DAY}, {"valid_from": DAY}),
    ],
)
def test_what_reaches_further_can_still_decide(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    assert named(Admit(id="a", **earlier), Refuse(id="b", **later)) == []


def test_a_rule_that_asks_about_the_past_stands_in_nobodys_way() -> None:
    assert named(Limit(id="a", most=1), Admit(id="b")) == []
    assert named(Passback(id="a"), Admit(id="b")) == []


def test_where_people_choose_one_admitting_rule_leaves_room_for_the_others() -> None:
    yoga, dance = Admit(id="yoga"), Admit(id="dance")
    assert named(yoga, dance) == [("dance", "yoga")]
    assert named(yoga, dance, with_choice=True) == []
    assert named(yoga, dance, session=Session()) == []
    assert named(Refuse(id="closed"), dance, with_choice=True) == [("dance", "closed")]


def test_a_refusal_in_hours_is_passed_over_without_a_clock() -> None:
    closed, open_ = Refuse(id="closed", schedule="day"), Admit(id="open", schedule="day")
    assert named(closed, open_) == [("open", "closed")]
    assert named(closed, open_, untrusted_clock="ignore-dates") == []
    assert named(open_, closed, untrusted_clock="ignore-dates") == [("closed", "open")]


_dates = st.sampled_from((None, DAY - dt.timedelta(days=1), DAY, DAY + dt.timedelta(days=1)))
_classes = st.sampled_from(((), ("senior",), ("student",), ("senior", "student")))


@st.composite
def rules(draw: st.DrawFn, id_: str) -> Rule:
    dates = sorted(filter(None, {draw(_dates), draw(_dates)}))
    schedule = draw(st.sampled_from((None, *SCHEDULES)))
    fields: dict[str, Any] = {"id": id_, "classes": draw(_classes), "schedule": schedule}
    fields |= dict(zip(draw(st.permutations(("valid_from", "valid_until"))), dates, strict=False))
    if fields.get("valid_from") and fields.get("valid_until") and fields["valid_from"] >= fields["valid_until"]:
        del fields["valid_from"]
    if schedule:
        fields |= {name: draw(st.sampled_from((0, 30))) for name in ("opens_early_minutes", "last_entry_minutes")}
    return draw(st.sampled_from((Admit, Refuse, Passback)))(**fields)  # type: ignore[no-any-return]


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(rules("a"), rules("b"), rules("c")),
    st.lists(st.tuples(st.integers(-1_440, 4_320), st.sampled_from((0, 2, 3)), _classes), min_size=20, max_size=20),
    st.sampled_from(("deny", "ignore-dates")),
    st.booleans(),
)
def test_a_shadowed_rule_never_decides(
    some: tuple[Rule, ...], taps: list[tuple[int, int, tuple[str, ...]]], untrusted: Any, is_holiday: bool
) -> None:
    calendar = Calendar(holidays=(DAY,)) if is_holiday else Calendar(workdays=(DAY + dt.timedelta(days=2),))
    policy = Policy(1, some, schedules=SCHEDULES, calendar=calendar, untrusted_clock=untrusted)
    never = {each.rule for each in shadowed(policy)}
    compiled = CompiledPolicy(policy)
    noon_ms = int(dt.datetime(2026, 11, 29, 4, tzinfo=dt.UTC).timestamp() * 1_000)
    for minute, clock, classes in taps:
        entry = Entry(bytes(16), 1, CardState.ACTIVE, tuple(map(Grant, classes)))
        tap = Tap(noon_ms + minute * 60_000, bytes(8), 0, Clock(clock), Direction.IN, Staleness.FRESH)
        way = explain(compiled, entry, None, tap)
        decided = {tried.rule for tried in way.tried if tried.outcome != "passed"}
        assert not never & decided
        if way.decision.reason not in ("outside-hours", "class-not-admitted"):
            assert decide(compiled, entry, None, tap).rule not in never
