"""The migrations lead to the schema that the code is written for, and never past it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from central.configs import read_configs
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store.database import Database, open_database
from central.store.migrate import MIGRATIONS, SchemaNewer, alembic_config, head, is_current, migrate_async
from central.store.schema import events, metadata, retention_rules
from protocol.messages import Direction, GateConfig, Kind, PassageDetail, ReaderDetail, encode
from tests.central.actors import NOW_MS, Journal
from tests.central.city import City


async def test_the_migrations_make_exactly_the_schema_of_the_code(empty_url: str) -> None:
    await migrate_async(empty_url)
    await migrate_async(empty_url)  # nothing is left to do
    async with open_database(empty_url) as database:
        async with database.read() as connection:
            assert await is_current(connection)
        async with database.write() as connection:
            found = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
    assert found == []


def test_files_of_migrations_begin_with_their_revision() -> None:
    versions = MIGRATIONS / "versions"
    for path in versions.glob("[0-9]*.py"):
        assert f'revision = "{path.name[:4]}"' in path.read_text()


async def test_the_newest_revision_is_the_one_that_alembic_knows(database_url: str) -> None:
    async with open_database(database_url) as database, database.read() as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)))
    assert scripts.get_current_head() == head()


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
    done, held = [], head()
    monkeypatch.setattr("central.store.migrate.head", lambda: "next")
    monkeypatch.setattr("central.store.migrate._upgrade", done.append)
    await migrate_async(database_url)
    copy = tmp_path / f"central.db.before-next-was-{held}"
    async with open_database(f"sqlite:///{copy}") as database, database.read() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == held
    assert len(done) == 1


async def _set_revision(url: str, revision: str) -> None:
    async with open_database(url) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


class ConfigBefore(msgspec.Struct):
    """A configuration as the version at schema 0001 sent it."""

    version: int
    gate: str
    kind: str
    direction: str
    time_zone: str
    title_zh: str
    title_en: str


async def test_gates_keep_the_configuration_that_they_hold_and_events_get_their_details(
    city: City, database: Database, keys: Keys
) -> None:
    titled = GateConfig(0, "door-1", "door", Direction.OUT, "Asia/Taipei", "圖書館", "Library")
    held = await city.configure(titled)
    journal = Journal(city.device)
    journal.tap(2)
    journal.add(Kind.PASSAGE, detail=encode(PassageDetail(1, "taken")))
    journal.add_raw(b"\x93\x01\x02\x03")
    journal.add(Kind.READER, detail=encode(ReaderDetail("r", "ready")))
    custodian = Custodian(database, keys, DeviceKeys(database))
    await custodian.take(journal.upload(0, 3), NOW_MS)
    await custodian.take(journal.upload(2, 5), NOW_MS)
    before = await _events(database)
    assert [row.detail is not None for row in before] == [True, False, False, True, False, True]
    await _to(database, command.downgrade, "0001")
    async with database.read() as connection:
        query = text("SELECT direction, title_zh, title_en, config_version, warn_ms, restrict_ms, close_ms FROM gates")
        (row,) = (await connection.execute(query)).all()
        assert tuple(row) == ("out", "圖書館", "Library", held.version, 3_600_000, 86_400_000, 604_800_000)
    await _to(database, command.upgrade, "head")
    assert await _events(database) == before
    async with database.read() as connection:
        after = (await read_configs(connection, ["door-1"]))["door-1"]
    sent = ConfigBefore(held.version, "door-1", "door", "out", "Asia/Taipei", "圖書館", "Library")
    assert after.body == encode(sent)
    assert (after.config, after.ages) == (held.config, held.ages)


async def _events(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(select(events).order_by(events.c.sequence)))


async def _to(database: Database, way: Any, revision: str) -> None:
    def run(connection: Any) -> None:
        way(alembic_config(connection), revision)

    async with database.write() as connection:
        await connection.run_sync(run)


async def test_rules_of_retention_that_were_there_are_of_admission(database: Database) -> None:
    of_venue = {"venue": "main", "days": 180, "at_ms": NOW_MS, "who": "ana", "why": ""}
    async with database.write() as connection:
        rule = insert(retention_rules)
        await connection.execute(rule.values({**of_venue, "purpose": "admission"}))
        await connection.execute(rule.values({**of_venue, "purpose": "points", "venue": ""}))
    await _to(database, command.downgrade, "0026")
    async with database.read() as connection:
        assert list(await connection.execute(text("SELECT venue, days FROM retention_rules"))) == [("main", 180)]
    await _to(database, command.upgrade, "head")
    async with database.read() as connection:
        rows = (await connection.execute(select(retention_rules))).all()
    assert [(row.purpose, row.venue, row.days) for row in rows] == [("admission", "main", 180)]
