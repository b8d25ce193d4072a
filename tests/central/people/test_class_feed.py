"""Classes by a feed: added, ended, moved out; what a row does at one moment, it does not do at another."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.people.class_feed import (
    FOR_EVER,
    MAX_GRANTS,
    Change,
    Deed,
    Spans,
    added,
    changed,
    classes_of,
    ended,
    moved,
    rows_of,
)

MOMENTS = range(1, 14)
NOW_MS = 100


@st.composite
def a_span(draw: st.DrawFn) -> tuple[int, int]:
    since = draw(st.integers(0, 10))
    return since, draw(st.sampled_from([0, *range(since + 1, 13)]))


spans = st.lists(a_span(), max_size=5).map(lambda found: joined(found))


def joined(found: list[tuple[int, int]]) -> Spans:
    result: Spans = ()
    for since, until in found:
        result = added(result, since, until)
    return result


def holds(held: Spans, at: int) -> bool:
    return any(since <= at < (until or FOR_EVER) for since, until in held)


def is_tidy(held: Spans) -> bool:
    whole = [(since, until or FOR_EVER) for since, until in held]
    return all(since < end for since, end in whole) and all(end < since for (_, end), (since, _) in pairwise(whole))


@given(spans, a_span())
def test_adding_adds_that_span_and_nothing_else(held: Spans, span: tuple[int, int]) -> None:
    after = added(held, *span)
    assert is_tidy(after)
    for at in MOMENTS:
        assert holds(after, at) == (holds(held, at) or holds((span,), at))


@given(spans, st.integers(1, 12))
def test_an_end_ends_it_and_changes_nothing_before(held: Spans, at_ms: int) -> None:
    after = ended(held, at_ms)
    assert is_tidy(after)
    for at in MOMENTS:
        assert holds(after, at) == (holds(held, at) and at < at_ms)


@given(spans, spans, st.integers(1, 12))
def test_a_move_to_another_class_leaves_nobody_without_and_nobody_longer(
    expo: Spans, citizen: Spans, at_ms: int
) -> None:
    held = {name: each for name, each in (("expo", expo), ("citizen", citizen)) if each}
    if not holds(expo, at_ms):
        with pytest.raises(ValueError, match="not in 'expo'"):
            moved(held, "expo", "citizen", at_ms, NOW_MS)
        return
    after = moved(held, "expo", "citizen", at_ms, NOW_MS)
    last = next(until or FOR_EVER for since, until in expo if since <= at_ms < (until or FOR_EVER))
    for at in MOMENTS:
        assert holds(after.get("expo", ()), at) == (holds(expo, at) and at < at_ms)
        assert holds(after["citizen"], at) == (holds(citizen, at) or at_ms <= at < last)


def test_a_person_of_sixty_five_becomes_senior_on_the_day_and_stays_a_citizen() -> None:
    after = changed({"citizen": ((0, 0),)}, Change(Deed.ADD, "senior", 100, 0), NOW_MS)
    assert after == {"citizen": ((0, 0),), "senior": ((100, 0),)}


def test_who_moves_out_loses_every_class_and_comes_back_by_an_add() -> None:
    held = {"citizen": ((0, 0),), "senior": ((50, 0),), "student": ((1, 20),)}
    gone = changed(held, Change(Deed.MOVE_OUT, "", 0, 80), NOW_MS)
    assert gone == {"citizen": ((0, 80),), "senior": ((50, 80),), "student": ((1, 20),)}
    back = changed(gone, Change(Deed.ADD, "citizen", 90, 0), NOW_MS)
    assert back["citizen"] == ((0, 80), (90, 0))


def test_the_same_row_twice_changes_nothing() -> None:
    held = {"citizen": ((0, 0),)}
    for change in (
        Change(Deed.ADD, "caring", 5, 9),
        Change(Deed.END, "citizen", 0, 7),
        Change(Deed.MOVE_OUT, "", 0, 7),
    ):
        once = changed(held, change, NOW_MS)
        assert changed(once, change, NOW_MS) == once


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change(Deed.END, "senior", 0, 9), "does not hold 'senior'"),
        (Change(Deed.END, "student", 0, 30), "ended before that day"),
        (Change(Deed.MOVE_OUT, "", 0, 30), "every class ended before that day"),
    ],
)
def test_what_cannot_be_ended_is_said(change: Change, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        changed({"student": ((1, 20),)}, change, NOW_MS)


def test_spans_that_are_over_make_room_and_the_last_of_a_class_never_does() -> None:
    held = {"student": tuple((10 * n, 10 * n + 5) for n in range(MAX_GRANTS))}
    after = changed(held, Change(Deed.ADD, "citizen", 3, 0), NOW_MS)
    assert after["citizen"] == ((3, 0),)
    assert after["student"] == held["student"][1:]
    coming = {**held, "student": held["student"][:-1] + ((900, 905),), "senior": ((20, 0), (950, 960))}
    with pytest.raises(ValueError, match="would have 18"):
        changed(
            {**coming, "student": tuple((10 * n + 200, 10 * n + 205) for n in range(15))},
            Change(Deed.ADD, "citizen", 3, 0),
            NOW_MS,
        )
    full = {f"class-{n}": ((0, 0),) for n in range(MAX_GRANTS)}
    with pytest.raises(ValueError, match="16 are allowed"):
        changed(full, Change(Deed.ADD, "citizen", 3, 0), NOW_MS)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), spans.filter(bool), max_size=3))
def test_classes_come_back_from_rows_in_any_order(held: dict[str, Spans]) -> None:
    assert classes_of(sorted(rows_of(held), reverse=True)) == held
