"""By which way a command goes, and what becomes of start-up steps that do not get through."""

from collections.abc import Callable

import pytest

from firmware_profiles import Escape, HexBytes, Send, StartupStep, Unless
from firmware_profiles.values import AnswerPattern

pytestmark = [pytest.mark.system]  # pyscard is there only with the system packages

SILENCE = StartupStep(name="silence", command=HexBytes("FF00520000"), send=Send.EITHER)
OK, NO = b"\x90\x00", b"\x63\x00"


class FakeSlot:
    """A slot that does as told, and remembers by which way."""

    def __init__(self, present: bool = False) -> None:
        self.present = present
        self.ways: list[str] = []
        self.transmits: Callable[[], bytes] = lambda: OK
        self.controls: Callable[[], bytes] = lambda: OK

    def transmit(self, command: bytes) -> bytes:
        self.ways.append("apdu")
        return self.transmits()

    def control(self, code: int, command: bytes) -> bytes:
        self.ways.append("escape")
        return self.controls()


def failing(error: Exception) -> Callable[[], bytes]:
    def fail() -> bytes:
        raise error

    return fail


def link_of(slot: FakeSlot, escape: Escape | None = Escape(0x42000001, 0x01)):  # type: ignore[no-untyped-def]
    from edge_agent.readers.pcsc_link import Link

    return Link(slot, escape)  # type: ignore[arg-type]


def startup_of(slot: FakeSlot, *steps: StartupStep):  # type: ignore[no-untyped-def]
    from edge_agent.readers.pcsc_link import Startup

    return Startup("door", steps, link_of(slot))


@pytest.mark.parametrize(
    ("send", "present", "way"),
    [
        (Send.APDU, True, "apdu"),
        (Send.ESCAPE, True, "escape"),
        (Send.ESCAPE, False, "escape"),
        (Send.EITHER, True, "apdu"),
        (Send.EITHER, False, "escape"),
    ],
)
def test_a_command_goes_by_the_way_that_is_open(send: Send, present: bool, way: str) -> None:
    slot = FakeSlot(present)
    assert link_of(slot).send(send, b"\xff") == OK
    assert slot.ways == [way]


def test_a_pseudo_apdu_without_a_card_has_no_way() -> None:
    from edge_agent.readers.pcsc_link import NoWay

    with pytest.raises(NoWay):
        link_of(FakeSlot()).send(Send.APDU, b"\xff")


@pytest.mark.parametrize("gone", ["CardGone", "CardMute"])
def test_what_goes_either_way_is_escaped_where_the_card_does_not_answer(gone: str) -> None:
    from edge_agent.readers import pcsc_service

    slot = FakeSlot(present=True)
    slot.transmits = failing(getattr(pcsc_service, gone)())
    assert link_of(slot).send(Send.EITHER, b"\xff") == OK
    assert slot.ways == ["apdu", "escape"]


def test_a_driver_that_refuses_is_asked_once() -> None:
    from edge_agent.readers.pcsc_link import NoWay
    from edge_agent.readers.pcsc_service import ControlRefused

    slot = FakeSlot()
    slot.controls = failing(ControlRefused(0x80100016))
    link = link_of(slot)
    for _ in range(3):
        with pytest.raises(NoWay):
            link.send(Send.ESCAPE, b"\xe0")
    assert slot.ways == ["escape"]
    assert link.refused == (
        "the driver passes no escape commands on (PC/SC 80100016); they need bit 0x01 of its ifdDriverOptions"
    )


def test_a_card_that_leaves_in_between_is_no_refusal() -> None:
    from edge_agent.readers.pcsc_link import NoWay
    from edge_agent.readers.pcsc_service import CardGone

    slot = FakeSlot()
    slot.controls = failing(CardGone())
    link = link_of(slot)
    with pytest.raises(NoWay):
        link.send(Send.ESCAPE, b"\xe0")
    assert link.refused == ""


def test_a_step_waits_for_a_way_and_is_sent_once() -> None:
    from edge_agent.readers.pcsc_service import ControlRefused

    slot = FakeSlot()
    slot.controls = failing(ControlRefused(0x80100016))
    startup = startup_of(slot, SILENCE)
    startup.run()
    slot.present = True
    startup.run()
    startup.run()
    assert (slot.ways, startup.answers, startup.failed) == (["escape", "apdu"], {"silence": OK}, {})


def test_a_step_whose_transfer_fails_is_tried_three_times() -> None:
    from edge_agent.readers.pcsc_service import TransferFailed

    slot = FakeSlot(present=True)
    slot.transmits = failing(TransferFailed("PC/SC 80100016"))
    startup = startup_of(slot, SILENCE)
    for _ in range(5):
        startup.run()
    assert slot.ways == ["apdu"] * 3
    assert (startup.failed, startup.in_the_way) == ({"silence": "PC/SC 80100016"}, "")


@pytest.mark.parametrize(
    ("answers", "sent", "failed"),
    [
        ([bytes.fromhex("E10000000177")], 1, {}),
        ([bytes.fromhex("E1000000017F"), OK], 2, {}),
        ([bytes.fromhex("E1000000017F"), NO], 2, {"lasting": "answered 6300"}),
        ([bytes.fromhex("E1000000017F"), b""], 2, {"lasting": "answered nothing"}),
    ],
)
def test_a_lasting_setting_is_written_where_it_is_not_what_it_should_be(
    answers: list[bytes], sent: int, failed: dict[str, str]
) -> None:
    unless = Unless(HexBytes("E000002100"), (AnswerPattern("E100000001x7"),))
    step = StartupStep(name="lasting", command=HexBytes("E00000210177"), send=Send.ESCAPE, unless=unless)
    slot = FakeSlot()
    slot.controls = lambda: answers.pop(0)
    startup = startup_of(slot, step)
    startup.run()
    assert (len(slot.ways), startup.failed) == (sent, failed)


def test_a_step_that_must_not_fail_is_in_the_way_until_it_works() -> None:
    slot = FakeSlot(present=True)
    slot.transmits = lambda: NO
    needed = StartupStep(name="needed", command=HexBytes("FF"), send=Send.APDU, tolerable=False)
    startup = startup_of(slot, needed)
    startup.run()
    assert startup.in_the_way == "needed: answered 6300"
    slot.transmits = lambda: OK
    startup.run()
    assert (startup.in_the_way, startup.failed) == ("", {})
