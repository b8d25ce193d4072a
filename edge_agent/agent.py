"""Starts and stops the parts of an agent; holds no rule."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import structlog

from edge_agent import status
from edge_agent.config import Config, make_reader, make_release
from edge_agent.database import StoreDamaged
from edge_agent.delivery import Delivery
from edge_agent.files import hand_over
from edge_agent.gate import Gate
from edge_agent.holding import Holding
from edge_agent.housekeeping import Housekeeping
from edge_agent.identity import Identity
from edge_agent.moments import Moments, SystemMoments
from edge_agent.readers import Answer, CardRead, Reader, ReaderState
from edge_agent.readers.answering import answer_to
from edge_agent.recovery import open_store
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.uplink import Uplink
from edge_agent.uptake import Uptake

log = structlog.get_logger(__name__)

LOCK = "agent.lock"
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter: a snapshot being applied must not hold up a tap."""
CLOSE_READERS_S = 2.0


class AlreadyRunning(Exception):
    """Another process has this data directory."""


class Agent:
    """One process, one gate, any number of readers."""

    def __init__(self, config: Config, identity: Identity, moments: Moments | None = None) -> None:
        self.config, self.identity = config, identity
        self.moments = moments or SystemMoments()
        self.readers: dict[str, dict[str, str]] = {}
        self._stop_readers = threading.Event()
        self._stopping = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until a signal or a revocation. Returns the exit code."""
        sys.setswitchinterval(SWITCH_S)
        directory = self.config.data_dir
        with hold_lock(directory):
            store = open_store(directory, self.config.limits(), self.moments.now().wall_ms)
            self.release = make_release(self.config.release)
            self.gate = Gate(store, self.release, self.moments, Holding(self.identity.device, self.identity.gate))
            self.uptake = Uptake(directory, self.gate, self.identity)
            self.housekeeping = Housekeeping(self.config, self.gate, self.uptake)
            self.housekeeping.start()
            readers = self._start_readers()
            try:
                async with Uplink(self.identity, self.uptake.statement) as uplink:
                    return await self._serve(uplink)
            finally:
                await asyncio.to_thread(self._close, readers)

    async def _serve(self, uplink: Uplink) -> int:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self._stopping.set)
        signer, uptake = self.identity.signer(), self.uptake
        self.delivery = Delivery(self.gate, self.identity.device, signer, uplink, uptake.ring)
        snapshots = Snapshots(uptake, signer, uplink, self.moments)
        self.subscription = Subscription(uptake, signer, uplink, self.moments, snapshots, self.config.poll_wait_s)
        self.subscription.on_restored = self.delivery.restored
        self.delivery.on_reconciled = uptake.set_generation

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the next start delivers
                loop.call_soon_threadsafe(self.delivery.wake.set)

        self.housekeeping.on_append(wake)
        server = await status.serve(self.config.data_dir, self.status)
        wait_s = self.config.retry_max_s
        tasks = [
            asyncio.create_task(self._keep(lambda: self.subscription.run(wait_s)), name="download"),
            asyncio.create_task(self._keep(lambda: snapshots.run(wait_s)), name="snapshots"),
            asyncio.create_task(self._keep(lambda: self.delivery.run(wait_s)), name="upload"),
            asyncio.create_task(self.housekeeping.run(self.delivery.take_fork), name="housekeeping"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        try:
            return await self._watch(tasks)
        finally:
            self.housekeeping.on_append(lambda: None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if server is not None:
                server.close()
                (self.config.data_dir / status.SOCKET).unlink(missing_ok=True)

    async def _keep(self, loop: Callable[[], Awaitable[None]]) -> None:
        """A damaged store is replaced by housekeeping; meanwhile a loop that met it waits and begins again."""
        while True:
            try:
                return await loop()
            except StoreDamaged as error:
                log.error("store-damaged", why=str(error))
                self.gate.damaged.set()
                await asyncio.sleep(1)

    async def _watch(self, tasks: list["asyncio.Task[Any]"]) -> int:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if self.delivery.revoked.is_set() or self.subscription.revoked.is_set():
            log.error("revoked", device=self.identity.device)
            await asyncio.to_thread(self.uptake.destroy)
            return 1
        for task in done:
            task.result()  # a loop that ended by an error of ours ends the agent, loudly
        return 0

    def _close(self, readers: list[threading.Thread]) -> None:
        self._stop_readers.set()
        self.housekeeping.stop()
        deadline_s = time.monotonic() + CLOSE_READERS_S
        for thread in readers:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self.uptake.close()
        self.release.close()
        self.gate.store.close()

    # --- readers ----------------------------------------------------------------------------------------

    def _start_readers(self) -> list[threading.Thread]:
        threads = []
        for settings in self.config.readers:
            reader = make_reader(settings)
            self.readers[reader.name] = {"kind": settings.kind, "state": ReaderState.STARTING.value, "why": ""}
            thread = threading.Thread(
                target=self._run_reader, args=(reader,), name=f"reader-{reader.name}", daemon=True
            )
            thread.start()
            threads.append(thread)
        return threads

    def _run_reader(self, reader: Reader) -> None:
        """A reader never ends the agent: whatever it raises is said, and it is started again."""
        while not self._stop_readers.is_set():
            try:
                reader.run(self._tapped, self._reader_changed, self._stop_readers)
                self._stop_readers.wait(1)
            except Exception as error:
                log.exception("reader-failed", reader=reader.name)
                self._reader_changed(reader.name, ReaderState.WEDGED, f"{type(error).__name__}: {error}")
                self._stop_readers.wait(2)

    def _tapped(self, read: CardRead) -> Answer:
        return answer_to(self.gate.tap(read))

    def _reader_changed(self, name: str, state: ReaderState, why: str) -> None:
        self.readers[name] |= {"state": state.value, "why": why}
        self.gate.reader_changed(name, state, why)

    # --- what an operator sees --------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        reached = status.Reachability(self.delivery.reachable, self.subscription.reachable)
        troubles = [
            f"{trouble.part} {trouble.version}: {trouble.why}" for trouble in list(self.uptake.troubles.values())
        ]
        if self.subscription.pending:
            troubles.append("waiting for an operator to confirm this device")
        return status.of_running(self.gate, self.readers, reached, troubles)


@contextlib.contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """One agent a data directory. Raises AlreadyRunning, OSError."""
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a disk mounted read-only; the lock of an earlier run still serves
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    hand_over(descriptor, directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AlreadyRunning(f"an agent already runs on {directory}: stop it first") from None
    else:
        yield
    finally:
        os.close(descriptor)
