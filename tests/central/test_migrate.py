"""The migrations lead to the schema that the code is written for, and never past it."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from central.store.database import open_database
from central.store.migrate import SchemaNewer, head, is_current, migrate_async
from central.store.schema import metadata


async def test_the_migrations_make_exactly_the_schema_of_the_code(empty_url: str) -> None:
    await migrate_async(empty_url)
    await migrate_async(empty_url)  # nothing is left to do
    async with open_database(empty_url) as database:
        async with database.read() as connection:
            assert await is_current(connection)
        async with database.write() as connection:
            found = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
    assert found == []


async def test_an_empty_database_is_not_ready(empty_url: str) -> None:
    async with open_database(empty_url) as database, database.read() as connection:
        assert not await is_current(connection)


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    await _set_revision(database_url, "9999")
    with pytest.raises(SchemaNewer, match=f"schema 9999, this version knows up to {head()}"):
        await migrate_async(database_url)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_file_is_copied_before_it_is_changed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    monkeypatch.setattr("central.store.migrate.head", lambda: "0002")
    monkeypatch.setattr("central.store.migrate._upgrade", done.append)
    await migrate_async(database_url)
    copy = tmp_path / "central.db.before-0002-was-0001"
    async with open_database(f"sqlite:///{copy}") as database, database.read() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "0001"
    assert len(done) == 1


async def _set_revision(url: str, revision: str) -> None:
    async with open_database(url) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
