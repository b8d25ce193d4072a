"""Rows into a database as fast as it takes them: executemany into SQLite, COPY into PostgreSQL, indexes afterwards."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Table
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.schema import CreateIndex, Index

from central.store import schema

GROWN = (schema.events, schema.batches, schema.visits, schema.tap_counts, schema.visit_counts, schema.conflicts)
"""What gets many rows: their indexes are dropped first and built once, in order, when all rows are there."""


class Sink(Protocol):
    """Takes rows; what it took is durable once it is closed."""

    async def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Rows in the order of the table's columns."""

    async def close(self) -> None:
        """Everything is on disk, indexes are there, and the planner knows it."""


class SqliteSink:
    """One transaction for each call."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -1048576"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        for index in _indexes():
            self._connection.execute(f"DROP INDEX {index.name}")

    async def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(table.columns))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO {table.name} VALUES ({places})", rows)
        self._connection.execute("COMMIT")

    async def close(self) -> None:
        for index in _indexes():
            self._connection.execute(_creating(index, make_url("sqlite://").get_dialect()()))
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.execute("ANALYZE")
        self._connection.close()


class PostgresSink:
    """By COPY."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        names = [column.name for column in table.columns]
        await self._connection.copy_records_to_table(table.name, records=rows, columns=names)

    async def close(self) -> None:
        await self._connection.execute("SET maintenance_work_mem = '512MB'")
        for index in _indexes():
            await self._connection.execute(_creating(index, make_url("postgresql://").get_dialect()()))
        await self._connection.execute("VACUUM ANALYZE")
        await self._connection.close()


async def open_sink(url: str) -> Sink:
    """For a database that has the newest schema."""
    if url.startswith("sqlite"):
        return SqliteSink(url)
    parsed = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(parsed.render_as_string(hide_password=False))
    for index in _indexes():
        await connection.execute(f"DROP INDEX {index.name}")
    return PostgresSink(connection)


def _indexes() -> Iterator[Index]:
    for table in GROWN:
        yield from sorted(table.indexes, key=lambda index: str(index.name))


def _creating(index: Index, dialect: Dialect) -> str:
    return str(CreateIndex(index).compile(dialect=dialect))
