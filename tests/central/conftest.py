"""A server's parts on both databases: an SQLite file, and a PostgreSQL cluster that the tests start themselves."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from central.keys import Keys
from central.store.database import Database, open_database
from central.store.migrate import migrate_async
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.terminal import Operator, Served, founded, serving
from tests.support.postgres import cluster

_numbers = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with cluster() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs it leaves a migrated file for the others."""
    return tmp_path_factory.mktemp("template") / "central.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def empty_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'central.db'}"
    return await _create_database(request.getfixturevalue("postgres_server"), "template1")


@pytest.fixture
async def database_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database with the newest schema."""
    if engine == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        if not template.exists():
            await migrate_async(f"sqlite:///{template}")
            with closing(sqlite3.connect(template)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(template, tmp_path / "central.db")
        return f"sqlite:///{tmp_path / 'central.db'}"
    server = request.getfixturevalue("postgres_server")
    if not await _exists(server, "migrated"):
        await migrate_async(await _create_database(server, "template1", "migrated"))
    return await _create_database(server, "migrated")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path / "keys", None, NOW_MS)


@pytest.fixture
async def city(database: Database, keys: Keys) -> City:
    """A domain `library` with one venue, the gate `door-1`, a policy, and an active device."""
    city = City(database, keys)
    await city.found()
    return city


@pytest.fixture(scope="session")
def founded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a domain, a venue, a policy, a gate and two cards."""
    return founded(tmp_path_factory.mktemp("founded"))


@pytest.fixture
def run(founded_template: Path, tmp_path: Path) -> Operator:
    """Commands on a copy of it."""
    shutil.copytree(founded_template, tmp_path, dirs_exist_ok=True)
    return Operator(tmp_path / "data")


@pytest.fixture
def served(run: Operator, tmp_path: Path) -> Iterator[Served]:
    """A server that holds it."""
    with serving(run.directory, tmp_path / "central.toml") as served:
        yield served


async def _exists(server: str, name: str) -> bool:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        return bool(await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name))
    finally:
        await connection.close()


async def _create_database(server: str, template: str, name: str = "") -> str:
    name = name or f"t{next(_numbers)}_{uuid4().hex[:6]}"
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return f"{server}/{name}"
