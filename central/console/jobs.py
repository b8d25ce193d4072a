"""Long actions that a page starts and watches: imports and the like, one at a time for each person.

They run in this process and are forgotten with it: what they wrote is in the database, in short transactions that are
safe to repeat. Their files (what was uploaded, a verdict for each row) are this account's alone, mode 0600, and gone an
hour after the end and at every start.
"""

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import msgspec
import structlog
from aiohttp import web

from central.access.caller import Caller, Role
from central.access.perform import BadParameters, perform
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context
from central.config import Config
from central.console.job import DONE, FAILED, RUNNING, Job, RowWriter, keep_file
from central.console.page import File
from central.device_api import Services
from central.failures import breakage
from protocol.errors import Refused

KEPT_S = 3_600.0
SWEEP_EVERY_S = 60.0
MOST_RUNNING = 4
"""Of everybody together: imports write in turn anyhow."""
MOST_KEPT = 20
"""Of one person; what ended first goes."""

log = structlog.get_logger()


class AllBusy(ActionFailed):
    """As many run as may: another one of this person, or those of everybody."""


class Jobs:
    """Those of this process. `now_s`: a clock that only goes forward."""

    def __init__(self, services: Services, config: Config, now_s: Callable[[], float] = time.monotonic) -> None:
        self._services, self._config, self._now_s = services, config, now_s
        self._directory = config.data_dir / "jobs"
        self._jobs: dict[str, Job] = {}

    # --- asked for by pages --------------------------------------------------------------------------------------

    def start(
        self, caller: Caller, action: str, params: dict[str, Any], file: File, problem_verdicts: Collection[str]
    ) -> Job:
        """Runs from now on; the file is moved here. Raises AllBusy."""
        self._require_room(caller)
        id_ = secrets.token_hex(8)
        kept = self._directory / f"{id_}.file"
        keep_file(file.path, kept)
        return self._begin(caller, id_, action, params, kept, file.name, file.size, frozenset(problem_verdicts))

    def apply(self, caller: Caller, job: Job) -> Job:
        """What was planned is done: the same file, the same parameters. Raises ActionFailed."""
        if job.state != DONE or job.applied:
            raise ActionFailed("this is not a plan that could be applied: start with the file again")
        self._require_room(caller)
        id_ = secrets.token_hex(8)
        kept = self._directory / f"{id_}.file"
        keep_file(job.file, kept)
        params = job.params | {"apply": True}
        return self._begin(caller, id_, job.action, params, kept, job.file_name, job.file_size, job.problem_verdicts)

    def of(self, caller: Caller, actions: Collection[str]) -> list[Job]:
        """The caller's own (an admin's: everybody's), the newest first."""
        theirs = [job for job in self._jobs.values() if _is_theirs(caller, job) and job.action in actions]
        return sorted(theirs, key=lambda job: (job.started_ms, job.id), reverse=True)

    def get(self, caller: Caller, id_: str) -> Job:
        """Raises ActionFailed where there is none, or none of theirs."""
        job = self._jobs.get(id_)
        if job is None or not _is_theirs(caller, job):
            raise ActionFailed("there is no such run any more: files and reports are kept for an hour")
        return job

    # --- running -------------------------------------------------------------------------------------------------

    def _require_room(self, caller: Caller) -> None:
        running = [job for job in self._jobs.values() if job.state == RUNNING]
        if any(job.owner == caller.name for job in running):
            raise AllBusy("one of your files is being worked on: wait until it is done")
        if len(running) >= MOST_RUNNING:
            raise AllBusy(f"{len(running)} files are being worked on: try again in a few minutes")
        ended = sorted((job for job in self._jobs.values() if job.owner == caller.name), key=lambda job: job.ended_s)
        for job in ended[: max(0, len(ended) - MOST_KEPT + 1)]:
            self._forget(job)

    def _begin(self, caller: Caller, id_: str, *told: Any) -> Job:
        action, params, file, name, size, problem_verdicts = told
        job = Job(
            *(id_, caller.name, action, params, file, name, size, self._services.now_ms(), problem_verdicts),
            self._directory / f"{id_}.rows",
        )
        self._jobs[id_] = job
        job.task = asyncio.create_task(self._run(caller, job))
        return job

    async def _run(self, caller: Caller, job: Job) -> None:
        services, writer = self._services, None

        async def progress(what: str, done: int, total: int) -> None:
            job.what, job.done, job.total = what or job.what, done, total

        try:
            writer = RowWriter(job)
            context = Context(
                *(self._config, services.database, services.keys, services.now_ms()),
                *(progress, writer.write, job.file, caller),
            )
            answer = await perform(context, job.action, job.params, strict=False)
            job.answer, job.state = msgspec.to_builtins(answer), DONE
        except (ActionFailed, Refused, BadParameters, Forbidden) as failure:
            job.state, job.why = FAILED, str(failure)
        except asyncio.CancelledError:
            job.state, job.why = FAILED, "the server was stopped"
            raise
        except Exception as error:
            log.error("job-broken", name=job.action, **breakage(error))
            job.state, job.why = FAILED, f"{job.action} broke off ({type(error).__name__}): see the server's log"
        finally:
            with contextlib.suppress(OSError):  # a full disk
                if writer is not None:
                    writer.close()
            job.ended_ms, job.ended_s = services.now_ms(), self._now_s()

    # --- keeping house -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """An empty directory: whatever lies there is of a process that is gone."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700, parents=True)

    def sweep(self) -> None:
        """What ended an hour ago goes."""
        for job in list(self._jobs.values()):
            if job.state != RUNNING and self._now_s() - job.ended_s > KEPT_S:
                self._forget(job)

    async def sweep_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.sweep()

    async def close(self) -> None:
        """What runs is broken off between two blocks of rows; all files go."""
        running = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _forget(self, job: Job) -> None:
        del self._jobs[job.id]
        for path in (job.file, job.rows):
            path.unlink(missing_ok=True)


def _is_theirs(caller: Caller, job: Job) -> bool:
    return job.owner == caller.name or Role.ADMIN in caller.roles


JOBS = web.AppKey("jobs", Jobs)


def keeping(jobs: Jobs) -> Callable[[web.Application], AsyncIterator[None]]:
    """For an application's `cleanup_ctx`: the jobs of its pages, from its start to its end."""

    async def keep(_app: web.Application) -> AsyncIterator[None]:
        jobs.open()
        sweeping = asyncio.create_task(jobs.sweep_for_ever())
        yield
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        await jobs.close()

    return keep
