"""NfcReader on a PN532 on a real serial line, by way of the real nfcpy: only the chip at its end is emulated."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.readers import CardRead, ReaderState, nfc, nfc_frontend
from edge_agent.readers.nfc import NfcReader
from edge_agent.readers.serial_line import SPEEDS, device_file
from firmware_profiles import ProfileBook, parse_profile
from tests.support.emulated_pn532 import EmulatedPn532
from tests.support.reader_run import ReaderRun

A, B = bytes.fromhex("2A83155E"), bytes.fromhex("5E15832A")
SEVEN, TEN = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("0102030405060708090A")

QUICK = """
name = "pn532-uart"
model = "a PN532 that needs no pause"
hardware_tested = false
evidence = ["made for a test"]
poll_ms = 20
[match]
[nfc]
paths = ["tty:*:pn532"]
"""
"""As a local file goes before the shipped one of its name."""


@pytest.fixture
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedPn532]:
    monkeypatch.setattr(nfc, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(nfc, "LONGEST_DELAY_S", 0.1)
    monkeypatch.setattr(nfc, "WEDGED_AFTER_S", 0.2)
    with EmulatedPn532(tmp_path) as made:
        yield made
        nfc_frontend.forget(made.nfcpy_path)


def quick() -> ProfileBook:
    return ProfileBook({"pn532-uart": parse_profile("pn532-uart", QUICK)})


def reader(chip: EmulatedPn532) -> NfcReader:
    return NfcReader("door", chip.nfcpy_path, book=quick())


def watching(chip: EmulatedPn532) -> ReaderRun:
    return ReaderRun(reader(chip))


@pytest.mark.parametrize(("uid", "sak"), [(A, 0x08), (SEVEN, 0x20), (TEN, 0x00)], ids=["4-byte", "7-byte", "10-byte"])
def test_a_card_is_told_once_with_its_uid_and_sak(chip: EmulatedPn532, uid: bytes, sak: int) -> None:
    with watching(chip) as run:
        run.wait_for_state(ReaderState.READY)
        chip.sak, chip.card = sak, uid
        run.wait_for_taps(1)
        asked = chip.commands.count(0x4A)
        run.wait_until(lambda: chip.commands.count(0x4A) >= asked + 5)
    assert run.taps == [CardRead("door", uid, sak=sak)]
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_cards_come_and_go(chip: EmulatedPn532) -> None:
    with watching(chip) as run:
        for count, uid in enumerate((A, B, A, SEVEN), start=1):
            chip.card = uid
            run.wait_for_taps(count)
            asked = chip.commands.count(0x4A)
            chip.card = None
            run.wait_until(lambda asked=asked: chip.commands.count(0x4A) >= asked + 4)
    assert run.uids == [A, B, A, SEVEN]


def test_chip_firmware_and_profile_are_known(chip: EmulatedPn532) -> None:
    watched = reader(chip)
    with ReaderRun(watched) as run:
        run.wait_for_state(ReaderState.READY)
    facts = watched.facts()
    assert (facts.firmware, facts.profile) == ("1.6", "pn532-uart (local)")
    assert facts.hardware == f"PN532v1.6 at {chip.nfcpy_path}"
    assert facts.matched_by == f"path {chip.nfcpy_path!r}"


def test_the_shipped_profile_waits_for_a_board_that_opening_resets(chip: EmulatedPn532) -> None:
    chip.deaf_s = 1.2
    watched = NfcReader("door", chip.nfcpy_path)
    with ReaderRun(watched) as run:
        run.wait_for_state(ReaderState.READY)
    assert watched.facts().profile == "pn532-uart"
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


def test_without_that_pause_the_board_is_never_reached(chip: EmulatedPn532) -> None:
    chip.deaf_s = 60.0
    with watching(chip) as run:
        run.wait_for_state(ReaderState.WEDGED)
        assert "nothing that speaks like a PN532 answers" in run.states[-1][1]
        chip.deaf_s = 0.0
        run.wait_for_state(ReaderState.READY)


def test_closing_leaves_the_chip_slow_and_asleep_and_it_is_woken_again(chip: EmulatedPn532) -> None:
    with watching(chip) as run:
        run.wait_for_state(ReaderState.READY)
        assert chip.speed == 921_600
    nfc_frontend.forget(chip.nfcpy_path)
    assert (chip.speed, chip.asleep) == (115_200, True)
    chip.card = A
    with watching(chip) as again:
        again.wait_for_taps(1)
    assert again.uids == [A]


KILLED = """
import os, sys
from edge_agent.readers.nfc_frontend import open_frontend, type_a
from firmware_profiles import ProfileBook
opened = open_frontend(sys.argv[1], 0, lambda seconds: None, ProfileBook())
opened.frontend.sense(type_a(), iterations=1)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("how", "speed"), [("killed", 921_600), ("ended", 115_200)])
def test_a_process_that_was_killed_does_not_leave_the_chip_stuck(chip: EmulatedPn532, how: str, speed: int) -> None:
    subprocess.run([sys.executable, "-c", KILLED, chip.nfcpy_path, how], check=False, timeout=60)
    assert chip.speed == speed  # the exit of a process closes the reader, a kill does not
    chip.card = A
    with watching(chip) as run:
        run.wait_for_taps(1)
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("state", ["idle", "in the middle of a command", "asleep"])
def test_a_chip_is_found_at_any_speed_and_in_any_state(chip: EmulatedPn532, speed: int, state: str) -> None:
    chip.speed = speed
    chip.busy, chip.asleep = state == "in the middle of a command", state == "asleep"
    with watching(chip) as run:
        run.wait_for_state(ReaderState.READY)
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]


@pytest.mark.parametrize("behaviour", ["silent", "garbage", "nak", "cut", "error"])
def test_a_chip_that_does_not_answer_as_it_should_is_wedged_until_it_does(chip: EmulatedPn532, behaviour: str) -> None:
    with watching(chip) as run:
        run.wait_for_state(ReaderState.READY)
        chip.behaviour = behaviour
        run.wait_for_state(ReaderState.WEDGED)
        chip.behaviour = "well"
        chip.card = A
        run.wait_for_taps(1)
        run.wait_for_state(ReaderState.READY)
    assert run.uids == [A]


@pytest.mark.parametrize("behaviour", ["silent", "garbage", "nak", "cut", "error"])
def test_a_chip_that_cannot_be_opened_is_wedged_and_said(chip: EmulatedPn532, behaviour: str) -> None:
    chip.behaviour = behaviour
    with watching(chip) as run:
        run.wait_for_state(ReaderState.WEDGED)
        assert str(chip.path) in run.states[-1][1]
        chip.behaviour = "well"
        run.wait_for_state(ReaderState.READY)


def test_one_answer_that_was_damaged_neither_costs_nor_makes_a_tap(chip: EmulatedPn532) -> None:
    chip.card = A
    with watching(chip) as run:
        run.wait_for_taps(1)
        for behaviour in ("garbage", "nak", "cut"):
            asked = len(chip.commands)
            chip.behaviour = behaviour
            run.wait_until(lambda asked=asked: len(chip.commands) > asked)
            chip.behaviour = "well"
            asked = chip.commands.count(0x4A)
            run.wait_until(lambda asked=asked: chip.commands.count(0x4A) >= asked + 3)
    assert [state for state, _ in run.states] == [ReaderState.STARTING, ReaderState.READY]
    assert run.uids == [A]


def test_an_adapter_unplugged_and_back_is_used_again(chip: EmulatedPn532) -> None:
    with watching(chip) as run:
        run.wait_for_state(ReaderState.READY)
        for uid in (A, B):
            chip.unplug()
            run.wait_for_state(ReaderState.ABSENT)
            chip.card = uid
            chip.plug()
            run.wait_for_taps(1 + len(run.taps))
            run.wait_for_state(ReaderState.READY)
    assert run.uids == [A, B]
    assert ReaderState.WEDGED not in [state for state, _ in run.states]


def test_reopening_wakes_a_chip_whose_power_was_cut_behind_our_back(chip: EmulatedPn532) -> None:
    watched = reader(chip)
    with ReaderRun(watched) as run:
        run.wait_for_state(ReaderState.READY)
        chip.cold_start()  # it is at 115,200 baud again, and the line is not
        run.wait_for_state(ReaderState.WEDGED)
        watched.reopen()
        run.wait_for_state(ReaderState.READY)


def test_a_line_that_another_program_holds_is_said(chip: EmulatedPn532) -> None:
    import serial

    with serial.Serial(os.path.realpath(chip.path), exclusive=True), watching(chip) as run:
        run.wait_for_state(ReaderState.WEDGED)
    assert run.states[-1][1] == f"{chip.path}: another program holds the line"


def test_stop_ends_the_pause_after_opening(chip: EmulatedPn532) -> None:
    with ReaderRun(NfcReader("door", chip.nfcpy_path)) as run:
        run.wait_for_state(ReaderState.STARTING)
        time.sleep(0.1)
        assert run.end() < 10  # 0.1 s on a machine that is not busy


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("tty:USB0:pn532", "/dev/ttyUSB0"),
        ("tty:AMA0:pn532", "/dev/ttyAMA0"),
        ("tty:S0:pn532", "/dev/ttyS0"),
        ("tty:ACM1:pn532", "/dev/ttyACM1"),
        ("tty:serial0:pn532", "/dev/serial0"),
        ("tty:/dev/serial/by-path/pci-0:1.2:1.0-port0:pn532", "/dev/serial/by-path/pci-0:1.2:1.0-port0"),
        ("tty:USB:pn532", None),
        ("tty:USB0:arygon", None),
        ("tty", None),
        ("usb:054c:06c3", None),
        ("udp:127.0.0.1:54321", None),
    ],
)
def test_the_file_of_a_path_is_known_or_left_to_nfcpy(path: str, file: str | None) -> None:
    assert device_file(path) == file
