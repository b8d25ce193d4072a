"""A hot transaction written once, as steps, and run the fastest way that each database has.

A generator yields steps and is sent the rows that they find. On SQLite all of it runs in one visit to the
writing connection's own thread, where each statement through the asynchronous layers would cost four; on
PostgreSQL each step is awaited, and `Rows` goes in by COPY. Both inside the transaction that is open already.
"""

from collections.abc import Generator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Statement(NamedTuple):
    """SQL with `?` for each value; the step's answer is the rows that it found, if any."""

    sql: str
    values: tuple[Any, ...] = ()
    lock: bool = False
    """Hold the found row until the transaction ends; SQLite's only writer holds everything anyway."""


class Rows(NamedTuple):
    """Rows to put into a table as they are."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


Steps = Generator[Statement | Rows, Sequence[Any], T]


def one(statement: Statement) -> Steps[Sequence[Any]]:
    """The rows of a single statement, without the layers that convert each value."""
    rows = yield statement
    return rows


async def run_steps(connection: AsyncConnection, steps: Steps[T]) -> T:
    """What the generator returns. `connection`: of a transaction of `Database.write`."""
    if connection.dialect.name == "sqlite":
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        # aiosqlite has no public way to its thread for more than one statement at a time.
        return await driver._execute(_run_here, driver._conn, steps)  # type: ignore[no-any-return]
    try:
        step = next(steps)
        while True:
            step = steps.send(await _run_there(connection, step))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def transaction_here(connection: Any, steps: Steps[T]) -> T:
    """On SQLite's own thread: the steps between BEGIN and COMMIT; rolled back when one raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = _run_here(connection, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _run_here(connection: Any, steps: Steps[T]) -> T:
    found: Sequence[Any] = ()
    try:
        step = next(steps)
        while True:
            if isinstance(step, Statement):
                found = connection.execute(step.sql, step.values).fetchall()
            else:
                marks = ", ".join("?" * len(step.columns))
                sql = f"INSERT INTO {step.table} ({', '.join(step.columns)}) VALUES ({marks})"
                connection.executemany(sql, step.rows)
                found = ()
            step = steps.send(found)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _run_there(connection: AsyncConnection, step: Statement | Rows) -> Sequence[Any]:
    if isinstance(step, Statement):
        sql = _numbered(step.sql) + (" FOR NO KEY UPDATE" if step.lock else "")
        result = await connection.exec_driver_sql(sql, step.values)
        return result.all() if result.returns_rows else ()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.copy_records_to_table(step.table, records=step.rows, columns=step.columns)
    return ()


@lru_cache(maxsize=64)
def _numbered(sql: str) -> str:
    """`?` as PostgreSQL writes it."""
    numbers = count(1)
    return "".join(f"${next(numbers)}" if character == "?" else character for character in sql)
