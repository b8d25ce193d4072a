"""NfcReader: real nfcpy on both sides of a simulated air, and a driver that fails."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.readers import CardRead, ReaderState, nfc
from tests.support.emulated_tag import EmulatedTag, free_udp_port
from tests.support.reader_run import ReaderRun

A, SEVEN = bytes.fromhex("2A83155E"), bytes.fromhex("04A1B2C3D4E5F6")


@pytest.fixture
def port() -> Iterator[int]:
    port = free_udp_port()
    yield port
    nfc._forget(f"udp:127.0.0.1:{port}")


def watching(port: int) -> ReaderRun:
    return ReaderRun(nfc.NfcReader("door", f"udp:127.0.0.1:{port}", poll_ms=20))


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


def test_a_reader_that_is_not_there_is_absent() -> None:
    with ReaderRun(nfc.NfcReader("door", "tty:NOSUCHPORT:pn532")) as run:
        run.wait_for_state(ReaderState.ABSENT)
        assert run.end() < 1.5


class ScriptedDriver:
    """Stands for nfcpy: plays `steps`, one a sense; the last one for ever. A step is raised or returned."""

    RemoteTarget = staticmethod(lambda kind: kind)

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.opened = 0
        self.closed = 0

    def ContactlessFrontend(self, path: str) -> Any:
        self.opened += 1
        return self

    def sense(self, target: Any, iterations: int) -> Any:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


def card(uid: bytes) -> Any:
    return SimpleNamespace(sdd_res=bytearray(uid), sel_res=bytearray([0x08]))


def play(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> tuple[ScriptedDriver, ReaderRun]:
    driver = ScriptedDriver(*steps)
    monkeypatch.setattr(nfc, "_clf", driver)
    monkeypatch.setattr(nfc, "_opened", {})
    monkeypatch.setattr(nfc, "FIRST_DELAY_S", 0.01)
    return driver, ReaderRun(nfc.NfcReader("door", "usb", poll_ms=1))


def test_a_card_that_leaves_and_comes_back_is_a_second_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = play(monkeypatch, card(A), card(A), None, card(A), None, None, card(A), card(A), None)
    with run:
        run.wait_for_taps(2)
    assert run.uids == [A, A]


def test_a_failing_reader_is_wedged_then_ready_on_the_same_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, run = play(monkeypatch, None, OSError(5, "I/O"), ValueError("driver"), OSError(5, "I/O"), card(A))
    with run:
        run.wait_for_taps(1)
    states = [state for state, _ in run.states]
    assert states[:3] == [ReaderState.STARTING, ReaderState.READY, ReaderState.WEDGED]
    assert states[-1] is ReaderState.READY
    assert (driver.opened, driver.closed) == (1, 0)


def test_a_dead_handle_is_reopened_as_a_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [OSError(19, "no such device")] * nfc.FAILURES_UNTIL_REOPEN
    driver, run = play(monkeypatch, *failures, card(A))
    with run:
        run.wait_for_taps(1)
    assert (driver.opened, driver.closed) == (2, 1)


def test_a_second_run_uses_the_reader_that_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, first = play(monkeypatch, card(A))
    with first:
        first.wait_for_taps(1)
    with ReaderRun(nfc.NfcReader("door", "usb")) as second:
        second.wait_for_taps(1)
    assert driver.opened == 1


def test_a_card_without_a_uid_is_told_as_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = play(monkeypatch, SimpleNamespace(sdd_res=None, sel_res=None))
    with run:
        run.wait_for_taps(1)
    assert run.taps == [CardRead("door", b"")]
