"""Verification: whole is whole, and a flipped bit is noticed wherever something vouches for it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, delete, select, update

from central import enrolment
from central.actions.cards.member_index import put_name_keys
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.lists import refresh_domain
from central.publish import manifest_for
from central.shared_parts import put_names, put_profiles
from central.store.schema import (
    batches,
    cards,
    devices,
    domains,
    epochs,
    events,
    evidence,
    gate_configs,
    gates,
    list_entries,
    lists,
    manifests,
    member_classes,
    members,
    name_lists,
    names,
    policies,
    profiles,
    staff,
    subjects,
)
from protocol.joining import from_text
from protocol.messages import GateConfig, Hello, Names, Profiles, ScreenConfig, decode, encode
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, Journal
from tests.central.admin import Admin, admin_of
from tests.central.city import City, uid


@pytest.fixture
async def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    """Something of everything: resends, overlaps, a loss, a gap, a fork, a refused and a held event, a revoked and
    an enrolled device, a blocked card, a sealed name, staff, reader profiles, masked names, manifests."""
    ids = await city.add_members(5)
    await city.set_card_state(ids[0], 1)
    await city.change(members, members.c.id == ids[1], name_sealed=keys.seal_name("王小明", ids[1]))
    async with city.database.write() as connection:
        await put_name_keys(connection, keys, {ids[1]: "王小明"})
    joined = await enrol(database, keys)
    await city.add_staff("main", "lin", "246813")
    async with database.write() as connection:
        await manifest_for(connection, keys, city.device.id, NOW_MS - 450)
    shown = ScreenConfig(names=True, staff_admit=True)
    await city.configure(GateConfig(0, "door-1", "door", screen=shown), NOW_MS - 400)
    await city.add(names, {"domain": "library", "member": ids[2], "name": "王○明"})
    async with database.write() as connection:
        await put_names(connection, "library", NOW_MS)
        await put_profiles(connection, {"generic-pcsc": "name = 'generic-pcsc'"}, NOW_MS)
    understands = (*UNDERSTANDS, Profiles.TYPE, Names.TYPE)
    report = encode(city.device.poll_message(understands=understands))
    await city.change(devices, devices.c.id == city.device.id, report=report)
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
        for device in (city.device.id, joined):
            await manifest_for(connection, keys, device, NOW_MS)
    custodian = Custodian(database, keys, DeviceKeys(database))
    journal = Journal(city.device)
    journal.tap(9)
    journal.add("from-the-future")
    journal.add_raw(b"\x93\x01\x02\x03")
    journal.tap(8)
    lossy = Journal(city.device, journal)
    lossy.tap(9)
    other = journal.branch(5)
    other.tap(2)
    for body in (
        journal.upload(0, 4),
        journal.upload(0, 4),
        journal.upload(3, 7),
        journal.upload(2, 6),
        journal.upload(15, 17),
        journal.upload(8, 14),
        other.upload(5, 6),
        lossy.upload(0, 2),
        lossy.upload(5, 9, lost=2),
    ):
        await custodian.take(body, NOW_MS)
    stolen = await city.add_device(Device("stolen"))
    late = Journal(stolen)
    await custodian.take(late.upload(), NOW_MS)
    async with database.write() as connection:
        await enrolment.revoke(connection, "stolen", "stolen", NOW_MS)
    late.tap(3)
    await custodian.take(late.upload(1), NOW_MS)
    admin = admin_of(database, keys, database_url, tmp_path)
    admin.now_ms = NOW_MS + 1
    return admin


async def enrol(database: Any, keys: Any) -> str:
    device = Device()
    async with database.write() as connection:
        text = await enrolment.invite(connection, "door-1", NOW_MS, "https://localhost", keys, True)
        secret = from_text(text).secret
        nonce = decode_nonce(enrolment.hello(keys, NOW_MS))
        answer = await enrolment.enrol(connection, keys, device.enrol(secret, nonce), NOW_MS)
        assert isinstance(answer, bytes)
        query = select(devices.c.id).where(devices.c.signing_public == device.signer.public)
        name = str((await connection.execute(query)).scalar_one())
        await enrolment.confirm(connection, name, device.words(keys.root_public, secret), NOW_MS)
    return name


def decode_nonce(hello: bytes) -> bytes:
    return decode(Hello, hello).nonce


async def test_whole_is_whole(admin: Admin) -> None:
    result = await admin.act("verify")
    assert admin.items == []
    assert result.problems == 0
    for what in (
        "batches",
        "receipts",
        "events",
        "epochs",
        "evidence",
        "cards",
        "names",
        "staff",
        "configurations",
        "profile sets",
        "masked names",
        "lists",
        "list rows",
        "manifests",
    ):
        assert result.checked[what] > 0, what


FLIPS: list[tuple[Table, str]] = [
    *((batches, name) for name in ("device", "epoch", "first", "digest", "through", "taken_first", "received_ms")),
    *((batches, name) for name in ("outcome", "envelope", "receipt")),
    *((events, name) for name in ("device", "epoch", "sequence", "at_ms", "gate", "kind", "direction", "decision")),
    *((events, name) for name in ("reason", "rule", "repeat_of", "outcome", "personal", "detail")),
    *((epochs, column.name) for column in epochs.columns),
    *((cards, name) for name in ("uid_index", "uid_sealed", "number", "state", "from_ms", "until_ms", "member")),
    *((member_classes, name) for name in ("name", "from_ms", "until_ms")),
    (members, "name_sealed"),
    (subjects, "subject"),
    *((lists, name) for name in ("key_number", "count", "sum")),
    *((list_entries, name) for name in ("token", "entry", "dropped", "version")),
    *((manifests, name) for name in ("number", "at_ms", "content", "envelope")),
    *((policies, name) for name in ("version", "body")),
    (gates, "kind"),
    *((gate_configs, name) for name in ("gate", "version", "warn_ms", "restrict_ms", "close_ms", "body")),
    *((staff, name) for name in ("venue", "id", "salt", "slow_sealed")),
    *((profiles, name) for name in ("version", "digest", "body")),
    *((names, name) for name in ("domain", "member", "name")),
    *((name_lists, name) for name in ("domain", "version", "digest", "body")),
    *((devices, name) for name in ("signing_public",)),
    (domains, "key_number"),
    *((evidence, name) for name in ("digest", "body")),
]


def flipped(value: Any, in_key: bool = False) -> Any:
    """The lowest bit of the middle byte, or of the number; a higher one where the neighbour's row is next to it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1024 if in_key else 1)
    if isinstance(value, str):
        middle = len(value) // 2
        return value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :] if value else "x"
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :] if value else b"x"


def _keyed(table: Table, row: Any) -> Any:
    condition: Any = None
    for column in table.primary_key.columns:
        each = column == getattr(row, str(column.name))
        condition = each if condition is None else condition & each
    return condition


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_flipped_bit_is_noticed(admin: Admin, engine: str) -> None:
    """One bit in one column of one row at a time; afterwards it is put back."""
    missed = []
    for table, column in FLIPS:
        async with admin.database.read() as connection:
            rows = (await connection.execute(select(table))).all()
        if table in (gates, policies, devices):
            rows = rows[:1]
        rows = [row for row in rows if _vouched(table, column, row)]
        assert rows, f"{table.name}.{column}: the fixture has no such row"
        for row in {rows[0], rows[-1]}:
            if not await _noticed(admin, table, column, row):
                missed.append(f"{table.name}.{column} of {row}")
    assert missed == []


def _vouched(table: Table, column: str, row: Any) -> bool:
    value = getattr(row, column)
    if value is None or value == b"":
        return table is not list_entries and table is not evidence and value is not None and column != "receipt"
    if table is list_entries and row.dropped:
        return False
    if table is events and row.outcome == "refused":
        return column in ("device", "epoch", "sequence", "outcome")
    if table is evidence and column == "digest":
        return bool(row.body)
    return True


async def _noticed(admin: Admin, table: Table, column: str, row: Any) -> bool:
    before = {str(c.name): getattr(row, str(c.name)) for c in table.columns}
    after = before | {column: flipped(before[column], table.columns[column].primary_key)}
    await _replace(admin, table, row, after)
    try:
        return bool((await admin.act("verify")).problems)
    finally:
        changed = type("Changed", (), after)
        await _replace(admin, table, changed, before)


async def _replace(admin: Admin, table: Table, row: Any, values: dict[str, Any]) -> None:
    """Foreign keys are off: a flipped bit asks nobody."""
    async with admin.database._writer.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await connection.rollback()
        await raw.execute("PRAGMA foreign_keys=OFF")
        async with connection.begin():
            await connection.execute(update(table).where(_keyed(table, row)).values(values))


@pytest.mark.parametrize("table", [batches, events, epochs, cards, list_entries, names, name_lists, gate_configs])
async def test_a_row_that_went_missing_is_noticed(admin: Admin, table: Table) -> None:
    async with admin.database.read() as connection:
        row = (await connection.execute(select(table))).first()
    async with admin.database.write() as connection:
        await connection.execute(delete(table).where(_keyed(table, row)))
    assert (await admin.act("verify")).problems > 0


VERSIONS = [(lists, "version"), (name_lists, "version"), (profiles, "version"), (domains, "key_number")]


@pytest.mark.parametrize(("table", "column"), VERSIONS)
async def test_a_version_that_went_back_is_noticed(admin: Admin, table: Table, column: str) -> None:
    async with admin.database.write() as connection:
        await connection.execute(update(table).values({column: table.columns[column] - 1}))
    assert (await admin.act("verify")).problems > 0


async def test_a_destroyed_personal_part_is_fine(admin: Admin) -> None:
    async with admin.database.write() as connection:
        await connection.execute(update(events).values(personal=None))
    assert (await admin.act("verify")).problems == 0


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_problem_says_where_and_names_no_uid(admin: Admin, city: City) -> None:
    async with admin.database.write() as connection:
        await connection.execute(update(events).where(events.c.sequence == 1).values(reason="okay"))
        await connection.execute(update(cards).where(cards.c.number == 1).values(uid_index=cards.c.id))
    await admin.act("verify")
    said = "\n".join(f"{problem.where}: {problem.what}" for problem in admin.items)
    assert f"event {city.device.id}" in said
    assert "reason is 'okay', 'ok' was signed" in said
    assert "its index is not that of its UID" in said
    assert not any(uid(number).raw.hex() in said for number in range(1, 5))


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_page_of_the_file_that_was_overwritten_is_noticed(
    admin: Admin, tmp_path: Path, keys: Any, database_url: str
) -> None:
    await admin.database.close()
    file = tmp_path / "central.db"
    data = bytearray(file.read_bytes())
    noticed = 0
    pages = range(2, len(data) // 4096)
    for page in pages:
        damaged = data.copy()
        damaged[page * 4096 : page * 4096 + 8] = b"\xff" * 8
        file.write_bytes(damaged)
        from central.store.database import open_database

        async with open_database(database_url) as database:
            other = admin_of(database, keys, database_url, tmp_path)
            try:
                noticed += (await other.act("verify")).problems > 0
            except Exception:
                noticed += 1
    assert noticed == len(pages)
