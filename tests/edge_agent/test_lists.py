"""The allowlist on disk: lookups beside deltas and snapshots, and bits that flipped in it."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.journal.database import JournalUnwritable
from edge_agent.published import list_writer, lists
from edge_agent.published.list_writer import SnapshotWriter
from edge_agent.published.lists import ListDamaged, ListFile
from protocol.allowlist import CardState
from protocol.envelope import open_as
from protocol.errors import Failure, Refused
from protocol.messages import Delta, PartName, Snapshot
from protocol.token import token
from protocol.uid import CardUID
from tests.support.central_side import CentralSide, uid
from tests.support.edge_side import Edge


def made(central: CentralSide, number: int) -> bytes:
    return token(central.domain_key(), CardUID(uid(number)))


def write(directory: Path, central: CentralSide) -> ListFile:
    envelope, chunks = central.snapshot()
    writer = SnapshotWriter(directory, open_as(Snapshot, envelope, central.ring()), bytes(32))
    for chunk in chunks:
        writer.add(chunk)
    return writer.finish()


def delta(central: CentralSide, base: int) -> Delta:
    found = central.delta(base)
    assert found is not None
    return found


def test_a_snapshot_is_what_was_published(tmp_path: Path, central: CentralSide) -> None:
    with closing(write(tmp_path, central)) as listed:
        assert listed.header.part() == next(part for part in central.parts() if part.name == PartName.ALLOWLIST)
        assert lists.verify(listed.path) == []
        assert listed.lookup(made(central, 1)) is not None
        assert listed.lookup(made(central, 99)) is None


def test_deltas_put_change_and_drop(tmp_path: Path, central: CentralSide) -> None:
    with closing(write(tmp_path, central)) as listed:
        rows = dict(central.rows)
        del rows[made(central, 0)]
        central.set_list(rows)
        central.put_card(1, CardState.BLOCKED)
        central.put_card(77)
        listed.apply(delta(central, 1))
        assert listed.lookup(made(central, 0)) is None
        blocked, added = listed.lookup(made(central, 1)), listed.lookup(made(central, 77))
        assert blocked is not None
        assert blocked.state is CardState.BLOCKED
        assert added is not None
        assert lists.verify(listed.path) == []
        central.put_card(0)
        listed.apply(delta(central, 4))
        assert listed.lookup(made(central, 0)) is not None
        assert listed.header.deltas == 2
    with closing(ListFile(listed.path)) as again:
        assert again.header == listed.header
        assert lists.read_header(listed.path) == listed.header


def test_lookups_go_on_while_deltas_are_applied(tmp_path: Path, central: CentralSide) -> None:
    stop, failed = threading.Event(), []
    with closing(write(tmp_path, central)) as listed:

        def looking() -> None:
            while not stop.is_set():
                if listed.lookup(made(central, 3)) is None:
                    failed.append("a card that was never off the list was not found")

        thread = threading.Thread(target=looking)
        thread.start()
        for number in range(100, 160):
            base = central.list_version
            central.put_card(number)
            listed.apply(delta(central, base))
        stop.set()
        thread.join()
    assert not failed


def test_a_lookup_never_meets_a_closed_list(stocked: Edge) -> None:
    """The list is swapped between two taps: nobody is turned away because a newer one came."""
    stop, denied = threading.Event(), []

    def tapping() -> None:
        while not stop.is_set():
            signal = stocked.tap(3)
            if signal.outcome != "granted":
                denied.append(signal)

    threads = [threading.Thread(target=tapping) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(30):
        stocked.central.put_card(200 + number)
        stocked.central.publish()
        stocked.take(stocked.central.seal(stocked.central.manifest))
        stocked.fetch()
    stop.set()
    for thread in threads:
        thread.join()
    assert not denied
    assert not stocked.gate.list_damaged.is_set()
    assert len(list(stocked.directory.glob("list-*.db"))) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE header SET record = x'00'",
        "DELETE FROM header",
        "DROP TABLE header",
        "UPDATE header SET record = 'text'",
    ],
)
def test_a_list_whose_header_is_not_what_was_stored_is_not_opened(
    tmp_path: Path, central: CentralSide, sql: str
) -> None:
    listed = write(tmp_path, central)
    listed.close()
    with closing(sqlite3.connect(listed.path)) as db, db:
        db.execute(sql)
    with pytest.raises(ListDamaged):
        ListFile(listed.path)
    assert lists.verify(listed.path)


def test_a_row_that_is_not_what_was_published_is_found(tmp_path: Path, central: CentralSide) -> None:
    listed = write(tmp_path, central)
    listed.close()
    with closing(sqlite3.connect(listed.path)) as db, db:
        db.execute(
            "UPDATE entries SET entry = replace(entry, 'citizen', 'citizem') WHERE token = ?", (made(central, 1),)
        )
        db.execute("UPDATE entries SET entry = CAST(entry AS BLOB)")
    assert any("not what was published" in line for line in lists.verify(listed.path))
    with closing(sqlite3.connect(listed.path)) as db, db:
        db.execute("DELETE FROM entries WHERE token = ?", (made(central, 1),))
    assert any("rows where" in line for line in lists.verify(listed.path))


def test_a_list_that_fails_in_use_is_set_aside_and_fetched_again(stocked: Edge) -> None:
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    with closing(sqlite3.connect(listed.path)) as db, db:
        db.execute("UPDATE entries SET entry = x'c1'")
    assert stocked.tap(1).reason == "unknown-card"
    assert stocked.gate.list_damaged.is_set()
    stocked.uptake.drop_damaged_list()
    assert stocked.tap(1).reason == "list-missing"
    assert stocked.uptake.wants_snapshot
    assert list(stocked.directory.glob("damaged-list-*.db"))
    stocked.fetch()
    assert stocked.tap(1).outcome == "granted"


def test_an_entry_that_was_published_unreadable_does_not_cost_the_whole_list(edge: Edge) -> None:
    central = edge.central
    central.set_list({**central.rows, made(central, 9): b"\xc1"})
    central.publish()
    edge.take_all()
    assert edge.tap(9).reason == "unknown-card"
    edge.uptake.drop_damaged_list()
    assert edge.tap(1).outcome == "granted"


def test_a_chunk_that_repeats_a_token_is_refused(tmp_path: Path, central: CentralSide) -> None:
    envelope, chunks = central.snapshot()
    writer = SnapshotWriter(tmp_path, open_as(Snapshot, envelope, central.ring()), bytes(32))
    writer.add(chunks[0])
    with pytest.raises(Refused) as caught:
        writer.add(chunks[0])
    assert caught.value.kind is Failure.MALFORMED
    writer.abandon()
    assert not list(tmp_path.iterdir())


def test_a_snapshot_with_too_few_rows_is_refused(tmp_path: Path, central: CentralSide) -> None:
    envelope, chunks = central.snapshot()
    writer = SnapshotWriter(tmp_path, open_as(Snapshot, envelope, central.ring()), bytes(32))
    writer.add(chunks[0])
    with pytest.raises(Refused) as caught:
        writer.finish()
    assert caught.value.kind is Failure.WRONG_COUNT
    writer.abandon()


def test_a_snapshot_leaves_the_journal_its_room(stocked: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_writer, "ROOM_BYTES", 1 << 60)
    stocked.central.put_card(1, CardState.BLOCKED)
    stocked.central.publish()
    stocked.take(stocked.central.seal(stocked.central.manifest))
    with pytest.raises(Refused, match="no room"):
        stocked.fetch()
    assert len(list(stocked.directory.glob("list-*.db"))) == 1


def test_a_list_that_finds_no_room_is_refused_and_stays(stocked: Edge) -> None:
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    pages = listed._writer.execute("PRAGMA page_count").fetchone()[0]
    listed._writer.execute(f"PRAGMA max_page_count = {pages}")
    central = stocked.central
    for number in range(300, 420):
        central.put_card(number, classes=("c" * 60, "d" * 60))
    central.publish()
    stocked.take(central.seal(central.manifest), central.seal(delta(central, 1)))
    assert "cannot be stored" in stocked.uptake.troubles[PartName.ALLOWLIST].why
    assert stocked.tap(1).outcome == "granted"
    listed._writer.execute("PRAGMA max_page_count = 100000")
    stocked.uptake.troubles.clear()
    stocked.take(central.seal(central.manifest), central.seal(delta(central, 1)))
    assert stocked.tap(300).reason == "class-not-admitted"


def test_a_full_disk_at_start_is_no_damage_to_the_list(stocked: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, error: Exception) -> JournalUnwritable:
        return JournalUnwritable("no room for the shared memory")

    stocked.close()
    (listed,) = stocked.directory.glob("list-*.db")
    whole = listed.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(lists, "judged", full)
        listed.write_bytes(b"as if it could not be opened")
        stocked.open()
        assert stocked.tap(1).reason == "list-missing"
        stocked.close()
    assert listed.exists()
    assert not list(stocked.directory.glob("damaged-list-*"))
    listed.write_bytes(whole)
    stocked.open()
    assert stocked.tap(1).outcome == "granted"
