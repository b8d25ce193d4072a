"""What becomes of a granted tap, and what the next one meets: gate × anti-passback × passage (SPEC §8.4 to §8.6)."""

import msgspec
import pytest

from edge_agent.release import Signal
from protocol.history import SubjectState
from protocol.messages import Direction, Passage
from protocol.policy import Admit, Limit, Passback, Policy, Rule, Session
from tests.edge_agent.looking_back import held, looking_back, marks, states, through, written
from tests.edge_agent.test_gate import new_policy, turn
from tests.support.central_side import CentralSide, subject
from tests.support.edge_side import Edge

WINDOW_MS = 10_000
ADMIT = Admit("members", classes=("citizen",))
RULES: dict[str, tuple[Rule, ...]] = {
    "off": (ADMIT,),
    "soft": (Passback("passback", mode="soft"), ADMIT),
    "hard": (Passback("passback"), ADMIT),
    "timed": (Passback("passback", forgive_minutes=1), ADMIT),
    "daily limit": (Limit("once", most=1), ADMIT),
}
GATES = {"nothing watches": False, "a door or a turnstile": True}
OUTCOMES = ("taken", "not-taken", "unknown", "undo", "none yet")

REPEAT, ANEW, AGAIN, REFUSED, LIMITED = "repeat", "ok", "admitted-again", "already-inside", "limit-reached"
EXPECTED: dict[str, dict[str, tuple[str, str, str]]] = {
    # what is met at once, after the window, after two minutes
    "off": {
        "taken": (REPEAT, ANEW, ANEW),
        "not-taken": (ANEW, ANEW, ANEW),
        "unknown": (REPEAT, ANEW, ANEW),
        "undo": (ANEW, ANEW, ANEW),
        "none yet": (REPEAT, ANEW, ANEW),
    },
    "soft": {
        "taken": (AGAIN, AGAIN, AGAIN),
        "not-taken": (ANEW, ANEW, ANEW),
        "unknown": (REPEAT, AGAIN, AGAIN),
        "undo": (ANEW, ANEW, ANEW),
        "none yet": (REPEAT, AGAIN, AGAIN),
    },
    "hard": {
        "taken": (REFUSED, REFUSED, REFUSED),
        "not-taken": (ANEW, ANEW, ANEW),
        "unknown": (REPEAT, REFUSED, REFUSED),
        "undo": (ANEW, ANEW, ANEW),
        "none yet": (REPEAT, REFUSED, REFUSED),
    },
    "timed": {
        "taken": (REFUSED, REFUSED, ANEW),
        "not-taken": (ANEW, ANEW, ANEW),
        "unknown": (REPEAT, REFUSED, ANEW),
        "undo": (ANEW, ANEW, ANEW),
        "none yet": (REPEAT, REFUSED, ANEW),
    },
    "daily limit": {
        "taken": (LIMITED, LIMITED, LIMITED),
        "not-taken": (ANEW, ANEW, ANEW),
        "unknown": (REPEAT, LIMITED, LIMITED),
        "undo": (ANEW, ANEW, ANEW),
        "none yet": (REPEAT, LIMITED, LIMITED),
    },
}
PEOPLE = (1, 2, 3)
PAUSES_MS = (500, WINDOW_MS - 500, 120_000 - WINDOW_MS)


@pytest.fixture
def central() -> CentralSide:
    """At noon, so that no test runs across midnight."""
    side = CentralSide(1_790_000_000_000 // 86_400_000 * 86_400_000 + 4 * 3_600_000)
    side.publish()
    return side


def become(edge: Edge, signal: Signal, outcome: str) -> None:
    if outcome == "undo":
        assert edge.gate.amends.undo(signal.sequence)
    elif outcome != "none yet":
        assert edge.gate.amends.passage(signal, Passage(outcome))


def met(signal: Signal) -> str:
    return REPEAT if signal.repeat else signal.reason


def count_what_is_written(edge: Edge) -> None:
    """A state message comes: central has counted everything."""
    journal = written(edge)
    found = {state.subject: state for state in states(journal)}
    for number in PEOPLE:
        found.setdefault(subject(number), SubjectState(subject(number), ()))
    edge.central.tell(*found.values(), counted=through(journal))
    edge.poll()


SEEN = [(gate, outcome) for gate in GATES for outcome in (OUTCOMES if GATES[gate] else ("undo", "none yet"))]


@pytest.mark.parametrize("told", ["", "before", "after"])
@pytest.mark.parametrize(("gate", "outcome"), SEEN)
@pytest.mark.parametrize("rules", RULES)
def test_the_next_tap(stocked: Edge, rules: str, gate: str, outcome: str, told: str) -> None:
    """Of three people, each after a longer pause. `told`: a state message comes before or after the outcome, with the
    taps counted."""
    new_policy(stocked, Policy(1, RULES[rules], repeat_window_s=WINDOW_MS // 1_000))
    stocked.gate.amends.awaits_passage = GATES[gate]
    count_what_is_written(stocked)
    firsts = [stocked.tap(number) for number in PEOPLE]
    assert {first.reason for first in firsts} == {"ok"}
    if told == "before":
        count_what_is_written(stocked)
    for first in firsts:
        become(stocked, first, outcome)
    if told == "after":
        count_what_is_written(stocked)
    found = []
    for number, pause_ms in zip(PEOPLE, PAUSES_MS, strict=True):
        stocked.clock.advance(pause_ms)
        found.append(met(stocked.tap(number)))
    assert tuple(found) == EXPECTED[rules][outcome]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_way_out_is_free_whatever_became_of_the_way_in(stocked: Edge, rules: str, outcome: str) -> None:
    new_policy(stocked, Policy(1, RULES[rules], repeat_window_s=WINDOW_MS // 1_000))
    stocked.gate.amends.awaits_passage = True
    become(stocked, stocked.tap(1), outcome)
    turn(stocked, Direction.OUT)
    assert stocked.tap(1).reason == "leaving"
    turn(stocked, Direction.IN)
    stocked.clock.advance(WINDOW_MS)
    expected = LIMITED if rules == "daily limit" and outcome not in ("not-taken", "undo") else ANEW
    assert met(stocked.tap(1)) == expected


# --- the window ends with the passage -------------------------------------------------------------------------


@pytest.fixture
def looking(stocked: Edge) -> Edge:
    """A gate that looks back and sees who passes."""
    new_policy(stocked, looking_back())
    stocked.gate.amends.awaits_passage = True
    return stocked


def test_a_card_handed_back_after_the_passage_lets_nobody_else_in(looking: Edge) -> None:
    new_policy(looking, Policy(1, RULES["hard"]))
    looking.gate.amends.passage(looking.tap(1), Passage.TAKEN)
    assert met(looking.tap(1)) == REFUSED


def test_a_repeat_that_went_through_ends_the_window_too(looking: Edge) -> None:
    new_policy(looking, Policy(1, RULES["hard"]))
    looking.tap(1)
    again = looking.tap(1)
    assert again.repeat
    looking.gate.amends.passage(again, Passage.TAKEN)
    assert met(looking.tap(1)) == REFUSED


def test_a_later_tap_that_is_taken_back_opens_no_window_that_has_ended(looking: Edge) -> None:
    new_policy(looking, msgspec.structs.replace(looking_back(), repeat_window_s=1))
    first = looking.tap(1)
    looking.clock.advance(900)
    new_policy(looking, msgspec.structs.replace(looking_back(), repeat_window_s=0))
    second = looking.tap(1)
    assert not second.repeat
    looking.gate.amends.passage(first, Passage.TAKEN)
    assert looking.gate.amends.undo(second.sequence)
    new_policy(looking, msgspec.structs.replace(looking_back(), repeat_window_s=1))
    assert met(looking.tap(1)) == AGAIN


def test_where_no_rule_looks_back_whoever_taps_twice_is_one_although_they_went_in(stocked: Edge) -> None:
    stocked.gate.amends.awaits_passage = True
    stocked.gate.amends.passage(stocked.tap(1), Passage.TAKEN)
    assert stocked.tap(1).repeat


# --- central's word in between --------------------------------------------------------------------------------


def test_what_central_counts_and_is_given_back_counts_no_more_whatever_central_says_before_it_hears(
    looking: Edge,
) -> None:
    signal = looking.tap(1)
    heard = written(looking)
    looking.gate.amends.passage(signal, Passage.NOT_TAKEN)
    looking.central.tell(*states(heard), counted=through(heard))
    looking.poll()
    assert marks(looking, 1) == []
    history = held(looking, 1)
    assert history is not None
    assert history.points_left(looking.clock.wall_ms) == 1_000, "its points are there again"


def test_points_that_central_counts_as_gone_are_there_again_where_the_tap_is_taken_back(looking: Edge) -> None:
    count_what_is_written(looking)
    signal = looking.tap(1)
    heard = written(looking)
    looking.central.tell(
        *(msgspec.structs.replace(state, reserved=30) for state in states(heard)), counted=through(heard)
    )
    looking.poll()
    spent = sum(mark.points for mark in held(looking, 1).told)  # type: ignore[union-attr]
    assert looking.gate.amends.undo(signal.sequence)
    assert held(looking, 1).points_left(looking.clock.wall_ms) == 30 + spent  # type: ignore[union-attr]


def test_a_repeat_that_went_through_stands_for_a_tap_that_is_taken_back_later(looking: Edge) -> None:
    first = looking.tap(1)
    again = looking.tap(1)
    looking.gate.amends.passage(again, Passage.TAKEN)
    assert looking.gate.amends.undo(first.sequence)
    assert marks(looking, 1) == [(again.epoch, again.sequence)]


def test_a_double_tap_at_a_sign_in_is_no_sign_out_and_one_that_is_taken_back_signs_nobody_in(stocked: Edge) -> None:
    new_policy(stocked, Policy(1, (ADMIT,), session=Session()))
    count_what_is_written(stocked)
    first = stocked.tap(1)
    assert (first.reason, stocked.tap(1).repeat) == ("signed-in", True)
    second = stocked.tap(2)
    count_what_is_written(stocked)
    assert stocked.gate.amends.undo(second.sequence)
    assert stocked.tap(2).reason == "signed-in"
    stocked.clock.advance(61_000)
    stocked.poll()
    assert [stocked.tap(1).reason, stocked.tap(2).reason] == ["signed-out", "signed-out"]
