"""Closures: whom they keep out, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.allowlist import CardState, Entry, Grant
from protocol.closure import closed, closure_at
from protocol.compiled import CompiledPolicy
from protocol.configuration import Closure
from protocol.decision import decide
from protocol.messages import Clock, Direction, Outcome
from protocol.policy import Policy
from tests.protocol.test_decision import MEMBERS, tap

TYPHOON = Closure(100, 200, ("staff",), "颱風", "Typhoon")
STAFF = (Grant("citizen"), Grant("staff"))


@pytest.mark.parametrize(("at_ms", "expected"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_closure_holds_from_its_first_moment_to_its_last(at_ms: int, expected: bool) -> None:
    assert closed((TYPHOON,), at_ms, (Grant("citizen"),)) is expected


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((), True),
        (STAFF, False),
        ((Grant("staff", 0, 150),), True),
        ((Grant("staff", 151, 0),), True),
        ((Grant("staff", 150, 151),), False),
    ],
)
def test_a_class_that_is_admitted_passes_while_the_member_is_in_it(classes: tuple[Grant, ...], expected: bool) -> None:
    assert closed((TYPHOON,), 150, classes) is expected


def test_of_two_closures_the_one_that_admits_nobody_of_the_card_counts() -> None:
    works = Closure(150, 300, (), "施工", "Works")
    assert closure_at((TYPHOON, works), 160, STAFF) == works
    assert closure_at((TYPHOON, works), 120, STAFF) is None
    assert closure_at((TYPHOON, works), 160, ()) == TYPHOON
    assert closure_at((), 160, ()) is None


@given(
    st.lists(st.builds(lambda since, length: Closure(since, since + length), st.integers(0, 50), st.integers(1, 20))),
    st.integers(0, 80),
)
def test_without_admitted_classes_it_is_closed_within_any_of_them(closures: list[Closure], at_ms: int) -> None:
    assert closed(closures, at_ms, STAFF) == any(each.from_ms <= at_ms < each.until_ms for each in closures)


def test_nobody_is_kept_inside_and_a_clock_that_denies_comes_first() -> None:
    entry = Entry(b"\x5b" * 16, 1, CardState.ACTIVE, ())
    refused = decide(MEMBERS, entry, None, tap(is_closed=True))
    assert (refused.outcome, refused.reason, refused.rule) == (Outcome.DENIED, "closed", "")
    assert decide(MEMBERS, entry, None, tap(is_closed=True, direction=Direction.OUT)).outcome is Outcome.GRANTED
    unsure = decide(MEMBERS, entry, None, tap(is_closed=True, clock=Clock.BEHIND))
    assert unsure.reason == "clock-untrusted"


def test_who_says_that_it_is_closed_has_judged_by_which_clock() -> None:
    entry = Entry(b"\x5b" * 16, 1, CardState.ACTIVE, ())
    blind = CompiledPolicy(Policy(1, MEMBERS.policy.rules, untrusted_clock="ignore-dates"))
    assert decide(blind, entry, None, tap(is_closed=True, clock=Clock.BEHIND)).reason == "closed"
