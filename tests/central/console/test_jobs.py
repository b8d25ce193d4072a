"""Long actions behind a page: one at a time, seen by who began them, planned before they are written."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from central.access.caller import Caller
from central.actions.action import ActionFailed, Context, Params, Result
from central.actions.registry import ACTIONS
from central.config import parse
from central.console.job import DONE, FAILED, RUNNING, Job, report_of
from central.console.jobs import KEPT_S, MOST_RUNNING, AllBusy, Jobs
from central.console.page import File
from central.device_api import Services
from central.keys import Keys
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.schema import cards
from tests.central.actors import NOW_MS
from tests.central.callers import caller
from tests.central.city import City, uid

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""What differs between databases is tested where the actions are."""

ANA, BEN, EVE = caller("ana", "admin"), caller("ben", "admin"), caller("eve", "operator", venues=("main",))
HEADER = "uid,member,class,valid_from,valid_until"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def jobs(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path, clock: Clock
) -> AsyncIterator[Jobs]:
    config = parse({"data_dir": str(tmp_path / "data"), "database": database_url, "keys_dir": str(keys.directory)})
    config.data_dir.mkdir()
    services = Services(database, keys, Snapshots(database, keys, tmp_path / "snapshots"), now_ms=lambda: NOW_MS)
    made = Jobs(services, config, clock)
    made.open()
    yield made
    await made.close()


@pytest.fixture
def file(tmp_path: Path) -> File:
    path = tmp_path / "uploaded"
    rows = [f"{uid(n).raw.hex()},J-{n},citizen,," for n in range(3)] + ["not a card,J-9,citizen,,"]
    path.write_text("\n".join([HEADER, *rows]))
    return File(path, "cards.csv", path.stat().st_size)


PLAN = {"domain": "library", "notation": "hex", "report": True}


def start(jobs: Jobs, file: File, who: Caller = ANA, action: str = "card.import", **params: Any) -> Job:
    return jobs.start(who, action, PLAN | params, file, ("refused", "collision"))


async def ended(job: Job) -> Job:
    assert job.task is not None
    await asyncio.wait([job.task], timeout=30)
    return job


async def rows_of(job: Job) -> list[dict[str, Any]]:
    return [row async for block in report_of(job) for row in block]


async def test_a_plan_writes_nothing_and_is_then_written(jobs: Jobs, file: File, city: City) -> None:
    plan = await ended(start(jobs, file))
    file.path.unlink()  # the upload is gone with its request
    assert (plan.state, plan.applied, plan.answer["verdicts"]["added"]) == (DONE, False, 3)
    assert [row["row"] for row in plan.problems] == [5]
    assert len(await rows_of(plan)) == plan.rows_written == 4
    assert await city.rows(cards) == []
    written = await ended(jobs.apply(ANA, plan))
    assert (written.state, written.applied) == (DONE, True)
    assert len(await city.rows(cards)) == 3
    with pytest.raises(ActionFailed, match="not a plan"):
        jobs.apply(ANA, written)


async def test_files_are_the_servers_alone(jobs: Jobs, file: File) -> None:
    job = await ended(start(jobs, file))
    assert stat.S_IMODE(job.file.parent.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (job.file, job.rows)] == [0o600, 0o600]
    assert all(uid(n).raw.hex() not in job.rows.read_text() for n in range(3))


async def test_everything_is_gone_an_hour_after_the_end(jobs: Jobs, file: File, clock: Clock) -> None:
    job = await ended(start(jobs, file))
    clock.now_s += KEPT_S
    jobs.sweep()
    assert jobs.get(ANA, job.id) is job
    clock.now_s += 1
    jobs.sweep()
    assert not job.file.exists()
    assert not job.rows.exists()
    with pytest.raises(ActionFailed, match="no such run"):
        jobs.get(ANA, job.id)


async def test_what_another_process_left_is_gone_at_the_start(jobs: Jobs, file: File) -> None:
    job = await ended(start(jobs, file))
    jobs.open()
    assert list(job.file.parent.iterdir()) == []


async def test_only_who_started_it_or_an_admin_sees_it(jobs: Jobs, file: File) -> None:
    operators = await ended(start(jobs, file, EVE))
    assert operators.state == FAILED  # the action itself is refused
    own = await ended(start(jobs, file))
    with pytest.raises(ActionFailed, match="no such run"):
        jobs.get(EVE, own.id)
    assert jobs.get(BEN, own.id) is own
    assert [job.id for job in jobs.of(EVE, {"card.import"})] == [operators.id]


class _Wait(Params, frozen=True):
    domain: str = ""
    notation: str = ""
    report: bool = False


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An import that goes on until it is let."""
    gate = asyncio.Event()

    async def run(context: Context, _params: _Wait) -> Result:
        await context.progress("waiting", 1, 4)
        await gate.wait()
        return Result()

    action = ACTIONS["card.import"]
    monkeypatch.setitem(ACTIONS, "card.import", type(action)(action.name, _Wait, run, action.writes))
    return gate


async def test_one_at_a_time_for_each_and_few_together(jobs: Jobs, file: File, waiting: asyncio.Event) -> None:
    first = start(jobs, file)
    with pytest.raises(AllBusy, match="one of your files"):
        start(jobs, file)
    others = [start(jobs, file, caller(f"admin-{n}", "admin")) for n in range(MOST_RUNNING - 1)]
    with pytest.raises(AllBusy, match="are being worked on"):
        start(jobs, file, BEN)
    await asyncio.sleep(0.2)
    assert (first.state, first.what, first.share) == (RUNNING, "waiting", 25)
    waiting.set()
    for job in (first, *others):
        assert (await ended(job)).state == DONE
    assert start(jobs, file).state == RUNNING


async def test_the_end_of_the_server_ends_what_runs(jobs: Jobs, file: File, waiting: asyncio.Event) -> None:
    job = start(jobs, file)
    await asyncio.sleep(0.1)
    await jobs.close()
    assert (job.state, job.file.exists()) == (FAILED, False)


async def test_a_file_that_is_no_table_says_so(jobs: Jobs, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"PK\x03\x04 sheet")
    job = await ended(start(jobs, File(path, "x.xlsx", 12)))
    assert (job.state, "spreadsheet" in job.why) == (FAILED, True)
    assert await rows_of(job) == []


async def test_what_breaks_tells_no_row(jobs: Jobs, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_context: Context, _params: _Wait) -> Result:
        raise RuntimeError("row of A123456789")

    action = ACTIONS["card.import"]
    monkeypatch.setitem(ACTIONS, "card.import", type(action)(action.name, _Wait, broken, action.writes))
    job = await ended(start(jobs, file))
    assert (job.state, "A123456789" in job.why, "RuntimeError" in job.why) == (FAILED, False, True)
