"""`doctor` as a whole: no check hides another, none changes anything; the command speaks to people and scripts."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.__main__ import cli
from edge_agent.checks import Check, Result, Said, fail, ok, same
from edge_agent.commissioning.machine import Machine, Ran, run_program
from edge_agent.doctor import CHECKS, examine
from tests.edge_agent.gate_machine import DATA, GateMachine
from tests.support.central_side import CentralSide
from tests.support.edge_side import Edge

OK, NOT_KNOWN = Result.OK, Result.NOT_KNOWN


def test_what_nobody_may_look_at_is_not_known(gate: GateMachine) -> None:
    def closed(_subject: object) -> Iterator[object]:
        raise PermissionError(13, "Permission denied", "/var/lib/x")
        yield

    (finding,) = examine(gate.subject(), [Check("x", same("x"), closed)])
    assert finding.verdict.result is NOT_KNOWN
    assert "/var/lib/x" in finding.verdict.seen.zh
    assert finding.verdict.mend == ("sudo tapgate-edge doctor",)


def test_a_check_that_hangs_or_fails_hides_no_other(gate: GateMachine) -> None:
    def hanging(_subject: object) -> Iterator[object]:
        time.sleep(60)
        yield

    def failing(_subject: object) -> Iterator[object]:
        raise RuntimeError("a bug")
        yield

    checks = [Check("hangs", same("x"), hanging), Check("fails", same("x"), failing)]
    checks.append(Check("well", same("x"), lambda subject: iter([ok(same("seen"))])))
    started_s = time.monotonic()
    found = {finding.check.id: finding.verdict for finding in examine(gate.subject(), checks, limit_s=0.5)}
    assert time.monotonic() - started_s < 30
    assert [found[id_].result for id_ in ("hangs", "fails", "well")] == [NOT_KNOWN, NOT_KNOWN, OK]
    assert "a bug" in found["fails"].seen.en


def test_a_program_that_hangs_is_no_answer() -> None:
    assert run_program(("sleep", "30"), limit_s=0.1) is None
    assert run_program(("no-such-program-anywhere",)) is None
    assert run_program(("sh", "-c", "echo a; echo b >&2; exit 3")) == Ran(3, "a\nb\n")


def test_no_look_changes_anything(gate: GateMachine) -> None:
    central = CentralSide()
    central.publish()
    with Edge(gate.at(DATA), central) as edge:
        edge.take_all()
        edge.tap(1)

    def tree() -> dict[str, tuple[int, int, int, bytes]]:
        found = {}
        for path in sorted(gate.root.rglob("*")):
            if path.name.endswith(("-shm", "-wal")):  # SQLite's own, while somebody reads
                continue
            about = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (about.st_mode, about.st_uid, about.st_mtime_ns if data else 0, data)
        return found

    before = tree()
    assert len(examine(gate.subject())) >= len(CHECKS)
    after = tree()
    assert after == before


def test_every_check_has_a_name_of_its_own_and_two_languages() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(all(check.title) for check in CHECKS)


def test_a_machine_of_files_is_not_asked_what_this_one_does(tmp_path: Path) -> None:
    machine = Machine.below(tmp_path)
    assert (machine.runs, machine.run(("true",)), machine.slots()) == (False, None, None)
    assert Machine.below(Path("/")).runs


# --- the command --------------------------------------------------------------------------------------------------


def doctor(*arguments: str, config: Path, lang: str = "C") -> tuple[int, str]:
    result = CliRunner(env={"LANG": lang, "LC_ALL": "", "LC_MESSAGES": ""}).invoke(
        cli, ["--config", str(config), "doctor", *arguments]
    )
    return result.exit_code, result.stdout


def test_the_command_tells_a_script_every_key_and_fails_where_something_does(tmp_path: Path) -> None:
    code, output = doctor("--json", config=tmp_path / "none.toml")
    told = json.loads(output)
    assert code == 1
    assert told["failing"] is True
    assert {finding["id"] for finding in told["findings"]} == {check.id for check in CHECKS}
    keys = {"id", "about", "result", "title", "seen", "means", "mend"}
    assert all(finding.keys() == keys for finding in told["findings"])
    settings = next(finding for finding in told["findings"] if finding["id"] == "settings-file")
    assert settings["result"] == "fail"
    assert "none.toml" in settings["seen"]


@pytest.mark.parametrize(
    ("arguments", "lang", "word"),
    [
        ((), "C", "Settings file"),
        ((), "zh_TW.UTF-8", "設定檔"),
        (("--lang", "en"), "zh_TW.UTF-8", "Settings file"),
        (("--lang", "zh-TW"), "C", "設定檔"),
    ],
)
def test_it_speaks_the_operators_language(tmp_path: Path, arguments: tuple[str, ...], lang: str, word: str) -> None:
    code, output = doctor(*arguments, config=tmp_path / "none.toml", lang=lang)
    assert code == 1
    assert word in output
    assert "$ sudo" in output


def test_it_is_content_where_nothing_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks = (Check("well", Said("好", "well"), lambda subject: iter([ok(same("seen"))])),)
    monkeypatch.setattr("edge_agent.commands.doctor.examine", lambda subject: examine(subject, checks))
    assert doctor(config=tmp_path / "none.toml")[0] == 0
    checks = (Check("ill", Said("壞", "ill"), lambda subject: iter([fail(same("[seen]"), same("means"), "mend [x]")])),)
    monkeypatch.setattr("edge_agent.commands.doctor.examine", lambda subject: examine(subject, checks))
    code, output = doctor(config=tmp_path / "none.toml")
    assert code == 1
    assert "[seen]" in output
    assert "$ mend [x]" in output
