"""The table of SPEC §6.4, row by row, and what a single event can do wrong."""

import msgspec
import pytest

from central.claim import Evident, read_upload, verify
from central.ingest import EpochState, Holding, judge
from protocol.envelope import Keyring, Signer
from protocol.errors import Failure, Refused
from protocol.messages import Custody, EpochStart, Kind, Receipt, Resume, Upload, decode, encode
from tests.central.actors import NOW_MS, Device, Journal


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def journal(device: Device) -> Journal:
    journal = Journal(device)
    journal.tap(9)
    return journal


def claim(body: bytes, device: Device):
    return verify(read_upload(body), device.ring)


def held(journal: Journal, through: int, *batches, **changes) -> Holding:
    state = EpochState(journal.epoch, through, journal.heads[through + 1])
    return Holding((state,), tuple(batches), **changes)


def verdict(journal: Journal, holding: Holding = Holding(), first: int = 0, last: int | None = None, **changes):
    return judge(claim(journal.upload(first, last, **changes), journal.device), holding, NOW_MS)


def kinds(found) -> list[str]:
    return [each.kind for each in found.evidence]


# --- the table ------------------------------------------------------------------------------------------------


def test_the_first_batch_of_an_epoch_is_taken_whole(journal: Journal) -> None:
    found = verdict(journal)
    assert found.answer == Receipt(journal.device.id, journal.epoch, 0, 9, journal.heads[10], NOW_MS)
    assert [row[2] for row in found.rows] == list(range(10))
    assert {row[11] for row in found.rows} == {"accepted"}
    assert found.state == EpochState(journal.epoch, 9, journal.heads[10])
    assert found.evidence == []


def test_a_batch_goes_on_where_the_last_one_ended(journal: Journal) -> None:
    found = verdict(journal, held(journal, 4), first=5)
    assert isinstance(found.answer, Receipt)
    assert (found.answer.first, found.answer.through) == (5, 9)
    assert found.taken_first == 5


def test_a_resend_under_other_bounds_brings_nothing_new(journal: Journal) -> None:
    holding = held(journal, 9, journal.batch(0, 9))
    found = verdict(journal, holding, first=2, last=7)
    assert isinstance(found.answer, Receipt)
    assert (found.answer.through, found.answer.head) == (7, journal.heads[8])
    assert (found.rows, found.state, found.taken_first) == ([], None, 8)


def test_an_overlap_brings_its_new_events_only(journal: Journal) -> None:
    holding = held(journal, 5, journal.batch(0, 3), journal.batch(4, 5))
    found = verdict(journal, holding, first=2)
    assert [row[2] for row in found.rows] == [6, 7, 8, 9]
    assert (found.taken_first, found.state.through) == (6, 9)
    assert found.answer.through == 9


def test_a_gap_is_answered_with_where_to_go_on(journal: Journal) -> None:
    found = verdict(journal, held(journal, 2), first=5)
    assert found.answer == Resume(journal.device.id, journal.epoch, 3, journal.heads[3], NOW_MS)
    assert (found.rows, found.outcome, kinds(found)) == ([], "", ["gap"])


def test_an_epoch_that_does_not_begin_at_its_beginning_is_a_gap(journal: Journal) -> None:
    found = verdict(journal, first=1)
    assert found.answer == Resume(journal.device.id, journal.epoch, 0, journal.heads[0], NOW_MS)


def test_a_declared_loss_lets_the_rest_go_on(journal: Journal) -> None:
    found = verdict(journal, held(journal, 2), first=5, lost=2)
    assert isinstance(found.answer, Receipt)
    assert not found.answer.fork
    assert [row[2] for row in found.rows] == [5, 6, 7, 8, 9]
    assert kinds(found) == ["loss"]
    assert "3 to 4" in found.evidence[0].detail


def test_a_loss_that_does_not_reach_what_is_held_is_a_gap(journal: Journal) -> None:
    assert kinds(verdict(journal, held(journal, 2), first=5, lost=1)) == ["gap"]


def test_a_loss_of_what_is_held_all_the_same_is_none(journal: Journal) -> None:
    found = verdict(journal, held(journal, 4), first=5, lost=3)
    assert found.evidence == []
    assert isinstance(found.answer, Receipt)


def test_events_that_were_declared_lost_can_still_come(journal: Journal) -> None:
    holding = held(journal, 9, journal.batch(0, 2), journal.batch(6, 9))
    found = verdict(journal, holding, first=2, last=7)
    assert [row[2] for row in found.rows] == [3, 4, 5]
    assert found.state is None


def test_other_bytes_at_the_same_place_are_a_fork_with_its_own_receipt(journal: Journal) -> None:
    other = journal.branch(5)
    other.tap(8)
    found = verdict(other, held(journal, 9, journal.batch(0, 9)), first=5)
    assert found.answer.fork
    assert (found.outcome, found.rows, found.state) == ("forked", [], None)
    assert kinds(found) == ["fork"]
    assert decode(Upload, found.evidence[0].body).personal == tuple(other.personals[5:])


def test_going_on_from_another_head_is_a_fork(journal: Journal) -> None:
    other = journal.branch(3)
    other.tap(9)
    assert verdict(other, held(journal, 6), first=7).answer.fork


def test_a_revoked_device_gets_no_receipt_and_its_events_are_untrusted(journal: Journal) -> None:
    found = verdict(journal, held(journal, 4, revoked=True), first=5)
    assert found.answer is None
    assert found.outcome == "untrusted"
    assert {row[11] for row in found.rows} == {"untrusted"}


@pytest.mark.parametrize(("first", "changes"), [(5, {}), (0, {"lost": 0})])
def test_what_a_revoked_device_sends_out_of_order_is_kept_whole(journal: Journal, first: int, changes: dict) -> None:
    body = journal.upload(6)
    found = judge(claim(body, journal.device), held(journal, 2, revoked=True), NOW_MS)
    assert found.answer is None
    assert found.evidence[0].body == body


# --- kept as evidence, never receipted --------------------------------------------------------------------------


def test_a_chain_that_is_not_what_was_signed(journal: Journal) -> None:
    with pytest.raises(Evident) as caught:
        claim(journal.upload(head=bytes(32)), journal.device)
    assert caught.value.kind is Failure.BROKEN_CHAIN
    assert caught.value.evidence.kind == "broken-chain"


def test_an_epoch_that_does_not_stand_on_its_genesis(device: Device) -> None:
    journal = Journal(device)
    journal.heads = [bytes(32)]
    publics, journal.publics, journal.personals = journal.publics, [], []
    journal.add_raw(publics[0])
    with pytest.raises(Evident, match="genesis"):
        claim(journal.upload(), device)


@pytest.mark.parametrize("fault", ["no statement", "other kind", "other epoch", "other key"])
def test_an_event_0_that_does_not_state_its_epoch(device: Device, fault: str) -> None:
    journal = Journal(device).branch(0)
    signer = Signer.generate() if fault == "other key" else device.signer
    epoch = bytes(8) if fault == "other epoch" else journal.epoch
    statement = signer.seal(EpochStart(device.id, epoch, b"", -1, b"", NOW_MS))
    kind = Kind.TAP if fault == "other kind" else Kind.START
    journal.add(kind, detail=b"" if fault == "no statement" else statement)
    with pytest.raises(Evident) as caught:
        claim(journal.upload(), device)
    assert caught.value.kind is Failure.OTHER_EPOCH


def test_a_signature_of_somebody_else_is_no_claim(journal: Journal) -> None:
    with pytest.raises(Refused, match="unknown-key"):
        verify(read_upload(journal.upload()), Keyring.of(Signer.generate().public))


# --- copied and restored disks ------------------------------------------------------------------------------------


def test_two_epochs_that_name_the_same_predecessor(device: Device, journal: Journal) -> None:
    first, second = Journal(device, journal), Journal(device, journal)
    twin = EpochState(first.epoch, 0, first.heads[1], journal.epoch, 9)
    found = verdict(second, Holding((*held(journal, 9).epochs, twin)))
    assert kinds(found) == ["fork"]
    assert isinstance(found.answer, Receipt)
    assert not found.answer.fork  # both go on
    assert found.state.previous_epoch == journal.epoch


def test_an_epoch_that_names_less_than_is_held_of_its_predecessor(device: Device, journal: Journal) -> None:
    found = verdict(Journal(device, journal.branch(5)), held(journal, 9))
    assert kinds(found) == ["fork"]
    assert "through 4, held through 9" in found.evidence[0].detail


def test_an_epoch_that_names_another_head_than_is_held(device: Device, journal: Journal) -> None:
    other = journal.branch(9)
    other.tap()
    assert kinds(verdict(Journal(device, other), held(journal, 9))) == ["fork"]


def test_an_epoch_that_names_more_than_is_held_sends_for_the_rest_first(device: Device, journal: Journal) -> None:
    """A device delivers its epochs in order: what is missing here was held once and lost."""
    found = verdict(Journal(device, journal), held(journal, 4))
    assert kinds(found) == ["gap"]
    assert isinstance(found.answer, Resume)
    assert (found.answer.epoch, found.answer.next, found.answer.head) == (journal.epoch, 5, journal.heads[5])
    assert not found.rows


def test_it_is_asked_for_once(device: Device, journal: Journal) -> None:
    """A device that has nothing more of it must be able to go on."""
    found = verdict(Journal(device, journal), held(journal, 4)._replace(asked=True))
    assert kinds(found) == []
    assert isinstance(found.answer, Receipt)


def test_an_old_epoch_that_goes_on_after_its_successor_began(device: Device, journal: Journal) -> None:
    successor = EpochState(bytes(8), 0, bytes(32), journal.epoch, 6)
    holding = held(journal, 4)
    assert kinds(verdict(journal, Holding((*holding.epochs, successor)), first=5, last=6)) == []
    assert kinds(verdict(journal, Holding((*holding.epochs, successor)), first=5)) == ["fork"]


# --- single events ------------------------------------------------------------------------------------------------


def exceptions(journal: Journal) -> list[tuple[int, str, str]]:
    found = verdict(journal)
    assert len(found.rows) == len(journal.publics)  # the rest goes on
    outcomes = {row[2]: row[11] for row in found.rows}
    for each in found.answer.exceptions:
        assert outcomes[each.sequence] == each.custody
    return [(each.sequence, each.custody, each.reason) for each in found.answer.exceptions]


def test_a_kind_from_the_future_is_held(journal: Journal) -> None:
    journal.add("greeting")
    journal.tap()
    assert exceptions(journal) == [(10, Custody.HELD, "kind greeting is not known here")]


def test_an_event_that_does_not_decode_is_refused(journal: Journal) -> None:
    journal.add_raw(b"\xc1garbage", b"personal")
    journal.tap()
    ((sequence, custody, reason),) = exceptions(journal)
    assert (sequence, custody) == (10, Custody.REFUSED)
    assert "does not decode" in reason


def test_an_event_in_the_wrong_place_is_refused(journal: Journal) -> None:
    journal.add(sequence=3)
    assert exceptions(journal) == [(10, Custody.REFUSED, "says sequence 3")]


def test_a_personal_part_that_is_not_the_digests_is_refused(journal: Journal) -> None:
    journal.tap()
    journal.personals[10] = journal.personals[9]
    assert [each[:2] for each in exceptions(journal)] == [(10, Custody.REFUSED)]
    journal.add(personal=b"")
    journal.personals[11] = journal.personals[9]
    assert [each[:2] for each in exceptions(journal)] == [(10, Custody.REFUSED), (11, Custody.REFUSED)]


def test_a_personal_part_that_was_destroyed_at_the_device_takes_nothing_else_with_it(journal: Journal) -> None:
    """Of somebody who was erased since: the event is sent again, to a central restored from before, without it."""
    journal.tap()
    journal.personals[4] = b""
    assert exceptions(journal) == []
    row = next(row for row in verdict(journal).rows if row[2] == 4)
    assert None in row


def test_a_personal_part_that_does_not_decode_is_refused_without_being_quoted(journal: Journal) -> None:
    journal.add(personal=b"\xc1secret")
    assert exceptions(journal) == [(10, Custody.REFUSED, "the personal part does not decode")]


def test_a_second_start_in_an_epoch_is_refused(journal: Journal) -> None:
    journal.add(Kind.START)
    assert [each[:2] for each in exceptions(journal)] == [(10, Custody.REFUSED)]


def test_a_text_that_no_database_can_store_is_refused(journal: Journal) -> None:
    journal.add(rule="a\0b")
    assert [each[:2] for each in exceptions(journal)] == [(10, Custody.REFUSED)]
    assert "\0" not in "".join(str(field) for field in verdict(journal).rows[10][4:10])


# --- the outer form -----------------------------------------------------------------------------------------------


def test_a_personal_part_for_each_event(journal: Journal) -> None:
    upload = decode(Upload, journal.upload())
    with pytest.raises(Refused) as caught:
        read_upload(encode(msgspec.structs.replace(upload, personal=upload.personal[1:])))
    assert caught.value.kind is Failure.MALFORMED


def test_garbage_is_malformed(journal: Journal) -> None:
    for body in (b"", b"\xc1", journal.upload()[:-1], journal.upload() + b"\0"):
        with pytest.raises(Refused) as caught:
            read_upload(body)
        assert caught.value.kind is Failure.MALFORMED
