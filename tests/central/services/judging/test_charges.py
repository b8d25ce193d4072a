"""What a gate charged is asked for again: nobody pays what no rule says, and no gate is blamed for what it was told."""

from typing import Any

import pytest

from central.services.judging.rejudge import judge_again
from central.services.judging.seen import Seen
from protocol.compiled import CompiledPolicy
from protocol.history import Mark
from protocol.messages import Direction
from protocol.policy import Admit, Policy, Tariff
from tests.central.services.judging.gates import MINUTE_MS, NOON_MS, Gate


def priced(**tariff: Any) -> CompiledPolicy:
    """30 an entry, paid in cash if the tariff does not say otherwise."""
    return CompiledPolicy(Policy(1, (Admit(id="swim", tariff="pool"),), tariffs={"pool": Tariff(30, **tariff)}))


POINTS = priced(pay="points")
HOURLY = priced(per="started-hour", pay="due")
DAILY = priced(per="day", pay="due")


def charged(one: Seen, points: int, due: int) -> Seen:
    mark = one.mark
    place = mark.at_ms, mark.venue, mark.gate, mark.direction, mark.rule
    return one._replace(mark=Mark(*place, points, due, *mark.name))


def came(gate: Gate, at_ms: int = NOON_MS, told: tuple[Mark, ...] = (), reserved: int = 100) -> Seen:
    _, one = gate.tap(at_ms, told, reserved=reserved)
    assert one is not None
    return one


def charges(*seen: Seen) -> list[dict[str, Any]]:
    return [one.detail for one in judge_again(seen) if one.kind == "charged-otherwise"]


@pytest.mark.parametrize(
    ("points", "due", "is_possible"),
    [
        (30, 0, True),
        (0, 30, True),  # nothing was reserved to it
        (12, 18, True),  # so much was
        (31, 0, False),
        (30, 30, False),
        (0, 0, False),
        (29, 0, False),
        (0, 31, False),
        (40, -10, False),
    ],
)
def test_points_and_what_is_due_come_to_the_price_together(points: int, due: int, is_possible: bool) -> None:
    one = charged(came(Gate("a", "v", POINTS)), points, due)
    assert (charges(one) == []) is is_possible


def test_the_detail_names_both_charges_and_the_policy_that_was_held() -> None:
    (found,) = charges(charged(came(Gate("a", "v", POINTS)), 12, 30))
    assert found == {
        **{"points": 12, "due": 30, "rule": "swim"},
        **{"expected_points": 12, "expected_due": 18, "policy": 1},
    }


def test_in_cash_no_points_are_taken() -> None:
    one = came(Gate("a", "v", DAILY))
    assert charges(one) == []
    assert len(charges(charged(one, 30, 0))) == 1


def test_what_is_paid_once_a_day_may_be_paid_twice_at_gates_that_were_apart() -> None:
    first = came(Gate("a", "v", DAILY))
    second = came(Gate("b", "v", DAILY), NOON_MS + 60 * MINUTE_MS)
    assert (first.mark.due, second.mark.due) == (30, 30)
    assert charges(first, second) == []
    assert charges(first, charged(second, 0, 0)) == []


def test_but_not_twice_at_the_gate_that_did_it() -> None:
    gate = Gate("a", "v", DAILY)
    first, second = came(gate), came(gate, NOON_MS + 60 * MINUTE_MS)
    assert second.mark.due == 0
    (found,) = charges(first, charged(second, 0, 30))
    assert (found["due"], found["expected_due"]) == (30, 0)


@pytest.mark.parametrize("fate", ["not-taken", "undone"])
def test_an_entry_given_back_later_explains_what_was_not_charged(fate: str) -> None:
    first = came(Gate("a", "v", DAILY))._replace(fate=fate)
    second = charged(came(Gate("b", "v", DAILY), NOON_MS + 60 * MINUTE_MS), 0, 0)
    assert charges(second) != []
    assert charges(first, second) == []


@pytest.mark.parametrize(("due", "is_possible"), [(60, True), (0, False), (30, False), (90, False)])
def test_an_exit_is_charged_by_the_hours_since_an_entry_that_it_may_have_known(due: int, is_possible: bool) -> None:
    """It was in for two hours and a half; the entry is the gate's own, so it did know it."""
    policy = HOURLY
    entry = came(Gate("a", "v", policy))
    way_out = Gate("a", "v", policy, Direction.OUT, epoch=entry.mark.epoch, sequence=entry.mark.sequence)
    leaving = came(way_out, NOON_MS + 150 * MINUTE_MS, (entry.mark,))
    assert leaving.mark.due == 60
    assert (charges(entry, charged(leaving, 0, due)) == []) is is_possible


def test_an_exit_that_did_not_know_of_the_entry_charges_nothing() -> None:
    entry = came(Gate("a", "v", HOURLY))
    leaving = came(Gate("x", "v", HOURLY, Direction.OUT), NOON_MS + 150 * MINUTE_MS)
    assert leaving.mark.due == 0
    assert charges(entry, leaving) == []


def test_what_no_tariff_says_is_charged_by_nobody() -> None:
    free = came(Gate("a", "v", CompiledPolicy(Policy(1, (Admit(id="all"),)))))
    assert charges(free) == []
    assert len(charges(charged(free, 0, 10))) == 1


def test_a_policy_that_is_not_known_here_says_nothing_of_a_charge() -> None:
    one = charged(came(Gate("a", "v", POINTS)), 99, 0)
    assert one.told is not None
    assert charges(one._replace(told=one.told._replace(policy=None))) == []
    assert charges(one._replace(told=one.told._replace(entry_held=None))) == []


def test_of_hundreds_of_earlier_taps_elsewhere_the_search_ends() -> None:
    """Of a charge that is wrong all of them are tried, but not every choice among them."""
    others = [came(Gate(f"g{number}", "w", POINTS), NOON_MS - number * MINUTE_MS) for number in range(1, 300)]
    one = charged(came(Gate("a", "v", POINTS)), 7, 0)
    assert len(charges(*others, one)) == 1
