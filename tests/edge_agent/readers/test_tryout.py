"""`readers test` on a real PC/SC service: the steps of a read as they really happen, and what an operator is told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.__main__ import cli
from edge_agent.commissioning.machine import Machine, pcsc_slots
from edge_agent.commissioning.tryout import try_out
from edge_agent.doctor import subject_of
from edge_agent.readers import ReaderState
from tests.edge_agent.readers.conftest import Desk
from tests.support.virtual_card import CLASSIC_1K

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("pcscd")]

A = bytes.fromhex("2A83155E")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text('data_dir = "data"\n[[readers]]\nname = "front"\nkind = "pcsc"\nmatch = "Virtual PCD 00 00"\n')
    return path


def test_each_step_of_a_read_is_timed_from_the_cards_arrival(desk: Desk) -> None:
    from edge_agent.readers.pcsc import PcscReader

    def on_state(state: ReaderState, why: str) -> None:
        if state is ReaderState.READY:
            desk.put(A)

    found = try_out(PcscReader("front", "Virtual PCD 00 00"), 20, on_state)
    assert found is not None
    assert (found.read.raw, found.read.atr) == (A, CLASSIC_1K)
    assert [step.name for step in found.steps] == ["arrived", "connected", "read", "read", "stable"]
    times = [step.after_ms for step in found.steps]
    assert times[0] == 0 < times[-1]
    assert times == sorted(times)


def test_the_command_tells_a_card_that_lies_there(desk: Desk, settings: Path) -> None:
    desk.put(A)
    desk.wait_until(card=True)
    result = CliRunner().invoke(cli, ["--config", str(settings), "readers", "test", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["uid"]["hex"], told["family"]) == ("2A83155E", "MIFARE Classic 1K")
    assert (told["hardware"], told["profile"]) == ("Virtual PCD 00 00", "generic-pcsc")
    assert told["matched_by"] == "no other profile fits"
    assert "2a83155e" not in result.stderr.lower()


def test_slots_are_listed_without_an_agent_and_without_opening_any(desk: Desk, settings: Path) -> None:
    card = desk.put(A)
    result = CliRunner().invoke(cli, ["--config", str(settings), "readers", "--json"])
    rows = json.loads(result.stdout)
    assert [(row["name"], row["state"], row["hardware"]) for row in rows] == [
        ("front", "unknown", "Virtual PCD 00 00"),
        ("", "not configured", "Virtual PCD 00 01"),
    ]
    assert card.commands == []


def test_the_doctor_sees_a_service_that_runs_and_one_that_was_killed(desk: Desk, settings: Path) -> None:
    from edge_agent.checks.service import pcscd_answers

    subject = subject_of(settings, Machine(), "tapgate-edge")
    (verdict,) = pcscd_answers(subject)
    assert verdict.result == "ok"
    assert pcsc_slots() == ["Virtual PCD 00 00", "Virtual PCD 00 01"]
    desk.service.kill()
    (verdict,) = pcscd_answers(subject)
    assert verdict.result == "fail"
    assert pcsc_slots() is None
