"""One way to a database for everything above: a writing transaction, a reading transaction.

SQLite: one writing connection for the file, in this process only (two writers can corrupt a WAL file in the
versions that distributions ship); PostgreSQL: a pool, and the database arbitrates.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from central.store.steps import Steps, run_steps, transaction_here

T = TypeVar("T")
CHECKPOINTS = 20
CHECKPOINT_AGAIN_S = 0.1


class Database:
    """Opened by `open_database`; closed by `close`."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer, self._reader = writer, reader
        self.is_sqlite = writer.dialect.name == "sqlite"
        # A single SQLite connection serves one transaction at a time; PostgreSQL locks by itself.
        self._writing = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._driver: Any = None
        self.on_commit: Callable[[set[str]], None] | None = None
        """Called with the topics that a transaction noted (`wakeups.note`), once it is durable."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is durable when the block ends, and rolled back when it raises."""
        topics: set[str] = set()
        async with self._writing, self._writer.begin() as connection:
            connection.info["topics"] = topics  # an SQLite connection outlives its transactions
            yield connection
        if topics and self.on_commit is not None:
            self.on_commit(topics)

    async def write_steps(self, steps: Steps[T]) -> T:
        """A whole transaction of steps, durable when it returns; on SQLite in one visit to the writer's thread."""
        if not self.is_sqlite:
            async with self.write() as connection:
                return await run_steps(connection, steps)
        async with self._writing:
            if self._driver is None:
                async with self._writer.connect() as connection:  # the pool has this one and keeps it
                    self._driver = (await connection.get_raw_connection()).driver_connection
            return await self._driver._execute(transaction_here, self._driver._conn, steps)  # type: ignore[no-any-return]

    async def compact(self) -> bool:
        """Write the database anew without what was deleted, so that no page and no write-ahead file holds it any more.
        Writers wait meanwhile. Returns whether that is all done: a reader that goes on keeps the write-ahead file.

        PostgreSQL: the tables' space is freed for what comes; its own write-ahead log is the database's affair."""
        if not self.is_sqlite:
            async with self._writer.connect() as connection:
                alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await alone.exec_driver_sql("VACUUM")
            return True
        async with self._writing, self._writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute("VACUUM")
            for _ in range(CHECKPOINTS):
                cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                is_busy = (await cursor.fetchone())[0]
                await cursor.close()
                if not is_busy:
                    return True
                await asyncio.sleep(CHECKPOINT_AGAIN_S)
        return False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view; never waits for a writer."""
        async with self._reader.connect() as connection:
            yield connection

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def open_database(url: str) -> Database:
    """`url`: `sqlite:///path` or `postgresql://user@host/name`; the driver is ours to choose."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        parsed = parsed.set(drivername="sqlite+aiosqlite")
        writer = create_async_engine(parsed, poolclass=StaticPool)
        event.listen(writer.sync_engine, "connect", _sqlite_writer)
        event.listen(writer.sync_engine, "begin", _begin_immediate)
        reader = create_async_engine(parsed, pool_size=4, max_overflow=4)
        event.listen(reader.sync_engine, "connect", _sqlite_reader)
        event.listen(reader.sync_engine, "begin", _begin)
        return Database(writer, reader)
    parsed = parsed.set(drivername="postgresql+asyncpg")
    engine = create_async_engine(parsed, pool_size=8, max_overflow=8, pool_pre_ping=True)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Database(engine, reader)


def _sqlite_writer(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, not the driver's late one
    how = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000", "cache_size=-65536")
    for pragma in (*how, "secure_delete=FAST"):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_reader(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("query_only=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
