"""Every stored file that is not what was written is noticed, and the fault is named."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import identity as identity_file
from edge_agent.journal.database import ERRORS
from edge_agent.journal.verify import faults, verify
from protocol.envelope import Signer
from tests.edge_agent.test_outbox import deliver, deliver_all
from tests.support.central_side import CentralSide, key
from tests.support.edge_side import Edge


@pytest.fixture
def whole(stocked: Edge) -> Path:
    for number in range(8):
        stocked.tap(number)
    deliver(stocked, 4)
    stocked.close()
    stocked.open()
    stocked.close()
    return stocked.directory


def test_what_was_written_is_whole(whole: Path) -> None:
    assert verify(whole) == []


def test_it_can_be_verified_while_taps_go_on(stocked: Edge) -> None:
    stocked.tap(1)
    assert verify(stocked.directory) == []
    stocked.tap(2)
    assert verify(stocked.directory) == []


def test_before_the_first_run_there_is_nothing_to_verify(tmp_path: Path) -> None:
    (found,) = verify(tmp_path)
    assert "there is no journal" in found


def test_after_revocation_the_journal_is_whole_without_its_keys(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.uptake.destroy()
    assert verify(stocked.directory) == []


def test_receipts_and_parts_hold_although_their_keys_were_replaced(stocked: Edge, central: CentralSide) -> None:
    stocked.tap(1)
    deliver_all(stocked)
    central.receipts, central.publisher = Signer(key("next receipt")), Signer(key("next publisher"))
    central.keys_number = 2
    stocked.take(central.statement(), central.fresh())
    assert verify(stocked.directory) == []


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("UPDATE events SET public = CAST(replace(public, 'tap', 'tab') AS BLOB)", "journal"),
        ("UPDATE events SET personal = x'00' WHERE personal IS NOT NULL", "journal"),
        ("UPDATE events SET previous = zeroblob(32) WHERE id & 7 = 3", "journal"),
        ("DELETE FROM events WHERE id & 7 = 3", "gap"),
        ("DELETE FROM events WHERE id = (SELECT max(id) FROM events)", "mark"),
        ("DELETE FROM epochs", "journal"),
        ("UPDATE epochs SET delivered = x'00'", "journal"),
        ("UPDATE history SET record = x'00'", "journal"),
        ("UPDATE facts SET value = x'00'", "journal"),
        ("UPDATE parts SET envelope = CAST(replace(envelope, 'citizen', 'citizem') AS BLOB)", "policy"),
        ("UPDATE receipts SET envelope = x'00'", "receipt"),
        ("UPDATE receipts SET first = first + 1", "receipt"),
    ],
)
def test_each_kind_of_row_is_looked_at(whole: Path, sql: str, where: str) -> None:
    with closing(sqlite3.connect(whole / "agent.db")) as db, db:
        db.execute(sql)
    assert where in {fault.where for fault in faults(whole)}


def test_a_missing_or_altered_list_is_found(whole: Path) -> None:
    (listed,) = whole.glob("list-*.db")
    with closing(sqlite3.connect(listed)) as db, db:
        db.execute("DELETE FROM entries")
    assert {fault.where for fault in faults(whole)} == {"list"}
    for path in whole.glob("list-*"):
        path.unlink()
    assert {fault.where for fault in faults(whole)} == {"list"}


def test_an_altered_key_file_is_found(whole: Path) -> None:
    path = whole / "identity.json"
    path.write_bytes(path.read_bytes().replace(b"library-1", b"library-2"))
    assert {fault.where for fault in faults(whole)} == {"identity"}


@pytest.mark.parametrize("name", ["agent.db", "list", "identity.json"])
def test_a_flipped_bit_that_changes_anything_read_is_noticed(whole: Path, tmp_path: Path, name: str) -> None:
    """Each row as it reads, before and after: a flip in free space changes nothing and need not be noticed."""
    (path,) = whole.glob("list-*.db") if name == "list" else [whole / name]
    good, chance = path.read_bytes(), random.Random(name)
    content = rows(path)
    missed = []
    for _ in range(60):
        at, bit = chance.randrange(len(good)), 1 << chance.randrange(8)
        bad = bytearray(good)
        bad[at] ^= bit
        shutil.copytree(whole, tmp_path / "copy", dirs_exist_ok=True)
        (tmp_path / "copy" / path.name).write_bytes(bad)
        if rows(tmp_path / "copy" / path.name) != content and not verify(tmp_path / "copy"):
            missed.append((at, bit))
        shutil.rmtree(tmp_path / "copy")
    assert not missed


SELECT = {
    "_sqlite_migrations": "SELECT 1",
    "history": "SELECT key, record FROM history",  # when either was stored only says when it may go
    "receipts": "SELECT epoch, first, through, envelope FROM receipts",
}


def rows(path: Path) -> object:
    """Everything that can be read from a file."""
    if path.suffix != ".db":
        try:
            return identity_file.load(path.parent)
        except identity_file.IdentityDamaged:
            return None
    try:
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return [db.execute(SELECT.get(table, f"SELECT * FROM {table}")).fetchall() for table in tables]
    except ERRORS as error:
        return str(error)
