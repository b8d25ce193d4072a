"""Conditions on the past: couples at one gate, cards handed back, and every gate against every anti-passback."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.conditions import AlreadyInside, Full, Here, LimitReached, TooSoon, is_after, newest, within
from protocol.decision import Decision, decide
from protocol.history import History, LastTap, Mark, with_tap, without
from protocol.messages import Outcome
from tests.protocol.asking import entry_of, mark_of, policy_of, tap_of
from tests.protocol.questions import HOUR, MARKS, MINUTE
from tests.vectors.deciding import ENTRY, MEMBERS, TAP
from tests.vectors.scenario import NOW

Json = dict[str, Any]
EPOCH = b"\xa1" * 8
HERE = Here(NOW, "pool", "pool-door", False, None)
OUTCOMES = ("taken", "not-taken", "unknown", "undo")
GATES = {
    "door without contacts": {},
    "door": {},
    "turnstile": {},
    "kiosk": {"session": {}},
}
"""By kind: what its policy has besides its rules. A passage changes history in one way at all of them (SPEC §8.5)."""
MODES: dict[str, list[Json]] = {
    "off": [],
    "soft": [{"kind": "passback", "id": "p", "mode": "soft"}],
    "hard": [{"kind": "passback", "id": "p"}],
    "timed": [{"kind": "passback", "id": "p", "forgive_minutes": 30}],
    "of the gate": [{"kind": "passback", "id": "p", "scope": "gate"}],
    "nightly": [{"kind": "passback", "id": "p", "resets_at": "04:00"}],
}


class Person:
    """A card and its history at one gate, as the gate keeps it."""

    def __init__(self, policy: Json, gate: str = "pool-door") -> None:
        self.policy, self.gate = policy_of(policy), gate
        self.history: History | None = None
        self.events = 0
        self.before: LastTap | None = None

    def tap(self, at_ms: int, direction: str = "in", gate: str | None = None) -> Decision:
        moment = {"at_ms": at_ms, "monotonic_ms": at_ms - NOW + 500_000, "direction": direction}
        tap = tap_of({**TAP, **moment, "gate": gate or self.gate})
        answer = decide(self.policy, entry_of(ENTRY), self.history, tap)
        if answer.repeats is None:
            way = answer.direction if answer.outcome is Outcome.GRANTED else direction
            last = LastTap(
                *(at_ms, tap.boot_id, tap.monotonic_ms, self.events, EPOCH, way),
                *(answer.outcome, answer.reason, answer.rule),
            )
            mark = Mark(at_ms, "pool", tap.gate, way, answer.rule, 0, 0, EPOCH, self.events) if answer.counts else None
            self.before = self.history.last if self.history else None
            self.history = with_tap(self.history, last, mark)
        self.events += 1
        return answer

    def passes(self, outcome: str) -> None:
        """How the last tap ended. Only `not-taken` and `undo` give it back."""
        if outcome in ("not-taken", "undo") and self.history is not None:
            name = (EPOCH, self.events - 1)
            self.history = without(self.history, name, self.before, (EPOCH, self.events))
            self.events += 1


def people(*rules: Json, count: int = 2, **policy: Any) -> list[Person]:
    return [Person({"version": 1, "rules": [*rules, MEMBERS], **policy}) for _ in range(count)]


# --- gate kind × anti-passback × passage ---------------------------------------------------------------------------


def expected(kind: str, mode: str, outcome: str) -> str:
    """What the same card gets a minute and a half later."""
    counts = outcome in ("taken", "unknown")
    if kind == "kiosk":
        return "signed-out" if counts else "signed-in"
    if not counts or mode == "off":
        return "ok"
    return "admitted-again" if mode == "soft" else "already-inside"


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_a_passage_that_may_have_been_taken_counts_as_an_entry(kind: str, mode: str, outcome: str) -> None:
    (person,) = people(*MODES[mode], count=1, **GATES[kind])
    first = person.tap(NOW)
    assert first.outcome is Outcome.GRANTED
    person.passes(outcome)
    assert person.tap(NOW + 90_000).reason == expected(kind, mode, outcome)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "off"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_only_an_exit_that_was_not_given_back_lets_in_again(mode: str, outcome: str) -> None:
    (person,) = people(*MODES[mode], count=1)
    person.tap(NOW)
    assert person.tap(NOW + MINUTE, "out").reason == "leaving"
    person.passes(outcome)
    again = {"taken": "ok", "unknown": "ok"}.get(outcome, "admitted-again" if mode == "soft" else "already-inside")
    assert person.tap(NOW + 2 * MINUTE).reason == again


@pytest.mark.parametrize(("mode", "minutes"), [("timed", 30), ("nightly", 18 * 60)])
def test_time_forgives_a_forgotten_exit_where_the_rule_says_so(mode: str, minutes: int) -> None:
    """It is ten o'clock: the reset at four is eighteen hours away."""
    for after_ms, reason in ((minutes * MINUTE - 1, "already-inside"), (minutes * MINUTE, "ok")):
        (person,) = people(*MODES[mode], count=1)
        person.tap(NOW)
        assert person.tap(NOW + after_ms).reason == reason


def test_a_hard_rule_of_one_gate_lets_in_at_the_gate_beside_it() -> None:
    (person,) = people(*MODES["of the gate"], count=1)
    person.tap(NOW)
    assert person.tap(NOW + MINUTE, gate="side-door").reason == "ok"
    assert person.tap(NOW + 2 * MINUTE).reason == "already-inside"


# --- two people, two cards -----------------------------------------------------------------------------------------


def test_a_couple_with_swapped_cards_comes_in_and_leaves() -> None:
    """Each uses the other's card: both are inside after two taps, and outside after two more, in any order."""
    hers, his = people(*MODES["hard"])
    assert [hers.tap(NOW).reason, his.tap(NOW + 500).reason] == ["ok", "ok"]
    assert [his.tap(NOW + HOUR, "out").reason, hers.tap(NOW + HOUR + 500, "out").reason] == ["leaving", "leaving"]
    assert [his.tap(NOW + 2 * HOUR).reason, hers.tap(NOW + 2 * HOUR + 500).reason] == ["ok", "ok"]


def test_a_couple_that_shares_one_card_gets_one_in() -> None:
    hers, his = people(*MODES["hard"])
    assert hers.tap(NOW).reason == "ok"
    assert hers.tap(NOW + 30_000).reason == "already-inside", "handed back over the fence"
    assert his.tap(NOW + 40_000).reason == "ok", "his own card is still outside"


def test_the_other_cards_tap_in_between_does_not_end_a_double_tap() -> None:
    hers, his = people(*MODES["hard"])
    hers.tap(NOW)
    his.tap(NOW + 1_000)
    assert hers.tap(NOW + 2_000).repeats is not None


def test_a_couple_that_swaps_cards_on_the_way_leaves_one_card_inside() -> None:
    """She came in with hers and leaves with his: his is outside twice, hers stays inside until it leaves."""
    hers, his = people(*MODES["hard"])
    hers.tap(NOW)
    his.tap(NOW + 1_000)
    his.tap(NOW + HOUR, "out")
    assert his.tap(NOW + HOUR + MINUTE, "out").reason == "leaving"
    assert hers.tap(NOW + 2 * HOUR).reason == "already-inside"


# --- what is asked, alone ------------------------------------------------------------------------------------------


@given(st.lists(MARKS, min_size=1, max_size=6, unique_by=lambda each: (each["epoch"], each["sequence"])))
def test_newest_of_marks_is_after_all_others(marks: list[Json]) -> None:
    known = [mark_of(each) for each in marks]
    found = newest(known)
    assert found is not None
    assert all(mark is found or is_after(found, mark) for mark in known)
    assert newest(known[::-1]) == found


@given(st.lists(MARKS, max_size=6))
def test_a_scope_counts_the_marks_of_its_own_place_alone(marks: list[Json]) -> None:
    known = [mark_of(each) for each in marks]
    gate, venue, domain = (list(within(scope, known, HERE)) for scope in ("gate", "venue", "domain"))
    assert domain == known
    assert venue == [mark for mark in known if mark.venue == "pool"]
    assert gate == [mark for mark in known if mark.gate == "pool-door"]


def test_each_condition_tells_what_it_counted() -> None:
    entry = Mark(NOW - 5 * MINUTE, "pool", "pool-door", "in", "members", 0, 0, EPOCH, 1)
    left = Mark(NOW - MINUTE, "pool", "pool-door", "out", "", 0, 0, EPOCH, 2)
    limit, interval = LimitReached(3, 0, frozenset(), "domain", False), TooSoon(30, "domain", False)
    passback = AlreadyInside(HOUR, (), "domain", False)
    assert limit.told([entry, left], HERE) == "1 of 3 entries"
    assert interval.told([entry, left], HERE) == "5 of 30 minutes since the last entry"
    assert interval.told([], HERE) == "no entry before"
    assert passback.told([entry], HERE) == "inside since an entry at pool-door"
    assert passback.told([entry, left], HERE) == "outside"
    assert Full(9, False).told([], HERE._replace(inside=4)) == "4 of 9 inside"
    assert Full(9, False).told([], HERE) == "nobody can tell how many are inside"
