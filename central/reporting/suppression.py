"""Keep small counts of a breakdown from being read or computed, so that no table tells of one person. Pure.

A count from 1 to below `least` is shown as `SMALL`. Whoever has the totals could subtract the other counts from them,
so further counts are hidden (`BESIDE`) until every small one could as well be another: for each there is a rectangle of
hidden counts that can go up and down by one together, without changing any total or any count that is shown. Where
that cannot be had the whole breakdown is hidden, but for its grand total. A count of nobody is no secret.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import product
from typing import NamedTuple

LEAST = 5
NEAREST = 5
"""Rows and columns tried first to hide a small count with: those that cost least."""
OF_A_TOTAL = 1_000_000
"""So much dearer it is to hide a total."""


class Hidden(StrEnum):
    """Why a count is not shown."""

    SMALL = "small"
    BESIDE = "beside"
    """It is not small, but would give a small one away."""


Count = int | Hidden


class Table(NamedTuple):
    """Counts as they may be shown. `rows` without totals."""

    rows: list[list[Count]]
    row_totals: list[Count]
    column_totals: list[Count]
    total: Count
    hides: bool
    """Whether anything is hidden."""


def suppress(counts: Sequence[Sequence[int]], least: int = LEAST) -> Table:
    """Of a table whose rows are all of one length, shown with the totals of its rows and columns and of all."""
    return _Guard(counts, least).table()


def suppress_list(counts: Sequence[int], least: int = LEAST) -> tuple[list[Count], Count]:
    """Of counts that are shown with their total alone."""
    total = sum(counts)
    shown = [_mark(count, least) for count in counts]
    if Hidden.SMALL not in shown:
        return shown, _mark(total, least)
    if total < least:
        return [Hidden.BESIDE if count else 0 for count in counts], Hidden.SMALL
    for at, count in enumerate(counts):
        if shown[at] is Hidden.SMALL and not _can_move(counts, shown, at, least):
            others = [n for n, value in enumerate(counts) if n != at and value > least]
            if not others or count >= least:
                return [Hidden.BESIDE if each else 0 for each in counts], total
            shown[min(others, key=counts.__getitem__)] = Hidden.BESIDE
    return shown, total


def _mark(count: int, least: int) -> Count:
    return Hidden.SMALL if 0 < count < least else count


def _may_be(count: int, is_small: bool, least: int) -> bool:
    """Whether a hidden count could as well be this, for all that its mark says."""
    return 0 < count < least if is_small else count >= least


def _can_move(counts: Sequence[int], shown: Sequence[Count], at: int, least: int) -> bool:
    return any(
        _may_be(counts[at] + step, True, least)
        and _may_be(counts[n] - step, shown[n] is Hidden.SMALL, least)
        and n != at
        and isinstance(shown[n], Hidden)
        for n in range(len(counts))
        for step in (1, -1)
    )


class _Guard:
    """The table with its totals as a last row and column."""

    def __init__(self, counts: Sequence[Sequence[int]], least: int) -> None:
        self._least = least
        rows = [[*row, sum(row)] for row in counts]
        self._counts = [*rows, [sum(column) for column in zip(*rows, strict=True)] if rows else [0]]
        self._last_row, self._last_column = len(self._counts) - 1, len(self._counts[0]) - 1
        self._shown: list[list[Count]] = [[_mark(count, least) for count in row] for row in self._counts]

    def table(self) -> Table:
        """Each small count in turn; what is hidden for one stays hidden."""
        if self._counts[-1][-1] < self._least or not all(map(self._hide, self._small())):
            self._hide_all()
        rows, last = [list(row) for row in self._shown[:-1]], self._shown[-1]
        hides = any(isinstance(count, Hidden) for row in self._shown for count in row)
        return Table([row[:-1] for row in rows], [row[-1] for row in rows], list(last[:-1]), last[-1], hides)

    def _small(self) -> list[tuple[int, int]]:
        """The smallest first: they are the hardest to hide."""
        found = [(r, c) for r, row in enumerate(self._shown) for c, count in enumerate(row) if count is Hidden.SMALL]
        return sorted(found, key=lambda at: (self._counts[at[0]][at[1]], at))

    def _hide_all(self) -> None:
        for r, row in enumerate(self._counts):
            self._shown[r] = [Hidden.BESIDE if count else 0 for count in row]
        self._shown[-1][-1] = _mark(self._counts[-1][-1], self._least)

    # --- one small count ----------------------------------------------------------------------------------------

    def _hide(self, at: tuple[int, int]) -> bool:
        """Hide what it takes. False where nothing does."""
        best = self._cheapest(at, NEAREST) or self._cheapest(at, max(len(self._counts), len(self._counts[0])))
        for r, c in best or ():
            if not isinstance(self._shown[r][c], Hidden):
                self._shown[r][c] = Hidden.BESIDE
        return best is not None

    def _cheapest(self, at: tuple[int, int], most: int) -> list[tuple[int, int]] | None:
        """The corners of the rectangle that hides the least beside."""
        r, c = at
        best: tuple[int, list[tuple[int, int]]] | None = None
        for step in (1, -1):
            if not self._may(r, c, step):
                continue
            others = ((r, n) for n in range(self._last_column + 1) if n != c)
            columns = self._nearest([each for each in others if self._may(*each, self._step(at, each, step))], most)
            others = ((n, c) for n in range(self._last_row + 1) if n != r)
            rows = self._nearest([each for each in others if self._may(*each, self._step(at, each, step))], most)
            for (_, column), (row, _) in product(columns, rows):
                corners = [(r, column), (row, c), (row, column)]
                cost = sum(self._cost(*each) for each in corners)
                if best is not None and cost >= best[0]:
                    continue
                if self._may(row, column, self._step(at, (row, column), step)):
                    best = cost, corners
                if best is not None and best[0] == 0:
                    return best[1]
        return best[1] if best else None

    def _nearest(self, places: list[tuple[int, int]], most: int) -> Iterable[tuple[int, int]]:
        return sorted(places, key=lambda place: self._cost(*place))[:most]

    def _step(self, at: tuple[int, int], corner: tuple[int, int], step: int) -> int:
        """By how much a corner goes up when the count goes up by `step`. With totals taken below zero every row and
        column comes to nothing, so corners go up and down in turn."""
        turns = (corner[0] != at[0]) + (corner[1] != at[1])
        return (-step if turns % 2 else step) * self._sign(*at) * self._sign(*corner)

    def _sign(self, r: int, c: int) -> int:
        return -1 if (r == self._last_row) != (c == self._last_column) else 1

    def _may(self, r: int, c: int, step: int) -> bool:
        """Whether it could as well be higher by so much. A count that is not small yet is hidden for it."""
        count = self._counts[r][c]
        if count == 0 or (r, c) == (self._last_row, self._last_column):
            return False  # the grand total is known from elsewhere
        return _may_be(count + step, self._shown[r][c] is Hidden.SMALL, self._least)

    def _cost(self, r: int, c: int) -> int:
        if isinstance(self._shown[r][c], Hidden):
            return 0
        is_total = r == self._last_row or c == self._last_column
        return self._counts[r][c] * (OF_A_TOTAL if is_total else 1)
