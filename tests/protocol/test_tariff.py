"""Tariffs: what is charged is the price, no more points than there are, and what the other implementation charges."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.compiled import CompiledPolicy
from protocol.decision import decide
from protocol.history import NOTHING, History, LastTap, Mark, SubjectState, since, with_state, with_tap
from protocol.messages import Direction, Outcome
from protocol.policy import Tariff
from protocol.tariff import DayTariff, is_hopeless
from tests.protocol.asking import asked, entry_of, mark_of, policy_of, tap_of
from tests.protocol.questions import AMOUNTS, DAY, HOUR, MARKS, MOMENTS, PAST, TARIFFS
from tests.vectors import reference_decide
from tests.vectors.deciding import ENTRY, MEMBERS, TAP, after
from tests.vectors.scenario import NOW

Json = dict[str, Any]
EPOCH = b"\xa1" * 8
FLAT = st.fixed_dictionaries(
    {"price": st.sampled_from([1, 10, 25, 60]), "pay": st.just("points")},
    optional={
        "per": st.sampled_from(["entry", "day", "started-hour", "started-hour"]),
        "short": st.sampled_from(["due", "later", "later", "deny"]),
        "later_cap": st.sampled_from([0, 5, 40]),
        "cap_use": st.sampled_from([60, 100]),
        "cap_month": st.sampled_from([60, 100]),
        "first_day_price": st.sampled_from([0, 30]),
    },
)
AT_IT = MARKS.map(lambda each: {**each, "rule": "members", "venue": "pool"})


def at_tariff(tariff: Json) -> Json:
    return {"version": 1, "rules": [{**MEMBERS, "tariff": "t"}], "tariffs": {"t": tariff}, "repeat_window_s": 0}


def tapped(at_ms: int, direction: str) -> Json:
    return {**TAP, "at_ms": at_ms, "direction": direction}


def is_payable(tariff: Json) -> bool:
    return not is_hopeless(msgspec.convert(tariff, Tariff))


@settings(max_examples=300, deadline=None)
@given(
    (FLAT | TARIFFS).filter(is_payable),
    st.lists(AT_IT, max_size=5, unique_by=lambda each: (each["epoch"], each["sequence"])),
    st.integers(0, 5),
    st.sampled_from([0, 7, 60, 1_000]),
    MOMENTS,
    st.sampled_from(["in", "out"]),
)
def test_any_charge_is_the_one_that_the_other_implementation_reaches(
    tariff: Json, marks: list[Json], cut: int, reserved: int, at_ms: int, direction: str
) -> None:
    policy = at_tariff(tariff)
    history = after(None, marks[:cut], marks[cut:], reserved=reserved, lapse_ms=at_ms + 1)
    given = tapped(at_ms, direction)
    assert asked(policy_of(policy), ENTRY, history, given) == reference_decide.decide(policy, ENTRY, history, given)


@settings(max_examples=200, deadline=None)
@given(TARIFFS, st.lists(AT_IT, max_size=4), st.integers(-500, 500), MOMENTS, st.builds(int.__add__, MOMENTS, AMOUNTS))
def test_price_is_points_and_due_and_never_below_nothing(
    tariff: Json, marks: list[Json], left: int, day_ms: int, at_ms: int
) -> None:
    on_day = DayTariff(msgspec.convert(tariff, Tariff), frozenset({"members"}), 0, day_ms, day_ms - 9 * DAY)
    known = [mark_of(each) for each in marks]
    charges = [on_day.entry(known, left), *(on_day.leaving(each, known, at_ms, left) for each in known)]
    for charge in charges:
        assert charge.price == charge.points + charge.due
        assert min(charge.price, charge.points, charge.due) >= 0
    assert not any(charge.is_short for charge in charges[1:]), "nobody is kept in for money"


class Gate:
    """One gate that decides and keeps its history as gates do."""

    def __init__(self, policy: CompiledPolicy, reserved: int, lapse_ms: int) -> None:
        self.policy, self.lapse_ms, self.reserved = policy, lapse_ms, reserved
        self.history = History(reserved=reserved, lapse_ms=lapse_ms)
        self.made: list[Mark] = []

    def tap(self, at_ms: int, direction: str) -> None:
        given = tap_of(tapped(at_ms, direction))
        answer = decide(self.policy, entry_of(ENTRY), self.history, given)
        name = (EPOCH, len(self.made))
        tapped_last = LastTap(at_ms, b"", 0, name[1], name[0], given.direction, answer.outcome, answer.reason, "")
        mark = None
        if answer.counts:
            mark = Mark(at_ms, "pool", "pool-door", answer.direction, answer.rule, answer.points, answer.due, *name)
            self.made.append(mark)
        self.history = since(with_tap(self.history, tapped_last, mark), self.policy.day(at_ms).since_ms)

    def told(self, count: int) -> None:
        """Central counts the first of its marks, and says what is left of the reservation."""
        counted = tuple(self.made[:count])
        left = max(0, self.reserved - sum(mark.points for mark in counted))
        state = SubjectState(bytes(16), counted[-256:], left, self.lapse_ms)
        self.history = with_state(self.history, state, {EPOCH: count - 1})


TAPPED = st.tuples(st.just("tap"), PAST, st.sampled_from(["in", "in", "out"]))
TOLD = st.tuples(st.just("told"), st.integers(0, 40))


@settings(max_examples=250, deadline=None)
@given(FLAT.filter(is_payable), st.sampled_from([0, 10, 100]), st.lists(TAPPED | TAPPED | TOLD, max_size=25))
def test_no_sequence_of_taps_takes_more_points_than_are_reserved_and_may_be_ahead(
    tariff: Json, reserved: int, steps: list[Any]
) -> None:
    """Taps at any times, in any order, with central's word between them."""
    gate = Gate(policy_of(at_tariff(tariff)), reserved, NOW * 2)
    ahead = tariff.get("later_cap", 0) if tariff.get("short") == "later" else 0
    told, settled = 0, 0
    for step, *arguments in steps:
        if step == "tap":
            gate.tap(*arguments)
        else:
            told, settled = max(told, min(len(gate.made), arguments[0])), settled + 1
            gate.told(told)
        assert sum(mark.points for mark in gate.made) <= reserved + ahead * (1 + settled), (
            "each settling allows it anew"
        )


def test_five_hundred_taps_offline_spend_a_reservation_once() -> None:
    gate = Gate(policy_of(at_tariff({"price": 1, "pay": "points"})), 400, NOW * 2)
    for number in range(500):
        gate.tap(NOW + number * 1_000, "in")
    assert sum(mark.points for mark in gate.made) == 400


def test_forty_days_offline_spend_a_reservation_once() -> None:
    gate = Gate(policy_of(at_tariff({"price": 25, "pay": "points", "cap_month": 100})), 150, NOW * 2)
    for day in range(40):
        gate.tap(NOW + day * DAY, "in")
        gate.tap(NOW + day * DAY + HOUR, "out")
    assert sum(mark.points for mark in gate.made) == 150


def test_a_clock_that_leaps_a_year_ahead_and_back_spends_a_reservation_once() -> None:
    policy = at_tariff({"price": 25, "pay": "points"}) | {"untrusted_clock": "ignore-dates"}
    gate = Gate(policy_of(policy), 50, NOW * 2)
    for at_ms in (NOW, NOW + 365 * DAY, NOW + 1_000, NOW + 2_000):
        gate.tap(at_ms, "in")
    assert [mark.points for mark in gate.made] == [25, 25, 0, 0]


def test_a_denied_entry_takes_nothing() -> None:
    compiled = policy_of(at_tariff({"price": 25, "pay": "points", "short": "deny"}))
    answer = decide(compiled, entry_of(ENTRY), NOTHING, tap_of(TAP))
    assert (answer.outcome, answer.points, answer.due) == (Outcome.DENIED, 0, 0)
    leaving = decide(compiled, entry_of(ENTRY), NOTHING, tap_of({**TAP, "direction": Direction.OUT.value}))
    assert leaving.outcome is Outcome.GRANTED
