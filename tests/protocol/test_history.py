"""Histories: what a gate adds, what central tells, and that the two together count every tap once."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.decision import decide
from protocol.errors import Failure, Refused
from protocol.history import (
    MAX_MARKS,
    NOTHING,
    History,
    LastTap,
    Mark,
    State,
    SubjectState,
    accept_state,
    is_empty,
    renamed,
    since,
    uncounted,
    untold,
    with_state,
    with_tap,
    without,
)
from protocol.messages import Direction, Outcome
from tests.protocol.asking import entry_of, history_of, policy_of, tap_of
from tests.protocol.questions import GOOD_TAPS, HISTORIES, POLICIES, WELL
from tests.vectors.deciding import ENTRY, MEMBERS, NOW, TAP, at

Json = dict[str, Any]
BOOT = b"\xb0" * 8


def name(number: int) -> tuple[bytes, int]:
    """The hundredth tap is the first of another epoch."""
    return bytes([0xA0 + number // 100] * 8), number % 100


def mark(number: int, points: int = 0, at_ms: int = NOW) -> Mark:
    return Mark(at_ms + number, "pool", "door", "in", "members", points, 0, *name(number))


def last(number: int) -> LastTap:
    epoch, sequence = name(number)
    return LastTap(NOW + number, BOOT, number, sequence, epoch, Direction.IN, Outcome.GRANTED, "ok", "members")


def after_taps(count: int, points: int = 0) -> History:
    history = NOTHING
    for number in range(count):
        history = with_tap(history, last(number), mark(number, points))
    return history


# --- central's word and the gate's own -----------------------------------------------------------------------------


class World:
    """One gate, a neighbour, and a central that hears of both in its own time and may be restored to an earlier one."""

    def __init__(self) -> None:
        self.history = NOTHING
        self.taps: dict[int, Mark] = {}
        """By the number of their event."""
        self.undone: dict[int, int] = {}
        """The number of the tap by that of the event that takes it back."""
        self.count = 0
        self.heard_of = 0
        """So many of the gate's events are at central."""
        self.neighbours: list[Mark] = []
        self.on_its_way: list[tuple[SubjectState, dict[bytes, int]]] = []
        self.told_of: set[tuple[bytes, int]] = set()

    def tap(self) -> None:
        self.taps[self.count] = mark(self.count)
        self.history = with_tap(self.history, last(self.count), mark(self.count))
        self.count += 1

    def undo(self, ago: int) -> None:
        standing = [number for number in self.taps if number not in self.undone.values()]
        if ago < len(standing):
            number = standing[-1 - ago]
            self.undone[self.count] = number
            self.history = without(self.history, name(number), self.history.last, name(self.count))
            self.count += 1

    def deliver(self, count: int) -> None:
        """Events come in order."""
        self.heard_of = min(self.count, self.heard_of + count)

    def tap_elsewhere(self) -> None:
        made = Mark(NOW, "gym", "gym-door", "in", "x", 0, 0, b"\xff" * 8, len(self.neighbours))
        self.neighbours.append(made)

    def tell(self) -> None:
        undone = {tap for by, tap in self.undone.items() if by < self.heard_of}
        counted = [made for number, made in self.taps.items() if number < self.heard_of and number not in undone]
        self.on_its_way.append((SubjectState(bytes(16), (*counted, *self.neighbours)), self.counted()))

    def counted(self) -> dict[bytes, int]:
        return {name(number)[0]: name(number)[1] for number in range(self.heard_of)}

    def hear(self) -> None:
        if self.on_its_way:
            state, counted = self.on_its_way.pop(0)
            self.history = with_state(self.history, state, counted)
            self.told_of = {each.name for each in state.marks if each.venue == "gym"}

    def restore(self, lost: int) -> None:
        """Central forgets its last events, and begins to tell anew."""
        self.heard_of = max(0, self.heard_of - lost)
        self.on_its_way.clear()
        self.history = untold(self.history, {name(number)[0] for number in range(self.count)}, self.counted())
        self.tell()
        self.hear()

    def check(self) -> None:
        names = [each.name for each in (*self.history.told, *self.history.own)]
        assert len(names) == len(set(names)), "counted twice"
        standing = {name(number) for number in self.taps if number not in self.undone.values()}
        assert standing <= set(names), "lost"
        assert set(names) == self.told_of | standing, "out of nowhere"


STEPS = st.one_of(
    st.just(("tap",)),
    st.tuples(st.just("undo"), st.integers(0, 2)),
    st.tuples(st.just("deliver"), st.integers(1, 200)),
    st.tuples(st.just("restore"), st.integers(0, 20)),
    *(st.just((step,)) for step in ("tap_elsewhere", "tell", "hear", "hear")),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 1, 90, 98, 150]), st.lists(STEPS, max_size=30))
def test_no_interleaving_of_taps_and_states_counts_a_mark_twice_or_loses_one(before: int, steps: list[Any]) -> None:
    world = World()
    for _ in range(before):
        world.tap()
    for step, *arguments in steps:
        getattr(world, step)(*arguments)
        world.check()


def test_own_marks_are_kept_through_what_central_counts_in_each_epoch() -> None:
    own = tuple(mark(number) for number in (5, 6, 7, 100, 101))
    (first, _), (second, _) = name(0), name(100)
    assert uncounted(own, {}) == own
    assert uncounted(own, {first: 6}) == own[2:]
    assert uncounted(own, {first: 7, second: 0}) == own[4:]
    assert uncounted(own, {first: -1, second: 1}) == own[:3]


def test_a_state_replaces_all_that_was_told_and_leaves_the_last_tap() -> None:
    told = SubjectState(bytes(16), (mark(3),), 40, NOW, (("points", 7),))
    before = History(last(9), (mark(9),), (mark(1), mark(2)), 500, 1, (("points", 9),))
    assert with_state(before, told, {}) == History(last(9), (mark(9),), (mark(3),), 40, NOW, (("points", 7),))
    assert with_state(None, told, {}) == History(None, (), (mark(3),), 40, NOW, (("points", 7),))


@pytest.mark.parametrize("versions", [(0, 0, 1), (0, 5, 9), (7, 7, 8), (0, 7, 7)])
def test_a_state_that_goes_on_is_accepted(versions: tuple[int, int, int]) -> None:
    base, held, version = versions
    accept_state(State("dev", "pool", base, version, NOW, (), (), ()), "dev", "pool", held)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_no_state_ever_leads_back(base: int, held: int, version: int) -> None:
    offered = State("dev", "pool", base, version, NOW, (), (), ())
    if base in (0, held) and version > base and version >= held:
        accept_state(offered, "dev", "pool", held)
        return
    with pytest.raises(Refused) as refused:
        accept_state(offered, "dev", "pool", held)
    assert refused.value.kind is (Failure.NOT_NEWER if base in (0, held) else Failure.WRONG_BASE)


# --- a tap and its removal -----------------------------------------------------------------------------------------


def judged_by(history: History) -> History:
    """What a decision sees of it."""
    return msgspec.structs.replace(history, given_back=())


@given(st.integers(0, 150), st.booleans(), st.booleans())
def test_a_tap_that_is_taken_back_leaves_the_history_as_it_was(count: int, counts: bool, was_told: bool) -> None:
    before = after_taps(count, points=1)
    if was_told:
        before = with_state(before, SubjectState(bytes(16), before.own[:9], 5, NOW), {name(0)[0]: 8})
    tapped = with_tap(before, last(count), mark(count, 1) if counts else None)
    assert judged_by(without(tapped, name(count), before.last, name(count + 1))) == before


def test_a_tap_without_a_mark_that_is_taken_back_leaves_nothing() -> None:
    assert is_empty(without(with_tap(None, last(0), None), name(0), None, name(1)))


def test_points_of_a_tap_that_is_taken_back_are_there_again_counted_or_not() -> None:
    spent = with_tap(History(reserved=40, lapse_ms=NOW * 2), last(0), mark(0, points=30))
    told = with_state(spent, SubjectState(bytes(16), (mark(0, points=30),), 10, NOW * 2), {name(0)[0]: 0})
    for history in (spent, told):
        assert history.points_left(NOW) == 10
        assert without(history, name(0), None, name(1)).points_left(NOW) == 40


def test_a_repeat_takes_the_place_of_the_tap_that_was_taken_back() -> None:
    heir = renamed(after_taps(3), name(2), name(150), name(151))
    assert [each.name for each in heir.own] == [name(0), name(1), name(150)]
    assert heir.last is not None
    assert heir.last.name == name(150)
    assert judged_by(without(heir, name(150), last(1), name(152))) == after_taps(2)


def test_a_repeat_of_an_older_tap_leaves_the_last_one() -> None:
    heir = renamed(after_taps(3), name(0), name(150), name(151))
    assert heir.last == last(2)
    assert {each.name for each in heir.own} == {name(150), name(1), name(2)}


# --- how much is kept ----------------------------------------------------------------------------------------------


def test_marks_without_end_are_kept_to_a_number_the_first_and_the_newest() -> None:
    history = after_taps(MAX_MARKS + 60)
    assert len(history.own) == MAX_MARKS
    assert history.own[0] == mark(0)
    assert history.own[-1] == mark(MAX_MARKS + 59)
    assert len({each.name for each in history.own}) == MAX_MARKS


def test_points_of_marks_that_are_not_kept_stay_spent() -> None:
    history = msgspec.structs.replace(after_taps(MAX_MARKS + 60, points=1), reserved=1_000, lapse_ms=NOW * 2)
    assert history.points_left(NOW) == 1_000 - MAX_MARKS - 60


def test_points_stay_spent_also_when_central_begins_anew() -> None:
    first = after_taps(50, points=1)
    told = with_state(first, SubjectState(bytes(16), first.own), {name(0)[0]: 49})
    for number in range(50, 300):
        told = with_tap(told, last(number), mark(number, 1))
    anew = untold(told, {name(number)[0] for number in range(300)}, {})
    assert len(anew.own) == MAX_MARKS
    assert anew.points_left(NOW) == -300


def test_points_stay_spent_until_central_counts_them_however_old() -> None:
    spent = History(last(0), (mark(0, points=30), mark(1)), (mark(2, points=9),), 40, NOW * 2)
    later = since(spent, NOW + 1_000)
    assert later.own == (mark(0, points=30),)
    assert later.told == ()
    assert later.points_left(NOW) == 10


def test_a_reservation_is_void_from_the_moment_it_lapses() -> None:
    history = History(None, (mark(0, points=30),), (), 40, NOW)
    assert (history.points_left(NOW - 1), history.points_left(NOW)) == (10, -30)


@settings(max_examples=250, deadline=None)
@given(POLICIES, WELL, HISTORIES, GOOD_TAPS, st.integers(0, 4))
def test_what_is_forgotten_changes_no_decision_of_that_day_or_a_later_one(
    policy: Json, entry: Json, history: Json, given: Json, days_before: int
) -> None:
    compiled, known, tap = policy_of(policy), history_of({**history, "last": None}), tap_of(given)
    assert known is not None
    kept = since(known, compiled.day(tap.at_ms - days_before * 86_400_000).since_ms)
    assert decide(compiled, entry_of(entry), kept, tap) == decide(compiled, entry_of(entry), known, tap)
    assert set(kept.own) <= set(known.own)


GUARDS: list[Json] = [
    {"kind": "interval", "id": "rest", "minutes": 44_640},
    {"kind": "passback", "id": "once-in"},
    {"kind": "limit", "id": "visit", "most": 1, "per": "visit"},
    {"kind": "limit", "id": "week", "most": 1, "per": "week"},
    {"kind": "limit", "id": "month", "most": 1, "per": "month"},
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard["id"])
def test_what_a_rule_of_tomorrow_looks_back_to_is_kept_today(guard: Json) -> None:
    """It is Monday the 23rd: who came five minutes after midnight is told so tomorrow, and nobody before that."""
    policy = policy_of({"version": 1, "rules": [{**guard, "valid_from": "2026-11-24"}, MEMBERS]})
    came = mark(0, at_ms=at("2026-11-23T00:05"))
    kept = since(History(told=(came, mark(1, at_ms=at("2026-10-01T00:00")))), policy.day(NOW).since_ms)
    assert kept.told == (came,)
    tomorrow = tap_of({**TAP, "at_ms": at("2026-11-24T00:00")})
    assert decide(policy, entry_of(ENTRY), kept, tomorrow).rule == guard["id"]


@pytest.mark.parametrize("guard", GUARDS[:3], ids=lambda guard: guard["id"])
def test_a_rule_of_tomorrow_is_told_of_the_last_31_days(guard: Json) -> None:
    policy = policy_of({"version": 1, "rules": [{**guard, "valid_from": "2026-11-24"}, MEMBERS]})
    came = mark(0, at_ms=at("2026-10-25T00:05"))
    kept = since(History(told=(came,)), policy.day(NOW).since_ms)
    tomorrow = tap_of({**TAP, "at_ms": at("2026-11-24T12:00")})
    assert decide(policy, entry_of(ENTRY), kept, tomorrow).rule == guard["id"]


def test_an_ended_rule_keeps_nothing() -> None:
    guard = {**GUARDS[0], "valid_until": "2026-11-23"}
    assert policy_of({"version": 1, "rules": [guard, MEMBERS]}).day(NOW).since_ms == at("2026-11-23T00:00")


def test_newest_thing_in_a_history_is_when_it_may_be_forgotten() -> None:
    assert NOTHING.at_ms == 0
    assert after_taps(3).at_ms == NOW + 2
    assert History(None, (), (mark(9),), 5, NOW + 50).at_ms == NOW + 50
