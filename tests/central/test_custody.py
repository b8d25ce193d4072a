"""Custody on both databases: durable, counted once, answered the same way each time."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import update

from central import enrolment
from central.claim import Evident
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.failures import Declined
from central.keys import Keys
from central.store.database import Database, open_database
from central.store.schema import batches, devices, epochs, events, evidence
from protocol.envelope import Keyring, open_as
from protocol.errors import Failure, Refused
from protocol.messages import Holdings, Receipt, Resume, Revoked, Role
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.city import City


@pytest.fixture
def custodian(database: Database, keys: Keys) -> Custodian:
    return Custodian(database, keys, DeviceKeys(database))


@pytest.fixture
def journal(city: City) -> Journal:
    journal = Journal(city.device)
    journal.tap(9)
    return journal


def opened(kind, envelope: bytes, keys: Keys):
    signer, role = (keys.publish, Role.PUBLISH) if kind is Revoked else (keys.receipt, Role.RECEIPT)
    return open_as(kind, envelope, Keyring.of(signer.public, role), role)


async def test_an_upload_is_stored_as_it_came(custodian: Custodian, city: City, journal: Journal) -> None:
    taken = await custodian.take(journal.upload(), NOW_MS)
    assert opened(Receipt, taken.answer, city.keys).through == 9
    assert (taken.outcome, taken.events) == ("accepted", 10)
    (batch,) = await city.rows(batches)
    assert (batch.first, batch.through, batch.taken_first, batch.outcome) == (0, 9, 0, "accepted")
    assert batch.envelope == city.device.signer.seal(journal.batch(0, 9))
    rows = sorted(await city.rows(events), key=lambda row: row.sequence)
    assert [row.sequence for row in rows] == list(range(10))
    assert [row.personal for row in rows] == [None, *journal.personals[1:]]
    assert rows[1].decision == "granted"
    (epoch,) = await city.rows(epochs)
    assert (epoch.through, epoch.head, epoch.previous_sequence) == (9, journal.heads[10], -1)


async def test_the_same_batch_gets_the_same_receipt(custodian: Custodian, city: City, journal: Journal) -> None:
    first = await custodian.take(journal.upload(), NOW_MS)
    again = await custodian.take(journal.upload(), NOW_MS + 60_000)
    assert again.answer == first.answer
    assert (again.outcome, again.events) == ("resent", 0)
    assert [row.resent for row in await city.rows(batches)] == [1]
    assert len(await city.rows(events)) == 10


async def test_a_batch_inside_what_is_held_keeps_its_own_receipt(
    custodian: Custodian, city: City, journal: Journal
) -> None:
    await custodian.take(journal.upload(), NOW_MS)
    first = await custodian.take(journal.upload(2, 5), NOW_MS + 1)
    again = await custodian.take(journal.upload(2, 5), NOW_MS + 2)
    assert first.answer == again.answer
    assert len(await city.rows(events)) == 10


async def test_an_overlap_brings_only_what_is_new(custodian: Custodian, city: City, journal: Journal) -> None:
    await custodian.take(journal.upload(0, 3), NOW_MS)
    await custodian.take(journal.upload(4, 6), NOW_MS)
    taken = await custodian.take(journal.upload(2, 9), NOW_MS)
    assert (taken.outcome, taken.events) == ("accepted", 3)
    assert len(await city.rows(events)) == 10


async def test_a_gap_is_resumed_where_custody_ends(custodian: Custodian, city: City, journal: Journal) -> None:
    await custodian.take(journal.upload(0, 3), NOW_MS)
    for _ in range(2):
        taken = await custodian.take(journal.upload(6, 9), NOW_MS)
        assert opened(Resume, taken.answer, city.keys).next == 4
    assert [(row.kind, row.seen) for row in await city.rows(evidence)] == [("gap", 2)]
    await custodian.take(journal.upload(4, 5), NOW_MS)
    taken = await custodian.take(journal.upload(6, 9), NOW_MS)
    assert opened(Receipt, taken.answer, city.keys).through == 9


async def test_a_fork_is_kept_and_receipted_and_the_next_epoch_goes_on(
    custodian: Custodian, city: City, journal: Journal
) -> None:
    other = journal.branch(5)
    other.tap(3)
    await custodian.take(journal.upload(), NOW_MS)
    taken = await custodian.take(other.upload(5), NOW_MS)
    receipt = opened(Receipt, taken.answer, city.keys)
    assert receipt.fork
    assert receipt.head == other.heads[-1]
    assert (await custodian.take(other.upload(5), NOW_MS + 9)).answer == taken.answer
    assert [(row.kind, row.body) for row in await city.rows(evidence)] == [("fork", other.upload(5))]
    assert len(await city.rows(events)) == 10
    following = await custodian.take(Journal(city.device, other).upload(), NOW_MS)
    assert not opened(Receipt, following.answer, city.keys).fork


async def test_a_restored_disk_shows_when_its_next_epoch_begins(
    custodian: Custodian, city: City, journal: Journal
) -> None:
    await custodian.take(journal.upload(), NOW_MS)
    await custodian.take(Journal(city.device, journal.branch(4)).upload(), NOW_MS)
    await custodian.take(Journal(city.device, journal).upload(), NOW_MS)
    details = sorted(row.detail for row in await city.rows(evidence))
    assert len(details) == 2
    assert any("held through 9" in detail for detail in details)
    assert any("as epoch" in detail for detail in details)
    assert len(await city.rows(epochs)) == 3


async def test_a_tail_that_was_lost_here_is_asked_for_and_taken_again(
    custodian: Custodian, city: City, keys: Keys, journal: Journal
) -> None:
    last = len(journal.publics) - 1
    await custodian.take(journal.upload(0, 2), NOW_MS)  # what came after is gone with the disk
    following = Journal(city.device, journal)
    resume = opened(Resume, (await custodian.take(following.upload(), NOW_MS)).answer, keys)
    assert (resume.epoch, resume.next) == (journal.epoch, 3)
    taken = await custodian.take(journal.upload(3, last), NOW_MS)
    assert taken.events == last - 2
    receipt = opened(Receipt, (await custodian.take(following.upload(), NOW_MS)).answer, keys)
    assert (receipt.epoch, receipt.through) == (following.epoch, 0)


async def test_a_tail_that_nobody_has_is_asked_for_once(
    custodian: Custodian, city: City, keys: Keys, journal: Journal
) -> None:
    await custodian.take(journal.upload(0, 2), NOW_MS)
    following = Journal(city.device, journal)
    opened(Resume, (await custodian.take(following.upload(), NOW_MS)).answer, keys)
    opened(Receipt, (await custodian.take(following.upload(), NOW_MS)).answer, keys)


async def test_a_declared_loss_is_evidence_and_the_queue_moves(
    custodian: Custodian, city: City, journal: Journal
) -> None:
    await custodian.take(journal.upload(0, 2), NOW_MS)
    taken = await custodian.take(journal.upload(5, 9, lost=2), NOW_MS)
    assert opened(Receipt, taken.answer, city.keys).through == 9
    assert [row.kind for row in await city.rows(evidence)] == ["loss"]
    await custodian.take(journal.upload(3, 4), NOW_MS)  # found again after all
    assert len(await city.rows(events)) == 10


async def test_one_bad_event_never_stops_the_queue(custodian: Custodian, city: City, journal: Journal) -> None:
    journal.add_raw(b"\xc1", b"what came with it")
    journal.add("greeting")
    journal.tap(2)
    taken = await custodian.take(journal.upload(), NOW_MS)
    receipt = opened(Receipt, taken.answer, city.keys)
    assert [(each.sequence, each.custody) for each in receipt.exceptions] == [(10, "refused"), (11, "held")]
    rows = {row.sequence: row for row in await city.rows(events)}
    assert [rows[n].outcome for n in (9, 10, 11, 12)] == ["accepted", "refused", "held", "accepted"]
    assert rows[10].personal == b"what came with it"


async def test_a_broken_chain_is_kept_and_gets_no_receipt(custodian: Custodian, city: City, journal: Journal) -> None:
    for _ in range(2):
        with pytest.raises(Evident, match="broken-chain"):
            await custodian.take(journal.upload(head=bytes(32)), NOW_MS)
    (row,) = await city.rows(evidence)
    assert (row.device, row.kind, row.seen) == (city.device.id, "broken-chain", 2)
    assert await city.rows(events) == []


async def test_a_batch_in_anothers_name_is_held_against_its_signer(
    custodian: Custodian, city: City, journal: Journal
) -> None:
    thief = await city.add_device(Device("door-1-thief"))
    with pytest.raises(Evident, match="other-device"):
        await custodian.take(journal.upload(signer=thief.signer), NOW_MS)
    assert [(row.device, row.kind) for row in await city.rows(evidence)] == [("door-1-thief", "other-device")]
    with pytest.raises(Refused) as caught:
        await custodian.take(journal.upload(signer=Device().signer), NOW_MS)
    assert caught.value.kind is Failure.UNKNOWN_KEY
    assert len(await city.rows(evidence)) == 1


async def test_a_device_that_nobody_confirmed_hands_in_nothing(custodian: Custodian, city: City) -> None:
    pending = await city.add_device(Device("door-1-new"), state="pending")
    with pytest.raises(Declined):
        await custodian.take(Journal(pending).upload(), NOW_MS)
    assert await city.rows(events) == []


async def test_revocation_counts_from_what_was_held(custodian: Custodian, city: City, journal: Journal) -> None:
    receipted = await custodian.take(journal.upload(0, 4), NOW_MS)
    async with city.database.write() as connection:
        await enrolment.revoke(connection, city.device.id, "stolen", NOW_MS)
    taken = await custodian.take(journal.upload(5, 9), NOW_MS)
    revoked = opened(Revoked, taken.answer, city.keys)
    assert (revoked.at_ms, revoked.reason) == (NOW_MS, "stolen")
    assert (await custodian.take(journal.upload(0, 4), NOW_MS)).answer == taken.answer != receipted.answer
    outcomes = {row.sequence: row.outcome for row in await city.rows(events)}
    assert [outcomes[n] for n in (4, 5, 9)] == ["accepted", "untrusted", "untrusted"]


async def test_holdings_say_what_is_held_of_each_epoch(custodian: Custodian, city: City, journal: Journal) -> None:
    await custodian.take(journal.upload(0, 6), NOW_MS)
    answer = await custodian.holdings(city.device.inventory((journal.epoch, 9), (bytes(8), 3)), NOW_MS)
    found = opened(Holdings, answer, city.keys)
    assert [(each.epoch, each.through) for each in found.epochs] == [(journal.epoch, 6), (bytes(8), -1)]
    assert found.generation == 1


async def test_several_processes_count_the_same_upload_once(
    database_url: str, engine: str, city: City, journal: Journal
) -> None:
    processes = 4 if engine == "postgresql" else 1
    async with AsyncExitStack() as stack:
        custodians = [Custodian(city.database, city.keys, DeviceKeys(city.database))]
        for _ in range(processes - 1):
            database = await stack.enter_async_context(open_database(database_url))
            custodians.append(Custodian(database, city.keys, DeviceKeys(database)))
        uploads = [journal.upload(0, 4), journal.upload(0, 9), journal.upload(3, 9)]
        taken = await asyncio.gather(
            *(each.take(body, NOW_MS + at) for at, each in enumerate(custodians * 3) for body in uploads)
        )
    rows = await city.rows(events)
    assert sorted(row.sequence for row in rows) == list(range(10))
    assert sum(each.events for each in taken) == 10
    answers: dict[int, set[bytes]] = {}
    for at, each in enumerate(taken):
        if each.outcome != "gap":
            answers.setdefault(at % 3, set()).add(each.answer)
    assert all(len(found) == 1 for found in answers.values())  # one receipt a batch, whoever gave it
    assert len(await city.rows(epochs)) == 1


@pytest.mark.parametrize("engine", [pytest.param("postgresql", marks=pytest.mark.system)], indirect=True)
async def test_different_devices_do_not_wait_for_each_other(custodian: Custodian, city: City, journal: Journal) -> None:
    other = await city.add_device(Device("door-1-second"))
    async with city.database.write() as connection:
        await connection.execute(update(devices).where(devices.c.id == other.id).values(seen_ms=1))
        async with asyncio.timeout(5):
            await custodian.take(journal.upload(), NOW_MS)
