"""explain: the same answer as decide gives, and the same rule named for it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.decision import decide, passed_over
from protocol.explain import explain
from tests.protocol.asking import entry_of, history_of, policy_of, tap_of
from tests.protocol.questions import ENTRIES, GOOD_TAPS, HISTORIES, POLICIES, TAPS, WELL
from tests.vectors.deciding import ENTRY, LAST, MEMBERS, OPEN, TAP, after, at, held, mark
from tests.vectors.scenario import NOW

Json = dict[str, Any]
LIMIT: Json = {"kind": "limit", "id": "twice", "most": 2}
SOFT: Json = {"kind": "passback", "id": "seen-inside", "mode": "soft"}


def tried(policy: Json, history: Json | None = None, entry: Json = ENTRY, **tap: Any) -> list[tuple[str, str, str]]:
    answer = explain(policy_of(policy), entry_of(entry), history_of(history), tap_of({**TAP, **tap}))
    return [tuple(each) for each in answer.tried]


@settings(max_examples=250, deadline=None)
@given(POLICIES, WELL | ENTRIES, st.none() | HISTORIES, GOOD_TAPS | TAPS)
def test_explanation_decides_as_decide_does_and_names_the_same_rule(
    policy: Json, entry: Json, history: Json | None, given: Json
) -> None:
    compiled, known, past, tap = policy_of(policy), entry_of(entry), history_of(history), tap_of(given)
    decision, ways = explain(compiled, known, past, tap)
    assert decision == decide(compiled, known, past, tap)
    deciding = [each.rule for each in ways if each.outcome == "decided"]
    assert len(deciding) <= 1
    if deciding:
        assert ways[-1].outcome == "decided", "nothing is tried after what decides"
        assert decision.repeats is not None or decision.rule == deciding[0]
    elif ways:
        assert [each.rule for each in ways] == [rule["id"] for rule in policy["rules"]], "all were tried"
        assert decision.reason in ("outside-hours", "class-not-admitted", "class-lapsed")
    if decision.rule and decision.repeats is None and decision.reason not in ("leaving", "signed-out"):
        assert decision.rule in [each.rule for each in ways]


@settings(max_examples=150, deadline=None)
@given(POLICIES, WELL, HISTORIES, GOOD_TAPS)
def test_explanation_of_a_refusal_tells_its_reason(policy: Json, entry: Json, history: Json, given: Json) -> None:
    compiled, past, tap = policy_of(policy), history_of(history), tap_of(given)
    decision, ways = explain(compiled, entry_of(entry), past, tap)
    if ways and ways[-1].outcome == "decided" and passed_over(compiled, past, tap) is None:
        assert ways[-1].why.startswith(f"refuses: {decision.reason}") == (decision.outcome == "denied")
    assert all(each.why for each in ways), "nobody is left without a why"


def test_each_rule_says_why_it_was_passed_over() -> None:
    policy: Json = {
        "version": 1,
        "rules": [
            {"kind": "refuse", "id": "renovation", "valid_until": "2026-11-01"},
            {"kind": "admit", "id": "seniors", "classes": ["senior", "caring"]},
            {"kind": "admit", "id": "evening", "schedule": "evening"},
            LIMIT,
            SOFT,
            MEMBERS,
        ],
        "schedules": {"evening": {"mon": ["18:00-22:00"]}},
    }
    history = after(told=[mark(NOW - 1)])
    assert tried(policy, history, held("citizen")) == [
        ("renovation", "passed", "not in force on this date"),
        ("seniors", "passed", "for senior, caring"),
        ("evening", "passed", "outside the hours of evening"),
        ("twice", "passed", "1 of 2 entries"),
        ("seen-inside", "noted", "already-inside: inside since an entry at pool-door"),
        ("members", "decided", "admits"),
    ]


def test_rules_after_the_deciding_one_are_not_tried() -> None:
    policy: Json = {"version": 1, "rules": [LIMIT, MEMBERS]}
    history = after(told=[mark(NOW - 1), mark(NOW - 2, sequence=2)])
    assert tried(policy, history) == [("twice", "decided", "refuses: limit-reached: 2 of 2 entries")]


def test_a_choice_is_told() -> None:
    policy: Json = {"version": 1, "rules": [{**MEMBERS, "id": "reading"}, {**MEMBERS, "id": "guiding"}]}
    assert tried(policy, choice="guiding") == [
        ("reading", "passed", "guiding was chosen"),
        ("guiding", "decided", "admits"),
    ]


def test_short_points_are_told_as_the_refusal_that_they_are() -> None:
    tariff = {"price": 25, "pay": "points", "short": "deny"}
    policy: Json = {"version": 1, "rules": [{**MEMBERS, "tariff": "gym"}], "tariffs": {"gym": tariff}}
    assert tried(policy) == [("members", "decided", "refuses: points-short")]


def test_clock_that_cannot_be_trusted_is_told() -> None:
    policy: Json = {"version": 1, "rules": [LIMIT, MEMBERS], "untrusted_clock": "ignore-dates"}
    assert tried(policy, clock=2)[0] == ("twice", "passed", "the clock cannot be trusted")


def test_nothing_was_tried_where_a_guard_a_way_out_or_a_session_decided() -> None:
    policy: Json = {"version": 1, "rules": [LIMIT, MEMBERS]}
    kiosk: Json = {**policy, "session": {}}
    assert tried(policy, entry={**ENTRY, "state": 1}) == []
    assert tried(policy, direction="out") == []
    for ago_ms in (1_000, 3_600_000):
        assert tried(kiosk, after(told=[mark(NOW - ago_ms)])) == []


def test_a_repeat_is_explained_as_if_the_first_tap_had_not_been() -> None:
    first = mark(LAST["at_ms"], sequence=LAST["sequence"])
    policy: Json = {"version": 1, "rules": [{**LIMIT, "most": 1}, MEMBERS]}
    assert tried(policy, after(LAST, [first]))[-1] == ("members", "decided", "admits")


def test_within_the_window_what_is_no_repeat_is_explained_as_it_was_decided() -> None:
    """The hours ended between the two taps: the first one's mark must not seem to be what keeps out."""
    rules = [{**LIMIT, "most": 1}, {**MEMBERS, "schedule": "s"}]
    policy: Json = {"version": 1, "rules": rules, "schedules": {"s": OPEN}}
    closing = at("2026-11-23T17:00")
    history = after(LAST, [mark(LAST["at_ms"], sequence=LAST["sequence"])])
    assert tried(policy, history, at_ms=closing) == [
        ("twice", "passed", "0 of 1 entries"),
        ("members", "passed", "outside the hours of s"),
    ]
