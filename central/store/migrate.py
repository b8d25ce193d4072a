"""Bring a database to the schema of this code, in one transaction; an SQLite file is copied beside itself first."""

import asyncio
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.database import open_database

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

MIGRATIONS = Path(__file__).with_name("migrations")
_REVISION_DIGITS = 4
"""Of the number that a migration's file begins with, which is its revision."""
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
    if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
        return None
    return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))


def head() -> str:
    """The revision that this code is written for."""
    return max(_revisions())


@lru_cache(maxsize=1)
def _revisions() -> frozenset[str]:
    """Told by the files' names, so that no command has to load Alembic and all migrations to know them."""
    return frozenset(path.name[:_REVISION_DIGITS] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _must_be_known(revision: str) -> None:
    if revision not in _revisions():
        raise SchemaNewer(
            f"the database has schema {revision}, this version knows up to {head()}: "
            "run the newer version, or restore a backup made by this one"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command  # only who upgrades waits for it to load

    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> "AlembicConfig":
    """What Alembic's commands take, within a transaction that is open."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _copy_aside(path: Path, revision: str) -> None:
    """A whole copy, made by SQLite itself, so that one can go back to the version before."""
    copy = path.with_name(f"{path.name}.before-{head()}-was-{revision}")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
