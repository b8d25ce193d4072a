"""`readers` and `readers test`: what is there, and what one card on it tells. A UID is shown here and nowhere else."""

import json
import threading
import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_agent import config
from edge_agent.__main__ import cli
from edge_agent.agent import hold_lock
from edge_agent.commissioning.card_family import family
from edge_agent.commissioning.plugged_in import candidates, rows
from edge_agent.commissioning.tryout import ReaderFailed, try_out
from edge_agent.readers import Answer, CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.steps import ReadStep, note
from firmware_profiles import ProfileBook
from protocol.messages import Profiles
from protocol.uid import CardUID, Notation
from tests.edge_agent.gate_machine import DATA, GateMachine
from tests.support.central_side import CentralSide, uid
from tests.support.edge_side import Edge


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(
        'data_dir = "data"\n[[readers]]\nname = "front"\nkind = "simulated"\npath = "taps"\n'
        '[[readers]]\nname = "back"\nkind = "simulated"\npath = "none"\n'
    )
    return path


def command(settings: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(settings), "readers", *arguments])


def tapped(settings: Path, line: str, *arguments: str) -> Any:
    """What `readers test` tells of one card."""
    (settings.parent / "taps").write_text(f"{line}\n")
    result = command(settings, "test", "--json", "--timeout-s", "20", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


CLASSIC = "3B8F8001804F0CA000000306030001000000006A"


def test_a_card_is_told_in_every_notation_with_its_kind_and_timing(settings: Path) -> None:
    told = tapped(settings, f"2A83155E sak=08 atr={CLASSIC}")
    assert told["uid"] == {
        "hex": "2A83155E",
        "hex-reversed": "5E15832A",
        "decimal": "0713233758",
        "decimal-reversed": "1578468138",
    }
    assert (told["reader"], told["uid_bytes"], told["sak"], told["atr"]) == ("front", 4, 8, CLASSIC)
    assert told["family"] == "MIFARE Classic 1K"
    assert told["steps"][-1]["step"] == "stable"
    assert (told["judgement"], told["would_enrol"], told["shared_range"]) == ("usable", True, False)


def test_without_enrolment_only_the_answer_of_the_gate_is_missing(settings: Path) -> None:
    told = tapped(settings, "2A83155E")
    assert told["would_decide"] is None
    assert "not enrolled" in told["not_decided"]


@pytest.mark.parametrize(
    ("line", "judgement"),
    [
        ("08112233", "uid-random"),
        ("01020304", "uid-placeholder"),
        ("2A83155E sak=0c", "uid-incomplete"),
        ("2A", "uid-unreadable"),
    ],
)
def test_a_card_that_cannot_be_enrolled_is_told_why(settings: Path, line: str, judgement: str) -> None:
    told = tapped(settings, line)
    assert (told["judgement"], told["would_enrol"]) == (judgement, False)
    assert told["would_decide"]["reason"] == judgement
    assert told["would_decide"]["decision"] == "denied"
    assert told["would_decide"]["text_zh"]


def test_a_number_that_may_be_another_cards_too_is_told(settings: Path) -> None:
    told = tapped(settings, "2F83155E")
    assert (told["would_enrol"], told["shared_range"]) == (True, True)


@pytest.fixture
def enrolled(settings: Path) -> Path:
    central = CentralSide(time.time_ns() // 1_000_000)
    central.publish()
    with Edge(settings.parent / "data", central) as edge:
        edge.take_all()
    return settings


def test_the_gates_own_answer_is_told_and_nothing_is_written_down(enrolled: Path) -> None:
    journal = enrolled.parent / "data" / "agent.db"
    before = journal.read_bytes()
    known, unknown = tapped(enrolled, uid(1).hex()), tapped(enrolled, uid(99).hex())
    assert (known["would_decide"]["decision"], known["would_decide"]["rule"]) == ("granted", "members")
    assert (unknown["would_decide"]["decision"], unknown["would_decide"]["reason"]) == ("denied", "unknown-card")
    assert journal.read_bytes() == before


@pytest.mark.parametrize(("lang", "word"), [("zh-TW", "准許: 請進"), ("en", "granted: Please go in")])
def test_a_person_sees_it_as_a_table_in_their_language(enrolled: Path, lang: str, word: str) -> None:
    (enrolled.parent / "taps").write_text(f"{uid(1).hex()} sak=08\n")
    result = command(enrolled, "test", "front", "--lang", lang)
    assert result.exit_code == 0
    assert word in result.stdout
    for notation in Notation:
        assert CardUID(uid(1)).in_notation(notation) in result.stdout


def test_the_number_of_a_card_is_in_no_log(enrolled: Path) -> None:
    (enrolled.parent / "taps").write_text(f"{uid(1).hex()} wrong=1\n{uid(1).hex()}\n")
    result = command(enrolled, "test", "--timeout-s", "20")
    assert result.exit_code == 0
    assert uid(1).hex() not in result.stderr.lower()


def test_no_card_is_exit_code_1(settings: Path) -> None:
    (settings.parent / "taps").write_text("wait 60\n")
    result = command(settings, "test", "--timeout-s", "0.2")
    assert result.exit_code == 1
    assert "front: no card within 0.2 s" in result.stderr
    gone = command(settings, "test", "back", "--timeout-s", "0.2")
    assert gone.exit_code == 1
    assert "absent" in gone.stderr


def test_a_reader_that_is_not_configured_is_named(settings: Path) -> None:
    result = command(settings, "test", "side")
    assert result.exit_code == 1
    assert "front, back" in result.stderr


def test_the_agent_must_not_run_meanwhile(enrolled: Path) -> None:
    (enrolled.parent / "taps").write_text(f"{uid(1).hex()}\n")
    with hold_lock(enrolled.parent / "data"):
        result = command(enrolled, "test", "--json")
    assert result.exit_code == 1
    assert "systemctl stop tapgate-edge" in result.stderr
    assert result.stdout == ""


# --- watching closely ---------------------------------------------------------------------------------------------


class Scripted:
    """A reader that does what a test says."""

    name = "scripted"

    def __init__(self, *script: ReadStep | CardRead | Exception) -> None:
        self.script, self.answers = script, []

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        on_state(self.name, ReaderState.READY, "")
        for each in self.script:
            if isinstance(each, Exception):
                raise each
            if isinstance(each, CardRead):
                self.answers.append(on_read(each))
            else:
                note(each)
        stop.wait()

    def facts(self) -> ReaderFacts:
        return ReaderFacts()


ARRIVED, CONNECTED, READ = ReadStep.ARRIVED, ReadStep.CONNECTED, ReadStep.READ


def test_steps_are_counted_from_the_arrival_of_the_card_that_was_read() -> None:
    reader = Scripted(ARRIVED, CONNECTED, ARRIVED, CONNECTED, READ, READ, CardRead("scripted", uid(1)))
    found = try_out(reader, 20, lambda state, why: None)  # type: ignore[arg-type]
    assert found is not None
    assert [step.name for step in found.steps] == ["arrived", "connected", "read", "read", "stable"]
    times = [step.after_ms for step in found.steps]
    assert times[0] == 0
    assert times == sorted(times)
    assert reader.answers == [Answer.GRANTED]


def test_a_reader_that_fails_is_told_and_nobody_listens_afterwards() -> None:
    with pytest.raises(ReaderFailed, match="OSError: pulled"):
        try_out(Scripted(OSError("pulled")), 20, lambda state, why: None)  # type: ignore[arg-type]
    note(READ)


@pytest.mark.parametrize(
    ("atr", "sak", "kind"),
    [
        (CLASSIC, None, "MIFARE Classic 1K"),
        ("3B8F8001804F0CA0000003060300020000000069", None, "MIFARE Classic 4K"),
        ("3B8F8001804F0CA000000306030036000000005D", None, "MIFARE Plus 2K (SL1)"),
        ("3B8F8001804F0CA0000003060300390000000052", None, "MIFARE Plus 4K (SL2)"),
        ("3B8F8001804F0CA0000003060300FF000000009C", 8, ""),
        ("3B8180018080", None, "ISO 14443-4 (DESFire, MIFARE Plus SL3, phone)"),
        ("", 0x18, "MIFARE Classic 4K"),
        ("", 0x0C, "MIFARE Classic 1K"),
        ("", 0x20, "ISO 14443-4 (DESFire, MIFARE Plus SL3, phone)"),
        ("", 0x77, ""),
        ("", None, ""),
        ("3B", None, ""),
        ("00" * 20, None, ""),
    ],
)
def test_the_kind_of_card_is_told_by_its_atr_or_its_sak(atr: str, sak: int | None, kind: str) -> None:
    assert family(bytes.fromhex(atr), sak) == kind


# --- what is plugged in -------------------------------------------------------------------------------------------


def test_a_configured_reader_is_told_with_what_it_would_take_and_why(gate: GateMachine) -> None:
    (row,) = rows(gate.machine(), config.load(gate.config), None)
    assert (row["name"], row["state"], row["hardware"]) == ("front", "unknown", "ACS ACR122U PICC Interface 00 00")
    assert (row["profile"], row["configured"]) == ("acr122u", True)
    assert "ACR122U" in row["matched_by"]


def test_published_and_own_profiles_go_before_shipped_ones(gate: GateMachine) -> None:
    text = resources.files("firmware_profiles").joinpath("acr122u.toml").read_text()
    central = CentralSide(time.time_ns() // 1_000_000)
    central.profiles = Profiles(3, {"acr122u": text})
    central.publish()
    with Edge(gate.at(DATA), central) as edge:
        edge.take_all()
    settings = config.load(gate.config)
    assert rows(gate.machine(), settings, None)[0]["profile"] == "acr122u (published 3)"
    gate.write("/etc/tapgate/profiles/acr122u.toml", text)
    assert rows(gate.machine(), settings, None)[0]["profile"] == "acr122u (local)"
    gate.write("/etc/tapgate/profiles/acr122u.toml", "nonsense")
    assert rows(gate.machine(), settings, None)[0]["profile"] == "acr122u (published 3)"


def test_the_profile_that_the_settings_ask_for_is_the_one(gate: GateMachine) -> None:
    gate.configure('[[readers]]\nname = "front"\nkind = "pcsc"\nprofile = "generic-pcsc"\n')
    (row,) = rows(gate.machine(), config.load(gate.config), None)[:1]
    assert (row["profile"], row["matched_by"]) == ("generic-pcsc", "settings")


def test_sams_and_others_readers_are_not_taken(gate: GateMachine) -> None:
    gate.slots = ["ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00", "ACS ACR1252 Dual Reader PICC 00 00"]
    (row,) = rows(gate.machine(), config.load(gate.config), None)[:1]
    assert row["hardware"] == "ACS ACR1252 Dual Reader PICC 00 00"
    gate.configure('[[readers]]\nname = "front"\nkind = "pcsc"\nmatch = "OMNIKEY"\n')
    found = rows(gate.machine(), config.load(gate.config), None)
    assert "no such reader" in found[0]["why"]
    assert [(row["state"], row["hardware"]) for row in found[1:] if row["kind"] == "pcsc"][:1] == [
        ("not configured", "ACS ACR1252 Dual Reader PICC 00 00")
    ]


def test_a_reader_on_usb_that_pcscd_does_not_show_is_told(gate: GateMachine) -> None:
    gate.slots = []
    found = rows(gate.machine(), config.load(gate.config), None)
    assert [(row["profile"], row["why"]) for row in found[1:]] == [("acr122u", "on USB, not in PC/SC")]


def test_a_reader_for_nfcpy_is_found_by_its_usb_identifier(gate: GateMachine) -> None:
    gate.plug("1-2", "054c:06c3", "SONY", "RC-S380/P", interface_class="ff")
    found = rows(gate.machine(), config.load(gate.config), None)
    assert [(row["kind"], row["profile"]) for row in found[1:]] == [("nfc", "rc-s380")]
    assert "usb:054c:06c3" in [candidate.where for candidate in candidates(gate.machine(), ProfileBook())]
    gate.configure('[[readers]]\nname = "front"\nkind = "nfc"\npath = "usb:054c:06c3"\n')
    assert len(rows(gate.machine(), config.load(gate.config), None)) == 2, "its own row, and the ACR122U"


def test_what_the_running_agent_says_goes_first(gate: GateMachine) -> None:
    said = {
        "name": "front",
        "kind": "pcsc",
        "state": "ready",
        "why": "",
        "hardware": "ACS ACR122U PICC Interface 00 00",
        "profile": "acr122u (local)",
        "matched_by": "settings",
        "firmware": "ACR122U214",
    }
    (row,) = rows(gate.machine(), config.load(gate.config), [said])
    assert row == {**said, "alarm": "", "configured": True}


def test_two_of_a_kind_are_told_apart_by_their_whole_names(gate: GateMachine) -> None:
    gate.slots = ["ACS ACR122U 00 00", "ACS ACR122U 01 00", "HID Global OMNIKEY 5022 Smart Card Reader 02 00"]
    assert [candidate.where for candidate in candidates(gate.machine(), ProfileBook())] == [
        "ACS ACR122U 00 00",
        "ACS ACR122U 01 00",
        "HID Global OMNIKEY 5022 Smart Card Reader",
    ]


def test_the_table_is_for_people_the_json_for_scripts(settings: Path) -> None:
    told = json.loads(command(settings, "--json").stdout)
    assert [row["name"] for row in told][:2] == ["front", "back"]
    keys = {"name", "kind", "state", "why", "hardware", "profile", "matched_by", "firmware", "alarm", "configured"}
    assert all(row.keys() == keys for row in told)
    assert "front" in command(settings).stdout
