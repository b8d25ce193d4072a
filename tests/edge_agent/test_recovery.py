"""A damaged store is set aside whole, never erased; what still proves itself is carried over and delivered."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.config import Config, JournalSettings
from edge_agent.gate import Gate
from edge_agent.housekeeping import Housekeeping
from edge_agent.journal import outbox, recovery
from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import SEQUENCE_BITS, event_id
from edge_agent.journal.verify import faults, verify
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from protocol.messages import Kind, StoreDetail, decode
from tests.edge_agent.test_outbox import deliver, deliver_all
from tests.support.central_side import DEVICE, GATE, CentralSide
from tests.support.edge_side import LIMITS, Edge, identity_for


class Kept(Edge):
    """An agent opened with its housekeeping, as the program opens it."""

    def open(self) -> None:
        identity = identity_for(self.central, self.directory)
        self.store = recovery.open_store(self.directory, LIMITS, self.clock.wall_ms)
        self.gate = Gate(self.store, self.ear, self.clock, Holding(DEVICE, GATE))
        self.uptake = Uptake(self.directory, self.gate, identity)
        self.housekeeping = Housekeeping(
            Config(self.directory, journal=JournalSettings(reserve_mib=1)), self.gate, self.uptake
        )
        self.housekeeping.start()

    def close(self) -> None:
        self.housekeeping.stop()
        self.uptake.close()
        self.gate.store.close()

    def crash(self) -> None:
        self.housekeeping.stop()
        super().crash()

    @property
    def told(self) -> list[StoreDetail]:
        self.store = self.gate.store
        return [decode(StoreDetail, event.detail) for event in self.events() if event.kind == Kind.STORE]

    def tick(self) -> None:
        self.housekeeping._tried_s -= 10
        self.housekeeping._tick(None)
        self.store = self.gate.store


@pytest.fixture
def kept(tmp_path: Path, central: CentralSide) -> Kept:
    edge = Kept(tmp_path / "edge", central)
    edge.take_all()
    for number in range(12):
        edge.tap(number % 5)
    return edge


def damage(directory: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(directory / "agent.db")) as db, db:
        db.execute(sql, values)


def test_a_damaged_store_is_replaced_at_start_and_nothing_that_can_be_read_is_lost(kept: Kept) -> None:
    deliver(kept, 3)
    before = [event.sequence for event in kept.events()]
    kept.close()
    damage(kept.directory, "UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")
    kept.open()
    assert [event.sequence for event in kept.events()][: len(before)] == before
    assert kept.told[0].what == "damaged"
    (aside,) = kept.directory.glob("damaged-2*")
    assert (aside / "agent.db").exists()
    assert kept.tap(1).outcome == "granted", "parts and list were carried over"
    deliver_all(kept)
    assert sorted(kept.central.publics()) == sorted(
        row[0] for row in kept.store.connection.execute("SELECT public FROM events")
    )
    kept.close()
    assert verify(kept.directory) == []


def test_an_event_that_was_altered_is_told_as_lost_and_the_rest_is_delivered(kept: Kept) -> None:
    kept.close()
    damage(
        kept.directory,
        "UPDATE events SET public = CAST(replace(public, 'tap', 'tab') AS BLOB) WHERE id = ?",
        event_id(1, 5),
    )
    kept.open()
    kept.gate.damaged.set()
    kept.tick()
    lost = [detail for detail in kept.told if detail.what == "damaged" and detail.epoch]
    assert [(detail.first, detail.through) for detail in lost] == [(5, 5)]
    deliver_all(kept)
    assert outbox.backlog(kept.store) == 0
    kept.close()
    assert [line for line in verify(kept.directory) if "missing" not in line] == []


def test_a_store_found_damaged_in_use_is_replaced_while_the_gate_answers(kept: Kept) -> None:
    kept.store.connection.execute("UPDATE events SET public = x'00' WHERE id = ?", (event_id(1, 3),))
    with pytest.raises(Exception, match="event 3"):
        outbox.next_run(kept.store)
    kept.gate.damaged.set()
    kept.tick()
    assert not kept.gate.damaged.is_set()
    assert kept.store.epoch.number == 2
    assert kept.tap(1).outcome == "granted"
    deliver_all(kept)
    kept.close()


def test_a_garbage_file_costs_the_journal_and_not_the_gate(kept: Kept) -> None:
    kept.close()
    (kept.directory / "agent.db").write_bytes(random.Random(1).randbytes(50_000))
    kept.open()
    what = [detail.what for detail in kept.told]
    assert what == ["damaged", "tail-lost"]
    assert kept.tap(1).reason == "list-missing"
    kept.take_all()
    assert kept.tap(1).outcome == "granted"
    kept.close()


def test_a_lost_tail_is_told(kept: Kept) -> None:
    kept.close()
    damage(kept.directory, "DELETE FROM events WHERE id > ?", event_id(1, 7))
    kept.open()
    (detail,) = kept.told
    assert (detail.what, detail.first, detail.through) == ("tail-lost", 8, 12)
    kept.close()


def test_the_name_of_an_epoch_is_read_from_its_first_event_where_its_row_is_gone(kept: Kept) -> None:
    kept.close()
    damage(kept.directory, "DELETE FROM epochs")
    damage(kept.directory, "UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")
    kept.open()
    assert len(kept.events()) > 13
    deliver_all(kept)
    assert len(kept.central.publics()) == len(kept.events())
    kept.close()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_bits_flip_the_agent_starts_and_says_so(kept: Kept, seed: int) -> None:
    """In any file but the keys: it opens, in one go or after replacing the store, and the gate answers."""
    kept.close()
    chance = random.Random(seed)
    path = kept.directory / "agent.db"
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 40)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    kept.open()
    assert kept.tap(1).reason in {"ok", "list-missing", "journal-unwritable"}
    for fault in verify(kept.directory):
        if fault:
            kept.gate.damaged.set()
    kept.tick()
    assert kept.tap(2).sequence >= 0
    deliver_all(kept)
    kept.close()


# --- cut short ------------------------------------------------------------------------------------------------


class Cut(Exception):
    """The power went."""


@pytest.mark.parametrize("after", range(12))
def test_recovery_that_is_cut_short_anywhere_is_finished_by_the_next_start(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    kept.crash()
    events = 13
    damage_in_place(kept.directory)
    left = [after]

    def counting(function: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **options: object) -> object:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return function(*args, **options)

        return counted

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counting(Path.rename))
        patched.setattr("edge_agent.journal.recovery.replace_file", counting(recovery.replace_file))
        patched.setattr(Store, "commit", counting(Store.commit))
        try:
            kept.open()
            kept.close()
        except Cut:
            pass
    kept.open()
    assert len([event for event in kept.events() if event.kind == "tap"]) == events - 1
    deliver_all(kept)
    assert outbox.backlog(kept.store) == 0
    kept.close()
    assert verify(kept.directory) == []


def damage_in_place(directory: Path) -> None:
    """A fact that is not what was stored, in a database that still has its write-ahead file."""
    with closing(sqlite3.connect(directory / "agent.db", isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")


def test_salvage_that_finds_no_room_waits_and_the_gate_lets_people_out(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.close()
    damage(kept.directory, "UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")

    def full(*_: object) -> None:
        raise JournalUnwritable("full")

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.journal.salvage._put", full)
        kept.open()
        assert kept.gate.store.epoch.number == 0
        assert kept.tap(1).reason == "journal-unwritable"
        kept.tick()
        assert kept.gate.store.epoch.number == 0
    kept.tick()
    assert kept.tap(1).outcome == "granted"
    assert kept.store.epoch.number == 2
    kept.close()


def test_what_was_salvaged_is_not_salvaged_again(kept: Kept) -> None:
    kept.close()
    damage(kept.directory, "UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")
    kept.open()
    count = len(kept.events())
    kept.reopen()
    assert len(kept.events()) == count + 1
    assert recovery.unsalvaged(kept.directory) == []
    kept.close()


def test_epochs_go_on_counting_behind_what_was_carried_over(kept: Kept) -> None:
    kept.reopen()
    kept.close()
    damage(kept.directory, "UPDATE facts SET value = x'00' WHERE name = 'signed_ms'")
    kept.open()
    numbers = {id_ >> SEQUENCE_BITS for (id_,) in kept.store.connection.execute("SELECT id FROM events")}
    assert numbers == {1, 2, 3}
    kept.close()


@pytest.mark.parametrize("epochs", [1, 2])
def test_an_altered_last_event_of_an_epoch_is_noticed_and_told_as_lost_once(kept: Kept, epochs: int) -> None:
    for _ in range(epochs - 1):
        kept.reopen()
    kept.close()
    sql = "UPDATE events SET public = CAST(replace(public, 'in', 'im') AS BLOB) WHERE id = ?"
    damage(kept.directory, sql, event_id(1, 12))
    assert {fault.where for fault in faults(kept.directory)} == {"journal"}
    kept.open()
    kept.gate.damaged.set()
    kept.tick()
    assert "journal" not in {fault.where for fault in faults(kept.directory)}
    deliver_all(kept)
    kept.close()
