"""What is sent next, what a receipt, a resume and an inventory do, and what may be let go."""

import os
from pathlib import Path

import msgspec
import pytest

from edge_agent.journal import outbox
from edge_agent.journal.database import StoreDamaged
from edge_agent.journal.outbox import next_run
from edge_agent.journal.pruning import KEEP_MS, prune
from edge_agent.journal.transaction import event_id
from protocol.errors import Failure, Refused
from protocol.journal import heads
from protocol.messages import (
    MAX_BATCH_BYTES,
    EpochHeld,
    Holdings,
    Kind,
    Personal,
    Receipt,
    Resume,
    StoreDetail,
    Upload,
    decode,
    encode,
)
from tests.support.central_side import DEVICE, CentralSide
from tests.support.edge_side import Edge


def deliver(edge: Edge, most: int = 1_000) -> bool:
    """One batch and its answer, as the loop does it."""
    run = next_run(edge.store, most)
    if run is None:
        return False
    envelope = edge.central.device_signer.seal(run.batch(DEVICE))
    (answer,) = edge.central.take(encode(Upload(envelope, tuple(run.personals))))
    from protocol.envelope import open_as

    try:
        word = open_as(Receipt, answer, edge.central.ring())
        outbox.accept_receipt(edge.store, DEVICE, word, answer, edge.clock.wall_ms)
    except Refused:
        outbox.accept_resume(edge.store, DEVICE, open_as(Resume, answer, edge.central.ring()))
    return True


def deliver_all(edge: Edge, most: int = 1_000) -> None:
    while deliver(edge, most):
        pass


def journal(edge: Edge) -> list[bytes]:
    return [row[0] for row in edge.store.connection.execute("SELECT public FROM events ORDER BY id")]


def test_runs_are_consecutive_and_as_long_as_asked(stocked: Edge) -> None:
    for number in range(5):
        stocked.tap(number)
    run = next_run(stocked.store, 4)
    assert run is not None
    assert (run.first, run.last, run.lost) == (0, 3, 0)
    assert run.head == heads(run.previous_head, run.publics)[-1]
    deliver(stocked, 4)
    run = next_run(stocked.store)
    assert run is not None
    assert (run.first, run.last) == (4, 5)


def test_epochs_are_delivered_one_after_the_other(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.reopen()
    stocked.tap(2)
    first = next_run(stocked.store)
    assert first is not None
    assert len(first.publics) == 2
    deliver_all(stocked)
    assert stocked.central.publics() == journal(stocked)
    assert outbox.backlog(stocked.store) == 0


def test_a_batch_stays_below_its_limit(edge: Edge) -> None:
    for _ in range(200):
        edge.gate.record(Kind.STORE, encode(StoreDetail("trouble", "x" * 500 + os.urandom(600).hex()[:0])))
        edge.gate.record("anything", os.urandom(2_000))  # type: ignore[arg-type]
    run = next_run(edge.store)
    assert run is not None
    assert len(run.publics) < 400
    assert len(encode(run.batch(DEVICE))) <= MAX_BATCH_BYTES
    deliver_all(edge)
    assert edge.central.publics() == journal(edge)


def test_an_event_that_is_not_what_was_stored_is_never_sent(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    stocked.store.connection.execute(
        "UPDATE events SET public = CAST(substr(public, 1, 3) || x'7f' || substr(public, 5) AS BLOB) WHERE id = ?",
        (event_id(1, 2),),
    )
    with pytest.raises(StoreDamaged, match="event 2"):
        next_run(stocked.store)
    with pytest.raises(StoreDamaged, match="event 2"):
        next_run(stocked.store, 3)


def test_a_gap_ends_a_run_and_is_declared_by_the_next(stocked: Edge) -> None:
    for number in range(5):
        stocked.tap(number)
    stocked.store.connection.execute("DELETE FROM events WHERE id = ?", (event_id(1, 2),))
    run = next_run(stocked.store)
    assert run is not None
    assert (run.first, run.last) == (0, 1)
    deliver(stocked)
    run = next_run(stocked.store)
    assert run is not None
    assert (run.first, run.lost) == (3, 1)
    deliver_all(stocked)
    assert outbox.backlog(stocked.store) == 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"device": "device-2"}, Failure.OTHER_DEVICE),
        ({"epoch": bytes(8)}, Failure.OTHER_EPOCH),
        ({"head": bytes(32)}, Failure.BROKEN_CHAIN),
        ({"through": 99}, Failure.BROKEN_CHAIN),
        ({"head": bytes(32), "fork": True}, Failure.BROKEN_CHAIN),
    ],
)
def test_a_receipt_that_is_not_for_this_journal_changes_nothing(
    stocked: Edge, change: dict[str, object], kind: Failure
) -> None:
    stocked.tap(1)
    run = next_run(stocked.store)
    assert run is not None
    word = Receipt(DEVICE, run.epoch, run.first, run.last, run.head, 1)
    with pytest.raises(Refused) as caught:
        outbox.accept_receipt(stocked.store, DEVICE, msgspec.structs.replace(word, **change), b"", 1)
    assert caught.value.kind is kind
    assert outbox.delivered(stocked.store, 1) == -1


def test_a_refused_event_rests_in_dead_letters_and_the_next_go_on(stocked: Edge) -> None:
    from protocol.messages import Custody, Exempt

    stocked.tap(1)
    run = next_run(stocked.store)
    assert run is not None
    word = Receipt(
        DEVICE, run.epoch, 0, run.last, run.head, 1, exceptions=(Exempt(1, Custody.REFUSED, "does not decode"),)
    )
    outbox.accept_receipt(stocked.store, DEVICE, word, b"", 1)
    stocked.tap(2)
    assert stocked.store.connection.execute("SELECT * FROM dead_letters").fetchall() == [
        (event_id(1, 1), "refused", "does not decode")
    ]
    run = next_run(stocked.store)
    assert run is not None
    assert run.first == 2


def test_a_resume_goes_back_and_never_forward(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    epoch = stocked.store.epoch.epoch
    outbox.accept_resume(stocked.store, DEVICE, Resume(DEVICE, epoch, 3, bytes(32), 1))
    assert outbox.delivered(stocked.store, 1) == -1, "only a receipt makes an event delivered"
    deliver_all(stocked)
    outbox.accept_resume(stocked.store, DEVICE, Resume(DEVICE, epoch, 2, bytes(32), 1))
    assert outbox.delivered(stocked.store, 1) == 1
    deliver_all(stocked)
    assert outbox.delivered(stocked.store, 1) == 4


def test_a_resume_below_what_was_pruned_is_answered_by_a_declared_loss(stocked: Edge, central: CentralSide) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver_all(stocked, 2)
    prune(stocked.store, stocked.clock.wall_ms + KEEP_MS + 1)
    central.held.clear()
    central.receipted.clear()
    outbox.accept_resume(stocked.store, DEVICE, Resume(DEVICE, stocked.store.epoch.epoch, 0, bytes(32), 1))
    run = next_run(stocked.store)
    assert run is not None
    assert run.first == run.lost > 0
    deliver_all(stocked)
    assert outbox.backlog(stocked.store) == 0


def test_holdings_of_a_restored_central_send_back_and_never_forward(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver(stocked, 3)
    epoch = stocked.store.epoch.epoch
    back = outbox.accept_holdings(stocked.store, DEVICE, Holdings(DEVICE, 2, (EpochHeld(epoch, 99),), bytes(16), 1))
    assert back == 0
    assert outbox.delivered(stocked.store, 1) == 2
    back = outbox.accept_holdings(stocked.store, DEVICE, Holdings(DEVICE, 3, (EpochHeld(epoch, -1),), bytes(16), 1))
    assert back == 1
    assert outbox.delivered(stocked.store, 1) == -1
    assert stocked.store.fact("generation") == (3).to_bytes(8)


# --- pruning --------------------------------------------------------------------------------------------------


def test_delivered_events_go_after_thirty_days_and_the_last_one_stays(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver_all(stocked, 2)
    now_ms = stocked.clock.wall_ms
    assert prune(stocked.store, now_ms + KEEP_MS) == 0
    while prune(stocked.store, now_ms + KEEP_MS + 1):
        pass
    assert [event.sequence for event in stocked.events()] == [4]
    stocked.reopen()
    assert stocked.store.lost_tail is None


def test_what_is_pruned_is_in_no_file_any_more(stocked: Edge) -> None:
    """So many that whole pages become free, which are written over as well."""
    for number in range(200):
        stocked.tap(number % 4)
        stocked.clock.advance(120_000)
    with stocked.store.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    deliver_all(stocked, 50)
    personals = stocked.store.connection.execute("SELECT personal FROM events WHERE length(personal) > 0 ORDER BY id")
    salts = [decode(Personal, personal).salt for (personal,) in personals]
    while prune(stocked.store, stocked.clock.wall_ms + KEEP_MS + 1):
        pass
    with stocked.store.reading() as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 5
    assert stocked.store.empty_log()
    left = b"".join(file.read_bytes() for file in stocked.directory.rglob("*") if file.is_file())
    assert len(left) >= pages * size > 0
    assert len(salts) >= 200
    assert [salt for salt in salts[:-1] if salt in left] == []


def test_undelivered_events_are_never_pruned(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver(stocked, 2)
    while prune(stocked.store, stocked.clock.wall_ms + 100 * KEEP_MS, most_bytes=0):
        pass
    assert [event.sequence for event in stocked.events()] == [2, 3, 4]


def test_what_has_to_be_sent_again_is_not_pruned_although_it_was_receipted(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver_all(stocked, 2)
    epoch = stocked.store.epoch.epoch
    outbox.accept_holdings(stocked.store, DEVICE, Holdings(DEVICE, 2, (EpochHeld(epoch, 0),), bytes(16), 1))
    while prune(stocked.store, stocked.clock.wall_ms + 100 * KEEP_MS):
        pass
    assert [event.sequence for event in stocked.events()] == [1, 2, 3, 4]


def test_a_crowded_journal_lets_the_oldest_delivered_go_whatever_the_clock_says(stocked: Edge) -> None:
    for number in range(4):
        stocked.tap(number)
    deliver_all(stocked, 2)
    assert prune(stocked.store, 0, most_bytes=0) > 0


def test_epochs_of_which_nothing_is_left_are_forgotten(stocked: Edge) -> None:
    for _ in range(3):
        stocked.tap(1)
        stocked.reopen()
    deliver_all(stocked)
    while prune(stocked.store, stocked.clock.wall_ms + KEEP_MS + 1):
        pass
    numbers = [row[0] for row in stocked.store.connection.execute("SELECT number FROM epochs")]
    assert numbers == [stocked.store.epoch.number]
    assert outbox.inventory(stocked.store) == (EpochHeld(stocked.store.epoch.epoch, 0),)
    stocked.tap(1)
    deliver_all(stocked)


def test_an_idle_agent_prunes_nothing_and_writes_nothing(stocked: Edge, tmp_path: Path) -> None:
    deliver_all(stocked)
    before = [(path.name, path.stat().st_mtime_ns) for path in stocked.directory.iterdir()]
    assert prune(stocked.store, stocked.clock.wall_ms) == 0
    assert [(path.name, path.stat().st_mtime_ns) for path in stocked.directory.iterdir()] == before
