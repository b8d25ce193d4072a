"""Small counts can neither be read nor computed. What can be computed is found by trying every table that fits."""

import random
import time
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.reporting.suppression import Count, Hidden, suppress, suppress_list

LEAST = 5
SMALL, BESIDE = Hidden.SMALL, Hidden.BESIDE


def domain(count: Count, most: int) -> Sequence[int]:
    """What somebody who knows what the marks mean may think that stands there."""
    if isinstance(count, int):
        return [count]
    return range(1, LEAST) if count is SMALL else range(LEAST, most + 1)


def tables(shown: list[list[Count]], most: int) -> Iterator[list[list[int]]]:
    """Every table, totals included, that fits all that is shown."""
    inner, totals = [row[:-1] for row in shown[:-1]], [row[-1] for row in shown[:-1]]
    lines = []
    for row, total in zip(inner, totals, strict=True):
        fits = set(domain(total, 99))
        lines.append([line for line in product(*(domain(count, most) for count in row)) if sum(line) in fits])
    columns = [set(domain(count, 99)) for count in shown[-1]]
    for lines_of in product(*lines):
        found = [[*line, sum(line)] for line in lines_of]
        last = [sum(column) for column in zip(*found, strict=True)]
        if all(value in allowed for value, allowed in zip(last, columns, strict=True)):
            yield [*found, last]


def whole(counts: list[list[int]]) -> list[list[Count]]:
    found = suppress(counts, LEAST)
    rows: list[list[Count]] = [[*row, total] for row, total in zip(found.rows, found.row_totals, strict=True)]
    return [*rows, [*found.column_totals, found.total]]


def small_tables() -> st.SearchStrategy[list[list[int]]]:
    sizes = st.sampled_from([(1, 2), (2, 1), (2, 2), (2, 3), (3, 2)])
    return sizes.flatmap(
        lambda size: st.lists(
            st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 9]), min_size=size[1], max_size=size[1]),
            min_size=size[0],
            max_size=size[0],
        )
    )


@settings(max_examples=60, deadline=None)
@given(small_tables())
def test_no_small_count_can_be_computed_from_what_is_shown(counts: list[list[int]]) -> None:
    shown = whole(counts)
    total = sum(map(sum, counts))
    small = [(r, c) for r, row in enumerate(shown) for c, count in enumerate(row) if count is SMALL]
    if shown[-1][-1] is SMALL:
        assert all(not isinstance(count, int) or count == 0 for row in shown for count in row)
        return
    possible: dict[tuple[int, int], set[int]] = {at: set() for at in small}
    for table in tables(shown, min(total, 12)):
        for r, c in small:
            possible[r, c].add(table[r][c])
        if all(len(values) > 1 for values in possible.values()):
            break
    assert {at for at, values in possible.items() if len(values) < 2} == set()


@given(st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=1, max_size=8))
def test_what_is_shown_is_true_and_nothing_small_is_shown(counts: list[list[int]]) -> None:
    shown = whole(counts)
    rows = [[*row, sum(row)] for row in counts]
    true = [*rows, [sum(column) for column in zip(*rows, strict=True)]]
    for count, value in zip(sum(shown, []), sum(true, []), strict=True):
        if isinstance(count, int):
            assert count == value
            assert not 0 < count < LEAST
        else:
            assert value > 0
            assert count is BESIDE or value < LEAST


@given(st.lists(st.lists(st.one_of(st.just(0), st.integers(5, 99)), min_size=3, max_size=3), min_size=1, max_size=5))
def test_without_a_small_count_all_is_shown(counts: list[list[int]]) -> None:
    found = suppress(counts, LEAST)
    assert (found.rows, found.hides) == (counts, False)


def test_one_small_count_takes_a_rectangle_of_the_cheapest() -> None:
    found = suppress([[2, 30, 6], [40, 20, 8], [50, 60, 70]], LEAST)
    assert found.rows == [[SMALL, 30, BESIDE], [BESIDE, 20, BESIDE], [50, 60, 70]]
    assert (found.row_totals, found.column_totals, found.total) == ([38, 68, 180], [92, 110, 84], 286)


def test_a_breakdown_that_cannot_hide_its_small_count_is_not_shown_at_all() -> None:
    found = suppress([[1, 0], [0, 90]], LEAST)
    assert found.rows == [[BESIDE, 0], [0, BESIDE]]
    assert (found.row_totals, found.column_totals, found.total) == ([BESIDE, BESIDE], [BESIDE, BESIDE], 91)


def test_of_fewer_than_five_altogether_not_even_the_total_is_shown() -> None:
    assert suppress([[1, 2]], LEAST).total is SMALL
    assert suppress_list([1, 2], LEAST) == ([BESIDE, BESIDE], SMALL)


def test_nobody_at_all_is_no_secret() -> None:
    assert suppress([[0, 0]], LEAST).rows == [[0, 0]]
    assert suppress([], LEAST).rows == []
    assert suppress_list([], LEAST) == ([], 0)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 9]), max_size=5))
def test_of_a_list_no_small_count_can_be_computed_from_the_total(counts: list[int]) -> None:
    shown, total = suppress_list(counts, LEAST)
    if not isinstance(total, int):
        return
    fits = [each for each in product(*(domain(count, 12) for count in shown)) if sum(each) == total]
    for at, count in enumerate(shown):
        assert count is not SMALL or len({each[at] for each in fits}) > 1
        assert not isinstance(count, int) or (count == counts[at] and not 0 < count < LEAST)


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_venues_by_ten_classes_take_no_time(seed: int) -> None:
    chance = random.Random(seed)
    counts = [[chance.choice((0, 0, 1, 3, 8, 40, 900)) for _ in range(10)] for _ in range(100)]
    began_s = time.perf_counter()
    found = suppress(counts, LEAST)
    took_s = time.perf_counter() - began_s
    assert found.hides
    assert sum(isinstance(count, int) for row in found.rows for count in row) > 300
    assert took_s < 2
    print(f"{took_s * 1000:.0f} ms")
