"""A pytest plugin: swears that the tests run on the code of this copy, and writes down which of them failed."""

import importlib
import json
import os
from pathlib import Path

import pytest

FILE = "PLANTED_WITNESS"
PACKAGES = ("protocol", "edge_agent", "central")


def pytest_sessionstart(session: pytest.Session) -> None:
    root = Path.cwd().resolve()
    for name in PACKAGES:
        found = importlib.import_module(name).__file__
        if found is None or root not in Path(found).resolve().parents:
            pytest.exit(f"{name} comes from {found}, not from the copy in {root}", returncode=4)


class Witness:
    """`pytest_runtest_logreport` of the process that was started, not of its workers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message if crash is not None else str(report.longrepr)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"test": report.nodeid, "when": report.when, "why": why[:500]}) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if FILE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Witness(Path(os.environ[FILE])))
