"""`decide --explain` and `status` of a gate whose policy looks back: with the histories that the gate holds."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import status
from protocol.history import SubjectState
from protocol.policy import Admit, Interval, Limit, Occupancy, Policy, Tariff
from tests.edge_agent.looking_back import held
from tests.edge_agent.test_cli import as_json, edge_cli
from tests.support.central_side import CentralSide, subject, uid
from tests.support.edge_side import Edge, HandClock

POLICY = Policy(
    1,
    (
        Interval("pause", minutes=5, when_unknown="refuse"),
        Limit("once", most=1, per="period", valid_from=dt.date(2020, 1, 1)),
        Occupancy("ceiling", most=3),
        Admit("pool", classes=("senior",)),
        Admit("members", classes=("citizen",), tariff="entry"),
    ),
    tariffs={"entry": Tariff(25, pay="points")},
    repeat_window_s=0,
)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text('data_dir = "edge"\n')
    return path


@pytest.fixture
def edge(settings: Path) -> Iterator[Edge]:
    """It holds everything; central told it of member 2 that they have ten points, and that two are inside."""
    central = CentralSide(time.time_ns() // 1_000_000)
    central.policy = POLICY
    central.publish()
    with Edge(settings.parent / "edge", central, HandClock(central.now_ms)) as made:
        made.take_all()
        central.tell(SubjectState(subject(2), (), 10, 2**43, (("minutes-month", 754),)), library_1=2)
        made.poll()
        yield made


def decided(settings: Path, number: int, *more: str) -> Any:
    return as_json(edge_cli(settings, "decide", uid(number).hex(), "--json", *more))


def running(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if its agent ran and were asked over its socket."""

    async def ask(_: Path) -> dict[str, Any]:
        return status.of_running(edge.gate, [], status.Reachability(True, True), [])

    monkeypatch.setattr(status, "ask", ask)


def test_each_rule_says_why_it_did_or_did_not_apply(
    edge: Edge, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(edge, monkeypatch)
    answer = decided(settings, 2, "--explain")
    assert (answer["decision"], answer["rule"], answer["apart"]) == ("granted", "members", False)
    assert (answer["points"], answer["due"]) == (10, 15)
    assert answer["notes"] == [
        {"note": "points-used", "number": 10},
        {"note": "due", "number": 15},
        {"note": "minutes-month", "number": 754},
    ]
    found = [(each["rule"], each["outcome"]) for each in answer["tried"]]
    assert found == [
        ("pause", "passed"),
        ("once", "passed"),
        ("ceiling", "passed"),
        ("pool", "passed"),
        ("members", "decided"),
    ]
    assert "2 of 3 inside" in answer["tried"][2]["why"]
    table = edge_cli(settings, "decide", uid(2).hex(), "--explain").stdout
    assert "2 of 3 inside" in table
    assert [line.split()[0] for line in table.splitlines()[-5:]] == [rule for rule, _ in found]
    assert "tried" not in decided(settings, 2)


def test_it_is_decided_after_the_taps_that_the_gate_knows_of_and_changes_none(
    edge: Edge, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(edge, monkeypatch)
    edge.tap(2)
    before = held(edge, 2)
    later = (dt.datetime.fromtimestamp(edge.clock.wall_ms / 1_000, dt.UTC) + dt.timedelta(minutes=6)).isoformat()
    assert decided(settings, 2)["reason"] == "too-soon"
    answer = decided(settings, 2, "--explain", "--at", later)
    assert (answer["reason"], answer["tried"][-1]["why"]) == ("limit-reached", "refuses: limit-reached: 1 of 1 entries")
    assert held(edge, 2) == before


def test_an_agent_that_does_not_run_cannot_know_of_other_gates(edge: Edge, settings: Path) -> None:
    answer = decided(settings, 2, "--explain")
    assert (answer["apart"], answer["reason"], answer["tried"][-1]["rule"]) == (True, "history-unknown", "pause")


def test_a_gate_that_staff_closed_says_so_until_it_is_over(
    edge: Edge, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(edge, monkeypatch)
    now = dt.datetime.now(dt.UTC)
    assert edge.gate.closing.close_entry("Lin.07", "typhoon", 3_600_000)
    assert decided(settings, 2)["reason"] == "closed"
    assert decided(settings, 2, "--at", (now + dt.timedelta(hours=2)).isoformat())["reason"] == "ok"
    assert decided(settings, 2, "--at", (now - dt.timedelta(hours=2)).isoformat())["reason"] == "ok"
    edge.gate.closing.open_entry("Lin.07")
    assert decided(settings, 2)["reason"] == "ok"


def test_a_choice_may_be_assumed_and_what_no_rule_decided_says_so(
    edge: Edge, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(edge, monkeypatch)
    assert decided(settings, 2, "--choice", "pool")["decision"] == "denied"
    assert "No rule was tried" in edge_cli(settings, "decide", uid(99).hex(), "--explain").stdout
    assert decided(settings, 99, "--explain")["tried"] == []


def test_status_says_which_states_are_held_and_whether_the_gate_is_apart(edge: Edge, settings: Path) -> None:
    def told() -> tuple[Any, Any]:
        found = status.of_running(edge.gate, [], status.Reachability(True, True), [])
        return found["apart"], found["venue_inside"]

    assert told() == (False, 2)
    edge.clock.advance(POLICY.apart_s * 1_000)
    assert told() == (True, 2)
    edge.central.policy = Policy(2, (Admit("members"),))
    edge.central.publish()
    edge.poll()
    assert told() == (None, None), "nobody asks"
    edge.close()
    found = as_json(edge_cli(settings, "status", "--json"))
    assert (found["state_version"], found["apart"]) == (0, None), "let go of with the policy that asked for it"
    edge.open()


def test_status_of_an_agent_that_does_not_run_tells_the_version_held(edge: Edge, settings: Path) -> None:
    edge.close()
    assert as_json(edge_cli(settings, "status", "--json"))["state_version"] == 1
    edge.open()
