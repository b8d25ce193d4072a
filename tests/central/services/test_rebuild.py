"""What is computed can be computed again, and a difference is found, told and mended."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from central.actions.action import ActionFailed
from central.keys import Keys
from central.store.database import Database
from central.store.schema import PROJECTION, marks, metadata, states, subject_states, visits
from tests.central.actors import Device
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person
from tests.central.services.test_settling import history


@pytest.fixture
def admin(database: Database, keys: Keys, database_url: str, tmp_path: Path, city: City) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
async def town(database: Database, keys: Keys, city: City) -> Town:
    town = Town(database, keys)
    for diary in history(city.device, 7):
        await town.take(diary)
    await town.settle()
    return town


async def test_what_stands_there_is_what_is_computed_again(town: Town, admin: Admin) -> None:
    before = await town.everything()
    found = await admin.act("rebuild")
    assert found.different == 0
    assert {table.table for table in found.tables} >= {"marks", "fates", "visits"}
    assert next(table.rows for table in found.tables if table.table == "marks") == len(before["marks"]) > 10
    assert await town.everything() == before


async def test_every_projection_is_rebuilt_but_how_far_it_is_and_what_was_told(town: Town, admin: Admin) -> None:
    computed = {table.name for table in metadata.sorted_tables if table.info == PROJECTION}
    found = await admin.act("rebuild")
    assert computed - {table.table for table in found.tables} == {"projected", "states", "subject_states"}


async def test_events_that_are_not_settled_yet_are_no_difference(town: Town, city: City, admin: Admin) -> None:
    diary = Diary(await city.add_device(Device("door-1-late")))
    diary.came(person(1))
    await town.take(diary)
    assert (await admin.act("rebuild")).different == 0
    assert (await admin.act("rebuild.apply")).different == 0
    await town.settle()
    assert (diary.epoch, 1) in await town.fates()


async def test_a_difference_is_told_and_nothing_is_changed(town: Town, city: City, admin: Admin) -> None:
    gone, *_ = await town.rows(visits)
    of = (visits.c.epoch == gone[2], visits.c.sequence == gone[3])
    async with town.database.write() as connection:
        await connection.execute(delete(visits).where(*of))
        await connection.execute(update(marks).values(points=marks.c.points + 1))
    damaged = await town.everything()
    found = {table.table: table for table in (await admin.act("rebuild")).tables}
    assert (found["visits"].missing, found["visits"].wrong) == (1, 0)
    assert found["visits"].first_missing["epoch"] == gone[2].hex()
    assert found["marks"].missing == found["marks"].wrong == len(damaged["marks"])
    assert found["marks"].first_wrong["points"] > 0
    assert (found["fates"].missing, found["fates"].wrong) == (0, 0)
    assert await town.everything() == damaged
    alone = await admin.act("rebuild", service="visits")
    assert [(table.table, table.missing) for table in alone.tables] == [("visits", 1)]


async def test_a_difference_is_mended_and_gates_are_told_everything_again(town: Town, admin: Admin) -> None:
    whole = await town.everything()
    (before,) = await _states(town)
    async with town.database.write() as connection:
        await connection.execute(delete(marks).where(marks.c.subject == person(1)))
        await connection.execute(delete(visits))
        await connection.execute(delete(subject_states).where(subject_states.c.subject == person(1)))
    mended = await admin.act("rebuild.apply")
    assert mended.different > 0
    assert mended.applied
    assert await town.everything() == whole
    assert (await admin.act("rebuild")).different == 0
    (after,) = await _states(town)
    async with town.database.read() as connection:
        versions = dict((await connection.execute(select(subject_states.c.subject, subject_states.c.version))).all())
    assert after.began > before.version
    assert min(versions.values()) > after.began
    assert {row[1] for row in whole["marks"]} - {b""} == versions.keys()


async def test_a_service_that_does_not_exist_is_named(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="one of marks, visits"):
        await admin.act("rebuild", service="weather")


async def _states(town: Town) -> list[Any]:
    async with town.database.read() as connection:
        return list(await connection.execute(select(states)))


async def test_a_copied_scratch_leaves_nothing_behind(town: Town, admin: Admin, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    await admin.act("rebuild")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
