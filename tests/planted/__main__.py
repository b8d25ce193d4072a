"""Plants each fault in a copy of the code, and shows which test notices. Exit code 1 when one slips through, when a
plant does not fit the code any more, or when its tests fail without it.

    python -m tests.planted [--only NAME] [--json]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.planted.fault import DoesNotFit, Fault
from tests.planted.faults import FAULTS
from tests.planted.witness import FILE as WITNESS_FILE

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LEFT_OUT = (
    ".git",
    ".venv",
    ".venv-sip2",
    "build",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "node_modules",
)
AT_A_TIME = 2
LONGEST_S = 240
"""Of one fault's tests. One that hangs them is a fault that they do not name."""
BROKEN = ("NameError", "AttributeError", "ImportError", "ModuleNotFoundError", "UnboundLocalError", "SyntaxError")
"""What a plant must not be noticed by: no engineer commits code that never runs."""
PROGRAMS = {"tapgate-edge": "edge_agent", "tapgate-central": "central"}

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """Of one fault. `caught_by` is empty when `problem` is not."""

    name: str
    danger: str
    file: str
    caught_by: str
    why: str
    problem: str
    seconds: float


@dataclass(frozen=True)
class Ran:
    """A run of tests: pytest's exit code, the tests that failed and why, and the end of what it printed."""

    code: int
    failed: dict[str, str]
    said: str


class Workshop:
    """A temporary directory with copies of the code as it stood when the run began."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pristine = directory / "pristine"
        shutil.copytree(ROOT, self._pristine, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def copy(self, name: str) -> Path:
        copy = self._directory / name / "code"
        shutil.copytree(self._pristine, copy)
        return copy

    def discard(self, copy: Path) -> None:
        shutil.rmtree(copy.parent, ignore_errors=True)


def environment(copy: Path) -> dict[str, str]:
    """Everything that is started in a copy, and whatever that starts, imports the copy's code."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    return inherited | {"PYTHONPATH": str(copy), "PYTHONUTF8": "1", WITNESS_FILE: str(copy.parent / "failed")}


def run_tests(copy: Path, tests: Sequence[str], *options: str, longest_s: float) -> Ran:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.planted.witness", "-p", "no:cacheprovider"]
    command += [f"--basetemp={copy.parent / 't'}", *options, *tests]
    with subprocess.Popen(
        command, cwd=copy, env=environment(copy), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            return Ran(-1, {}, f"not done in {longest_s:g} s\n{said}")
    witness = copy.parent / "failed"
    lines = [json.loads(line) for line in witness.read_text().splitlines()] if witness.exists() else []
    failed = {line["test"]: line["why"] for line in lines}
    return Ran(process.returncode, failed, said)


def prove_that_programs_run_the_copy(workshop: Workshop) -> list[str]:
    """The installed programs, started from anywhere as tests start them, run a copy's code: each program's module is
    replaced in one by a line that says where it is."""
    copy, problems = workshop.copy("proof"), []
    for program, package in PROGRAMS.items():
        module = copy / package / "__main__.py"
        module.write_text("def main():\n    import protocol\n    print(__file__, protocol.__file__)\n")
        command = [str(BIN / program)]
        done = subprocess.run(command, cwd="/", env=environment(copy), capture_output=True, text=True, check=False)
        expected = f"{module} {copy / 'protocol' / '__init__.py'}"
        if done.stdout.strip() != expected:
            problems.append(f"{program} does not run the copy: {(done.stdout or done.stderr).strip()[-300:]}")
    workshop.discard(copy)
    return problems


def check_without_plants(workshop: Workshop, tests: Sequence[str]) -> Ran:
    """All tests of all chosen faults, once, on the code as it is."""
    copy = workshop.copy("unplanted")
    ran = run_tests(copy, tests, "-n", str(AT_A_TIME), "--dist", "loadgroup", longest_s=2 * LONGEST_S)
    workshop.discard(copy)
    return ran


def try_out(workshop: Workshop, fault: Fault, before: Ran) -> Outcome:
    began_s = time.monotonic()

    def outcome(problem: str, caught_by: str = "", why: str = "") -> Outcome:
        seconds = round(time.monotonic() - began_s, 1)
        return Outcome(fault.name, fault.danger, fault.file, caught_by, why, problem, seconds)

    failing = [test for test in before.failed if any(test.startswith(path) for path in fault.tests)]
    if failing:
        return outcome(f"its tests fail without it: {failing[0]}: {before.failed[failing[0]]}")
    copy = workshop.copy(fault.name)
    try:
        fault.plant(copy)
        ran = run_tests(copy, fault.tests, "-x", longest_s=LONGEST_S)
    except DoesNotFit as error:
        return outcome(f"the plant no longer fits the code: {error}")
    finally:
        workshop.discard(copy)
    if ran.code == 1 and ran.failed:
        test, why = next(iter(ran.failed.items()))
        if why.startswith(BROKEN):
            return outcome(f"the plant breaks the code, where it should bend it: {why}")
        return outcome("", test, why)
    if ran.code == 0:
        return outcome("slips through: its tests pass with it")
    return outcome(f"its tests do not run with it (pytest ended with {ran.code}): {ran.said[-500:]}")


def all_of(work: Callable[[Fault], T], faults: Sequence[Fault]) -> list[T]:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(work, faults))


def row(outcome: Outcome) -> str:
    what = f"caught by {outcome.caught_by}" if outcome.caught_by else f"NOT CAUGHT: {outcome.problem}"
    return f"{outcome.name:<38} {outcome.seconds:6.1f} s  {what}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("--only", metavar="NAME", choices=[fault.name for fault in FAULTS], help="one fault")
    parser.add_argument("--json", action="store_true", help="the table as JSON on stdout")
    chosen = parser.parse_args()
    faults = [fault for fault in FAULTS if chosen.only in (None, fault.name)]
    began_s = time.monotonic()
    say = sys.stderr if chosen.json else sys.stdout
    with tempfile.TemporaryDirectory(prefix="planted-") as directory:
        workshop = Workshop(Path(directory))
        problems = prove_that_programs_run_the_copy(workshop)
        tests = sorted({test for fault in faults for test in fault.tests})
        print(f"{len(tests)} suites without a plant …", file=say, flush=True)
        before = check_without_plants(workshop, tests)
        if before.code and not before.failed:
            problems.append(f"the tests do not run without a plant (pytest ended with {before.code}):\n{before.said}")
        if problems:
            print("\n".join(problems), file=sys.stderr)
            return 1

        def tried(fault: Fault) -> Outcome:
            outcome = try_out(workshop, fault, before)
            print(row(outcome), file=say, flush=True)
            return outcome

        outcomes = all_of(tried, faults)
    missed = [outcome for outcome in outcomes if not outcome.caught_by]
    seconds = round(time.monotonic() - began_s, 1)
    if chosen.json:
        print(json.dumps({"seconds": seconds, "faults": [asdict(outcome) for outcome in outcomes]}, indent=2))
    print(f"{len(outcomes) - len(missed)} of {len(outcomes)} faults caught, in {seconds:g} s", file=say)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
