"""A server's parts on both databases: an SQLite file, and a PostgreSQL cluster that the tests start themselves."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from central.access import passwords
from central.keys import Keys
from central.store.database import Database, open_database
from central.store.migrate import migrate_async
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.terminal import Operator, Served, founded, serving
from tests.support.postgres import Databases, cluster

HASHER, NOBODYS = passwords._hasher, passwords._nobodys


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Passwords that cost a millisecond: what they cost otherwise is tested by itself."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    nobodys = cheap.hash("of nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", cheap)
        patch.setattr(passwords, "_nobodys", lambda: nobodys)
        yield


@pytest.fixture
def real_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that cost what they cost people."""
    monkeypatch.setattr(passwords, "_hasher", HASHER)
    monkeypatch.setattr(passwords, "_nobodys", NOBODYS)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with cluster() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Databases:
    return Databases(postgres_server)


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
    databases: Databases = request.getfixturevalue("postgres_databases")
    return await databases.empty()


@pytest.fixture
async def database_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty database with the newest schema."""
    if engine == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        if not template.exists():
            await migrate_async(f"sqlite:///{template}")
            with closing(sqlite3.connect(template)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(template, tmp_path / "central.db")
        yield f"sqlite:///{tmp_path / 'central.db'}"
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    url = await databases.take()
    yield url
    await databases.give_back(url)


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
