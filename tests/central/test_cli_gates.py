"""The commands of gates, profiles, staff, names and presence: what a person types and reads."""

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.__main__ import cli
from central.commands.devices import _readers
from tests.central.terminal import Operator, Served

GENERIC = Path(__file__).parents[2] / "firmware_profiles" / "generic-pcsc.toml"
DOOR = """
title_zh = "側門"
release = {passage = "door", passage_ms = 8000}
screen = {undo = true, staff_admit = true, names = true}
texts.closed = {zh = "今日休館", en = "Closed today"}
ages = {warn_ms = 60000}
"""


def file(tmp_path: Path, name: str, content: str | bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_a_configuration_is_put_shown_and_taken_back(run: Operator, tmp_path: Path) -> None:
    first = run.json("gate", "config", "show", "door-1")["version"]
    (put,) = run.json("gate", "config", "put", "door-1", file(tmp_path, "door.toml", DOOR))
    assert "release.passage" in put["changed"]
    shown = run("gate", "config", "show", "door-1").stdout
    assert json.loads(shown)["texts"] == {"closed": {"en": "Closed today", "zh": "今日休館"}}
    again = run("gate", "config", "put", "door-1", file(tmp_path, "again.json", shown)).stdout
    assert "Nothing changed" in again
    assert "screen.undo" in run("gate", "config", "history", "door-1").stdout
    assert [each["version"] for each in run.json("gate", "config", "history", "door-1")] == [put["version"], first]
    (back,) = run.json("gate", "config", "back", "door-1", str(first))
    assert back["version"] > put["version"]
    assert json.loads(run("gate", "config", "show", "door-1").stdout)["texts"] == {}
    assert "never had a configuration 7" in run.refused("gate", "config", "back", "door-1", "7")
    run("gate", "config", "back", "door-1", "seven", code=2)
    assert run.json("gate", "list")[0]["passage"] == "none"


def test_gates_are_named_in_any_way(run: Operator, tmp_path: Path) -> None:
    for gate in ("door-2", "door-3"):
        run("gate", "add", gate, "--venue", "library-1", "--policy", "open")
    sound = file(tmp_path, "quiet.toml", "screen.sound = false")
    assert [each["gate"] for each in run.json("gate", "config", "put", "door-1", "door-2", sound)] == [
        "door-1",
        "door-2",
    ]
    named = run.json("gate", "config", "put", "--gates", "door-3, door-1", sound)
    assert [(each["gate"], each["changed"]) for each in named] == [("door-3", ["screen.sound"]), ("door-1", [])]
    assert len(run.json("gate", "config", "put", "--venue", "library-1", sound)) == 3
    assert "no gate is named" in run.refused("gate", "config", "put", sound)
    assert "there is no gate 'door-9'" in run.refused("gate", "config", "put", "door-1", "--gates", "door-9", sound)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.toml", "release = {pulse_ms = 5}", "at `$.release.pulse_ms`"),
        ("x.toml", "release = ", "x.toml: "),
        ("x.toml", b"\xff\xfe", "x.toml: "),
        ("x.json", "[1, 2]", "x.json: a configuration is a table of names and values"),
        ("x.json", "[" * 100_000, "x.json: "),
        ("x.json", '{"release": {"passage": "lift"}}', "at `$.release.passage`"),
        ("x.json", '{"a\\u0000b": 1}', "unknown field"),
        ("x.toml", "[screen]\nlanguages = []", "at `$.screen.languages`"),
        ("x.toml", "direction = 2026-01-01", "at `$.direction`"),
        ("x.toml", "ages = {warn_ms = 1, restrict_ms = 1, close_ms = 0}", "ages do not rise"),
    ],
)
def test_a_file_that_no_gate_could_take_is_one_line_that_names_the_place(
    run: Operator, tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    assert says in run.refused("gate", "config", "put", "door-1", file(tmp_path, name, content))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["release", "screen", "texts", "ages", "direction", "title_zh", "staff", "", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
            max_leaves=4,
        ),
        max_size=3,
    )
)
def test_no_file_breaks_the_command(run: Operator, tmp_path: Path, body: dict[str, Any]) -> None:
    path = file(tmp_path, "any.json", json.dumps(body))
    result = CliRunner().invoke(cli, ["--data-dir", str(run.directory), "gate", "config", "put", "door-1", path])
    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        assert result.stderr.startswith("tapgate-central: ")
        assert result.stderr.count("\n") == 1


def test_profiles(run: Operator, tmp_path: Path) -> None:
    assert "No profile is published" in run("profile", "list").stdout
    assert "generic-pcsc" in run("profile", "put", str(GENERIC)).stdout
    assert run("profile", "show", "generic-pcsc").stdout == GENERIC.read_text("utf-8")
    assert "other.toml: " in run.refused("profile", "put", file(tmp_path, "other.toml", GENERIC.read_bytes()))
    assert "generic-pcsc.toml" in run.refused("profile", "put", file(tmp_path, "generic-pcsc.toml", b"\xff"))
    assert run.json("profile", "remove", "generic-pcsc")["profiles"] == []
    assert "is published" in run.refused("profile", "show", "generic-pcsc")


def test_a_pin_is_read_unseen_and_never_an_argument(run: Operator, tmp_path: Path) -> None:
    typed = run("staff", "add", "library-1", "lin", "--title", "林館員", stdin="246813\n246813\n")
    assert "246813" not in typed.output
    assert "Staff cannot admit at door-1" in typed.stdout
    run("gate", "config", "put", "door-1", file(tmp_path, "door.toml", DOOR))
    assert run.json("gate", "config", "show", "door-1")["staff"] == ["lin"]
    assert "door-1" in run("staff", "add", "library-1", "wang", "--pin-file", "-", stdin="135792\n").stdout
    kept = file(tmp_path, "pin", "975310\n")
    assert "is there already" in run.refused("staff", "add", "library-1", "wang", "--pin-file", kept)
    run("staff", "add", "library-1", "wang", "--pin-file", kept, "--replace")
    assert [each["id"] for each in run.json("staff", "list")] == ["lin", "wang"]
    assert "林館員" in run("staff", "list", "library-1").stdout
    run("staff", "add", "library-1", "chen", "--pin", "246813", code=2)
    for wrong in ("12345", "abcdef", ""):
        assert "6 to 12 digits" in run.refused(
            "staff", "add", "library-1", "chen", "--pin-file", file(tmp_path, "w", wrong)
        )
    assert "no PIN can be read" in run.refused(
        "staff", "add", "library-1", "chen", "--pin-file", file(tmp_path, "w", b"\xff")
    )
    assert run.json("staff", "remove", "library-1", "lin")["gates"] == ["door-1"]
    assert run.json("gate", "config", "show", "door-1")["staff"] == ["wang"]


def test_names_are_planned_reported_and_written(run: Operator, tmp_path: Path) -> None:
    table = file(tmp_path, "n.csv", "member,name,agreed\nA-1,王小明,yes\nA-9,李四,yes\n".encode("cp950"))
    report = tmp_path / "report.csv"
    planned = run("card", "names", table, "--domain", "library", "--report", str(report))
    assert "row 3: member: not in this domain" in planned.stdout
    assert "Nothing was changed" in planned.stdout
    assert "no gate yet" in planned.stdout
    assert report.read_text("utf-8-sig").splitlines() == [
        "row,verdict,why,shown",
        "2,added,,王○明",
        "3,refused,member: not in this domain; import the member's card first,",
    ]
    done = run("card", "names", table, "--domain", "library", "--apply", "--json", code=1)
    assert json.loads(done.stdout)["verdicts"]["added"] == 1
    assert "1 of 2 rows were left out" in done.stderr
    run("card", "names", table, "--domain", "library", "--apply", "--allow-partial")
    assert "王小明" not in planned.output + done.output
    assert "no domain 'x'" in run.refused("card", "names", table, "--domain", "x")


def test_presence_and_devices_are_shown_where_nothing_is_known_yet(run: Operator) -> None:
    assert "Nobody, as far as this server knows." in run("inside", "library-1").stdout
    assert run.json("inside", "library-1")["people"] == []
    assert "there is no venue" in run.refused("inside", "nowhere")
    assert "there is no device 'x'" in run.refused("device", "show", "x")
    assert run("log", "--kind", "reader").stdout == ""


def test_a_device_is_listed_with_what_there_is_to_say(run: Operator) -> None:
    columns = "id, gate, state, signing_public, sealing_public, words, enrolled_ms, revoked_why, seen_ms"
    with contextlib.closing(sqlite3.connect(run.directory / "central.db")) as db:
        for id_, state, seen_ms in (("door-1-a", "pending", None), ("door-1-b", "active", 1_790_000_000_000)):
            row = (id_, "door-1", state, id_.encode(), bytes(32), "babad-gutih-tugad", 1, "", seen_ms)
            db.execute(f"INSERT INTO devices ({columns}) VALUES ({', '.join('?' * len(row))})", row)
        db.commit()
    listed = run("device", "list").stdout
    assert "babad-gutih-tugad" in listed
    assert "never" in listed
    assert "days ago" in listed
    assert "words" not in run("device", "list", "--state", "active").stdout
    assert "door-1-b" in run("device", "show", "door-1-b").stdout
    assert run.json("device", "show", "door-1-b")["readers"] == []


def test_a_reader_is_told_in_a_few_words_or_in_all() -> None:
    usb = {"reader": "usb-1", "state": "ready", "profile": "acr122u", "firmware": "214", "why": ""}
    relay = {"reader": "usb-2", "state": "wedged", "profile": "", "firmware": "", "why": "no answer"}
    found = {"readers": [usb, relay]}
    assert _readers(found) == ["usb-1 ready", "usb-2 wedged"]
    assert _readers(found, whole=True) == ["usb-1 ready (acr122u, firmware 214)", "usb-2 wedged (no answer)"]


def test_what_is_told_through_the_server_is_not_told_to_its_log(served: Served, run: Operator, tmp_path: Path) -> None:
    assert (served.directory / "admin.sock").exists()
    run("gate", "config", "put", "door-1", file(tmp_path, "door.toml", DOOR))
    run("staff", "add", "library-1", "lin", "--pin-file", "-", stdin="246813\n")
    assert "6 to 12 digits" in run.refused("staff", "add", "library-1", "x", "--pin-file", file(tmp_path, "w", "13579"))
    table = file(tmp_path, "n.csv", "member,name,agreed\nA-1,王小明,yes\n")
    assert run.json("card", "names", table, "--domain", "library", "--apply")["gates"] == ["door-1"]
    run("profile", "put", str(GENERIC))
    assert json.loads(run("verify", "--json").stdout)["whole"] is True
    log = served.stop()
    assert "staff.add" in log
    assert not any(secret in log for secret in ("246813", "13579", "王", "A-1"))


def test_brackets_are_shown_as_they_were_written(run: Operator) -> None:
    run("domain", "add", "annex", "--title", "needs [inputs.door] here")
    assert "needs [inputs.door] here" in run("domain", "list").stdout


def test_devices_are_moved_replaced_banned_and_asked_by_command(run: Operator) -> None:
    with contextlib.closing(sqlite3.connect(run.directory / "central.db")) as db, db:
        row = ("door-1-a", "door-1", "active", b"k" * 32, b"s" * 32, "babab-babab-babab", 1)
        columns = "id, gate, state, signing_public, sealing_public, words, enrolled_ms"
        db.execute(f"INSERT INTO devices ({columns}) VALUES ({', '.join('?' * len(row))})", row)
    run("gate", "add", "door-2", "--venue", "library-1", "--policy", "open")
    moved = run.json("device", "move", "door-1-a", "door-2", "--why", "busier", "--who", "chen")
    assert (moved["from_gate"], moved["to_gate"]) == ("door-1", "door-2")
    shown = run.json("device", "show", "door-1-a")
    assert (shown["gate"], shown["moves"][0]["who"], shown["venue"]) == ("door-2", "chen", "library-1")
    assert "door-1 → door-2" in run("device", "show", "door-1-a").stdout
    assert run("device", "replace", "door-1-a").stdout.startswith("tapgate1:")
    assert "update its agent" in run.refused("device", "bundle", "ask", "door-1-a")
    assert "None was asked for" in run("device", "bundle", "list").stdout
    assert "there is no bundle" in run.refused("device", "bundle", "fetch", "0" * 32)
    assert run.json("device", "ban", "door-1-a", "--why", "stolen") == {
        "device": "door-1-a",
        "state": "revoked",
        "banned": True,
    }
    assert run.json("device", "list", "--venue", "library-1")[0]["banned"]


def test_a_bundle_is_written_to_a_file(run: Operator, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(run.directory / "central.db")) as db, db:
        row = ("door-1-a", "door-1", "active", b"k" * 32, b"s" * 32, "babab-babab-babab", 1)
        columns = "id, gate, state, signing_public, sealing_public, words, enrolled_ms"
        db.execute(f"INSERT INTO devices ({columns}) VALUES ({', '.join('?' * len(row))})", row)
        now_ms = time.time_ns() // 1_000_000
        values = ("door-1-a", 1, b"i" * 16, "chen", now_ms, now_ms, "arrived", now_ms, 7, b"archive")
        columns = "device, version, id, who, asked_ms, until_ms, state, arrived_ms, size, content"
        db.execute(f"INSERT INTO bundles ({columns}) VALUES ({', '.join('?' * len(values))})", values)
    out = tmp_path / "bundle.tar.gz"
    run("device", "bundle", "fetch", (b"i" * 16).hex(), "--out", str(out))
    assert out.read_bytes() == b"archive"
