"""Rows into a database as fast as it takes them: executemany into SQLite, COPY into PostgreSQL."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Table
from sqlalchemy.engine import make_url


class Sink(Protocol):
    """Takes rows; what it took is durable once it is closed."""

    async def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Rows in the order of the table's columns."""

    async def close(self) -> None:
        """Everything is on disk, and the planner knows it."""


class SqliteSink:
    """One transaction for each call."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -524288"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    async def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(table.columns))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO {table.name} VALUES ({places})", rows)
        self._connection.execute("COMMIT")

    async def close(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.execute("PRAGMA optimize").fetchall()
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
        await self._connection.execute("ANALYZE")
        await self._connection.close()


async def open_sink(url: str) -> Sink:
    """For a database that has the newest schema."""
    if url.startswith("sqlite"):
        return SqliteSink(url)
    parsed = make_url(url).set(drivername="postgresql")
    return PostgresSink(await asyncpg.connect(parsed.render_as_string(hide_password=False)))
