"""Many keys in one query: they travel as a table of their own, `wanted`, that others are joined to by their indexes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.slices import IN_ONE_QUERY
from central.store.steps import Statement, one, run_steps


async def rows_wanted(
    connection: AsyncConnection,
    columns: Mapping[str, str],
    keys: Iterable[tuple[Any, ...]],
    sql: str,
    *values: Any,
) -> list[Sequence[Any]]:
    """What `sql` finds for these keys, `?` for each of the values. `columns`: the names of the keys' parts and their
    types in PostgreSQL. It reads `FROM wanted w CROSS JOIN …`, which SQLite takes in that order."""
    found: list[Sequence[Any]] = []
    ordered, most = sorted(set(keys)), IN_ONE_QUERY // len(columns)
    for at in range(0, len(ordered), most):
        some = ordered[at : at + most]
        statement = f"WITH wanted ({', '.join(columns)}) AS (VALUES {_rows(connection, columns, len(some))}) {sql}"
        parts = (part for key in some for part in key)
        found += await run_steps(connection, one(Statement(statement, (*parts, *values))))
    return found


def _rows(connection: AsyncConnection, columns: Mapping[str, str], number: int) -> str:
    """SQLite compares values as they come; PostgreSQL asks for the types of the first row."""
    is_sqlite = connection.dialect.name == "sqlite"
    first = ", ".join("?" if is_sqlite else f"?::{type_}" for type_ in columns.values())
    other = f"({', '.join('?' * len(columns))})"
    return ", ".join(_of(f"({first})", other, number))


def _of(first: str, other: str, number: int) -> Iterator[str]:
    yield first
    for _ in range(number - 1):
        yield other
