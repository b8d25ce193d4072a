"""Which profile a PC/SC reader gets, when it gets another, and what is done again when it is opened again."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_agent.readers import CardRead, ReaderState
from firmware_profiles import GENERIC, Firmware, Profile, ProfileBook, Version
from tests.edge_agent.readers.conftest import Desk
from tests.support.emulated_readers import Acr122u, PcscLayer
from tests.support.pcsc_run import often, running, wait_until
from tests.support.reader_run import DEADLINE_S

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A, B = bytes.fromhex("2A83155E"), bytes.fromhex("5E15832A")
SILENCE = bytes.fromhex("FF00520000")


def _profile(book: ProfileBook, name: str) -> Profile:
    matched = book.named(name)
    assert matched is not None
    return matched.profile


# --- which profile ---------------------------------------------------------------------------------------------------


@pytest.fixture
def on_usb(tmp_path: Path, layer: PcscLayer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Plugs the virtual reader in as a USB device with this identifier."""
    from edge_agent.readers import pcsc, pcsc_usb

    def plug(usb: str) -> None:
        device = tmp_path / "1-1"
        device.mkdir(exist_ok=True)
        vendor, product = usb.lower().split(":")
        for name, value in {"busnum": "1", "devnum": "7", "idVendor": vendor, "idProduct": product}.items():
            (device / name).write_text(f"{value}\n")
        layer.channel = 0x0020_0107

    monkeypatch.setattr(pcsc, "usb_id", lambda channel: pcsc_usb.usb_id(channel, tmp_path))
    return plug


def test_a_reader_is_recognised_by_what_it_is_on_usb(
    desk: Desk, layer: PcscLayer, on_usb: Callable[[str], None]
) -> None:
    layer.reader = Acr122u(A)
    on_usb("072F:2200")
    with running(None) as run:
        run.wait_for_state(ReaderState.READY)
        facts = run.reader.facts()
    assert (facts.profile, facts.matched_by, facts.firmware) == ("acr122u", "usb 072F:2200", "ACR122U215")


@pytest.mark.parametrize("escapes_pass", [True, False], ids=["before a card", "with the first card"])
def test_a_profile_that_is_not_for_the_firmware_gives_way_and_the_reason_is_told(
    desk: Desk, layer: PcscLayer, on_usb: Callable[[str], None], escapes_pass: bool
) -> None:
    layer.reader, layer.escapes_pass = Acr122u(A, firmware=b"ACR122U102"), escapes_pass
    on_usb("072F:2200")
    with running(None) as run:
        desk.put(layer.reader.apdu)
        run.wait_for_taps(1)
        wait_until(lambda: run.reader.facts().profile == f"{GENERIC} (local)", run.reader.facts())
        facts = run.reader.facts()
    assert facts.matched_by == "no other profile fits; acr122u is for firmware 200 and later, this is 102"
    assert (facts.firmware, run.uids) == ("ACR122U102", [A])
    assert not any(command[2] == 0x40 for command in layer.reader.apdus), "a light of the profile that gave way"


def test_a_profile_that_the_settings_name_is_used_for_any_firmware_and_that_is_told(
    desk: Desk, layer: PcscLayer
) -> None:
    layer.reader = Acr122u(A, firmware=b"ACR122U102")
    with running("acr122u") as run:
        desk.put(layer.reader.apdu)
        run.wait_for_taps(1)
        facts = run.reader.facts()
    assert facts.profile == "acr122u (local)"
    assert facts.matched_by == "settings, though it is for firmware 200 and later, this is 102"


def test_two_profiles_that_each_give_way_to_the_other_do_not_take_turns(
    desk: Desk, layer: PcscLayer, on_usb: Callable[[str], None]
) -> None:
    layer.reader = Acr122u(A)  # firmware ACR122U215
    on_usb("1111:2222")
    profile = _profile(ProfileBook(), "acr122u")
    assert profile.pcsc is not None
    match = msgspec.structs.replace(profile.match, usb=("1111:2222",))
    mine = {}
    # each reads from "ACR122U215" what only the other is for: 215, and 2 in the first one's, 15 in its own
    for name, after, header in (("first", "ACR122U", 0), ("second", "2", 7)):
        firmware = Firmware("firmware", after, header, max=Version("9"))
        pcsc = msgspec.structs.replace(profile.pcsc, firmware=firmware)
        mine[name] = msgspec.structs.replace(profile, name=name, match=match, pcsc=pcsc, poll_ms=40)
    with running(None, ProfileBook(mine)) as run:
        desk.put(layer.reader.apdu)
        run.wait_for_taps(1)
        reads = len(layer.reader.apdus)
        wait_until(lambda: len(layer.reader.apdus) > reads + 10)
        assert (layer.reader.apdus + layer.reader.escapes).count(SILENCE) <= 2
    assert run.uids == [A]
    assert run.reader.facts().profile == "second (local)"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("acr122", "no other profile fits; there is no profile 'acr122'"),
        ("scl3711", "no other profile fits; 'scl3711' is for nfcpy"),
    ],
)
def test_settings_that_name_no_profile_for_pcsc_are_told(desk: Desk, name: str, why: str) -> None:
    with running(name, ProfileBook()) as run:
        desk.put(A)
        run.wait_for_taps(1)
        assert (run.reader.facts().profile, run.reader.facts().matched_by) == (GENERIC, why)


# --- beginning again -------------------------------------------------------------------------------------------------


def test_start_up_is_done_again_after_reopening_and_after_replugging(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A)

    def silenced() -> int:
        return reader.escapes.count(SILENCE)

    with running("acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        assert silenced() == 1
        run.reader.reopen()
        wait_until(lambda: silenced() == 2)
        run.wait_for_state(ReaderState.READY)
        layer.cable = False
        run.wait_for_state(ReaderState.ABSENT)
        layer.cable = True
        wait_until(lambda: silenced() == 3)
        run.wait_for_state(ReaderState.READY)
        desk.put(reader.apdu)
        run.wait_for_taps(1)
    assert layer.contexts == 2


def test_a_card_that_lies_there_while_the_reader_is_opened_again_is_told_once(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A)
    with running("acr122u") as run:
        desk.put(reader.apdu)
        run.wait_for_taps(1)
        for count in (2, 3):
            run.reader.reopen()
            wait_until(lambda count=count: (reader.apdus + reader.escapes).count(SILENCE) == count)
        reads = len(reader.apdus)
        wait_until(lambda: len(reader.apdus) > reads + 5)
        assert run.uids == [A]
        reader.uid = B
        run.wait_for_taps(2)
    assert run.uids == [A, B]


@pytest.mark.parametrize("second", [A, B], ids=["same card", "other card"])
@pytest.mark.parametrize("at_once", [True, False], ids=["before it is closed", "while it is closed"])
def test_a_card_that_is_put_there_while_the_reader_is_opened_again_is_told(
    desk: Desk, layer: PcscLayer, second: bytes, at_once: bool
) -> None:
    def swap() -> None:
        first.pull()
        desk.wait_until(card=False)
        desk.put(second)
        desk.wait_until(card=True)

    def decide(read: CardRead) -> None:
        if len(run.uids) == 1:
            run.reader.reopen()
            if at_once:
                swap()
            else:
                layer.meanwhile = swap

    with running(None, on_tap=decide) as run:
        first = desk.put(A)
        run.wait_for_taps(2)
    assert run.uids == [A, second]


def test_a_context_is_made_anew_when_asked_for(desk: Desk, layer: PcscLayer) -> None:
    with running(None) as run:
        run.wait_for_state(ReaderState.READY)
        run.reader.re_establish()
        wait_until(lambda: layer.contexts == 2)
        desk.put(A)
        run.wait_for_taps(1)
    assert (layer.contexts, run.uids) == (2, [A])


def test_other_profiles_are_put_to_use_without_a_restart(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A)
    quiet = often("acr122u", lights={})
    published = ProfileBook({}, {"acr122u": _profile(quiet, "acr122u")}, 3)
    with running("acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        run.reader.use_profiles(published)
        wait_until(lambda: run.reader.facts().profile == "acr122u (published 3)", run.reader.facts())
        desk.put(reader.apdu)
        run.wait_for_taps(1)
    assert reader.log == []


def test_profiles_that_change_nothing_for_a_reader_leave_it_alone(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A)
    with running("acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        run.reader.use_profiles(ProfileBook({"acr122u": _profile(often("acr122u"), "acr122u")}))
        desk.put(reader.apdu)
        run.wait_for_taps(1)
    assert reader.escapes.count(SILENCE) == 1
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_a_reader_shows_that_it_lives_unless_its_driver_hangs(desk: Desk) -> None:
    let_go = threading.Event()

    def hanging(command: bytes) -> bytes:
        let_go.wait(DEADLINE_S)
        return A + b"\x90\x00"

    with running(None) as run:
        run.wait_for_state(ReaderState.READY)
        alive_s = run.reader.beat_s()
        wait_until(lambda: run.reader.beat_s() > alive_s)
        card = desk.put(hanging)
        card.wait_for_commands(1)
        hanging_since_s = run.reader.beat_s()
        time.sleep(1.0)  # more than twice the longest wait of a reader that does not hang
        assert run.reader.beat_s() == hanging_since_s
        let_go.set()
        run.wait_for_taps(1)
        assert run.reader.beat_s() > hanging_since_s
