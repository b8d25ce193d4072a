"""`tapgate-edge` as people and scripts use it: help with an example, exit codes 0, 1 and 2, stable JSON."""

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from edge_agent import identity as identity_file
from edge_agent.__main__ import cli
from edge_agent.agent import hold_lock
from protocol.joining import to_text
from protocol.messages import JoinToken, Upload, decode
from tests.support.central_side import DAY_MS, DEVICE, GATE, CentralSide, uid
from tests.support.edge_side import Edge

STATUS_KEYS = {
    "running",
    "device",
    "gate",
    "epoch",
    "sequence",
    "receipted_through",
    "allowlist_version",
    "allowlist_age_s",
    "readers",
    "central_reachable",
}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text('data_dir = "edge"\n[[readers]]\nname = "front"\nkind = "simulated"\npath = "taps"\n')
    return path


def edge_cli(settings: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(settings), *arguments])


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found, context = [path], click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_has_help_with_an_example_and_needs_no_settings_for_it(path: tuple[str, ...]) -> None:
    result = edge_cli(Path("/nowhere.toml"), *path, "--help")
    assert result.exit_code == 0
    assert "Example: tapgate-edge" in result.output


def test_the_commands_are_those_that_others_script_against() -> None:
    assert {" ".join(path) for path in commands(cli)} >= {
        "enrol",
        "run",
        "status",
        "readers",
        "decide",
        "journal verify",
        "journal export",
        "inside",
        "doctor",
        "setup",
        "readers test",
    }


@pytest.mark.parametrize(
    "arguments",
    [["what"], ["decide"], ["decide", "zz"], ["decide", "04112233", "--at", "soon"], ["run", "--log-level", "x"]],
)
def test_usage_is_exit_code_2(settings: Path, arguments: list[str]) -> None:
    assert edge_cli(settings, *arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["run"], ["decide", "04112233445566"], ["journal", "verify"], ["journal", "export", "x"], ["readers"]],
)
def test_settings_that_cannot_be_used_are_exit_code_1_and_say_which_key(settings: Path, arguments: list[str]) -> None:
    settings.write_text('data_dri = "edge"')
    result = edge_cli(settings, *arguments)
    assert result.exit_code == 1
    assert "did you mean 'data_dir'" in result.stderr


def test_a_join_token_that_is_none_is_exit_code_1(settings: Path) -> None:
    result = edge_cli(settings, "enrol", "tapgate1:abc")
    assert result.exit_code == 1
    assert "join token" in result.stderr


def test_central_that_is_not_there_is_exit_code_1(settings: Path, central: CentralSide) -> None:
    token = to_text(JoinToken("http://127.0.0.1:9", bytes(16), central.root.public, True))
    result = edge_cli(settings, "enrol", token)
    assert result.exit_code == 1
    assert "/v1/hello" in result.stderr


# --- before the first run -------------------------------------------------------------------------------------


def test_before_enrolment_each_command_says_what_to_do(settings: Path) -> None:
    status = as_json(edge_cli(settings, "status", "--json"))
    assert status.keys() >= STATUS_KEYS
    assert (status["device"], status["running"]) == ("", False)
    for arguments in (["run"], ["decide", "04112233445566"], ["journal", "export", "x"], ["journal", "verify"]):
        result = edge_cli(settings, *arguments)
        assert result.exit_code == 1
        assert result.stderr or result.stdout
    assert "enrol" in edge_cli(settings, "run").stderr


def test_readers_are_listed_without_an_agent(settings: Path) -> None:
    (reader,) = as_json(edge_cli(settings, "readers", "--json"))
    assert (reader["name"], reader["kind"], reader["state"]) == ("front", "simulated", "unknown")
    assert "front" in edge_cli(settings, "readers").stdout


# --- a device that has run ------------------------------------------------------------------------------------


@pytest.fixture
def ran(settings: Path, tmp_path: Path) -> Path:
    """Its list is as fresh as can be, and one card is blocked by a delta."""
    from protocol.allowlist import CardState

    central = CentralSide(time.time_ns() // 1_000_000)
    central.publish()
    with Edge(tmp_path / "edge", central) as edge:
        edge.take_all()
        central.put_card(3, CardState.BLOCKED)
        central.publish()
        delta = central.delta(1)
        assert delta is not None
        edge.take(central.seal(central.manifest), central.seal(delta))
        for number in range(3):
            edge.tap(number)
    return settings


def test_decide_answers_as_the_gate_would(ran: Path) -> None:
    answer = as_json(edge_cli(ran, "decide", uid(1).hex(), "--json"))
    assert {"decision", "reason", "rule", "allowlist_version"} <= answer.keys()
    assert (answer["decision"], answer["reason"], answer["rule"], answer["allowlist_version"]) == (
        "granted",
        "ok",
        "members",
        2,
    )
    assert as_json(edge_cli(ran, "decide", uid(3).hex(), "--json"))["reason"] == "card-blocked"
    assert as_json(edge_cli(ran, "decide", uid(99).hex(), "--json"))["reason"] == "unknown-card"
    assert as_json(edge_cli(ran, "decide", "08112233", "--json"))["reason"] == "uid-random"
    assert "granted" in edge_cli(ran, "decide", uid(1).hex()).stdout


def test_decide_takes_a_time_with_or_without_zone_and_other_notations(ran: Path) -> None:
    plain = as_json(edge_cli(ran, "decide", uid(1).hex(), "--at", "2031-01-01T09:00", "--json"))
    zoned = as_json(edge_cli(ran, "decide", uid(1).hex(), "--at", "2031-01-01T01:00+00:00", "--json"))
    assert plain == zoned
    assert plain["decision"] == "granted", "how the list would be then nobody knows: it counts as it is"
    reverse = uid(1)[::-1].hex()
    assert as_json(edge_cli(ran, "decide", reverse, "--notation", "hex-reversed", "--json"))["decision"] == "granted"


def test_decide_and_status_and_verify_write_nothing(ran: Path) -> None:
    folder = ran.parent / "edge"

    def written() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith(("-shm", "-wal"))}

    before = written()
    for arguments in (["decide", uid(1).hex()], ["status"], ["journal", "verify"], ["readers"]):
        assert edge_cli(ran, *arguments).exit_code == 0
    assert written() == before


def test_status_of_a_stopped_agent_tells_what_its_files_know(ran: Path) -> None:
    status = as_json(edge_cli(ran, "status", "--json"))
    assert status.keys() >= STATUS_KEYS
    assert (status["device"], status["gate"], status["running"]) == (DEVICE, GATE, False)
    assert (status["sequence"], status["receipted_through"], status["backlog"]) == (3, -1, 4)
    assert status["allowlist_version"] == 2, "the list's own file counts, deltas and all"
    assert 0 <= status["allowlist_age_s"] < 60
    assert status["central_reachable"] is None
    assert status["readers"] == [
        {"name": "front", "kind": "simulated", "state": "unknown", "why": "the agent does not run"}
    ]
    assert DEVICE in edge_cli(ran, "status").stdout


def test_a_list_that_grows_old_is_told(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later_ns = time.time_ns() + 31 * DAY_MS * 1_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    assert as_json(edge_cli(ran, "status", "--json"))["allowlist_age_s"] >= 31 * 86_400 - 60
    late = as_json(edge_cli(ran, "decide", uid(1).hex(), "--at", "2199-01-01T09:00", "--json"))
    assert late["reason"] == "list-too-old"


def test_a_whole_journal_is_exit_code_0_a_fault_is_1_and_named(ran: Path) -> None:
    result = edge_cli(ran, "journal", "verify", "--json")
    assert as_json(result) == {"whole": True, "found": []}
    with closing(sqlite3.connect(ran.parent / "edge" / "agent.db")) as db, db:
        db.execute("UPDATE events SET public = CAST(replace(public, 'tap', 'tab') AS BLOB)")
    result = edge_cli(ran, "journal", "verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["found"]
    assert "event" in edge_cli(ran, "journal", "verify").stdout


def test_a_journal_is_exported_signed_without_central(ran: Path, tmp_path: Path) -> None:
    file = tmp_path / "gate.journal"
    result = edge_cli(ran, "journal", "export", str(file))
    assert result.exit_code == 0
    assert "4 events" in result.stdout
    data, uploads = file.read_bytes(), []
    while data:
        size = int.from_bytes(data[:4])
        uploads.append(data[4 : 4 + size])
        data = data[4 + size :]
    central = CentralSide()
    assert b"tapgate-journal-1" in uploads[0]
    for upload in uploads[1:]:
        decode(Upload, upload)
        central.take(upload)
    assert len(central.publics()) == 4
    assert "4 events" in edge_cli(ran, "journal", "export", "--all", str(file)).stdout


def test_an_export_beside_a_running_agent_says_so(ran: Path, tmp_path: Path) -> None:
    with hold_lock(tmp_path / "edge"):
        result = edge_cli(ran, "journal", "export", str(tmp_path / "x"))
    assert result.exit_code == 1
    assert "already runs" in result.stderr
    assert not (tmp_path / "x").exists()


def test_an_export_into_nowhere_says_so(ran: Path, tmp_path: Path) -> None:
    result = edge_cli(ran, "journal", "export", str(tmp_path / "no" / "folder"))
    assert result.exit_code == 1
    assert "folder" in result.stderr


def test_after_revocation_each_command_says_so(ran: Path, tmp_path: Path) -> None:
    with Edge(tmp_path / "edge", CentralSide()) as edge:
        edge.uptake.destroy()
    assert as_json(edge_cli(ran, "status", "--json"))["device"] == ""
    assert edge_cli(ran, "journal", "verify").exit_code == 0
    for arguments in (["run"], ["decide", uid(1).hex()], ["journal", "export", str(tmp_path / "x")]):
        assert edge_cli(ran, *arguments).exit_code == 1


def test_a_damaged_key_file_is_said(ran: Path, tmp_path: Path) -> None:
    (tmp_path / "edge" / "identity.json").write_bytes(b"{}")
    for arguments in (["run"], ["status"], ["decide", uid(1).hex()], ["journal", "export", "x"], ["journal", "verify"]):
        result = edge_cli(ran, *arguments)
        assert result.exit_code == 1, arguments
        assert "identity.json" in result.output + result.stderr


def test_a_garbage_database_is_said(ran: Path, tmp_path: Path) -> None:
    (tmp_path / "edge" / "agent.db").write_bytes(os.urandom(9_000))
    for arguments in (["status"], ["decide", uid(1).hex()], ["journal", "verify"], ["journal", "export", "x"]):
        result = edge_cli(ran, *arguments)
        assert result.exit_code == 1, arguments
        assert "agent.db" in result.output + result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files to others")
def test_what_root_writes_into_the_agents_directory_belongs_to_the_agent(ran: Path, tmp_path: Path) -> None:
    folder, agent = tmp_path / "edge", 12345
    for path in (folder, *folder.iterdir()):
        os.chown(path, agent, agent)
    for name in ("agent.lock", "journal.mark", "journal.reserve"):
        (folder / name).unlink(missing_ok=True)
    assert edge_cli(ran, "journal", "export", str(tmp_path / "x")).exit_code == 0
    held = identity_file.load(folder)
    assert held is not None
    identity_file.save(folder, held)
    assert {path.name: path.stat().st_uid for path in folder.iterdir() if path.stat().st_uid != agent} == {}
    assert {"agent.lock", "journal.mark", "journal.reserve", "identity.json"} <= {p.name for p in folder.iterdir()}
    assert (tmp_path / "x").stat().st_uid == 0


def test_who_may_be_inside_is_told_to_scripts_and_to_people(ran: Path) -> None:
    told = as_json(edge_cli(ran, "inside", "--json"))
    assert told["count"] == len(told["inside"]) == 3
    assert {tuple(each) for each in told["inside"]} == {("at", "who", "card", "passage", "staff")}
    assert all(uid(number).hex() not in json.dumps(told).lower() for number in range(3))
    assert "3 may be inside" in edge_cli(ran, "inside", "--lang", "en").stdout
    zh = edge_cli(ran, "inside", "--lang", "zh-TW").stdout
    assert "可能還在裡面的有 3 位" in zh
    assert told["inside"][0]["who"] in zh


def test_who_may_be_inside_is_not_known_before_the_first_run(settings: Path) -> None:
    result = edge_cli(settings, "inside")
    assert result.exit_code == 1
    assert "has not run yet" in result.stderr
