"""One run of a long action: how far it is, what it said, and its files."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

SHOWN_PROBLEMS = 100
RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass
class Job:
    """One run of one action. `what`, `done`, `total`: how far it is. `answer`: the action's result as a map."""

    id: str
    owner: str
    action: str
    params: dict[str, Any]
    file: Path
    file_name: str
    file_size: int
    started_ms: int
    problem_verdicts: frozenset[str]
    rows: Path
    state: str = RUNNING
    what: str = ""
    done: int = 0
    total: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    ended_ms: int = 0
    ended_s: float = 0.0
    columns: tuple[str, ...] = ()
    rows_written: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    """The first rows that cannot be applied."""
    task: asyncio.Task[None] | None = None

    @property
    def applied(self) -> bool:
        return bool(self.params.get("apply"))

    @property
    def share(self) -> int:
        """Per cent; of what is not known how long it takes, 0."""
        return min(100, self.done * 100 // self.total) if self.total else 0


class RowWriter:
    """What an action hands out, line by line into a file, and the first problems beside it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        descriptor = os.open(job.rows, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    async def write(self, items: Sequence[Any]) -> None:
        await asyncio.to_thread(self._write, msgspec.to_builtins(items))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        job = self._job
        if rows and not job.columns:
            job.columns = tuple(rows[0])
        self._file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
        job.rows_written += len(rows)
        for row in rows:
            if len(job.problems) >= SHOWN_PROBLEMS:
                break
            if row.get("verdict") in job.problem_verdicts:
                job.problems.append(row)

    def close(self) -> None:
        self._file.close()


async def report_of(job: Job) -> AsyncIterator[list[dict[str, Any]]]:
    """Every row that the action handed out, a block at a time."""
    if not job.rows.exists():
        return
    with job.rows.open("rb") as opened:
        while lines := await asyncio.to_thread(opened.readlines, 1 << 20):
            yield [msgspec.json.decode(line) for line in lines]


def keep_file(source: Path, kept: Path) -> None:
    """The same file under another name, for its owner alone; where that cannot be, a copy."""
    try:
        os.link(source, kept)
    except OSError:
        shutil.copyfile(source, kept)
    kept.chmod(0o600)
