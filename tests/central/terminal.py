"""An operator at the command line: runs commands in this process, or as real ones beside a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from central.__main__ import cli
from deploy.ports import Port

POLICY = """
rules = [{kind = "admit", id = "members", classes = ["citizen"], schedule = "open"}]
[schedules.open]
mon = ["08:00-21:00"]
[calendar]
holidays = [2026-01-01]
"""
CARDS = "uid,member,class,valid_from,valid_until\n2A83155E,A-1,citizen,,\n1A2B3C4D,A-2,citizen,,\n"


START_S = 120
"""A machine that runs all tests at once may take long."""


class Operator:
    """Runs commands in this process on one data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> Result:
        result = CliRunner().invoke(cli, ["--data-dir", str(self.directory), *arguments], input=stdin)
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def refused(self, *arguments: str) -> str:
        """Exit code 1, nothing on standard output, and one line that says why."""
        result = self(*arguments, code=1)
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("tapgate-central: ")
        return result.stderr


def founded(directory: Path) -> Path:
    """A data directory with a domain, a venue, a policy, a gate and two cards, below this one."""
    (directory / "policy.toml").write_text(POLICY)
    (directory / "cards.csv").write_text(CARDS)
    run = Operator(directory / "data")
    run("init", "--domain", "library", "--venue", "library-1")
    run("policy", "put", "open", str(directory / "policy.toml"))
    run("gate", "add", "door-1", "--venue", "library-1", "--policy", "open")
    run("card", "import", str(directory / "cards.csv"), "--domain", "library", "--notation", "hex", "--apply")
    return directory


class Served:
    """A real server on this data directory, and commands as real processes."""

    def __init__(self, directory: Path, config: Path) -> None:
        self.directory, self.config = directory, config
        self.environment = os.environ | {"TAPGATE_CENTRAL_CONFIG": str(config)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "central", "serve"], env=self.environment, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "central", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=30)[1]


@contextmanager
def serving(directory: Path, config: Path, more: str = "") -> Iterator[Served]:
    """Until the block ends. `config`: where its settings are written to; `more`: settings beside the usual ones."""
    port = Port.free()
    config.write_text(f"data_dir = '{directory}'\ntls = 'none'\nport = {port}\n{more}")
    served = Served(directory, config)
    deadline = time.monotonic() + START_S
    try:
        while not (directory / "admin.sock").exists():
            assert served.process.poll() is None, served.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield served
    finally:
        if served.process.poll() is None:
            served.stop()
