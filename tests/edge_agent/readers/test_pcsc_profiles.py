"""Every shipped PC/SC profile against a reader that behaves as its manual says, through the real PC/SC stack."""

import time
from collections.abc import Callable

import msgspec
import pytest

from edge_agent.readers import Answer, CardRead, ReaderState
from firmware_profiles import Profile, ProfileBook, load_profiles
from tests.edge_agent.readers.conftest import Desk
from tests.support.emulated_readers import Acr122u, Acr1255u, Acr1281u, AcrWithEscapes, EmulatedReader, PcscLayer
from tests.support.reader_run import DEADLINE_S, ReaderRun

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A, B, C, D = (bytes.fromhex(uid) for uid in ("2A83155E", "5E15832A", "04A1B2C3D4E5F6", "11223344"))
READERS: dict[str, Callable[[], EmulatedReader]] = {
    "acr122u": Acr122u,
    "acr1252u": AcrWithEscapes,
    "acr1255u-j1": Acr1255u,
    "acr1281u-c1": Acr1281u,
}
WITHOUT_COMMANDS = sorted(
    name for name, profile in load_profiles().items() if profile.pcsc is not None and name not in READERS
)
SHOWN = {
    Answer.GRANTED: ["green", "beep", "dark"],
    Answer.DENIED: ["red", "beep", "beep", "dark"],
    Answer.ERROR: ["red and green", "beep", "dark"],
    Answer.NOT_READY: ["red", "dark"],
}
NO_ESCAPES = "the driver passes no escape commands on (PC/SC 80100016); they need bit 0x01 of its ifdDriverOptions"


def hurried(name: str) -> Profile:
    """The shipped profile, looking at a card that lies there more often, with a twentieth of its pauses."""
    profile = load_profiles()[name]
    assert profile.pcsc is not None
    lights = {
        name: tuple(msgspec.structs.replace(step, pause_ms=step.pause_ms // 20) for step in pattern)
        for name, pattern in profile.pcsc.lights.items()
    }
    return msgspec.structs.replace(profile, poll_ms=40, pcsc=msgspec.structs.replace(profile.pcsc, lights=lights))


def running(layer: PcscLayer, name: str, profile: Profile | None = None) -> ReaderRun:
    from edge_agent.readers.pcsc import PcscReader

    def decide(read: CardRead) -> None:
        time.sleep(0.05)  # what writing it down may take: whatever is shown before is shown too early
        layer.reader.log.append("decided")

    book = ProfileBook({name: profile or hurried(name)})
    return ReaderRun(PcscReader("door", "Virtual PCD 00 00", name, book), decide)


def lay(desk: Desk, layer: PcscLayer, uid: bytes) -> None:
    """Puts a card on the reader; once one lies there, changing the reader's `uid` swaps it."""
    layer.reader.uid = uid
    layer.reader.card_came()
    desk.put(layer.reader.apdu)


def wait_until_shown(log: list[str], taps: int) -> None:
    """Until so many taps were decided, and the lights are out again after the last."""
    end_s = time.monotonic() + DEADLINE_S
    while log.count("decided") < taps or log[-1] != "dark":
        assert time.monotonic() < end_s, log
        time.sleep(0.01)


def shown(log: list[str]) -> list[str]:
    """What was seen and heard since the last tap was decided, beeps without their length."""
    since = len(log) - log[::-1].index("decided") if "decided" in log else 0
    return [word.partition(" ")[0] if word.startswith("beep ") else word for word in log[since:]]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_ready_and_reads_with_its_profile(desk: Desk, layer: PcscLayer, name: str) -> None:
    layer.reader = READERS[name]()
    with running(layer, name) as run:
        run.wait_for_state(ReaderState.READY)
        lay(desk, layer, C)
        run.wait_for_taps(1)
    assert run.uids == [C]
    assert run.states == [(ReaderState.STARTING, ""), (ReaderState.READY, "")]


def test_a_reader_without_known_commands_is_sent_none_but_the_uid_command(desk: Desk, layer: PcscLayer) -> None:
    lay(desk, layer, C)
    for name in WITHOUT_COMMANDS:
        with running(layer, name) as run:
            run.wait_for_taps(1)
        assert run.uids == [C], name
        assert run.states == [(ReaderState.STARTING, ""), (ReaderState.READY, "")], name
        assert (set(layer.reader.apdus), layer.reader.escapes) == ({bytes.fromhex("FFCA000000")}, []), name


@pytest.mark.parametrize("name", READERS)
def test_each_answer_has_its_light_and_sound_and_never_before_it_is_written_down(
    desk: Desk, layer: PcscLayer, name: str
) -> None:
    layer.reader = READERS[name]()
    layer.reader.tenth_s = 0.01
    with running(layer, name) as run:
        run.wait_for_state(ReaderState.READY)
        for count, (uid, answer) in enumerate(zip((A, B, C, D), SHOWN, strict=True), start=1):
            run.answer = answer
            if count == 1:
                lay(desk, layer, uid)
            else:
                layer.reader.uid = uid
            wait_until_shown(layer.reader.log, taps=count)
            assert shown(layer.reader.log) == SHOWN[answer]
    assert run.uids == [A, B, C, D]
    own_beep = ["beeps by itself"] if name == "acr1281u-c1" else []  # whose setting is left alone
    assert layer.reader.log[: len(own_beep) + 1] == [*own_beep, "decided"]
    assert run.states[1:] == [(ReaderState.READY, "")]


@pytest.mark.parametrize(("name", "firmware"), [("acr122u", "ACR122U215"), ("acr1252u", "ACR1252U_V107")])
def test_the_firmware_is_read_before_any_card_comes(desk: Desk, layer: PcscLayer, name: str, firmware: str) -> None:
    layer.reader = READERS[name]()
    with running(layer, name) as run:
        run.wait_for_state(ReaderState.READY)
        facts = run.reader.facts()
    assert (facts.hardware, facts.profile, facts.firmware) == ("Virtual PCD 00 00", f"{name} (local)", firmware)
    assert facts.matched_by == "settings"


# --- without the driver's option -------------------------------------------------------------------------------------


def test_an_acr122u_without_escapes_beeps_by_itself_once_and_is_then_silent(desk: Desk, layer: PcscLayer) -> None:
    layer.reader, layer.escapes_pass = Acr122u(), False
    with running(layer, "acr122u") as run:
        run.wait_for_state(ReaderState.READY)
        lay(desk, layer, A)
        wait_until_shown(layer.reader.log, taps=1)
        assert run.reader.facts().firmware == "ACR122U215"
    assert layer.reader.log == ["beeps by itself", "decided", "green", "beep 400 ms", "dark"]
    assert isinstance(layer.reader, Acr122u)
    assert (layer.reader.beeps_at_cards, layer.reader.polls_for) == (False, 0xE1)
    assert run.states[1:] == [(ReaderState.READY, NO_ESCAPES)]


def test_an_acr1252u_without_escapes_reads_cards_and_says_why_it_shows_nothing(desk: Desk, layer: PcscLayer) -> None:
    layer.reader, layer.escapes_pass = AcrWithEscapes(), False
    with running(layer, "acr1252u") as run:
        run.wait_for_state(ReaderState.READY)
        lay(desk, layer, A)
        run.wait_for_taps(1)
        layer.reader.uid = B
        run.wait_for_taps(2)
    assert run.uids == [A, B]
    assert layer.reader.log == ["beeps by itself", "decided", "decided"]
    assert run.states[1:] == [(ReaderState.READY, NO_ESCAPES)]
    assert layer.reader.escapes == []


def test_a_driver_that_knows_no_escapes_is_named_for_that(desk: Desk) -> None:
    layer = PcscLayer(None)  # beside the way: vsmartcard's own driver answers
    with running(layer, "acr1252u") as run:
        run.wait_for_state(ReaderState.READY)
    assert run.states[1:] == [(ReaderState.READY, "the driver knows no escape commands (PC/SC 8010001F)")]


# --- settings that outlast a power cut -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acr1252u", "acr1255u-j1"])
def test_a_lasting_setting_is_written_once_and_never_again(desk: Desk, layer: PcscLayer, name: str) -> None:
    reader = READERS[name]()
    layer.reader = reader
    assert isinstance(reader, AcrWithEscapes)
    before = reader.behaviour
    for _ in range(2):
        with running(layer, name) as run:
            run.wait_for_state(ReaderState.READY)
    assert (reader.writes, reader.behaviour) == (1, before & ~0x08)


def test_a_reader_that_keeps_its_beep_for_itself_is_not_written_to(desk: Desk, layer: PcscLayer) -> None:
    reader = Acr1281u()
    layer.reader = reader
    with running(layer, "acr1281u-c1") as run:
        run.wait_for_state(ReaderState.READY)
    assert reader.writes == 0
