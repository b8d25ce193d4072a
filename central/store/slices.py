"""Long lists of keys, cut so that each part fits the parameters of one query."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, or_

IN_ONE_QUERY = 10_000
"""Below the 32,766 parameters that SQLite takes and the 32,767 of PostgreSQL."""

AT_ONCE = 200
"""Alternatives in one query: SQLite takes a depth of 1,000."""

T = TypeVar("T")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Runs short enough for one query's parameters."""
    return (items[at : at + IN_ONE_QUERY] for at in range(0, len(items), IN_ONE_QUERY))


def named(columns: Sequence[ColumnElement[Any]], names: Collection[tuple[Any, ...]]) -> Iterator[ColumnElement[bool]]:
    """Conditions for one query each that together find the rows of these names, by an index that begins with the
    columns. For a list of row values, `(a, b) IN (…)`, SQLite reads the whole table."""
    *firsts, last = columns
    for some in slices(sorted(set(names))):
        groups = [(first, [name[-1] for name in each]) for first, each in groupby(some, key=lambda name: name[:-1])]
        for at in range(0, len(groups), AT_ONCE):
            yield or_(
                *(
                    and_(*(column == value for column, value in zip(firsts, first, strict=True)), last.in_(lasts))
                    for first, lasts in groups[at : at + AT_ONCE]
                )
            )
