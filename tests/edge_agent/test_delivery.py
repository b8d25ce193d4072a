"""The upload loop: only what central signed for these very events moves the queue (SPEC §6.4, §6.5)."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge_agent.delivery import Delivery
from edge_agent.journal import outbox
from edge_agent.uplink import NetworkFailure
from protocol.envelope import Signer, open_as, unwrap
from protocol.errors import Refused
from protocol.messages import Batch, Fresh, Holdings, Receipt, Resume, Revoked, Upload, decode
from tests.support.central_side import DEVICE, CentralSide
from tests.support.edge_side import Edge
from tests.support.line import Line


class Sender:
    """A delivery over a line."""

    def __init__(self, edge: Edge) -> None:
        self.edge, self.line = edge, Line(edge.central)
        self.delivery = Delivery(
            edge.gate,
            DEVICE,
            edge.central.device_signer,
            self.line,  # type: ignore[arg-type]
            edge.central.ring,
        )

    @property
    def through(self) -> int:
        return outbox.delivered(self.edge.store, self.edge.store.epoch.number)

    def batch(self) -> Batch:
        upload = decode(Upload, self.line.sent[-1][1])
        return decode(Batch, unwrap(upload.batch).payload)


@pytest.fixture
def sender(stocked: Edge) -> Sender:
    for number in range(6):
        stocked.tap(number)
    return Sender(stocked)


async def test_everything_is_delivered_and_receipted(sender: Sender, central: CentralSide) -> None:
    while await sender.delivery.step():
        pass
    assert sender.through == 6
    assert len(central.publics()) == 7
    assert sender.delivery.reachable


def flipped(envelope: bytes) -> bytes:
    return envelope[:-1] + bytes([envelope[-1] ^ 1])


ANSWERS = {
    "nothing": lambda side, batch: [],
    "two messages": lambda side, batch: [side.receipt(batch)] * 2,
    "junk": lambda side, batch: [b"\x00\xffjunk"],
    "a receipt by a key nobody stated": lambda side, batch: [
        Signer.generate().seal(open_as(Receipt, side.receipt(batch), side.ring()))
    ],
    "a receipt by the key that publishes": lambda side, batch: [
        side.seal(open_as(Receipt, side.receipt(batch), side.ring()))
    ],
    "a receipt with one bit flipped": lambda side, batch: [flipped(side.receipt(batch))],
    "for another device": lambda side, batch: [side.receipt(batch, device="device-2")],
    "for another epoch": lambda side, batch: [side.receipt(batch, epoch=bytes(8))],
    "for another head": lambda side, batch: [side.receipt(batch, head=bytes(32))],
    "for fewer events": lambda side, batch: [side.receipt(batch, through=2)],
    "for more events": lambda side, batch: [side.receipt(batch, through=99)],
    "for other events": lambda side, batch: [side.receipt(batch, first=1)],
    "a fork under another head": lambda side, batch: [side.receipt(batch, fork=True, head=bytes(32))],
    "a fresh message": lambda side, batch: [side.seal(Fresh(DEVICE, 1, 1, 1))],
    "another device's revocation": lambda side, batch: [side.seal(Revoked("device-2", 1))],
    "a resume that leads forward": lambda side, batch: [
        side.receipts.seal(Resume(DEVICE, batch.epoch, 5, bytes(32), 1))
    ],
    "a resume where we stand": lambda side, batch: [
        side.receipts.seal(Resume(DEVICE, batch.epoch, batch.first, bytes(32), 1))
    ],
    "a resume of another epoch": lambda side, batch: [side.receipts.seal(Resume(DEVICE, bytes(8), 0, bytes(32), 1))],
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_other_answer_moves_the_queue(sender: Sender, central: CentralSide, answer: str) -> None:
    async def bend(path: str, found: list[bytes]) -> list[bytes]:
        return ANSWERS[answer](central, sender.batch())

    sender.line.bend = bend
    with pytest.raises(Refused):
        await sender.delivery.step()
    assert sender.through == -1
    assert sender.edge.store.connection.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
    assert not sender.delivery.revoked.is_set()
    sender.line.bend = None
    assert await sender.delivery.step()
    assert sender.through == 6


@pytest.mark.parametrize("status", [0, 400, 403, 404, 409, 422, 500, 502, 503])
async def test_any_status_is_a_failure_of_the_network_and_nothing_is_given_up(sender: Sender, status: int) -> None:
    def refuse(path: str, body: bytes) -> None:
        raise NetworkFailure("status", status)

    sender.line.refuse = refuse
    with pytest.raises(NetworkFailure):
        await sender.delivery.step()
    assert sender.through == -1


async def test_a_lost_answer_is_answered_again_with_the_same_bytes(sender: Sender, central: CentralSide) -> None:
    async def lose(path: str, found: list[bytes]) -> list[bytes]:
        raise NetworkFailure("reset")

    sender.line.bend = lose
    with pytest.raises(NetworkFailure):
        await sender.delivery.step()
    (before,) = central.receipted.values()
    sender.line.bend = None
    await sender.delivery.step()
    assert sender.line.sent[0] == sender.line.sent[1]
    assert sender.edge.store.connection.execute("SELECT envelope FROM receipts").fetchall() == [(before,)]
    assert len(central.publics()) == 7


async def test_what_is_too_large_is_halved_until_it_passes_and_grows_again(sender: Sender) -> None:
    sizes = []

    def refuse(path: str, body: bytes) -> None:
        sizes.append(len(sender.batch().events))
        if sizes[-1] > 2:
            raise NetworkFailure("too large", 413)

    sender.line.refuse = refuse
    while await sender.delivery.step():
        pass
    assert sizes[:3] == [7, 3, 1]
    assert sender.through == 6


async def test_one_event_that_is_too_large_is_not_halved_for_ever(sender: Sender) -> None:
    def refuse(path: str, body: bytes) -> None:
        raise NetworkFailure("too large", 413)

    sender.line.refuse = refuse
    for _ in range(2):
        assert await sender.delivery.step()
    with pytest.raises(NetworkFailure):
        await sender.delivery.step()


async def test_a_resume_goes_back_and_what_central_lacks_is_sent_again(sender: Sender, central: CentralSide) -> None:
    sender.delivery.most = 3
    await sender.delivery.step()
    central.held.clear()
    central.receipted.clear()
    while await sender.delivery.step():
        pass
    assert len(central.publics()) == 7
    assert sender.through == 6


async def test_a_resume_for_the_epoch_before_sends_its_tail_again(sender: Sender, central: CentralSide) -> None:
    """Central lost it and noticed by the statement that begins the next epoch."""
    while await sender.delivery.step():
        pass
    old = sender.edge.store.epoch.epoch
    sender.edge.reopen()
    sender.delivery.gate = sender.edge.gate
    tail = central.held[old][3:]
    del central.held[old][3:]
    central.receipted.clear()

    async def ask(path: str, found: list[bytes]) -> list[bytes]:
        sender.line.bend = None
        return [central.receipts.seal(Resume(DEVICE, old, 3, bytes(32), 1))]

    sender.line.bend = ask
    while await sender.delivery.step():
        pass
    assert [public for public, _ in central.held[old][3:]] == [public for public, _ in tail]
    assert outbox.backlog(sender.edge.store) == 0


async def test_a_fork_in_this_epoch_is_told_once_and_only_this_epoch_s_counts(
    sender: Sender, central: CentralSide
) -> None:
    async def fork(path: str, found: list[bytes]) -> list[bytes]:
        return [central.receipt(sender.batch(), fork=True)]

    sender.line.bend = fork
    await sender.delivery.step()
    assert sender.through == 6, "what is kept as evidence is receipted too"
    taken = sender.delivery.take_fork()
    assert taken is not None
    assert taken.fork
    assert sender.delivery.take_fork() is None
    sender.edge.tap(1)
    sender.edge.reopen()
    sender.delivery.gate = sender.edge.gate
    await sender.delivery.step()
    assert sender.delivery.take_fork() is None, "of an epoch that is over already"


async def test_revocation_in_answer_to_a_batch_ends_the_loop(sender: Sender, central: CentralSide) -> None:
    central.state = "revoked"
    assert not await sender.delivery.step()
    assert sender.delivery.revoked.is_set()


async def test_a_restored_central_is_asked_what_it_holds_before_anything_else(
    sender: Sender, central: CentralSide
) -> None:
    while await sender.delivery.step():
        pass
    heard = []
    sender.delivery.on_reconciled = heard.append
    central.held.clear()
    central.receipted.clear()
    central.generation = 2
    sender.delivery.restored()
    while await sender.delivery.step():
        pass
    assert sender.line.paths()[-2:] == ["/v1/holdings", "/v1/batches"]
    assert heard == [2]
    assert len(central.publics()) == 7


async def test_holdings_that_answer_another_question_are_refused_and_asked_again(
    sender: Sender, central: CentralSide
) -> None:
    async def old(path: str, found: list[bytes]) -> list[bytes]:
        return [central.receipts.seal(Holdings(DEVICE, 2, (), bytes(16), 1))] if path == "/v1/holdings" else found

    sender.line.bend = old
    sender.delivery.restored()
    for _ in range(2):
        with pytest.raises(Refused):
            await sender.delivery.step()
    sender.line.bend = None
    await sender.delivery.step()
    assert sender.line.paths() == ["/v1/holdings"] * 3 + ["/v1/batches"]


async def test_the_loop_waits_for_the_next_event_and_survives_failures(sender: Sender, central: CentralSide) -> None:
    failures = iter([True, False, True, True])

    def refuse(path: str, body: bytes) -> None:
        if next(failures, False):
            raise NetworkFailure("no route")

    loop = asyncio.get_running_loop()
    sender.edge.store.on_append = lambda: loop.call_soon_threadsafe(sender.delivery.wake.set)
    sender.line.refuse = refuse
    running = asyncio.create_task(sender.delivery.run(0.01))
    async with asyncio.timeout(10):
        await until(lambda: sender.through == 6)
        sender.edge.tap(3)
        await until(lambda: sender.through == 7)
    running.cancel()
    assert len(central.publics()) == 8


async def until(holds: object) -> None:
    while not holds():  # type: ignore[operator]
        await asyncio.sleep(0.005)


def test_a_batch_says_what_the_journal_holds(sender: Sender, tmp_path: Path) -> None:
    run = outbox.next_run(sender.edge.store)
    assert run is not None
    batch = run.batch(DEVICE)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch
    assert batch.head == sender.edge.store.head
