"""What a person types and reads: policies that are checked, replayed and corrected, conflicts, clocks, explanations."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central.commands.explain import _explained
from tests.central.actors import NOW_MS
from tests.central.services.judging.borough import MINUTE_MS, Borough
from tests.central.terminal import POLICY, Operator

SHADOWED = 'rules = [{kind = "refuse", id = "shut"}, {kind = "admit", id = "members", classes = ["citizen"]}]'
TWO = 'rules = [{kind = "admit", id = "yoga"}, {kind = "admit", id = "dance"}]'


def file(tmp_path: Path, content: str) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(content)
    return str(path)


def test_a_rule_that_never_decides_is_refused_by_name(run: Operator, tmp_path: Path) -> None:
    path = file(tmp_path, SHADOWED)
    for command in (("policy", "put", "open", path), ("policy", "check", path), ("policy", "put", "new", path)):
        assert "rule 'members' can never decide, 'shut' always does before it" in run.refused(*command)
    assert json.loads(run("policy", "show", "open").stdout)["rules"][0]["id"] == "members"


def test_rules_that_people_choose_from_stand_beside_each_other(run: Operator, tmp_path: Path) -> None:
    path = file(tmp_path, TWO)
    assert "'yoga' always does before it" in run.refused("policy", "put", "activities", path)
    assert run.json("policy", "put", "activities", path, "--choices")["version"]
    run("gate", "add", "kiosk-1", "--venue", "library-1", "--policy", "activities", "--kind", "kiosk")
    assert run.json("policy", "put", "activities", path)["gates"] == ["kiosk-1"]
    assert "can never decide" in run.refused("policy", "put", "open", path)


def test_a_policy_is_checked_without_being_put(run: Operator, tmp_path: Path) -> None:
    found = run.json("policy", "check", file(tmp_path, POLICY), "--policy", "open")
    assert found == {"rules": 1, "kinds": ["rule:admit"], "gates": ["door-1"]}
    assert "there is no schedule" in run.refused("policy", "check", file(tmp_path, POLICY.split("[schedules")[0]))


def test_where_nothing_happened_nothing_is_found(run: Operator, tmp_path: Path) -> None:
    path, period = file(tmp_path, POLICY), ("--policy", "open", "--since", "2026-01-01")
    assert "No conflict" in run("conflict", "list", "--open").stdout
    assert run.json("conflict", "list") == []
    replayed = run("policy", "replay", path, *period).stdout
    assert "Nobody would have been treated differently" in replayed
    assert run.json("policy", "replay", path, *period, "--list", "5")["list"] == []
    corrected = run("policy", "correct", path, *period, "--until", "2026-02-01", "--why", "typo").stdout
    assert "Not booked yet" in corrected


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("explain", "door/1"), "is no event"),
        (("explain", "door/0011223344556677/1"), "no event"),
        (("conflict", "show", "0011"), "there is no conflict"),
        (("conflict", "settle", "0011", "--why", "x"), "there is no conflict"),
        (("conflict", "travel", "library-1", "library-1", "--minutes", "5"), "two venues of one domain"),
        (
            ("clock", "offset", "x", "--from", "2026-01-01", "--until", "2026-01-02", "--ms", "5", "--why", "x"),
            "there is no device",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_a_line(run: Operator, command: tuple[str, ...], says: str) -> None:
    assert says in run.refused(*command)


async def in_words(borough: Borough, event: str) -> str:
    found: dict[str, Any] = msgspec.to_builtins(await borough.admin.act("explain", event=event))
    return "\n".join(_explained(found))


async def test_an_explanation_reads_from_the_answer_to_what_is_not_known(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS)
    event = borough.tap(borough.there, NOW_MS - 5 * MINUTE_MS, due=25)
    await borough.take()
    text = await in_words(borough, event)
    for part in (
        *("tap in granted ok all at branch-1 (branch)", "Please go in", "Signed: in batch", "Clock: trusted"),
        *("Held at the gate: manifest 1", f"Who: {borough.members[0].hex()}, card 1, 0 points and NT$25"),
        *("List as the gate had it: active, citizen", "Policy both", "kind limit, id once", "Counted before it: 1"),
        *("How the gate came to it: granted ok all, assuming that it knew its own earlier taps alone",),
        *("What this server says today: denied limit-reached once", "once: decided, refuses: limit-reached"),
        *("used-apart, open",),
    ):
        assert part in text
    assert "Not known" not in text


async def test_an_unknown_card_and_other_events_are_told_in_words(borough: Borough) -> None:
    event = borough.tap(borough.here, NOW_MS - 5, decision="denied", reason="expired", rule="")
    borough.here.undid(1, NOW_MS - 4)
    await borough.take()
    assert "Not known: No assumption" in await in_words(borough, event)
    assert (await in_words(borough, event[:-1] + "2")).startswith("undo at door-1 (main)")
