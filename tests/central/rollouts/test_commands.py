"""`rollout`, `freeze` and `policy` at the command line, before a server that goes on by itself."""

import datetime as dt
import json
import time
from pathlib import Path

import pytest

from tests.central.terminal import Operator, Served

SENIORS = {"rules": [{"kind": "admit", "id": "members", "classes": ["senior"]}]}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "seniors.json"
    path.write_text(json.dumps(SENIORS))
    return str(path)


def test_a_server_begins_what_is_scheduled_and_a_freeze_keeps_it_back(served: Served, run: Operator, file: str) -> None:
    before = run.json("policy", "show", "open")["version"]
    at = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)).isoformat(timespec="milliseconds")
    rollout = run.json("rollout", "start", file, "--policy", "open", "--at", at, "--title", "Seniors")
    assert rollout["state"] == "scheduled"
    assert "under way (scheduled)" in run.refused("policy", "put", "open", file)
    deadline = time.monotonic() + 60
    while run.json("rollout", "show", rollout["id"])["state"] == "scheduled":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    shown = run("rollout", "show", rollout["id"]).stdout
    assert "all" in shown
    assert run.json("policy", "show", "open")["version"] > before
    assert "+ classes = [" in run("policy", "diff", "open", "--from", str(before), "--to", str(_newest(run))).stdout
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(timespec="seconds")
    run("freeze", "put", "exams", "--until", until, "--why", "exams")
    assert "is frozen until" in run.refused("policy", "put", "open", file)
    back = run.json("rollout", "back", rollout["id"], "--why", "wrong")
    assert back["state"] == "withdrawn"
    run("policy", "put", "open", file, "--despite-freeze", "it is urgent")
    run("freeze", "remove", "exams")


def _newest(run: Operator) -> int:
    return int(run.json("policy", "show", "open")["version"])


def test_lists_say_what_there_is(run: Operator, file: str) -> None:
    assert "No rollout" in run("rollout", "list").stdout
    assert "No freeze" in run("freeze", "list").stdout
    run("freeze", "put", "nights", "--days", "mon,tue", "--span", "22:00-30:00", "--why", "nobody looks")
    assert "22:00-30:00" in run("freeze", "list").stdout
    run("rollout", "start", file, "--policy", "open", "--draft", "--title", "Later")
    assert "Later" in run("rollout", "list", "--state", "open").stdout
    (line,) = run.json("policy", "list")["policies"]
    assert (line["id"], line["rules"]) == ("open", 1)
    assert len(run.json("policy", "history", "open")["versions"]) == 1
    run("policy", "diff", "open", code=2)
