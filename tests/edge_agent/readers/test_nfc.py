"""NfcReader: real nfcpy on both sides of a simulated air, and a driver that fails."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.readers import CardRead, ReaderFacts, ReaderState, nfc, nfc_frontend
from edge_agent.readers.nfc import NfcReader
from edge_agent.readers.steps import ReadStep, heard
from firmware_profiles import ProfileBook, load_profiles, parse_profile
from tests.support.emulated_tag import EmulatedTag, free_udp_port
from tests.support.reader_run import ReaderRun

A, SEVEN = bytes.fromhex("2A83155E"), bytes.fromhex("04A1B2C3D4E5F6")


@pytest.fixture
def port() -> Iterator[int]:
    port = free_udp_port()
    yield port
    nfc_frontend.forget(f"udp:127.0.0.1:{port}")


def watching(port: int) -> ReaderRun:
    return ReaderRun(NfcReader("door", f"udp:127.0.0.1:{port}"))


@pytest.mark.parametrize(("uid", "sak"), [(A, 0x08), (SEVEN, 0x20)], ids=["4-byte", "7-byte"])
def test_a_card_is_told_once_with_its_uid_and_sak(port: int, uid: bytes, sak: int) -> None:
    with watching(port) as run, EmulatedTag(port, uid, sak):
        run.wait_for_taps(1)
    assert run.taps == [CardRead("door", uid, sak=sak)]
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_a_card_swapped_for_another_is_two_taps(port: int) -> None:
    with watching(port) as run:
        with EmulatedTag(port, A):
            run.wait_for_taps(1)
        with EmulatedTag(port, SEVEN):
            run.wait_for_taps(2)
    assert run.uids == [A, SEVEN]


def test_an_empty_field_is_a_ready_reader(port: int) -> None:
    with watching(port) as run:
        run.wait_for_state(ReaderState.READY)
    assert run.taps == []


def test_a_simulated_air_has_no_profile(port: int) -> None:
    reader = NfcReader("door", f"udp:127.0.0.1:{port}")
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
    assert (reader.facts().profile, reader.facts().firmware) == ("", "")
    assert "IP-Stack" in reader.facts().hardware


def test_a_reader_that_is_not_there_is_absent() -> None:
    with ReaderRun(NfcReader("door", "tty:NOSUCHPORT:pn532")) as run:
        run.wait_for_state(ReaderState.ABSENT)
        assert run.end() < 1.5
    assert run.states[-1][1] == "/dev/NOSUCHPORT: not plugged in"


class ScriptedDriver:
    """Stands for nfcpy: plays `steps`, one a sense; the last one for ever. A step is raised or returned."""

    RemoteTarget = staticmethod(lambda kind: kind)

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.opened = self.closed = 0
        self.lock = threading.Lock()
        self.device = SimpleNamespace(vendor_name="ACS", product_name="ACR122U", chipset_name="PN532v1.6")

    def ContactlessFrontend(self, path: str) -> Any:
        self.opened += 1
        return self

    def sense(self, target: Any, iterations: int) -> Any:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def close(self) -> None:
        self.closed += 1


def card(uid: bytes) -> Any:
    return SimpleNamespace(sdd_res=bytearray(uid), sel_res=bytearray([0x08]))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A driver of these steps in the place of nfcpy."""

    def install(*steps: Any) -> ScriptedDriver:
        driver = ScriptedDriver(*steps)
        monkeypatch.setattr(nfc_frontend, "_clf", driver)
        return driver

    monkeypatch.setattr(nfc_frontend, "_opened", {})
    monkeypatch.setattr(nfc, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(nfc, "LONGEST_DELAY_S", 0.02)
    monkeypatch.setattr(nfc, "SENSE_S", 0.001)
    monkeypatch.setattr(nfc, "WEDGED_AFTER_S", 0.05)
    return install


def test_a_card_that_leaves_and_comes_back_is_a_second_tap(scripted: Any) -> None:
    scripted(card(A), card(A), None, card(A), None, None, card(A), card(A), None)
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(2)
    assert run.uids == [A, A]


@pytest.mark.parametrize(("stable", "read"), [(1, 2), (3, 4)])
def test_a_profile_says_when_reading_begins_and_how_often(scripted: Any, stable: int, read: int) -> None:
    reads = iter(range(1, 100))
    scripted(None, lambda: next(reads) and card(A))
    book = reopening(fails=False, more=f"settle_ms = 30\nstable_reads = {stable}")
    at: list[int] = []
    with ReaderRun(NfcReader("door", "usb", book=book), lambda tap: at.append(next(reads) - 1)) as run:
        run.wait_for_taps(1)
    assert at == [read]  # the first one only says that a card is there


def test_a_failure_that_passes_is_not_told(scripted: Any) -> None:
    driver = scripted(None, OSError(5, "I/O"), ValueError("driver"), card(A))
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(1)
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]
    assert (driver.opened, driver.closed) == (1, 0)


def test_a_card_that_lies_there_through_a_passing_failure_is_one_tap(scripted: Any) -> None:
    scripted(card(A), card(A), OSError(5, "I/O"), card(A), card(A), OSError(5, "I/O"), card(A), card(A), card(SEVEN))
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(2)
    assert run.uids == [A, SEVEN]


def test_a_reader_that_fails_for_long_is_wedged_then_ready_on_the_same_handle(scripted: Any) -> None:
    driver = scripted(None, *[OSError(5, "I/O")] * 8, card(A))
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(1)
    assert [state for state, _ in run.states] == [
        ReaderState.STARTING,
        ReaderState.READY,
        ReaderState.WEDGED,
        ReaderState.READY,
    ]
    assert (driver.opened, driver.closed) == (1, 0)


def test_a_reader_taken_away_is_opened_again_when_it_is_back(scripted: Any) -> None:
    driver = scripted(None, OSError(19, "no such device"), card(A))
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(1)
    assert (ReaderState.ABSENT, "usb: it was unplugged") in run.states
    assert (driver.opened, driver.closed) == (2, 1)


def reopening(*, fails: bool, more: str = "") -> ProfileBook:
    """A local profile for the path `usb`."""
    text = f"""
name = "dongle"
model = "a dongle"
hardware_tested = false
evidence = ["made for a test"]
poll_ms = 20
{more}
[match]
[nfc]
paths = ["usb"]
reopen_fails = {str(fails).lower()}
"""
    return ProfileBook({"dongle": parse_profile("dongle", text)})


@pytest.mark.parametrize(("fails", "opened"), [(False, 2), (True, 1)], ids=["opens again", "only once"])
def test_reopening_is_left_out_where_the_model_cannot_do_it(scripted: Any, fails: bool, opened: int) -> None:
    driver = scripted(None)
    reader = NfcReader("door", "usb", book=reopening(fails=fails))
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
        reader.reopen()
        driver.steps = [card(A)]
        run.wait_for_taps(1)
    assert (driver.opened, driver.closed) == (opened, opened - 1)


def test_beginning_anew_opens_again_whatever_the_model(scripted: Any) -> None:
    driver = scripted(None)
    reader = NfcReader("door", "usb", book=reopening(fails=True))
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
        reader.re_establish()
        driver.steps = [card(A)]
        run.wait_for_taps(1)
    assert (driver.opened, driver.closed) == (2, 1)


def test_a_second_run_uses_the_reader_that_is_open(scripted: Any) -> None:
    driver = scripted(card(A))
    for _ in range(2):
        with ReaderRun(NfcReader("door", "usb")) as run:
            run.wait_for_taps(1)
    assert driver.opened == 1


def test_a_card_without_a_uid_is_told_as_unreadable(scripted: Any) -> None:
    scripted(SimpleNamespace(sdd_res=None, sel_res=None))
    with ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(1)
    assert run.taps == [CardRead("door", b"")]


def test_new_profiles_are_put_to_use_when_the_card_has_left(scripted: Any) -> None:
    driver = scripted(card(A))
    reader = NfcReader("door", "usb")
    with ReaderRun(reader) as run:
        run.wait_for_taps(1)
        reader.use_profiles(reopening(fails=False))
        seen: list[str] = []
        driver.steps = [lambda: seen.append(reader.facts().profile) or card(A)] * 5 + [None]
        run.wait_until(lambda: reader.facts().profile != "")
    assert set(seen) == {""}
    assert run.uids == [A]
    assert reader.facts() == ReaderFacts("ACS ACR122U PN532v1.6 at usb", "dongle (local)", "path 'usb'", "1.6")


def test_the_settings_name_a_profile_before_any_that_fits(scripted: Any) -> None:
    scripted(None)
    reader = NfcReader("door", "usb", "scl3711", reopening(fails=False))
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
    assert (reader.facts().profile, reader.facts().matched_by) == ("scl3711", "settings")


def test_a_profile_that_is_not_for_nfcpy_is_not_taken(scripted: Any) -> None:
    assert load_profiles()["acr1252u"].nfc is None
    scripted(None)
    reader = NfcReader("door", "usb", "acr1252u", reopening(fails=False))
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
    assert reader.facts().profile == "dongle (local)"


def test_whoever_tries_a_reader_out_hears_its_steps(scripted: Any) -> None:
    scripted(None, card(A), card(A), None)
    steps: list[ReadStep] = []
    with heard(steps.append), ReaderRun(NfcReader("door", "usb")) as run:
        run.wait_for_taps(1)
    assert steps[:3] == [ReadStep.ARRIVED, ReadStep.READ, ReadStep.READ]


def test_the_beat_goes_on_while_nothing_is_there_and_stands_still_in_a_driver_that_hangs(scripted: Any) -> None:
    hang = threading.Event()
    driver = scripted(None)
    reader = NfcReader("door", "usb")
    with ReaderRun(reader) as run:
        run.wait_for_state(ReaderState.READY)
        first_s = reader.beat_s()
        run.wait_until(lambda: reader.beat_s() > first_s)
        driver.steps = [lambda: hang.wait(20) and None]
        run.wait_until(lambda: still(reader))
        hang.set()


def still(reader: NfcReader) -> bool:
    """Whether its beat has not moved for 0.2 s."""
    before_s = reader.beat_s()
    time.sleep(0.2)
    return reader.beat_s() == before_s


class Usb:
    """What the kernel tells of USB and of its modules."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *devices: str, modules: tuple[str, ...] = ()) -> None:
        listed = [SimpleNamespace(usb=usb) for usb in devices]
        monkeypatch.setattr(nfc_frontend, "usb_devices", lambda machine: listed)
        monkeypatch.setattr(nfc_frontend, "modules", lambda machine: frozenset(modules))


def refusing(error: OSError) -> Any:
    def open_(path: str) -> Any:
        raise error

    return open_


@pytest.mark.parametrize(
    ("path", "devices", "modules", "state", "why"),
    [
        ("usb:054c:06c3", ["054C:06C3"], ("port100", "nfc"), "wedged", "sudo modprobe -r port100 nfc"),
        ("usb:054c:06c3", ["054C:06C3"], (), "wedged", "another program may hold it"),
        ("usb:054c", ["054C:06C3"], ("port100",), "wedged", "sudo modprobe -r port100"),
        ("usb", ["1D6B:0002", "04E6:5591"], ("pn533_usb", "pn533"), "wedged", "modprobe -r pn533_usb pn533"),
        ("usb", ["1D6B:0002"], ("pn533_usb",), "absent", "usb: not plugged in"),
        ("usb:054c:06c3", ["04E6:5591"], (), "absent", "not plugged in"),
    ],
)
def test_what_is_in_the_way_of_a_usb_reader_is_named(
    scripted: Any,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    devices: list[str],
    modules: tuple[str, ...],
    state: str,
    why: str,
) -> None:
    driver = scripted(None)
    monkeypatch.setattr(driver, "ContactlessFrontend", refusing(OSError(16, "Device or resource busy")))
    Usb(monkeypatch, *devices, modules=modules)
    with ReaderRun(NfcReader("door", path)) as run:
        run.wait_for_state(ReaderState(state))
    assert why in run.states[-1][1]
