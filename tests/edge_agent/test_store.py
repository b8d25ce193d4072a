"""One transaction a tap, on disk when it returns; and what the store says when it cannot write or was damaged."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from edge_agent.files import checked, destroy_file, replace_file, unchecked
from edge_agent.journal import schema
from edge_agent.journal.database import Limits, StoreDamaged
from edge_agent.journal.mark import read_mark
from edge_agent.journal.migrations import migrations
from edge_agent.journal.reserve import Reserve
from edge_agent.journal.schema import NewerSchema
from edge_agent.journal.store import JournalUnwritable, Store
from edge_agent.journal.transaction import event_id
from protocol.envelope import Keyring, open_as
from protocol.history import History, LastTap
from protocol.journal import extend, genesis
from protocol.messages import Clock, Direction, EpochStart, Event, Kind, Outcome, decode, encode
from tests.support.central_side import DEVICE, GATE, CentralSide
from tests.support.edge_side import LIMITS, Edge, HandClock

CLOCK = HandClock(1_790_000_000_000)
SIGNER = CentralSide(CLOCK.wall_ms).device_signer


def begin(store: Store, why: str = "start") -> None:
    store.begin_epoch(DEVICE, GATE, SIGNER, CLOCK.now(), Clock.TRUSTED, why)


def append(store: Store, detail: bytes = b"") -> int:
    def work(transaction):  # type: ignore[no-untyped-def]
        event = Event(transaction.sequence, 1, bytes(8), 1, Clock.TRUSTED, GATE, Kind.STORE, detail=detail)
        return transaction.append(encode(event), b"")

    found: int = store.commit(work)
    store.settle()
    return found


def rows(directory: Path) -> list[tuple[int, bytes, bytes]]:
    """Looked at by a connection of its own: what is committed and nothing else."""
    with closing(sqlite3.connect(f"file:{directory / 'agent.db'}?mode=ro", uri=True)) as db:
        return db.execute("SELECT id, public, previous FROM events ORDER BY id").fetchall()


def test_events_extend_the_chain_of_their_epoch(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        assert [append(store) for _ in range(3)] == [1, 2, 3]
        head = genesis(DEVICE, store.epoch.epoch)
        for id_, public, previous in rows(tmp_path):
            assert previous == head
            head = extend(head, public)
            assert decode(Event, public).sequence == id_ - event_id(store.epoch.number, 0)
        assert store.head == head


def test_a_new_epoch_names_the_last_event_of_the_one_before(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        append(store)
        first, head = store.epoch.epoch, store.head
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        start = open_as(EpochStart, decode(Event, rows(tmp_path)[-1][1]).detail, Keyring.of(SIGNER.public))
    assert (start.previous_epoch, start.previous_sequence, start.previous_head) == (first, 1, head)
    assert start.epoch != first


def test_an_epoch_begun_while_taps_flow_names_the_very_last_of_them(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        stop = threading.Event()

        def tapping() -> None:
            while not stop.is_set():
                append(store)

        threads = [threading.Thread(target=tapping) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            begin(store, "forked")
        stop.set()
        for thread in threads:
            thread.join()
        found = [(id_ >> 40, decode(Event, public)) for id_, public, _ in rows(tmp_path)]
        last = {number: event.sequence for number, event in found}
        for number, event in found:
            if event.kind == Kind.START and number > 1:
                start = open_as(EpochStart, event.detail, Keyring.of(SIGNER.public))
                assert start.previous_sequence == last[number - 1]


def test_work_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)

        def work(transaction):  # type: ignore[no-untyped-def]
            transaction.append(b"x", b"")
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError):
            store.commit(work)
        assert store.next_sequence == 1
        assert append(store) == 1
        assert len(rows(tmp_path)) == 2


def test_nothing_is_written_before_an_epoch_has_begun(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store, pytest.raises(JournalUnwritable):
        append(store)
    assert rows(tmp_path) == []


# --- no room --------------------------------------------------------------------------------------------------


def fill(store: Store) -> None:
    """To the journal's own ceiling, which SQLite reports as it does a full disk."""
    while True:
        append(store, os.urandom(2_000))


def small(tmp_path: Path) -> Store:
    return Store(tmp_path, Limits(journal_bytes=256 * 1024, reserve_bytes=64 * 1024, wal_bytes=1024**2))


def test_a_full_journal_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    with closing(small(tmp_path)) as store:
        begin(store)
        with pytest.raises(JournalUnwritable):
            fill(store)
        assert store.reserve.is_spent
        assert store.next_sequence == len(rows(tmp_path))


def test_a_full_journal_can_still_be_opened_and_read(tmp_path: Path) -> None:
    with closing(small(tmp_path)) as store:
        begin(store)
        with pytest.raises(JournalUnwritable):
            fill(store)
    with closing(small(tmp_path)) as store:
        assert len(rows(tmp_path)) > 50
        with pytest.raises(JournalUnwritable):
            fill(store)


def test_the_reserve_is_put_by_again_and_never_where_there_is_no_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 64 * 1024)
    assert reserve.restore()
    assert not reserve.restore(), "it is there already"
    assert reserve.spend()
    assert not reserve.spend()
    assert reserve.is_spent
    assert not Reserve(tmp_path, 1 << 60).restore()


def test_a_disk_that_takes_nothing_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checkpointed can be read, so that a gate knows which way it faces; writing is tried again later."""
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        store.commit(lambda transaction: transaction.set_fact("generation", b"12345678"))

    def unwilling(path: Path, limits: Limits) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.journal.store.connect", unwilling)
        store = Store(tmp_path, LIMITS)
        assert not store.is_writable
        assert store.fact("generation") == b"12345678"
        with pytest.raises(JournalUnwritable):
            begin(store)
    assert not list(tmp_path.glob("damaged-*"))
    store.reopen()
    assert store.is_writable
    begin(store)
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to drop a right that only root gives back")
def test_a_folder_that_cannot_be_written_is_no_damage(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
    for name in ("agent.db-wal", "agent.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "agent.db").chmod(0o400)
    tmp_path.chmod(0o500)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            Store(tmp_path, LIMITS)
        except JournalUnwritable:
            os._exit(0)
        except BaseException:
            os._exit(1)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    tmp_path.chmod(0o700)
    assert os.waitstatus_to_exitcode(status) == 0


# --- not what was written -------------------------------------------------------------------------------------


def test_a_database_that_is_none_is_damage(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreDamaged):
        Store(tmp_path, LIMITS)


@pytest.mark.parametrize("table", ["facts", "epochs"])
def test_a_flipped_bit_in_what_everything_rests_on_is_damage(tmp_path: Path, table: str) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        store.commit(lambda transaction: transaction.set_fact("generation", b"12345678"))
    column = {"facts": "value", "epochs": "delivered"}[table]
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute(f"UPDATE {table} SET {column} = x'00' || substr({column}, 2)")
        db.execute(f"UPDATE {table} SET {column} = x'ff' || substr({column}, 2)")
    with pytest.raises(StoreDamaged):
        Store(tmp_path, LIMITS)


def test_a_damaged_store_that_was_opened_leaves_its_successor_alone(tmp_path: Path) -> None:
    """A connection that is collected late would remove the write-ahead file of whoever opened after it."""
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute("UPDATE epochs SET delivered = x'00'")
    try:
        Store(tmp_path, LIMITS)
    except StoreDamaged as error:
        kept = error
    for path in tmp_path.glob("agent.db*"):
        path.rename(path.with_name("old-" + path.name))
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        del kept
        append(store)
        assert (tmp_path / "agent.db-wal").stat().st_size > 0
        assert len(rows(tmp_path)) == 2


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    Store(tmp_path, LIMITS).close()
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('tapgate-edge', 'm999', '')"
        )
    with pytest.raises(NewerSchema, match="m999"):
        Store(tmp_path, LIMITS)


def test_a_missing_tail_is_noticed(tmp_path: Path) -> None:
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        for _ in range(3):
            append(store)
        epoch = store.epoch.epoch
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute("DELETE FROM events WHERE id > ?", (event_id(1, 1),))
    with closing(Store(tmp_path, LIMITS)) as store:
        assert store.lost_tail is not None
        assert (store.lost_tail.epoch, store.lost_tail.sequence) == (epoch, 3)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff\xff", b"\x00\x05abcde", bytes(60)])
def test_a_torn_mark_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.mark").write_bytes(content)
    assert read_mark(tmp_path) is None
    with closing(Store(tmp_path, LIMITS)) as store:
        assert store.lost_tail is None


def test_a_record_of_the_history_that_is_not_what_was_stored_counts_as_none(tmp_path: Path) -> None:
    history = History(LastTap(1, bytes(8), 1, 1, bytes(8), Direction.IN, Outcome.GRANTED, "ok", ""))
    with closing(Store(tmp_path, LIMITS)) as store:
        begin(store)
        store.commit(lambda transaction: transaction.remember(b"k", history, 1))
        assert store.commit(lambda transaction: transaction.history(b"k")) == history
        store.connection.execute("UPDATE history SET record = CAST(x'00' || record AS BLOB)")
        assert store.commit(lambda transaction: transaction.history(b"k")) is None


# --- files ----------------------------------------------------------------------------------------------------


def test_a_check_belongs_to_its_name() -> None:
    assert unchecked(b"a", checked(b"a", b"value")) == b"value"
    assert unchecked(b"b", checked(b"a", b"value")) is None
    assert unchecked(b"a", "text where bytes belong") is None
    assert unchecked(None, b"") is None


def test_a_file_is_replaced_whole_and_destroyed_in_place(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    replace_file(path, b"old")
    (tmp_path / "secret.new").write_bytes(b"left by a crash")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    link = tmp_path / "another-name"
    os.link(path, link)
    destroy_file(path)
    destroy_file(path)
    assert not path.exists()
    assert link.read_bytes() == bytes(3)


def test_taps_of_several_threads_stand_one_after_the_other(edge: Edge) -> None:
    edge.take_all()
    threads = [threading.Thread(target=lambda n=n: [edge.tap(n) for _ in range(20)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sequences = [event.sequence for event in edge.events()]
    assert sequences == list(range(81))


def test_every_migration_is_named_where_it_is_looked_for() -> None:

    assert tuple(step.name for step in migrations.pending(Database(memory=True))) == schema.NAMES


def test_an_older_schema_is_copied_aside_before_it_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path, LIMITS).close()
    monkeypatch.setattr("edge_agent.journal.schema.NAMES", ("m001_journal", "m002_more"))
    Store(tmp_path, LIMITS).close()
    with closing(sqlite3.connect(tmp_path / "agent.db.before-002")) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
