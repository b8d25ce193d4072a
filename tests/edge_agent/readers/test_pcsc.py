"""PcscReader against a real PC/SC service and a virtual reader."""

import threading
from collections.abc import Callable

import msgspec
import pytest

from edge_agent.readers import CardRead, ReaderState
from firmware_profiles import GENERIC, ProfileBook, load_profiles
from tests.edge_agent.readers.conftest import Desk
from tests.support.emulated_readers import PcscLayer
from tests.support.reader_run import ReaderRun
from tests.support.virtual_card import CLASSIC_1K, in_turn

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A, B = bytes.fromhex("2A83155E"), bytes.fromhex("5E15832A")
SEVEN, TEN = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("0102030405060708090A")
SLOT_0, SLOT_1 = "Virtual PCD 00 00", "Virtual PCD 00 01"


def watching(on_tap: Callable[[CardRead], None] | None = None, match: str = SLOT_0) -> ReaderRun:
    # imported late: pyscard is there only where the system packages are
    from edge_agent.readers.pcsc import PcscReader

    often = msgspec.structs.replace(load_profiles()[GENERIC], poll_ms=40)
    return ReaderRun(PcscReader("door", match, book=ProfileBook({GENERIC: often})), on_tap)


@pytest.mark.parametrize("uid", [A, SEVEN, TEN], ids=["4-byte", "7-byte", "10-byte"])
def test_a_card_is_told_with_its_uid_and_atr(desk: Desk, uid: bytes) -> None:
    with watching() as run:
        run.wait_for_state(ReaderState.READY)
        desk.put(uid)
        run.wait_for_taps(1)
    assert run.taps == [CardRead("door", uid, atr=CLASSIC_1K)]
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_a_card_lying_there_is_read_again_and_told_once(desk: Desk) -> None:
    card = desk.put(A)
    with watching() as run:
        run.wait_for_taps(1)
        card.wait_for_commands(5)
    assert run.uids == [A]


def test_a_card_presented_again_is_a_second_tap(desk: Desk) -> None:
    with watching() as run:
        for count in (1, 2):
            card = desk.put(A)
            run.wait_for_taps(count)
            card.pull()
            desk.wait_until(card=False)
    assert run.uids == [A, A]


def test_a_swap_that_the_service_never_saw_is_two_taps(desk: Desk) -> None:
    card = desk.put(A)
    with watching() as run:
        run.wait_for_taps(1)
        card.answer = in_turn(B + b"\x90\x00")
        run.wait_for_taps(2)
        card.wait_for_commands(3)
    assert run.uids == [A, B]


@pytest.mark.parametrize("second", [A, B], ids=["same card", "card with the same ATR"])
def test_a_swap_while_a_tap_was_being_decided_is_two_taps(desk: Desk, second: bytes) -> None:
    swapped = threading.Event()

    def decide(read: CardRead) -> None:
        if not swapped.is_set():
            swapped.set()
            first.pull()
            desk.wait_until(card=False)
            desk.put(second)
            desk.wait_until(card=True)

    first = desk.put(A)
    with watching(decide) as run:
        run.wait_for_taps(2)
    assert run.uids == [A, second]


def test_a_card_swapped_at_once_for_one_with_the_same_atr_is_two_taps(desk: Desk) -> None:
    first = desk.put(A)
    with watching() as run:
        run.wait_for_taps(1)
        first.pull()
        desk.put(B)
        run.wait_for_taps(2)
    assert run.uids == [A, B]


@pytest.mark.parametrize(
    ("answer", "raw"),
    [
        (b"\x63\x00", b""),
        (b"\x6a\x81", b""),
        (b"\x62\x82", b""),
        (b"\x6c\x00", b""),
        (b"\x67\x00", b""),
        (b"\x90\x00", b""),
        (b"\x04\x90\x00", b"\x04"),
    ],
    ids=["6300", "6A81", "6282", "6Cxx", "unknown status", "empty", "one byte"],
)
def test_a_card_without_a_uid_is_told_once_as_unreadable(desk: Desk, answer: bytes, raw: bytes) -> None:
    card = desk.put(in_turn(answer))
    with watching() as run:
        run.wait_for_taps(1)
        card.wait_for_commands(10)
    assert run.uids == [raw]


def test_a_readable_card_after_an_unreadable_one_is_told(desk: Desk) -> None:
    unreadable = desk.put(in_turn(b"\x63\x00"))
    with watching() as run:
        run.wait_for_taps(1)
        unreadable.pull()
        desk.put(A)
        run.wait_for_taps(2)
    assert run.uids == [b"", A]


def test_an_error_that_passes_is_not_told(desk: Desk) -> None:
    card = desk.put(in_turn(b"\x63\x00", A + b"\x90\x00", b"\x63\x00", A + b"\x90\x00"))
    with watching() as run:
        run.wait_for_taps(1)
        card.wait_for_commands(3)
    assert run.uids == [A]


def test_a_wrong_length_is_asked_again_with_the_right_one(desk: Desk) -> None:
    def strict(command: bytes) -> bytes:
        return A + b"\x90\x00" if command[-1] == len(A) else bytes([0x6C, len(A)])

    with watching() as run:
        desk.put(strict)
        run.wait_for_taps(1)
    assert run.uids == [A]


def test_a_card_pulled_in_the_middle_of_a_read_leaves_the_next_one_readable(desk: Desk) -> None:
    with watching() as run:
        run.wait_for_state(ReaderState.READY)
        pulled = desk.put(in_turn(A + b"\x90\x00", None))
        pulled.wait_for_commands(2)
        desk.put(B)
        run.wait_for_taps(1)
    assert run.uids == [B]


def test_a_service_that_starts_late_is_found(desk: Desk) -> None:
    desk.service.kill()
    with watching() as run:
        run.wait_for_state(ReaderState.ABSENT)
        desk.service.start()
        run.wait_for_state(ReaderState.READY)
        desk.put(A)
        run.wait_for_taps(1)
    assert run.uids == [A]


def test_a_service_killed_and_restarted_is_found_again(desk: Desk) -> None:
    with watching() as run:
        desk.put(A)
        run.wait_for_taps(1)
        for uid in (B, SEVEN):
            desk.service.kill()
            run.wait_for_state(ReaderState.ABSENT)
            desk.service.start()
            run.wait_for_state(ReaderState.READY)
            desk.put(uid)
            run.wait_for_taps(1 + len(run.taps))
    assert run.uids == [A, B, SEVEN]


def test_a_reader_that_is_there_after_a_restart_of_the_service_is_found(desk: Desk) -> None:
    desk.service.kill()
    desk.service.start(with_reader=False)
    with watching() as run:
        run.wait_for_state(ReaderState.ABSENT)
        desk.service.kill()
        desk.service.start()
        run.wait_for_state(ReaderState.READY)
        desk.put(A)
        run.wait_for_taps(1)
    assert (ReaderState.ABSENT, "no such reader is plugged in") in run.states


def test_a_reader_unplugged_and_back_is_used_again(desk: Desk, layer: PcscLayer) -> None:
    with watching() as run:
        run.wait_for_state(ReaderState.READY)
        for uid in (A, B):
            layer.cable = False
            run.wait_for_state(ReaderState.ABSENT)
            layer.cable = True
            run.wait_for_state(ReaderState.READY)
            card = desk.put(uid)
            run.wait_for_taps(1 + len(run.taps))
            card.pull()
            desk.wait_until(card=False)
    assert run.uids == [A, B]
    assert run.states[2] == (ReaderState.ABSENT, "the reader was unplugged")


def test_a_card_held_by_another_program_wedges_the_reader_until_it_is_let_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smartcard import scard

    from edge_agent.readers import pcsc_watch

    monkeypatch.setattr(pcsc_watch, "WEDGED_AFTER_S", 0.2)
    with watching() as other:
        desk.put(A)
        other.wait_for_taps(1)
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
    result, card, _ = scard.SCardConnect(context, SLOT_0, scard.SCARD_SHARE_EXCLUSIVE, both)
    assert result == scard.SCARD_S_SUCCESS
    with watching() as run:
        run.wait_for_state(ReaderState.WEDGED)
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
        run.wait_for_state(ReaderState.READY)
        run.wait_for_taps(1)
    scard.SCardReleaseContext(context)
    assert run.uids == [A]


def test_two_slots_are_two_readers(desk: Desk) -> None:
    with watching() as first, watching(match=SLOT_1) as second:
        desk.put(A, slot=0)
        desk.put(B, slot=1)
        first.wait_for_taps(1)
        second.wait_for_taps(1)
    assert (first.uids, second.uids) == ([A], [B])


def test_without_a_name_the_first_reader_is_taken(desk: Desk) -> None:
    from edge_agent.readers.pcsc import PcscReader

    with ReaderRun(PcscReader("door")) as run:  # with the shipped profile
        desk.put(A)
        run.wait_for_taps(1)
    assert run.uids == [A]


@pytest.mark.parametrize(
    ("names", "match", "chosen"),
    [
        (["X [X SAM] 00 00", "X [X PICC] 00 01"], None, "X [X PICC] 00 01"),
        (["X [X SAM] 00 00", "X [X PICC] 00 01"], "X", "X [X PICC] 00 01"),
        (["X [X SAM] 00 00", "X [X PICC] 00 01"], "SAM", "X [X SAM] 00 00"),
        (["X [X SAM] 00 00"], None, None),
        (["X 00 00", "X [X Contactless Reader] 00 01"], None, "X [X Contactless Reader] 00 01"),
        (["X 00 00", "Y 00 00"], None, "X 00 00"),
        (["HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 01 00"] * 2, None, None),
        (
            [
                "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 01 00",
                "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 00",
            ],
            None,
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 00",
        ),
        (
            ["Feitian R502 [R502 Contact Reader] 00 01", "Feitian R502 [R502 Contactless Reader] 00 00"],
            "R502",
            "Feitian R502 [R502 Contactless Reader] 00 00",
        ),
        (["ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", "ACS ACR122U 01 00"], "122", "ACS ACR122U 01 00"),
        (["X [X PICC] 00 00"], "Y", None),
    ],
)
def test_the_contactless_interface_is_taken_and_a_sam_slot_only_when_it_is_named(
    names: list[str], match: str | None, chosen: str | None
) -> None:
    from edge_agent.readers.pcsc import PcscReader

    assert PcscReader("door", match)._choose(names) == chosen


def test_stop_ends_the_wait_for_a_card_or_a_reader(desk: Desk) -> None:
    desk.put(A)
    with watching() as card, watching(match="no such reader") as absent:
        card.wait_for_taps(1)
        absent.wait_for_state(ReaderState.ABSENT)
        assert max(card.end(), absent.end()) < 1.5  # 0.4 s on a machine that is not busy
