"""What is wrong with this gate, and what mends it: every check, each within a time limit and none changing anything."""

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent import config, status
from edge_agent.checks import (
    Check,
    Result,
    Said,
    Subject,
    Verdict,
    agent,
    central,
    clock,
    devices,
    disk,
    driver,
    journal,
    not_known,
    outputs,
    permission,
    screen,
    service,
    wear,
)
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.unit import service_user

LIMIT_S = 15.0
"""For all checks together: they run side by side."""

CHECKS: tuple[Check, ...] = (
    *service.CHECKS,
    *permission.CHECKS,
    *driver.CHECKS,
    *devices.CHECKS,
    *outputs.CHECKS,
    *screen.CHECKS,
    *agent.CHECKS,
    *central.CHECKS,
    *clock.CHECKS,
    *disk.CHECKS,
    *wear.CHECKS,
    *journal.CHECKS,
)


class Finding(NamedTuple):
    """What one check says; a check of several things says as many."""

    check: Check
    verdict: Verdict

    def told(self, lang: str) -> dict[str, Any]:
        """For a script or a table, in `zh-TW` or `en`. Every key is always there."""
        verdict, side = self.verdict, 0 if lang == "zh-TW" else 1
        return {
            "id": self.check.id,
            "about": verdict.about,
            "result": verdict.result.value,
            "title": self.check.title[side],
            "seen": verdict.seen[side],
            "means": verdict.means[side],
            "mend": list(verdict.mend),
        }


def subject_of(config_path: Path, machine: Machine, program: str) -> Subject:
    """What there is to look at. Settings that cannot be used are a finding, not an end."""
    settings, why = None, ""
    try:
        settings = config.load(config_path)
    except config.ConfigError as error:
        why = str(error)
    said = None
    if settings is not None:
        said = asyncio.run(status.ask(machine.path(settings.data_dir)))
    return Subject(machine, program, str(config_path), settings, why, said, service_user(machine))


def examine(subject: Subject, checks: Sequence[Check] = CHECKS, limit_s: float = LIMIT_S) -> list[Finding]:
    """Every check's findings, in the order of the checks. A check that does not end in time is left behind."""
    end_s = time.monotonic() + limit_s
    looks = [_Look(check, subject) for check in checks]
    for look in looks:
        look.start()
    findings = []
    for look in looks:
        look.join(max(0.0, end_s - time.monotonic()))
        findings += [Finding(look.check, verdict) for verdict in look.verdicts()]
    return findings


def fails(findings: Sequence[Finding]) -> bool:
    """Whether something does not work."""
    return any(finding.verdict.result is Result.FAIL for finding in findings)


class _Look(threading.Thread):
    """One check. A daemon: one that hangs in a driver must not keep the program from ending."""

    def __init__(self, check: Check, subject: Subject) -> None:
        super().__init__(name=check.id, daemon=True)
        self.check, self.subject = check, subject
        self._found: list[Verdict] | None = None

    def run(self) -> None:
        as_root = f"sudo {self.subject.program} doctor"
        try:
            self._found = list(self.check.look(self.subject))
        except PermissionError as error:
            where = error.filename or ""
            seen = Said(f"沒有權限查看 {where}", f"no permission to look at {where}")
            self._found = [not_known(seen, as_root)]
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self._found = [not_known(Said(f"檢查時出錯：{text}", f"the check itself failed: {text}"), as_root)]

    def verdicts(self) -> list[Verdict]:
        """What was found by now."""
        if self._found is None:
            return [not_known(Said("沒有在時限內完成", "it did not end in time"))]
        return self._found
