"""The command line: exit codes, texts, and commands beside a real server that holds the database."""

import contextlib
import json
import re
import socket
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from central.__main__ import cli
from central.actions.registry import ACTIONS
from central.operate import user_name
from protocol.messages import Upload, encode
from tests.central.actors import Device, Journal
from tests.central.terminal import CARDS, Operator, Served

NOTICE = Path(__file__).parents[2] / "deploy" / "privacy" / "caring.toml"

# --- every command ------------------------------------------------------------------------------------------


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(_commands(cli)), ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...], tmp_path: Path) -> None:
    text = Operator(tmp_path)(*path, "--help").stdout
    assert "Example:" in text
    assert f"tapgate-central{' --config /etc/tapgate/central.toml' * (len(path) == 1)} {' '.join(path)}" in text or (
        f"tapgate-central {' '.join(path)}" in text
    )


def test_the_commands_are_those_that_were_promised() -> None:
    assert {" ".join(path) for path in _commands(cli)} == {
        *("init", "serve", "log", "verify", "backup", "restore", "journal import"),
        *("domain add", "domain list", "venue add", "venue list", "gate add", "gate list", "policy put", "policy show"),
        *("gate config show", "gate config put", "gate config history", "gate config back"),
        *("profile put", "profile list", "profile show", "profile remove", "staff add", "staff list", "staff remove"),
        *("card import", "card find", "card block", "card unblock", "card names", "inside"),
        *("device invite", "device confirm", "device list", "device show", "device revoke"),
        *("device move", "device replace", "device ban"),
        *("device bundle ask", "device bundle list", "device bundle fetch"),
        *("evidence", "keys show", "keys state"),
        *("sync batches", "sync batch", "sync events", "sync event", "sync timeline", "proof"),
        *("card flags", "card flag", "card replace", "card lose", "card find-again", "card history"),
        *("card bind-session open", "card bind-session list", "card bind-session show", "card bind-session cancel"),
        *("card batch issue", "card batch rebind", "card batch undo", "card batch list", "card batch show"),
        *("member classes", "member history", "closure add", "closure list", "closure end", "offer import"),
        *("offer list", "activity put", "activity register", "activity list", "activity attendance"),
        *("venue set", "visits", "occupancy", "rebuild"),
        *("account add", "account list", "account set", "account reset", "account unlock", "account no-codes"),
        *("account sessions", "token issue", "token list", "token revoke", "audit list", "audit verify"),
        *("explain", "conflict list", "conflict show", "conflict settle", "conflict reopen", "conflict comment"),
        *("conflict counts", "conflict assign", "conflict assignees", "conflict retry"),
        *("conflict travel", "clock offset", "policy check", "policy replay", "policy correct"),
        "policy calendar",
        *("policy list", "policy history", "policy diff", "freeze put", "freeze list", "freeze remove"),
        *("rollout start", "rollout list", "rollout show", "rollout go-on", "rollout halt", "rollout back"),
        "rollout withdraw",
        *("member copy", "member looks", "member correct", "member erase", "erasure list", "erasure compact"),
        *("device held", "domain rotate-key"),
        *("incident open", "incident told", "incident close", "incident list"),
        *("hold put", "hold end", "hold list", "retention put", "retention list"),
        *("purpose list", "purpose require", "notice put", "notice show"),
        *("subscription add", "subscription list", "subscription show", "subscription pause", "subscription resume"),
        *("subscription rotate", "subscription replay", "subscription test", "subscription dead"),
        "subscription remove",
        *("consent give", "consent withdraw", "consent list", "consent import"),
        *("volunteer team put", "volunteer team list", "volunteer team show", "volunteer rules put"),
        *("volunteer rules show", "volunteer sessions", "volunteer review", "volunteer totals", "volunteer month"),
        *("volunteer approve", "volunteer lock", "volunteer sign", "volunteer settle", "volunteer reassign"),
        *("volunteer served", "volunteer certificates", "volunteer certify"),
        *("volunteer export", "volunteer roster", "volunteer sheet"),
        *("export events", "export visits", "export sessions", "export ledger", "export list"),
        *("pass list", "pass counts", "points plan list", "volunteer months"),
        *("points plan put", "points plan show", "points balance", "points statement", "points grant"),
        *("points adjust", "points redeem", "points totals", "points close", "points round", "points overspent"),
        "points write-off",
        *("alert acknowledge", "alert contact list", "alert contact put", "alert contact remove"),
        *("alert contact test", "alert list", "alert resolve", "alert show", "card bind", "card issue-day"),
        *("card uptake", "health", "member find", "member number put", "member number remove", "member put"),
        *("member reindex", "member show", "overview", "report denials", "report devices", "report peaks"),
        *("report recount", "report visits"),
        *(
            "library status",
            "library check",
            "library refresh",
            "library checkout",
            "library return",
            "library believe",
            "library forget",
        ),
    }


def test_every_action_reads_or_writes_by_name() -> None:
    assert {name for name, action in ACTIONS.items() if not action.writes} == {
        *("domain.list", "venue.list", "gate.list", "policy.show", "card.find", "device.list"),
        *("gate.config.show", "gate.config.history", "profile.list", "profile.show", "staff.list"),
        *("log", "evidence", "verify", "backup", "inside"),
        *("batch.list", "batch.show", "event.list", "event.show", "device.timeline", "proof.make"),
        *("device.show", "bundle.list", "bundle.fetch"),
        *("card.bind-session.list", "card.bind-session.show"),
        *("card.history", "card.batch.list", "card.batch.show", "member.history", "closure.list"),
        *("offer.list", "activity.list", "activity.attendance"),
        *("pass.list", "pass.counts", "points.plan.list", "volunteer.months", "conflict.counts", "conflict.assignees"),
        *("visits", "occupancy", "rebuild"),
        *("explain", "conflict.list", "conflict.show", "policy.check", "policy.replay"),
        *("policy.list", "policy.history", "policy.diff", "rollout.list", "rollout.show", "freeze.list"),
        *("volunteer.team.list", "volunteer.team.show", "volunteer.rules.show", "volunteer.sessions"),
        *("volunteer.review", "volunteer.totals", "volunteer.month", "volunteer.certificates"),
        *("volunteer.export", "export.history", "export.list"),
        *("points.plan.show", "points.balance", "points.statement", "points.totals", "points.overspent"),
        *("account.list", "account.show", "alert.contact.list", "alert.list", "alert.show", "audit.list"),
        *("audit.verify", "card.uptake", "gate.config.check", "health.show", "member.find", "member.show"),
        *("overview.show", "report.denials", "report.devices", "report.peaks", "report.visits", "session.list"),
        *("token.list", "library.status", "library.check", "library.tap"),
        *("subscription.list", "subscription.show", "subscription.dead", "feed.read"),
        *("purpose.list", "notice.show", "consent.list", "member.copy", "member.looks", "erasure.list", "hold.list"),
        *("retention.list", "device.held", "card.uid.list", "incident.list"),
        *("entitlement", "citizen.visits", "citizen.hours", "citizen.points", "citizen.looks"),
    }


# --- exit codes ---------------------------------------------------------------------------------------------


def test_wrong_usage_is_2(run: Operator) -> None:
    run("card", "import", code=2)
    run("log", "--since", "yesterday", code=2)
    run("domain", "add", "no spaces", code=2)
    run("nonsense", code=2)


def test_what_could_not_be_done_is_1_and_says_why(run: Operator, tmp_path: Path) -> None:
    assert "run `tapgate-central init` first" in Operator(tmp_path / "empty").refused("domain", "list")
    assert "exists already" in run.refused("domain", "add", "library")
    assert "add it first (`policy put`)" in run.refused("gate", "add", "d", "--venue", "library-1", "--policy", "x")
    assert "there is no time zone 'Mars'" in run.refused(
        "venue", "add", "v", "--domain", "library", "--time-zone", "Mars"
    )
    assert "no such card" in run.refused("card", "block", "--member", "nobody")
    assert "exactly one of" in run.refused("card", "block")
    assert "there is no gate" in run.refused("device", "invite", "nowhere")
    assert "there is no device" in run.refused("device", "revoke", "x", "--why", "lost")
    assert "there is no policy 'x'" in run.refused("policy", "show", "x")


def test_a_wrong_policy_names_the_place(run: Operator, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    for text, says in (
        ("rules = [{kind = 'admit', id = 'a', clases = []}]", "clases"),
        ("rules = [{kind = 'admit', id = 'a', schedule = 'x'}]", "there is no schedule 'x'"),
        ("rules = [", "wrong.toml"),
        ("version = 3\nrules = [{kind = 'admit', id = 'a'}]", "leave it out"),
    ):
        path.write_text(text)
        assert says in run.refused("policy", "put", "open", str(path))


def test_a_wrong_setting_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("datadir = '/x'")
    result = CliRunner().invoke(cli, ["--config", str(tmp_path / "c.toml"), "domain", "list"])
    assert result.exit_code == 1
    assert "did you mean 'data_dir'" in result.stderr


# --- what they do -------------------------------------------------------------------------------------------


def test_init_keeps_what_is_there_and_says_what_is_next(run: Operator) -> None:
    keys = {file.name: file.read_bytes() for file in (run.directory / "keys").iterdir()}
    text = run("init").stdout
    assert "root.key to a medium that stays offline" in text
    assert {file.name: file.read_bytes() for file in (run.directory / "keys").iterdir()} == keys
    assert run.json("init")["keys_made"] is False
    assert all(file.stat().st_mode & 0o077 == 0 for file in (run.directory / "keys").glob("*.key"))


def test_lists(run: Operator) -> None:
    assert [row["id"] for row in run.json("domain", "list")] == ["library"]
    assert [row["domain"] for row in run.json("venue", "list")] == ["library"]
    assert [row["policy"] for row in run.json("gate", "list")] == ["open"]
    assert run.json("domain", "list")[0]["members"] == 2
    assert "library-1" in run("gate", "list").stdout


def test_what_a_file_or_a_pipe_takes_is_neither_cut_nor_folded(run: Operator, tmp_path: Path) -> None:
    told = tomllib.loads(NOTICE.read_text())
    run("notice", "put", "caring", str(NOTICE))
    shown = run("notice", "show", "caring").stdout
    assert [each for language in told.values() for each in language.values() if each not in shown] == []
    assert "caring, caring-companion, disability, low-income" in run("purpose", "list").stdout


def test_a_length_of_time_is_no_moment(run: Operator) -> None:
    opened = run("incident", "open", "a list was lost", "--learned", "2026-02-03T09:00").stdout
    assert re.search(r"^ left +-\d+ days$", opened, re.MULTILINE)
    assert " days " in run("incident", "list").stdout
    assert "`device invite`" in run.refused("incident", "open", "a gate was stolen", "--device", "nowhere")


def test_a_shown_policy_can_be_put_again(run: Operator, tmp_path: Path) -> None:
    shown = run("policy", "show", "open").stdout
    (tmp_path / "again.json").write_text(shown)
    put = run.json("policy", "put", "open", str(tmp_path / "again.json"))
    assert put["gates"] == ["door-1"]
    assert json.loads(run("policy", "show", "open").stdout) == json.loads(shown)
    assert run.json("policy", "show", "open")["version"] == put["version"]


def test_cards(run: Operator) -> None:
    assert run.json("card", "find", "2A83155E")[0]["member"] == "A-1"
    assert run.json("card", "find", "0713233758")[0]["member"] == "A-1"
    assert json.loads(run("card", "find", "-", "--json", stdin="2a 83 15 5e\n").stdout)[0]["member"] == "A-1"
    assert run.json("card", "block", "--member", "A-1", "--state", "lost", "--why", "phone")[0]["state"] == "lost"
    assert run.json("card", "unblock", "2A83155E")[0]["state"] == "active"
    assert "2A83155E" not in run("card", "find", "2A83155E").output


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_an_import_reports_every_row(run: Operator, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "more.csv").write_text(CARDS + "2A83155E,A-3,citizen,,\n08112233,A-4,citizen,,\n")
    report = tmp_path / f"report.{suffix}"
    arguments = ("card", "import", str(tmp_path / "more.csv"), "--domain", "library", "--notation", "hex")
    result = run(*arguments, "--report", str(report))
    assert "row 2: collision" in result.stdout
    assert "Nothing was changed" in result.stdout
    lines = report.read_text("utf-8-sig").splitlines()
    assert len(lines) == (5 if suffix == "csv" else 4)
    assert "uid-random" in lines[-1]
    assert run.json(*arguments)["verdicts"]["collision"] == 2


def test_an_import_that_left_rows_out_does_not_end_as_if_all_were_well(run: Operator, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text(CARDS + "08112233,A-4,citizen,,\n")
    arguments = ("card", "import", str(tmp_path / "more.csv"), "--domain", "library", "--notation", "hex")
    run(*arguments)  # to look is no failure
    result = run(*arguments, "--apply", code=1)
    assert "1 of 3 rows were left out, the others are written" in result.stderr
    assert json.loads(run(*arguments, "--apply", "--json", code=1).stdout)["verdicts"]["refused"] == 1
    run(*arguments, "--apply", "--allow-partial")


def test_backup_restore_and_verify(run: Operator, tmp_path: Path) -> None:
    made = run.json("backup", str(tmp_path / "b"))
    assert "state --replace" in run.refused("restore", str(tmp_path / "b"))
    done = run.json("restore", str(tmp_path / "b"), "--replace")
    assert done["rows"] == made["rows"]
    assert Path(done["moved_aside"]).exists()
    assert run.json("audit", "list", "--action", "restore")[0]["account"] == user_name()
    assert json.loads(run("verify", "--json").stdout)["whole"] is True
    assert run("verify").stdout.startswith("Whole: ")


def test_a_journal_is_imported_as_the_device_itself(run: Operator, tmp_path: Path) -> None:
    strange = Journal(Device("nobody"))
    path = tmp_path / "j"
    frames = [encode({"format": "tapgate-journal-1", "device": "nobody"}), strange.upload()]
    path.write_bytes(b"".join(len(frame).to_bytes(4) + frame for frame in frames))
    result = run("journal", "import", str(path), code=1)
    assert "batch 1: refused, 0 new events: unknown-key" in result.stdout
    assert "1 of 1 batches are not in custody" in result.stderr
    path.write_bytes(path.read_bytes()[:-1])
    assert "is cut short" in run.refused("journal", "import", str(path))
    path.write_bytes(encode(Upload(b"", ())))
    assert "j" in run.refused("journal", "import", str(path))


def test_evidence_is_shown_to_who_asks(run: Operator) -> None:
    assert "nothing contradicts" in run("evidence").stdout
    device = Device()
    with contextlib.closing(sqlite3.connect(run.directory / "central.db")) as db:
        row = (device.id, bytes(32), "fork", 1_790_000_000_000, "two epochs name one predecessor", b"envelope")
        db.execute("INSERT INTO evidence (device, digest, kind, at_ms, detail, body) VALUES (?, ?, ?, ?, ?, ?)", row)
        db.commit()
    (found,) = run.json("evidence", "--kind", "fork")
    assert (found["device"], found["kind"], found["seen"], found["bytes"]) == (device.id, "fork", 1, 8)
    assert run.json("evidence", "--device", "another") == []


@pytest.mark.parametrize("name", ["card-seal.key", "root.public"])
@pytest.mark.parametrize("content", [b"\xd1\x9b" * 16, b"", b"abcd\n"])
def test_a_file_that_is_no_key_is_named(run: Operator, tmp_path: Path, content: bytes, name: str) -> None:
    run("backup", str(tmp_path / "b.backup"))
    seal = run.directory / "keys" / name
    seal.write_bytes(content)
    for command in (("venue", "list"), ("restore", str(tmp_path / "b.backup"), "--replace")):
        assert run.refused(*command).startswith(f"tapgate-central: {seal}: this is no key")


def test_a_server_without_keys_says_what_comes_first(tmp_path: Path) -> None:
    assert "run `tapgate-central init` first" in Operator(tmp_path / "new").refused("serve")


def test_a_folder_that_cannot_be_made_is_named_and_not_the_database(run: Operator, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = run.refused("export", "events", "--to", str(tmp_path / "file" / "history"))
    assert (str(tmp_path / "file") in said, "central.db" in said) == (True, False)
    table = str(tmp_path / "file" / "classes.csv")
    assert "Not a directory" in run.refused("export", "list", "classes", table, "--domain", "library")


def test_stated_keys_name_the_certificates_and_rise(run: Operator) -> None:
    keys_dir = run.directory / "keys"
    before = run.json("keys", "show")
    stated = run.json("keys", "state", "--certificate", str(keys_dir / "tls.crt"))
    assert stated["number"] > before["number"]
    assert run.json("keys", "show")["number"] == stated["number"]
    run("verify")


def test_keys_are_stated_only_where_the_root_is_and_never_without_a_pinned_certificate(run: Operator) -> None:
    keys_dir = run.directory / "keys"
    assert "--certificate" in run.refused("keys", "state")
    (keys_dir / "root.key").rename(keys_dir / "elsewhere")
    assert "root.key" in run.refused("keys", "state", "--certificate", str(keys_dir / "tls.crt"))


# --- beside a running server ----------------------------------------------------------------------------------


def test_commands_go_through_the_server_that_runs(served: Served, run: Operator, tmp_path: Path) -> None:
    """What writes, what reads, what is refused; one command is a process of its own."""
    assert (served.directory / "admin.sock").stat().st_mode & 0o777 == 0o600
    token = json.loads(served("device", "invite", "door-1", "--json").stdout)["token"]
    assert token.startswith("tapgate1:")
    assert run.json("card", "block", "--member", "A-1")[0]["state"] == "blocked"
    rows = "".join(f"AABB{n:04X},B-{n},citizen,,\n" for n in range(3_000))
    (tmp_path / "many.csv").write_text(CARDS + rows + "2A83155E,A-9,citizen,,\n")
    imported = run.json(
        *("card", "import", str(tmp_path / "many.csv"), "--domain", "library", "--notation", "hex"),
        *("--apply", "--allow-partial", "--report", str(tmp_path / "report.csv")),
    )
    verdicts = imported["verdicts"]
    assert (verdicts["added"], verdicts["unchanged"], verdicts["collision"]) == (3_000, 1, 2)
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 3_004
    assert not list(served.directory.glob("attached-*"))
    assert "exists already" in run.refused("domain", "add", "library")
    run("backup", str(tmp_path / "b"))
    assert "stop it first" in run.refused("restore", str(tmp_path / "b"), "--replace")
    assert json.loads(run("verify", "--json").stdout)["whole"] is True
    log = served.stop()
    assert served.process.returncode == 0
    assert "card.import" in log
    assert not any(secret in log for secret in ("2A83155E", "AABB0001", token, "A-1"))
    assert run.json("card", "find", "AABB0001")[0]["member"] == "B-1"


def test_a_command_beside_another_command_says_so(run: Operator) -> None:
    from central.config import parse
    from central.only_writer import only_writer

    with only_writer(parse({"data_dir": str(run.directory)})):
        assert "stop it first" in run.refused("restore", str(run.directory / "central.lock"))


def test_the_socket_refuses_what_it_cannot_read(served: Served) -> None:
    def ask(name: str, body: bytes) -> tuple[int, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(served.directory / "admin.sock"))
            head = f"POST /actions/{name} HTTP/1.0\r\nHost: central\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            answer = b""
            while data := connection.recv(65_536):
                answer += data
        status, _, rest = answer.partition(b"\r\n\r\n")
        return int(status.split()[1]), msgspec.json.decode(rest.strip().splitlines()[-1])

    assert ask("nonsense", b"{}\n")[0] == 404
    status, said = ask("card.find", b'{"uid": 3}\n')
    assert (status, "uid" in said["failure"]) == (400, True)
    assert ask("card.find", b"{")[0] == 400
    assert ask("card.import", b'{"domain": "library"}\n')[1]["failure"].startswith("no file is attached")
    assert ask("card.find", b'{"member": "A-1"}')[1]["result"]["cards"][0]["member"] == "A-1"
