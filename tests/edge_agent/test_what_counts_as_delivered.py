"""An event is delivered when central's signed word for these very events is stored, and not before (SPEC §6.5)."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge_agent.delivery import Delivery
from edge_agent.journal import outbox
from edge_agent.journal.pruning import KEEP_MS, prune
from protocol.envelope import Keyring, Signer, open_as
from protocol.errors import Failure, Refused
from protocol.messages import Batch, Fresh, Receipt, Resume, Role, Upload, decode
from tests.edge_agent.door import Door
from tests.faults import city

START_MS = 1_790_000_000_000
TAPS = 6
RING = Keyring({city.RECEIPT.public: frozenset({Role.RECEIPT}), city.PUBLISH.public: frozenset({Role.PUBLISH})})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Door(tmp_path / "edge") as door:
        for number in range(TAPS):
            door.tap(number)
        yield door


def receipt(door: Door, most: int = 1_000) -> Receipt:
    run = outbox.next_run(door.store, most)
    assert run is not None
    batch = run.batch(city.DEVICE)
    return Receipt(city.DEVICE, batch.epoch, batch.first, batch.first + len(batch.events) - 1, batch.head, START_MS)


def accept(door: Door, word: Receipt) -> None:
    outbox.accept_receipt(door.store, city.DEVICE, word, city.RECEIPT.seal(word), START_MS)


def through(door: Door) -> int:
    return outbox.delivered(door.store, 1)


def sequences(door: Door) -> list[int]:
    return [event.sequence for event in door.events()]


# --- receipts -------------------------------------------------------------------------------------------------


def test_a_receipt_counts_for_what_it_names(door: Door) -> None:
    accept(door, receipt(door, 3))
    assert through(door) == 2
    accept(door, receipt(door))
    assert through(door) == TAPS
    assert outbox.next_run(door.store) is None


def test_a_receipt_for_other_events_under_the_same_numbers_does_not_count(door: Door) -> None:
    word = receipt(door)
    with pytest.raises(Refused) as caught:
        accept(door, msgspec.structs.replace(word, head=bytes(32)))
    assert caught.value.kind is Failure.BROKEN_CHAIN
    assert through(door) == -1
    assert door.store.connection.execute("SELECT count(*) FROM receipts").fetchone() == (0,)


def test_no_moment_has_an_event_delivered_without_its_stored_receipt(door: Door, tmp_path: Path) -> None:
    disks = door.disks(tmp_path)
    while outbox.next_run(door.store) is not None:
        accept(door, receipt(door, 2))
    assert disks
    for disk in disks:
        with closing(sqlite3.connect(disk / "agent.db")) as db:
            ((delivered,),) = db.execute("SELECT delivered FROM epochs").fetchall()
            stored = [row[0] for row in db.execute("SELECT envelope FROM receipts")]
        proved = [open_as(Receipt, envelope, city.RECEIPT_RING).through for envelope in stored]
        assert int.from_bytes(delivered[:8], signed=True) <= max(proved, default=-1), disk.name


def test_a_resume_goes_back_even_below_what_was_receipted(door: Door) -> None:
    first = receipt(door)
    accept(door, first)
    outbox.accept_resume(door.store, city.DEVICE, Resume(city.DEVICE, first.epoch, 2, bytes(32), START_MS))
    again = outbox.next_run(door.store)
    assert again is not None
    assert (again.first, len(again.publics)) == (2, TAPS - 1)


# --- answers that are no receipt --------------------------------------------------------------------------------


class Line:
    """In the uplink's place: every upload gets this answer, with status 200."""

    def __init__(self, door: Door, kind: str) -> None:
        self.door, self.kind = door, kind

    async def send(self, path: str, body: bytes, timeout_s: float = 30) -> tuple[bytes, ...]:
        batch = open_as(Batch, decode(Upload, body).batch, city.DEVICE_RING)
        word = Receipt(city.DEVICE, batch.epoch, batch.first, TAPS, batch.head, START_MS)
        good = city.RECEIPT.seal(word)
        return {
            "good": (good,),
            "nothing": (),
            "two": (good, good),
            "a flipped signature": (good[:-1] + bytes([good[-1] ^ 1]),),
            "a stranger's": (Signer.generate().seal(word),),
            "a key of another role": (city.PUBLISH.seal(word),),
            "another device's": (city.RECEIPT.seal(msgspec.structs.replace(word, device="device-2")),),
            "another epoch's": (city.RECEIPT.seal(msgspec.structs.replace(word, epoch=bytes(8))),),
            "other events": (city.RECEIPT.seal(msgspec.structs.replace(word, head=bytes(32))),),
            "no word for a batch": (city.PUBLISH.seal(Fresh(city.DEVICE, 1, START_MS, 1)),),
            "no envelope": (b"ok",),
        }[self.kind]


def delivery(door: Door, kind: str) -> Delivery:
    return Delivery(door.gate, city.DEVICE, city.OWN, Line(door, kind), lambda: RING)  # type: ignore[arg-type]


async def test_a_signed_receipt_is_taken(door: Door) -> None:
    await delivery(door, "good").step()
    assert through(door) == TAPS


@pytest.mark.parametrize(
    "kind",
    [
        *("nothing", "two", "a flipped signature", "a stranger's", "a key of another role", "another device's"),
        *("another epoch's", "other events", "no word for a batch", "no envelope"),
    ],
)
async def test_no_other_answer_counts_as_a_receipt(door: Door, kind: str) -> None:
    with pytest.raises(Refused):
        await delivery(door, kind).step()
    assert through(door) == -1
    assert door.store.connection.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
    await delivery(door, "good").step()
    assert through(door) == TAPS


# --- letting go -------------------------------------------------------------------------------------------------


def test_a_delivered_event_stays_its_time_after_the_receipt(door: Door) -> None:
    accept(door, receipt(door))
    assert prune(door.store, START_MS + KEEP_MS) == 0
    assert sequences(door) == list(range(TAPS + 1))
    while prune(door.store, START_MS + KEEP_MS + 1):
        pass
    assert sequences(door) == [TAPS]  # the newest stays: the next epoch names it


@pytest.mark.parametrize("most_bytes", [None, 0], ids=["old", "crowded"])
def test_an_event_without_a_receipt_is_never_let_go(door: Door, most_bytes: int | None) -> None:
    accept(door, receipt(door, 3))
    while prune(door.store, START_MS + 10 * KEEP_MS, most_bytes=most_bytes):
        pass
    assert sequences(door) == list(range(3, TAPS + 1))
    run = outbox.next_run(door.store)
    assert run is not None
    assert (run.first, run.lost) == (3, 0)
