"""Long lists of keys, cut so that each part fits the parameters of one query."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

IN_ONE_QUERY = 10_000
"""Below the 32,766 parameters that SQLite takes and the 32,767 of PostgreSQL."""

T = TypeVar("T")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Runs short enough for one query's parameters."""
    return (items[at : at + IN_ONE_QUERY] for at in range(0, len(items), IN_ONE_QUERY))
