"""What central answers is on disk before it is said: seen by somebody else's connection at that very moment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from central.claim import Evident
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store.database import open_database
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.city import City

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def count(url: str, table: str) -> int:
    with closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.fixture
def journal(city: City) -> Journal:
    journal = Journal(city.device)
    journal.tap(4)
    return journal


async def test_a_receipt_is_given_for_what_others_can_read_already(
    city: City, keys: Keys, database_url: str, journal: Journal
) -> None:
    custodian = Custodian(city.database, keys, DeviceKeys(city.database))
    await custodian.take(journal.upload(0, 2), NOW_MS)
    assert (count(database_url, "batches"), count(database_url, "events")) == (1, 3)
    await custodian.take(journal.upload(3, 4), NOW_MS)
    assert (count(database_url, "batches"), count(database_url, "events")) == (2, 5)


async def test_an_upload_whose_commit_fails_is_not_answered(
    city: City, keys: Keys, database_url: str, journal: Journal
) -> None:
    custodian = Custodian(city.database, keys, DeviceKeys(city.database))
    await custodian.take(journal.upload(0, 2), NOW_MS)
    async with city.database.write() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None

    def no_commit(action: int, what: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, what) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK

    await driver._execute(driver._conn.set_authorizer, no_commit)
    with pytest.raises(sqlite3.DatabaseError):
        await custodian.take(journal.upload(3, 4), NOW_MS)
    await driver._execute(driver._conn.set_authorizer, None)
    assert count(database_url, "events") == 3
    taken = await custodian.take(journal.upload(3, 4), NOW_MS)
    assert (taken.outcome, taken.events) == ("accepted", 2)


async def test_a_refusal_that_keeps_evidence_keeps_it_first(
    city: City, keys: Keys, database_url: str, journal: Journal
) -> None:
    custodian = Custodian(city.database, keys, DeviceKeys(city.database))
    with pytest.raises(Evident):
        await custodian.take(journal.upload(head=bytes(32)), NOW_MS)
    assert count(database_url, "evidence") == 1


async def test_central_that_was_opened_anew_gives_the_same_receipt(
    city: City, keys: Keys, database_url: str, journal: Journal, tmp_path: Path
) -> None:
    first = await Custodian(city.database, keys, DeviceKeys(city.database)).take(journal.upload(), NOW_MS)
    await city.database.close()
    async with open_database(database_url) as database:
        again = await Custodian(database, keys, DeviceKeys(database)).take(journal.upload(), NOW_MS + 1)
    assert again.answer == first.answer
    assert isinstance(city.device, Device)
