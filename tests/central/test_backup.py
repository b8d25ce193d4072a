"""Backup and restore, on one engine and from one to the other."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from central.access.audit import LOOKED, Entry, append
from central.access.caller import on_this_machine
from central.actions.action import ActionFailed
from central.actions.custody.backup_file import BackupReader
from central.actions.custody.restore import remember_generation, remembered_generation, restore
from central.config import parse
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.generation import generation_of
from central.keys import Keys
from central.lists import refresh_domain
from central.publish import manifest_for
from central.shared_parts import put_names, put_profiles
from central.store.database import open_database
from central.store.migrate import head
from central.store.schema import consent_notices, devices, gate_configs, lists, metadata, names, policies, staff
from protocol.envelope import unwrap
from protocol.messages import Consents, GateConfig, Manifest, Names, PartName, Profiles, ScreenConfig, decode, encode
from protocol.pin import slow
from tests.central.actors import NOW_MS, UNDERSTANDS, Journal
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE

LATER_MS = NOW_MS + 3_600_000


@pytest.fixture
async def admin(city: City, database: Any, keys: Keys, database_url: str, tmp_path: Path) -> Admin:
    """A city with cards, custody, a configured gate with staff, profiles, names and notices, and a manifest."""
    ids = await city.add_members(20)
    await city.add(names, {"domain": "library", "member": ids[0], "name": "王○明"})
    await city.add_staff("main", "lin", "246813")
    told = {"purpose": "notices", "version": 1, "at_ms": NOW_MS, "who": "ana", "body": json.dumps(NOTICE)}
    await city.add(consent_notices, told)
    screen = ScreenConfig(names=True, staff_admit=True, consents=("notices",))
    await city.configure(GateConfig(0, "door-1", "door", screen=screen))
    async with database.write() as connection:
        await put_names(connection, "library", NOW_MS)
        await put_profiles(connection, {"generic-pcsc": "name = 'generic-pcsc'"}, NOW_MS)
    poll = city.device.poll_message(understands=(*UNDERSTANDS, Profiles.TYPE, Names.TYPE, Consents.TYPE))
    await city.change(devices, devices.c.id == city.device.id, report=encode(poll))
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
        await manifest_for(connection, keys, city.device.id, NOW_MS)
    journal = Journal(city.device)
    journal.tap(30)
    await Custodian(database, keys, DeviceKeys(database)).take(journal.upload(), NOW_MS)
    return admin_of(database, keys, database_url, tmp_path)


async def rows_of(database: Any) -> dict[str, list[Any]]:
    async with database.read() as connection:
        return {
            table.name: sorted(map(repr, (tuple(row) for row in await connection.execute(select(table)))))
            for table in metadata.sorted_tables
        }


async def restored(keys: Keys, backup: Path, data_dir: Path, url: str = "", now_ms: int = LATER_MS) -> Any:
    """Into an empty SQLite database, or the one of `url`."""
    config = parse({"data_dir": str(data_dir), "database": url, "keys_dir": str(keys.directory)})
    data_dir.mkdir(exist_ok=True)
    return config, await restore(config, keys, backup, now_ms, replace=False)


@pytest.mark.parametrize("compression", ["zlib", "none"])
async def test_every_row_comes_back(admin: Admin, keys: Keys, tmp_path: Path, compression: str) -> None:
    made = await admin.act("backup", path=str(tmp_path / "b"), compression=compression)
    before = await rows_of(admin.database)
    config, done = await restored(keys, tmp_path / "b", tmp_path / "other")
    assert done.rows == made.rows == sum(map(len, before.values()))
    async with open_database(config.database) as database:
        after = await rows_of(database)
        other = Admin(config, database, keys)
        assert (await other.act("verify")).problems == 0
    for table in (
        "domains",
        "venues",
        "members",
        "cards",
        "subjects",
        "devices",
        "batches",
        "events",
        "manifests",
        "staff",
        "names",
    ):
        assert after[table] == before[table], table


async def test_a_backup_holds_no_key_and_is_for_its_owner_alone(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    await admin.act("backup", path=str(tmp_path / "b"), compression="none")
    data = (tmp_path / "b").read_bytes()
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    async with admin.database.read() as connection:
        (person,) = (await connection.execute(select(staff))).all()
    assert slow("246813", person.salt) not in data  # six digits would be found by trying all of them
    for file in keys.directory.glob("*.key"):
        secret = file.read_text().strip()
        assert bytes.fromhex(secret) not in data
        assert secret.encode() not in data


async def test_a_restored_server_is_newer_than_anything_in_the_field(
    admin: Admin, city: City, keys: Keys, tmp_path: Path
) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    config, done = await restored(keys, tmp_path / "b", tmp_path / "other")
    async with open_database(config.database) as database:
        async with database.write() as connection:
            assert await generation_of(connection) == done.generation > await _generation(admin.database)
            head = (await connection.execute(select(lists.c.version, lists.c.base))).one()
            assert head.version == head.base >= LATER_MS
            assert (await connection.execute(select(func.max(gate_configs.c.version)))).scalar_one() >= LATER_MS
            versions = (await connection.execute(select(policies.c.version))).scalars().all()
            assert max(versions) >= LATER_MS
            envelope = await manifest_for(connection, keys, city.device.id, LATER_MS)
        manifest = decode(Manifest, unwrap(envelope).payload)
    assert manifest.generation == done.generation
    outside = {PartName.STATE, PartName.BIND, PartName.ASK, PartName.FORGET}
    assert {part.name for part in manifest.parts} == set(PartName) - outside
    assert all(part.version >= LATER_MS for part in manifest.parts if part.name != "domain-key")


async def _generation(database: Any) -> int:
    async with database.read() as connection:
        return await generation_of(connection)


async def test_the_same_backup_twice_gets_two_generations(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    config, first = await restored(keys, tmp_path / "b", tmp_path / "other")
    Path(config.data_dir / "central.db").unlink()
    _, second = await restored(keys, tmp_path / "b", tmp_path / "other")
    assert second.generation > first.generation
    assert remembered_generation(config.data_dir) == second.generation


async def test_a_generation_that_is_remembered_is_passed(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    remember_generation(tmp_path / "other", LATER_MS * 2)
    await admin.act("backup", path=str(tmp_path / "b"))
    _, done = await restored(keys, tmp_path / "b", tmp_path / "other")
    assert done.generation > LATER_MS * 2


async def test_what_stands_there_is_not_replaced_unasked(
    admin: Admin, city: City, engine: str, keys: Keys, tmp_path: Path
) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    await city.add_members(5, first=100)
    await admin.database.close()
    with pytest.raises(ActionFailed, match="state --replace"):
        await restore(admin.config, keys, tmp_path / "b", LATER_MS, replace=False)
    done = await restore(admin.config, keys, tmp_path / "b", LATER_MS, replace=True)
    assert Path(done.moved_aside).exists()
    async with open_database(admin.config.database) as database:
        assert len((await rows_of(database))["members"]) == 20
        assert (await Admin(admin.config, database, keys).act("verify")).problems == 0
    if engine == "sqlite":
        async with open_database(f"sqlite:///{done.moved_aside}") as database:
            assert len((await rows_of(database))["members"]) == 25
    else:
        BackupReader(Path(done.moved_aside))


@pytest.mark.parametrize("engine", [pytest.param("postgresql", marks=pytest.mark.system)])
async def test_from_sqlite_to_postgresql(admin: Admin, keys: Keys, empty_url: str, tmp_path: Path) -> None:
    """The fixture's rows are on PostgreSQL: carry them to SQLite, and from there to an empty server."""
    await admin.act("backup", path=str(tmp_path / "b"))
    config, _ = await restored(keys, tmp_path / "b", tmp_path / "other")
    async with open_database(config.database) as database:
        await Admin(config, database, keys).act("backup", path=str(tmp_path / "b2"))
        before = await rows_of(database)
    moved, _ = await restored(keys, tmp_path / "b2", tmp_path / "third", empty_url, LATER_MS + 1)
    async with open_database(moved.database) as database:
        assert (await Admin(moved, database, keys).act("verify")).problems == 0
        assert (await rows_of(database))["events"] == before["events"]


async def test_who_restored_which_backup_stands_in_the_restored_log(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    caller = on_this_machine("lin", "command line")
    await append(admin.database, caller, Entry("inside", LOOKED, "main"), NOW_MS)
    await admin.act("backup", path=str(tmp_path / "b"))
    await admin.database.close()
    done = await restore(admin.config, keys, tmp_path / "b", LATER_MS, replace=True, caller=caller)
    async with open_database(admin.config.database) as database:
        other = Admin(admin.config, database, keys)
        (entry,) = (await other.act("audit.list", action="restore", kind="changes")).entries
        assert (entry.account, entry.origin, entry.at_ms, entry.outcome) == ("lin", "command line", LATER_MS, "done")
        assert (entry.target, entry.params["made_ms"]) == ("b", done.made_ms)
        assert entry.answer == {"rows": done.rows, "generation": done.generation}
        checked = await other.act("audit.verify")
        assert (checked.problems, checked.rows) == (0, 3)


async def test_a_backup_is_of_one_instant(admin: Admin, city: City, tmp_path: Path) -> None:
    """Rows that come while it is written are not in it, in no table."""
    written = asyncio.Event()

    async def progress(_what: str, _done: int, _total: int) -> None:
        if not written.is_set():
            written.set()
            await city.add_members(3, first=200)

    from central.actions.action import Context
    from central.actions.custody import backup

    context = Context(admin.config, admin.database, admin.keys, NOW_MS, progress)
    backup.BLOCK_BYTES, size = 100, backup.BLOCK_BYTES
    try:
        await backup.backup(context, backup.BackupParams(path=str(tmp_path / "b")))
    finally:
        backup.BLOCK_BYTES = size
    blocks = list(BackupReader(tmp_path / "b").blocks())
    assert written.is_set()
    assert {sum(len(b.rows) for b in blocks if b.table == name) for name in ("members", "cards", "subjects")} == {20}


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("place", [0.0, 0.01, 0.3, 0.7, 0.999])
async def test_a_flipped_bit_is_refused_and_changes_nothing(
    admin: Admin, keys: Keys, tmp_path: Path, place: float
) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    data = bytearray((tmp_path / "b").read_bytes())
    data[int(len(data) * place)] ^= 4
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(ActionFailed, match="digest|no backup"):
        await restored(keys, tmp_path / "b", tmp_path / "other")
    assert not (tmp_path / "other" / "central.db").exists()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_backup_cut_short_is_refused(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    (tmp_path / "b").write_bytes((tmp_path / "b").read_bytes()[:-40])
    with pytest.raises(ActionFailed, match="cut short"):
        BackupReader(tmp_path / "b")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_other_keys_or_another_schema_are_refused(admin: Admin, keys: Keys, tmp_path: Path) -> None:
    await admin.act("backup", path=str(tmp_path / "b"), compression="none")
    strangers = Keys.create(tmp_path / "strangers", None, NOW_MS)
    with pytest.raises(ActionFailed, match="key 1 of domain library is not in"):
        await restored(strangers, tmp_path / "b", tmp_path / "other")
    strangers.new_domain_key("library", 1)
    with pytest.raises(ActionFailed, match="sealed with another key"):
        await restored(strangers, tmp_path / "b", tmp_path / "other")
    (strangers.directory / "card-seal.key").write_bytes((keys.directory / "card-seal.key").read_bytes())
    with pytest.raises(ActionFailed, match="found by another key than .*card-index.key"):
        await restored(Keys(strangers.directory), tmp_path / "b", tmp_path / "other")
    assert not (tmp_path / "other" / "central.db").exists()
    data = (tmp_path / "b").read_bytes()[:-32].replace(b"\xa4%s" % head().encode(), b"\xa49999", 1)
    (tmp_path / "b").write_bytes(data + hashlib.sha256(data).digest())
    with pytest.raises(ActionFailed, match="schema 9999"):
        await restored(keys, tmp_path / "b", tmp_path / "other")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_failed_backup_leaves_the_last_one(admin: Admin, tmp_path: Path, monkeypatch: Any) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    before = (tmp_path / "b").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        await admin.act("backup", path=str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_device_sends_again_what_the_backup_lacks(admin: Admin, city: City, keys: Keys, tmp_path: Path) -> None:
    await admin.act("backup", path=str(tmp_path / "b"))
    journal = Journal(city.device)
    journal.tap(3)
    custodian = Custodian(admin.database, keys, DeviceKeys(admin.database))
    assert (await custodian.take(journal.upload(), LATER_MS)).outcome == "accepted"
    config, _ = await restored(keys, tmp_path / "b", tmp_path / "other", now_ms=LATER_MS + 5)
    async with open_database(config.database) as database:
        custodian = Custodian(database, keys, DeviceKeys(database))
        taken = await custodian.take(journal.upload(), LATER_MS + 6)
        assert (taken.outcome, taken.events) == ("accepted", 4)
        assert (await Admin(config, database, keys).act("verify")).problems == 0
