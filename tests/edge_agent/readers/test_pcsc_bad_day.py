"""What a reader's own commands may do to the reading of cards when they fail: nothing."""

import time

import msgspec
import pytest

from edge_agent.readers import Answer, ReaderState
from firmware_profiles import load_profiles
from tests.edge_agent.readers.conftest import Desk
from tests.support.emulated_readers import Acr122u, AcrWithEscapes, PcscLayer
from tests.support.pcsc_run import often, running, wait_until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A, B, C, D = (bytes.fromhex(uid) for uid in ("2A83155E", "5E15832A", "04A1B2C3D4E5F6", "11223344"))


# --- light and sound that fail ---------------------------------------------------------------------------------------


def test_lights_that_answer_an_error_are_given_up_and_cards_are_read_on(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A)
    reader.led_answer = lambda: b"\x63\x00"
    with running("acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        desk.put(reader.apdu)
        for count, uid in enumerate((A, B, C, D, A, B), start=1):
            reader.uid = uid
            run.wait_for_taps(count)
        wait_until(lambda: "light and sound given up: answered 6300" in run.states[-1][1], run.states)
    assert run.uids == [A, B, C, D, A, B]
    assert sum(command[2] == 0x40 for command in reader.apdus + reader.escapes) == 3  # one of them: out, at its start
    assert run.states[-1][0] is ReaderState.READY


def test_lights_that_hang_are_given_up_and_cards_are_read_on(
    desk: Desk, layer: PcscLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_agent.readers import lights

    def slow() -> bytes:
        time.sleep(0.5)
        return b"\x90\x00"

    monkeypatch.setattr(lights, "HANGS_AFTER_S", 0.1)
    layer.reader = reader = Acr122u(A)
    reader.led_answer = slow
    with running("acr122u") as run:
        desk.put(reader.apdu)
        for count, uid in enumerate((A, B), start=1):
            reader.uid = uid
            run.wait_for_taps(count)
        wait_until(lambda: "light and sound given up: a command took" in run.states[-1][1], run.states)
    assert run.uids == [A, B]
    assert sum(command[2] == 0x40 for command in reader.apdus + reader.escapes) == 1


def test_a_card_pulled_while_the_lights_are_told_leaves_the_next_one_readable(desk: Desk, layer: PcscLayer) -> None:
    layer.reader, layer.escapes_pass = (reader := Acr122u(A)), False
    with running("acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        reader.led_answer = lambda: None  # pulls the card
        desk.put(reader.apdu)
        run.wait_for_taps(1)
        desk.wait_until(card=False)
        reader.led_answer = lambda: b"\x90\x00"
        reader.uid = B
        desk.put(reader.apdu)
        run.wait_for_taps(2)
    assert run.uids == [A, B]
    assert {state for state, _ in run.states} == {ReaderState.STARTING, ReaderState.READY}


def test_the_next_card_is_read_while_the_last_answer_is_still_shown(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = AcrWithEscapes(A)
    with running("acr1252u") as run:  # green stays for a second
        run.wait_for_state(ReaderState.READY)
        run.answer = Answer.GRANTED
        desk.put(reader.apdu)
        wait_until(lambda: "green" in reader.log, reader.log)
        run.answer = Answer.DENIED
        reader.uid = B
        wait_until(lambda: reader.log[-1] == "dark", reader.log)
    assert run.uids == [A, B]
    assert reader.log == ["green", "beep 200 ms", "red", "beep 100 ms", "beep 100 ms", "dark"]


def test_lights_are_put_out_when_the_agent_stops(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = AcrWithEscapes(A)
    with running("acr1252u") as run:
        desk.put(reader.apdu)
        wait_until(lambda: "green" in reader.log, reader.log)
    assert run.uids == [A]
    assert reader.log[-1] == "dark"


# --- start-up that fails ---------------------------------------------------------------------------------------------


def test_a_tolerable_step_that_fails_is_said_and_cards_are_read(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A, firmware=b"ACR122U102")  # has no command against the beep
    pcsc = load_profiles()["acr122u"].pcsc
    assert pcsc is not None
    with running("acr122u", often("acr122u", firmware=None)) as run:
        desk.put(reader.apdu)
        run.wait_for_taps(1)
    assert run.states[-1] == (ReaderState.READY, "start-up step silence: answered 6300")


def test_a_step_that_must_not_fail_keeps_cards_unread_until_it_does_not(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A, firmware=b"ACR122U102")
    pcsc = load_profiles()["acr122u"].pcsc
    assert pcsc is not None
    needed = tuple(msgspec.structs.replace(step, tolerable=step.name != "silence") for step in pcsc.startup)
    with running("acr122u", often("acr122u", startup=needed, firmware=None)) as run:
        desk.put(reader.apdu)
        run.wait_for_state(ReaderState.WEDGED)
        assert run.states[-1] == (ReaderState.WEDGED, "start-up step silence: answered 6300")
        assert bytes.fromhex("FFCA000000") not in reader.apdus
        reader.firmware = b"ACR122U215"
        run.wait_for_taps(1)
    assert (run.uids, run.states[-1]) == ([A], (ReaderState.READY, ""))


def test_a_step_that_must_not_fail_is_tried_again_without_a_card_too(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = Acr122u(A, firmware=b"ACR122U102")
    pcsc = load_profiles()["acr122u"].pcsc
    assert pcsc is not None
    needed = tuple(msgspec.structs.replace(step, tolerable=step.name != "silence") for step in pcsc.startup)
    with running("acr122u", often("acr122u", startup=needed, firmware=None)) as run:
        run.wait_for_state(ReaderState.WEDGED)
        reader.firmware = b"ACR122U215"
        run.wait_for_state(ReaderState.READY)


def test_an_escape_that_fails_now_and_then_is_not_taken_for_a_refusal(desk: Desk, layer: PcscLayer) -> None:
    layer.reader = reader = AcrWithEscapes(A)
    with running("acr1252u") as run:
        run.wait_for_state(ReaderState.READY)
        own, reader.own = reader.own, lambda command: None  # type: ignore[method-assign]
        desk.put(reader.apdu)
        run.wait_for_taps(1)
        reader.own = own  # type: ignore[method-assign]
        reader.uid = B
        run.wait_for_taps(2)
        wait_until(lambda: "green" in reader.log, reader.log)
