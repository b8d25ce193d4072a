"""A lock on the relay of a reader: freed in the reader's own thread, whoever asks, or said not to be."""

import threading
import time

import msgspec
import pytest

from edge_agent.readers import CardRead, ReaderState
from edge_agent.release import ReleaseFailed
from firmware_profiles import Command, HexBytes, ProfileBook, Send, load_profiles
from tests.edge_agent.readers.conftest import Desk
from tests.support.emulated_readers import EmulatedReader, PcscLayer
from tests.support.reader_run import ReaderRun

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A = bytes.fromhex("2A83155E")
RELAY = bytes.fromhex("E000002F0132")


class WithRelay(EmulatedReader):
    """No reader known here has a relay with a published command; this one has a made-up one."""

    def __init__(self, uid: bytes = b"") -> None:
        super().__init__(uid)
        self.threads: list[int] = []
        self.delay_s = 0.0

    def own(self, command: bytes) -> bytes | None:
        time.sleep(self.delay_s)
        self.threads.append(threading.get_ident())
        return b"\x90\x00" if command == RELAY else b"\x63\x00"


def running(command: bytes = RELAY, send: Send = Send.ESCAPE, on_tap=None) -> ReaderRun:  # type: ignore[no-untyped-def]
    from edge_agent.readers.pcsc import PcscReader

    profile = load_profiles()["acr1252u"]
    assert profile.pcsc is not None
    relay = Command(command=HexBytes(command.hex()), send=send)
    pcsc = msgspec.structs.replace(profile.pcsc, startup=(), firmware=None, lights={}, relay=relay)
    book = ProfileBook({"acr1252u": msgspec.structs.replace(profile, pcsc=pcsc)})
    return ReaderRun(PcscReader("door", "Virtual PCD 00 00", "acr1252u", book), on_tap)


def test_anybody_may_free_the_way_and_the_readers_own_thread_does_it(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = WithRelay()
    with running() as run:
        run.wait_for_state(ReaderState.READY)
        run.reader.play_relay()
        run.reader.play_relay()
        assert reader.escapes == [RELAY, RELAY]
        assert set(reader.threads) == {run._thread.ident}


def test_a_tap_frees_the_way_while_the_reader_waits_for_the_answer(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = WithRelay(A)

    def release(read: CardRead) -> None:
        run.reader.play_relay()
        reader.log.append("released")

    with running(send=Send.EITHER, on_tap=release) as run:
        desk.put(reader.apdu)
        run.wait_for_taps(1)
    assert (reader.apdus.count(RELAY), reader.log) == (1, ["released"])


@pytest.mark.parametrize(
    ("command", "send", "why"),
    [
        (b"\xe0\x00", Send.ESCAPE, "the reader's relay: answered 6300"),
        (RELAY, Send.APDU, "the reader's relay: no card lies there, and it takes commands only past one"),
    ],
)
def test_a_way_that_was_not_freed_is_said(desk: Desk, layer: PcscLayer, command: bytes, send: Send, why: str) -> None:
    layer.reader = WithRelay()
    with running(command, send) as run:
        run.wait_for_state(ReaderState.READY)
        with pytest.raises(ReleaseFailed, match=why):
            run.reader.play_relay()


def test_a_driver_that_refuses_is_why_the_way_was_not_freed(desk: Desk, layer: PcscLayer) -> None:
    layer.escapes_pass = False
    with running() as run:
        run.wait_for_state(ReaderState.READY)
        with pytest.raises(ReleaseFailed, match="passes no escape commands on"):
            run.reader.play_relay()


def test_nobody_waits_for_ever_and_a_late_command_is_not_sent(
    desk: Desk, layer: PcscLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_agent.readers import pcsc_relay

    monkeypatch.setattr(pcsc_relay, "WITHIN_S", 0.2)
    layer.reader = reader = WithRelay(A)
    busy, go_on = threading.Event(), threading.Event()

    def deciding(read: CardRead) -> None:
        busy.set()
        go_on.wait(20)

    with running(on_tap=deciding) as run:
        desk.put(reader.apdu)
        assert busy.wait(20)
        with pytest.raises(ReleaseFailed, match="did not answer in time"):
            run.reader.play_relay()
        go_on.set()
        reads = len(reader.apdus)
        while len(reader.apdus) < reads + 3:
            time.sleep(0.01)
    assert reader.escapes == []


def test_a_reader_that_is_not_there_frees_nothing(desk: Desk) -> None:
    from edge_agent.readers.pcsc import PcscReader

    with pytest.raises(ReleaseFailed, match="the reader 'door' is not there"):
        PcscReader("door").play_relay()
    with ReaderRun(PcscReader("door")) as run:
        run.wait_for_state(ReaderState.READY)
        with pytest.raises(ReleaseFailed, match="profile has no relay"):
            run.reader.play_relay()
