"""A database to try something in, of which nothing remains."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.database import open_database

SCRATCH = "scratch-"
"""How the names of copies begin."""


class _Undone(Exception):
    """Ends a transaction without a trace."""


@asynccontextmanager
async def scratch(url: str, directory: Path) -> AsyncIterator[AsyncConnection]:
    """A transaction on the database as it is now, rolled back at the end. On SQLite it is of a copy in `directory`, so
    that uploads do not wait for it; PostgreSQL keeps them apart by itself."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        async with _undone(url) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=directory) as folder:
        copy = Path(folder) / "central.db"
        with (
            closing(sqlite3.connect(f"file:{parsed.database}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        async with _undone(f"sqlite:///{copy}") as connection:
            yield connection


@asynccontextmanager
async def _undone(url: str) -> AsyncIterator[AsyncConnection]:
    async with open_database(url) as database:
        try:
            async with database.write() as connection:
                yield connection
                raise _Undone
        except _Undone:
            pass
