"""The operator's path, and what is said to people who mistype: one clear line, exit code 1, or 2 for wrong usage."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from click.testing import Result

from deploy.town import BIN
from tests.end_to_end.quick_town import (
    ALICE,
    CHEN,
    DOOR,
    SEVEN,
    Places,
    QuickTown,
    delivered,
    invoke,
    tap,
    until_reason,
)

pytestmark = pytest.mark.xdist_group("commands")


def edge_settings(directory: Path, more: str = "") -> Path:
    settings = directory / "edge.toml"
    settings.write_text(f'data_dir = "{directory / "data"}"\n{more}')
    return settings


def said(result: Result, code: int, *words: str) -> None:
    """One line for a person, on standard error, that holds these words; nothing for a script to take for an answer."""
    assert result.exit_code == code, (result.stdout, result.stderr)
    lines = result.stderr.strip().splitlines()
    if code == 1:
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith(("tapgate-edge: ", "tapgate-central: "))
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in " ".join(lines)
    assert result.stdout == ""


# --- mistakes on the server ---------------------------------------------------------------------------------------


def central(town: QuickTown, *arguments: str | Path) -> Result:
    return invoke("tapgate-central", "--config", town.config, *arguments)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("prot = 8443\n", ("'prot'", "did you mean 'port'")),
        ('port = "many"\n', ("port",)),
        ('tls = "none"\nhost = "0.0.0.0"\n', ("loopback",)),
        ("port = \n", ("central.toml",)),
        ('database = "mysql://x"\n', ("sqlite:///",)),
        (f'data_dir = "/tmp/{"x" * 100}"\n', ("data_dir", "socket")),
    ],
)
def test_wrong_settings_of_central_are_named_with_what_would_do(
    tmp_path: Path, settings: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "central.toml"
    path.write_text(settings)
    said(invoke("tapgate-central", "--config", path, "domain", "list"), 1, "central.toml", *words)


def test_commands_before_init_say_what_to_do(tmp_path: Path) -> None:
    for arguments in (["domain", "list"], ["verify"], ["log"], ["device", "invite", "door"]):
        said(invoke("tapgate-central", "--data-dir", str(tmp_path / "none"), *arguments), 1, "init")
    served = run(BIN / "tapgate-central", "--data-dir", tmp_path / "none", "serve")
    assert (served.returncode, served.stdout) == (1, "")
    assert "init" in served.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["device", "invite", "no-such-door"], 1, ("no-such-door", "gate list")),
        (["device", "confirm", "nobody", "--words", "a-b-c"], 1, ("nobody", "device list")),
        (["device", "revoke", "nobody", "--why", "x"], 1, ("nobody",)),
        (["device", "revoke", "nobody"], 2, ("--why",)),
        (["gate", "add", "g", "--venue", "no-such-venue", "--policy", "open-house"], 1, ("no-such-venue",)),
        (["gate", "add", "g", "--venue", DOOR.venue, "--policy", "no-such-policy"], 1, ("no-such-policy",)),
        (["gate", "add", "g", "--venue", DOOR.venue, "--policy", "open-house", "--kind", "hatch"], 2, ("hatch",)),
        (["venue", "add", "v", "--domain", "no-such-domain"], 1, ("no-such-domain",)),
        (["venue", "add", "v", "--domain", DOOR.domain, "--time-zone", "Asia/Taipeh"], 1, ("Asia/Taipeh",)),
        (["domain", "add", DOOR.domain], 1, (DOOR.domain,)),
        (["card", "find", "2A8315", "--notation", "hex"], 1, ("uid",)),
        (["card", "find", "hello"], 1, ()),
        (["card", "block", "DEADBEEF", "--notation", "hex"], 1, ()),
        (["card", "block"], 1, ()),
        (["policy", "show", "no-such-policy"], 1, ("no-such-policy",)),
        (["log", "--since", "yesterday"], 2, ("yesterday",)),
        (["card", "import", "/no/such/file.csv", "--domain", DOOR.domain], 2, ("/no/such/file.csv",)),
        (["backup", "/no/such/directory/file"], 1, ("/no/such/directory",)),
        (["restore", "/etc/hostname", "--replace"], 1, ("hostname",)),
        (["journal", "import", "/etc/hostname"], 1, ("hostname",)),
        (["no-such-command"], 2, ("no-such-command",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_by_one_line_and_its_exit_code(
    untouched: QuickTown, arguments: list[str], code: int, words: tuple[str, ...]
) -> None:
    said(central(untouched, *arguments), code, *words)


@pytest.fixture(scope="module")
def untouched(template: Path, tmp_path_factory: pytest.TempPathFactory) -> QuickTown:
    """A town that no test here changes."""
    return QuickTown(template)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uid,member\n2A83155E,A\n", ("class",)),
        ("", ("the file is empty",)),
        ("uid,member,class,valid_from,valid_until\n2A83155E,A,citizen,2026-13-01,\n", ("row 2", "2026-13-01")),
        ("uid,member,class,valid_from,valid_until\nXYZ,A,citizen,,\n", ("row 2",)),
    ],
    ids=["column-missing", "empty", "bad-date", "bad-uid"],
)
def test_a_table_of_cards_that_cannot_be_read_is_refused_with_row_and_reason(
    untouched: QuickTown, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "cards.csv"
    file.write_text(text)
    result = central(untouched, "card", "import", file, "--domain", DOOR.domain, "--notation", "hex")
    assert "Traceback" not in result.output
    for word in words:
        assert word.replace("row 2", "row") in result.output
    if result.exit_code == 0:
        assert "refused" in result.output
    else:
        assert result.exit_code == 1


# --- mistakes at the gate -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("pol_wait_s = 3\n", ("'pol_wait_s'", "did you mean 'poll_wait_s'")),
        ('[[readers]]\nname = "a"\nkind = "pcsd"\n', ("pcsd",)),
        ('[[readers]]\nname = "a"\nkind = "pcsc"\nmach = "ACS"\n', ("'readers.mach'", "'match'")),
        ('[[readers]]\nname = "a"\nkind = "pcsc"\n[[readers]]\nname = "a"\nkind = "pcsc"\n', ("two readers", "'a'")),
        ("poll_wait_s = 0\n", ("poll_wait_s",)),
        ("data_dir = [\n", ("edge.toml",)),
    ],
)
def test_wrong_settings_of_an_agent_are_named_with_what_would_do(
    tmp_path: Path, settings: str, words: tuple[str, ...]
) -> None:
    said(invoke("tapgate-edge", "--config", edge_settings(tmp_path, settings), "status"), 1, "edge.toml", *words)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    said(invoke("tapgate-edge", "--config", tmp_path / "none.toml", "status"), 1, "none.toml")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 1, ("not enrolled", "enrol TOKEN")),
        (["decide", ALICE], 1, ("not enrolled",)),
        (["decide", "XYZ"], 2, ("UID",)),
        (["decide", ALICE, "--at", "soon"], 2, ("soon",)),
        (["enrol", "hello"], 1, ("tapgate1:",)),
        (["enrol", "tapgate1:AAAA"], 1, ("not complete",)),
        (["journal", "export", "/tmp/never"], 1, ("not enrolled",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_device_that_has_not_joined_says_so(
    tmp_path: Path, arguments: list[str], code: int, words: tuple[str, ...]
) -> None:
    said(invoke("tapgate-edge", "--config", edge_settings(tmp_path), *arguments), code, *words)


def test_status_readers_and_journal_before_enrolment_are_answered(tmp_path: Path) -> None:
    settings = edge_settings(tmp_path, '[[readers]]\nname = "a"\nkind = "pcsc"\n')
    status = invoke("tapgate-edge", "--config", settings, "status", "--json")
    assert (status.exit_code, json.loads(status.stdout)["device"]) == (0, "")
    readers = invoke("tapgate-edge", "--config", settings, "readers", "--json")
    assert [reader["state"] for reader in json.loads(readers.stdout)] == ["unknown"]
    verified = invoke("tapgate-edge", "--config", settings, "journal", "verify")
    assert verified.exit_code in (0, 1)
    assert "Traceback" not in verified.output


# --- one of each --------------------------------------------------------------------------------------------------


def run(*command: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout_s)


async def test_a_second_agent_or_server_on_the_same_data_ends_at_once_and_disturbs_nobody(town: QuickTown) -> None:
    gate = await town.open_gate()
    agent = [BIN / "tapgate-edge", "--config", gate.config, "run"]
    server = [BIN / "tapgate-central", "--config", town.config, "serve"]
    second, other = await asyncio.gather(asyncio.to_thread(run, *agent), asyncio.to_thread(run, *server))
    assert second.returncode == other.returncode == 1
    assert "an agent already runs" in second.stderr
    assert "another process serves" in other.stderr
    assert len(second.stderr.splitlines()) == len(other.stderr.splitlines()) == 1
    restored = central(town, "restore", "/etc/hostname", "--replace")
    said(restored, 1, "stop it first")
    exported = invoke("tapgate-edge", "--config", gate.config, "journal", "export", gate.directory / "j")
    said(exported, 1, "already runs")
    assert (await tap(gate, ALICE)).reason == "ok"
    await delivered(gate)


async def test_the_path_that_an_operator_walks_from_nothing_to_a_first_decision(places: Places) -> None:
    town = places.look_after(QuickTown(places.directory()))
    (town.directory / "policy.toml").write_text('rules = [{kind = "admit", id = "members", classes = ["citizen"]}]\n')
    cards = "uid,member,class,valid_from,valid_until,name\n2A83155E,A-1,citizen,2026-01-01,115/12/31,王小明\n"
    (town.directory / "cards.csv").write_bytes(cards.encode("cp950"))
    town.command("init", "--domain", "library", "--venue", "library-1")
    town.command("init")  # does no harm
    town.command("policy", "put", "open-house", town.directory / "policy.toml")
    town.command("gate", "add", "library-door", "--venue", "library-1", "--policy", "open-house")
    dry = town.command("card", "import", town.directory / "cards.csv", "--domain", "library")
    assert "Nothing was changed" in dry
    town.fails("card", "find", ALICE)
    doubtful = town.fails("card", "import", town.directory / "cards.csv", "--domain", "library", "--apply")
    assert "state --notation" in doubtful.stdout
    town.fails("card", "find", ALICE)
    importing = ["card", "import", town.directory / "cards.csv", "--domain", "library", "--notation", "hex", "--apply"]
    assert "CP950" in town.command(*importing)
    await town.start_central()
    gate = await town.open_gate()

    now = invoke("tapgate-edge", "--config", gate.config, "decide", ALICE, "--json")
    later = invoke("tapgate-edge", "--config", gate.config, "decide", ALICE, "--at", "2031-01-01T09:00", "--json")
    unknown = invoke("tapgate-edge", "--config", gate.config, "decide", SEVEN, "--json")
    assert json.loads(now.stdout)["decision"] == "granted"
    assert json.loads(later.stdout)["decision"] == "denied"
    assert json.loads(unknown.stdout)["reason"] == "unknown-card"
    for answer in (now, later, unknown):
        assert json.loads(answer.stdout).keys() >= {"decision", "reason", "rule", "allowlist_version"}
        assert answer.exit_code == 0

    assert (await tap(gate, ALICE)).outcome == json.loads(now.stdout)["decision"]
    await town.do("card", "block", "--member", "A-1", "--state", "lost", "--why", "reported by phone")
    await until_reason(gate, ALICE, "card-lost")
    await town.do("card", "unblock", "--member", "A-1")
    await until_reason(gate, ALICE, "ok")
    status = await delivered(gate)
    assert status.keys() >= {"device", "epoch", "sequence", "receipted_through", "allowlist_version", "readers"}
    line = json.loads((await town.do("log", "--json", "--limit", "1")).splitlines()[0])
    assert line.keys() >= {"device", "epoch", "sequence", "gate", "time", "decision", "reason", "outcome"}
    assert (await town.do("log", "--gate", "library-door", "--decision", "denied")).count("card-lost") >= 1


async def test_a_dead_gate_s_journal_is_carried_to_central_as_itself(town: QuickTown) -> None:
    gate = await town.open_gate()
    await delivered(gate)
    gate.line.cut()
    for _ in range(3):
        await tap(gate, CHEN)
    await asyncio.to_thread(gate.stop)
    exported = gate.directory / "door.journal"
    gate.command("journal", "export", str(exported))
    before = len(town.held())
    for _ in range(2):  # safe to repeat
        town.command("journal", "import", exported)
        held = town.held()
        assert len(held) == len(set(held)) > before
    assert {(signal[0], int(signal[1])) for signal in gate.signals()} <= {(epoch, number) for _, epoch, number in held}
    assert town.command("verify").startswith("Whole")
    damaged = gate.directory / "damaged.journal"
    damaged.write_bytes(exported.read_bytes()[:-7])
    assert town.fails("journal", "import", damaged).exit_code == 1
