"""Bring a database to the schema of this code, in one transaction; an SQLite file is copied beside itself first."""

import asyncio
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.database import open_database

MIGRATIONS = Path(__file__).with_name("migrations")
_ONE_AT_A_TIME = 0x7461_7067  # the key of PostgreSQL's advisory lock: "tapg"


class SchemaNewer(Exception):
    """The database was written by a newer version; this one would misread it."""


def migrate(url: str) -> None:
    """Upgrade to the newest schema; nothing happens when it is there already. Blocks; needs no event loop.

    Raises SchemaNewer.
    """
    asyncio.run(migrate_async(url))


async def migrate_async(url: str) -> None:
    """`migrate` for who runs an event loop already."""
    async with open_database(url) as database:
        async with database.read() as connection:
            found = await revision_of(connection)
        if found == head():
            return
        if found is not None:
            _must_be_known(found)
            if database.is_sqlite:
                await asyncio.to_thread(_copy_aside, Path(str(make_url(url).database)), found)
        async with database.write() as connection:
            if not database.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
            await connection.run_sync(_upgrade)


async def is_current(connection: AsyncConnection) -> bool:
    """Whether a database has the schema of this code."""
    return await revision_of(connection) == head()


async def revision_of(connection: AsyncConnection) -> str | None:
    """The schema revision that a database is at; None for an empty one."""
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


@lru_cache(maxsize=1)
def head() -> str:
    """The revision that this code is written for."""
    return str(_scripts().get_current_head())


def _must_be_known(revision: str) -> None:
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaNewer(
            f"the database has schema {revision}, this version knows up to {head()}: "
            "run the newer version, or restore a backup made by this one"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _copy_aside(path: Path, revision: str) -> None:
    """A whole copy, made by SQLite itself, so that one can go back to the version before."""
    copy = path.with_name(f"{path.name}.before-{head()}-was-{revision}")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
