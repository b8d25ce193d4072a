"""Three readers of two kinds under one supervisor: two slots of a real PC/SC service and a PN532 on a serial line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.readers import nfc, nfc_frontend, supervisor
from edge_agent.readers.case import Patience
from edge_agent.readers.nfc import NfcReader
from edge_agent.readers.recovery import ServiceRestart
from edge_agent.readers.supervisor import Configured, Supervisor
from firmware_profiles import GENERIC, ProfileBook, load_profiles, parse_profile
from tests.edge_agent.readers.conftest import Desk
from tests.edge_agent.readers.test_pn532 import QUICK as QUICK_PN532
from tests.support.emulated_pn532 import EmulatedPn532
from tests.support.reader_double import GateDouble, until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A, B, C = (bytes.fromhex(text) for text in ("2A83155E", "5E15832A", "04A1B2C3D4E5F6"))

PATIENCE = Patience(hung_s=3.5, absent_s=1.0, wedged_s=0.3, reopen_s=1.5, re_establish_s=0.5, restart_service_s=10.0)


class RestartOf(ServiceRestart):
    """Does to the private service what systemctl does to the machine's."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk, self.count = desk, 0

    def _restart(self) -> None:
        self.count += 1
        self.desk.service.kill()
        self.desk.service.start()


class Gate3:
    """The readers `front` and `back` behind the service, and `side` on the serial line."""

    def __init__(self, desk: Desk, chip: EmulatedPn532) -> None:
        from edge_agent.readers.pcsc import PcscReader

        self.desk, self.chip, self.gate = desk, chip, GateDouble()
        self.restart = RestartOf(desk)
        book = ProfileBook({"pn532-uart": parse_profile("pn532-uart", QUICK_PN532), GENERIC: load_profiles()[GENERIC]})
        self.supervisor = Supervisor(
            [
                Configured("front", "pcsc", lambda book: PcscReader("front", "Virtual PCD 00 00", book=book)),
                Configured("back", "pcsc", lambda book: PcscReader("back", "Virtual PCD 00 01", book=book)),
                Configured("side", "nfc", lambda book: NfcReader("side", chip.nfcpy_path, book=book)),
            ],
            self.gate,
            book,
            restart=self.restart,
            patience=PATIENCE,
        )
        self.supervisor.start()
        self.until_states("ready", "ready", "ready")

    def until_states(self, *states: str) -> None:
        until(
            lambda: [self.gate.states(name)[-1:] for name in ("front", "back", "side")] == [[each] for each in states],
            lambda: self.gate.events,
        )

    def until_taps(self, count: int) -> None:
        until(lambda: len(self.gate.taps) >= count, lambda: (self.gate.taps, self.gate.events))

    @property
    def uids(self) -> list[tuple[str, bytes]]:
        return [(tap.reader, tap.raw) for tap in self.gate.taps]


@pytest.fixture
def gate3(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate3]:
    monkeypatch.setattr(supervisor, "TICK_S", 0.02)
    monkeypatch.setattr(nfc, "WEDGED_AFTER_S", 0.3)
    with EmulatedPn532(tmp_path) as chip:
        made = Gate3(desk, chip)
        yield made
        made.supervisor.stop(5)
        nfc_frontend.forget(chip.nfcpy_path)


def test_three_readers_of_two_kinds_are_tapped_at_once(gate3: Gate3) -> None:
    gate3.desk.put(A, slot=0)
    gate3.desk.put(B, slot=1)
    gate3.chip.card = C
    gate3.until_taps(3)
    assert sorted(gate3.uids) == [("back", B), ("front", A), ("side", C)]
    assert [row["state"] for row in gate3.supervisor.status()] == ["ready"] * 3
    assert [row["profile"] for row in gate3.supervisor.status()] == [
        "generic-pcsc (local)",
        "generic-pcsc (local)",
        "pn532-uart (local)",
    ]


def test_a_service_that_died_is_restarted_once_for_both_readers_behind_it(gate3: Gate3) -> None:
    gate3.desk.service.kill()
    gate3.until_states("absent", "absent", "ready")
    gate3.chip.card = A  # meanwhile the third one goes on
    gate3.until_taps(1)
    gate3.until_states("ready", "ready", "ready")
    assert gate3.restart.count == 1
    for name in ("front", "back"):
        states = gate3.gate.states(name)
        assert states[states.index("ready") :][:3] == ["ready", "absent", "recovering"]
        assert states[-1] == "ready"
    gate3.desk.put(B, slot=0)
    gate3.until_taps(2)
    assert gate3.uids == [("side", A), ("front", B)]
    assert gate3.supervisor.alarms() == ()


def test_a_service_that_hangs_is_noticed_and_restarted_while_the_other_reader_goes_on(gate3: Gate3) -> None:
    gate3.desk.service.freeze()
    gate3.chip.card = A
    gate3.until_taps(1)
    until(lambda: gate3.restart.count, lambda: gate3.gate.events)
    gate3.until_states("ready", "ready", "ready")
    assert gate3.restart.count == 1
    assert "hangs in its driver" in next(why for name, state, why in gate3.gate.events if state == "wedged")
    gate3.desk.put(B, slot=0)
    gate3.until_taps(2)
    assert gate3.uids == [("side", A), ("front", B)]


def test_a_service_that_comes_back_by_itself_is_not_restarted(gate3: Gate3) -> None:
    gate3.desk.service.kill()
    gate3.until_states("absent", "absent", "ready")
    gate3.desk.service.start()
    gate3.until_states("ready", "ready", "ready")
    assert gate3.restart.count == 0
    assert not any(state == "recovering" for _, state, _ in gate3.gate.events)


def test_a_wedged_chip_is_helped_alone(gate3: Gate3) -> None:
    gate3.chip.cold_start()  # its power failed for a moment: it is at another speed than the line
    until(lambda: "recovering" in gate3.gate.states("side"), lambda: gate3.gate.events)
    gate3.until_states("ready", "ready", "ready")
    assert gate3.gate.events[-1] == ("side", "ready", "after reopen")
    assert gate3.gate.states("front") == gate3.gate.states("back")
    assert "recovering" not in gate3.gate.states("front")
    gate3.chip.card = A
    gate3.until_taps(1)
    assert gate3.restart.count == 0


def test_an_adapter_that_is_unplugged_stays_absent_and_comes_back(gate3: Gate3) -> None:
    gate3.chip.unplug()
    gate3.until_states("ready", "ready", "absent")
    gate3.desk.put(A, slot=1)
    gate3.until_taps(1)
    gate3.chip.plug()
    gate3.until_states("ready", "ready", "ready")
    assert "recovering" not in gate3.gate.states("side")
    assert gate3.uids == [("back", A)]
