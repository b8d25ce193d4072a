"""decide: the same answer as a second implementation gives, for any policy, card, clock and history."""

import copy
import itertools
import random
import timeit
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide, staleness
from protocol.history import History, LastTap
from protocol.messages import Ages, Clock, Direction, Outcome, decode, encode
from protocol.policy import Admit, Policy, Refuse, Schedule
from protocol.uid import Problem
from tests.protocol.asking import asked, policy_of
from tests.protocol.questions import ENTRIES, GOOD_TAPS, HISTORIES, POLICIES, TAPS, WELL
from tests.vectors import reference_decide
from tests.vectors.deciding import NOW

Json = dict[str, Any]
BOOT, OTHER_BOOT = b"\xb0" * 8, b"\xb1" * 8
MEMBERS = CompiledPolicy(Policy(1, (Admit("members"),)))
ENTRY = Entry(b"\x5b" * 16, 1, CardState.ACTIVE, ())


def tap(**changes: Any) -> Tap:
    given: Json = {
        "at_ms": NOW,
        "boot_id": BOOT,
        "monotonic_ms": 500_000,
        "clock": Clock.TRUSTED,
        "direction": Direction.IN,
        "staleness": Staleness.FRESH,
    }
    return Tap(**(given | changes))


def granted(at_ms: int, monotonic_ms: int, sequence: int) -> History:
    last = (at_ms, BOOT, monotonic_ms, sequence, b"\xa1" * 8, Direction.IN, Outcome.GRANTED, "ok", "members")
    return History(LastTap(*last))


# --- against the second implementation ------------------------------------------------------------------------


@settings(max_examples=250, deadline=None)
@given(POLICIES, st.lists(st.tuples(st.none() | ENTRIES, st.none() | HISTORIES, TAPS), min_size=1, max_size=6))
def test_any_decision_is_the_one_that_the_other_implementation_reaches(
    policy: Json, questions: list[tuple[Json | None, Json | None, Json]]
) -> None:
    compiled = policy_of(policy)
    for entry, history, moment in questions:
        assert asked(compiled, entry, history, moment) == reference_decide.decide(policy, entry, history, moment)


@settings(max_examples=250, deadline=None)
@given(POLICIES, st.lists(st.tuples(WELL, HISTORIES, GOOD_TAPS), min_size=1, max_size=6))
def test_any_decision_by_rules_is_the_one_that_the_other_implementation_reaches(
    policy: Json, questions: list[tuple[Json, Json, Json]]
) -> None:
    """As above, with nothing that a guard would keep out: here the rules and their past decide."""
    compiled = policy_of(policy)
    for entry, history, moment in questions:
        assert asked(compiled, entry, history, moment) == reference_decide.decide(policy, entry, history, moment)


@settings(max_examples=60, deadline=None)
@given(st.none() | ENTRIES, st.none() | HISTORIES, TAPS)
def test_without_a_policy_too(entry: Json | None, history: Json | None, given: Json) -> None:
    assert asked(None, entry, history, given) == reference_decide.decide(None, entry, history, given)


@settings(max_examples=200, deadline=None)
@given(POLICIES, WELL, HISTORIES, GOOD_TAPS, st.randoms(use_true_random=False))
def test_order_in_which_marks_were_told_does_not_matter(
    policy: Json, entry: Json, history: Json, given: Json, random: random.Random
) -> None:
    shuffled = {**history, **{whose: random.sample(history[whose], len(history[whose])) for whose in ("own", "told")}}
    compiled = policy_of(policy)
    assert asked(compiled, entry, history, given) == asked(compiled, entry, shuffled, given)


@settings(max_examples=200, deadline=None)
@given(POLICIES, st.none() | ENTRIES, st.none() | HISTORIES, TAPS)
def test_leaving_is_granted_whatever_the_policy_and_the_past(
    policy: Json, entry: Json | None, history: Json | None, given: Json
) -> None:
    answer = asked(policy_of(policy), entry, history, {**given, "direction": "out"})
    assert (answer["outcome"], answer["direction"]) == ("granted", "out")


@settings(max_examples=200, deadline=None)
@given(POLICIES, st.none() | WELL, st.none() | HISTORIES, GOOD_TAPS)
def test_who_is_denied_or_repeats_leaves_no_mark_and_pays_nothing(
    policy: Json, entry: Json | None, history: Json | None, given: Json
) -> None:
    answer = asked(policy_of(policy), entry, history, given)
    if answer["outcome"] == "denied" or answer["repeats"]:
        assert (answer["counts"], answer["points"], answer["due"]) == (False, 0, 0)


# --- truth tables -----------------------------------------------------------------------------------------------


def test_way_out_is_granted_whatever_is_wrong() -> None:
    wrong = itertools.product(
        (None, MEMBERS),
        (None, *(msgspec.structs.replace(ENTRY, state=state) for state in CardState)),
        Clock,
        Staleness,
        (None, *Problem),
    )
    for policy, entry, clock, stale, problem in wrong:
        leaving = tap(clock=clock, staleness=stale, problem=problem, direction=Direction.OUT)
        assert decide(policy, entry, None, leaving) == Decision(Outcome.GRANTED, "leaving", direction="out")


def test_nobody_enters_unless_every_guard_lets_them() -> None:
    entries = (None, *(msgspec.structs.replace(ENTRY, state=state) for state in CardState))
    for policy, entry, clock, stale, problem in itertools.product(
        (None, MEMBERS), entries, Clock, Staleness, (None, *Problem)
    ):
        answer = decide(policy, entry, None, tap(clock=clock, staleness=stale, problem=problem))
        all_well = (
            policy is not None
            and entry is not None
            and entry.state is CardState.ACTIVE
            and clock in (Clock.TRUSTED, Clock.UNCONFIRMED)
            and stale in (Staleness.FRESH, Staleness.WARN)
            and problem is None
        )
        assert (answer.outcome is Outcome.GRANTED) == all_well
        assert (answer.reason == "ok") == all_well


@pytest.mark.parametrize(("age", "expected"), [(-1, 0), (0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)])
def test_an_age_is_reached_at_its_value(age: int, expected: int) -> None:
    assert staleness(Ages(2, 4, 6), age) == expected


@given(st.integers(0, 20_000), st.sampled_from([0, 1, 10]))
def test_window_is_shut_at_its_length_and_never_longer(elapsed_ms: int, window_s: int) -> None:
    policy = CompiledPolicy(Policy(1, (Admit("members"),), repeat_window_s=window_s))
    first = granted(NOW, 500_000, 7)
    again = decide(policy, ENTRY, first, tap(monotonic_ms=500_000 + elapsed_ms))
    assert (again.repeats is first.last) == (elapsed_ms < window_s * 1_000)


def test_tapping_on_and_on_is_answered_anew_once_a_window() -> None:
    """The gate keeps the first tap of a run as history, so a run cannot go on for ever."""
    history, anew = None, 0
    for second in range(60):
        moment = tap(at_ms=NOW + second * 1_000, monotonic_ms=500_000 + second * 1_000)
        answer = decide(MEMBERS, ENTRY, history, moment)
        if answer.repeats is None:
            anew += 1
            history = granted(moment.at_ms, moment.monotonic_ms, second)
    assert anew == 6


# --- purity and size ----------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(POLICIES, ENTRIES, TAPS, st.lists(TAPS, max_size=5))
def test_answer_depends_on_the_question_alone(policy: Json, entry: Json, given: Json, others: list[Json]) -> None:
    used, new = policy_of(policy), policy_of(policy)
    for other in others:
        asked(used, entry, None, other)
    entry_before = copy.deepcopy(entry)
    assert asked(used, entry, None, given) == asked(used, entry, None, given) == asked(new, entry, None, given)
    assert entry == entry_before
    assert encode(used.policy) == encode(new.policy)


def two_hundred_rules() -> Policy:
    week = Schedule(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("08:00-12:00", "13:00-17:00")))
    rules = [
        Admit(f"rule-{number}", (f"class-{number}",), "week" if number % 2 else None)
        if number % 3
        else Refuse(f"rule-{number}", (f"class-{number}",))
        for number in range(199)
    ]
    return Policy(1, (*rules, Admit("last", ("citizen",), "week")), {"week": week})


def test_two_hundred_rules_are_decided_as_quickly_as_two() -> None:
    entry = msgspec.structs.replace(ENTRY, classes=(Grant("citizen"), Grant("class-400")))
    many = CompiledPolicy(two_hundred_rules())
    few = CompiledPolicy(Policy(1, many.policy.rules[-2:], many.policy.schedules))
    moment = tap()
    assert decide(many, entry, None, moment) == decide(few, entry, None, moment)
    assert decide(many, entry, None, moment).rule == "last"

    def fastest_s(policy: CompiledPolicy) -> float:
        return min(timeit.repeat(lambda: decide(policy, entry, None, moment), process_time, number=1_000, repeat=7))

    assert fastest_s(many) < 3 * fastest_s(few)


def test_first_of_two_hundred_rules_that_speak_decides() -> None:
    policy = CompiledPolicy(two_hundred_rules())
    for number in (0, 1, 2, 57, 198):
        entry = msgspec.structs.replace(ENTRY, classes=(Grant("citizen"), Grant(f"class-{number}")))
        answer = decide(policy, entry, None, tap())
        assert answer.rule == f"rule-{number}"
        assert (answer.outcome is Outcome.GRANTED) == bool(number % 3)


def test_many_kinds_of_people_share_one_plan_without_end() -> None:
    policy = CompiledPolicy(two_hundred_rules())
    for one, other in itertools.combinations(range(1, 40), 2):
        entry = msgspec.structs.replace(ENTRY, classes=(Grant(f"class-{one}"), Grant(f"class-{other}")))
        assert decide(policy, entry, None, tap()).rule == f"rule-{one}"


def test_largest_policy_that_is_allowed_plans_its_day_at_once() -> None:
    def spans(shift: int) -> tuple[str, ...]:
        starts = (place * 90 + shift for place in range(15))
        return tuple(f"{m // 60:02}:{m % 60:02}-{(m + 7) // 60:02}:{(m + 7) % 60:02}" for m in starts)

    schedules = {f"s{number}": Schedule(mon=spans(number % 80), sun=spans(number % 70)) for number in range(1_000)}
    rules = tuple(Admit(f"r{number}", schedule=f"s{number}") for number in range(1_000))
    policy = decode(Policy, encode(Policy(1, rules, schedules)))
    used_s = timeit.timeit(lambda: decide(CompiledPolicy(policy), ENTRY, None, tap()), timer=process_time, number=1)
    assert used_s < 5
