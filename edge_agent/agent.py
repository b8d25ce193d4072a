"""Starts and stops the parts of an agent; holds no rule."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge_agent import status
from edge_agent.config import Config
from edge_agent.delivery import Delivery
from edge_agent.door.door import Door
from edge_agent.files import hand_over
from edge_agent.gate import Gate
from edge_agent.housekeeping import Housekeeping
from edge_agent.identity import Identity
from edge_agent.journal.database import StoreDamaged
from edge_agent.journal.recovery import open_store
from edge_agent.moments import Moments, SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.reader_side import ReaderSide
from edge_agent.release.dry import DryRelease
from edge_agent.release.wiring import Wiring
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.support.bundles import Bundles
from edge_agent.support.health import HealthReports, Looked, disk_room, memory_room, readers_of
from edge_agent.uplink import Uplink

log = structlog.get_logger(__name__)

LOCK = "agent.lock"
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter: a snapshot being applied must not hold up a tap."""
CLOSE_READERS_S = 2.0
OF_CENTRAL = ("download", "snapshots", "upload", "health", "bundles")
"""Loops that have nothing to do any more once central has revoked this device."""


class AlreadyRunning(Exception):
    """Another process has this data directory."""


class Agent:
    """One process, one gate, any number of readers."""

    def __init__(self, config: Config, identity: Identity, moments: Moments | None = None) -> None:
        self.config, self.identity = config, identity
        self.moments = moments or SystemMoments()
        self._stopping = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until a signal. Returns the exit code."""
        sys.setswitchinterval(SWITCH_S)
        directory = self.config.data_dir
        with hold_lock(directory):
            store = open_store(directory, self.config.limits(), self.moments.now().wall_ms)
            self.wiring, release = Wiring(self.config), self.config.release
            self.door = Door(self.wiring.outputs.get(release.output), self.wiring.inputs, DryRelease(release.path))
            self.gate = Gate(store, self.door, self.moments, Holding(self.identity.device, self.identity.gate))
            self.uptake = Uptake(directory, self.gate, self.identity)
            self.readers = ReaderSide(self.config, self.gate, self.wiring.outputs)
            self.wiring.drive_relays(self.readers.play_relay)
            self.uptake.on_profiles = self.readers.use_published
            self.readers.on_profiles_refused = self.uptake.give_up_profiles
            self.uptake.judge_config, self.uptake.on_config = self.door.accepts, self.door.use
            self.housekeeping = Housekeeping(self.config, self.gate, self.uptake)
            self.housekeeping.start()
            self.door.start(self.gate)
            self.readers.start()
            try:
                async with Uplink(self.identity, self.uptake.statement) as uplink:
                    return await self._serve(uplink)
            finally:
                await asyncio.to_thread(self._close)

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
        health = HealthReports(self.identity.device, signer, uplink, self.look, self._is_known)
        bundles = Bundles(self.identity.device, signer, uplink, self.gather, self.gate.now_ms)
        uptake.asks.on_ask = bundles.take

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
            asyncio.create_task(health.run(), name="health"),
            asyncio.create_task(bundles.run(wait_s), name="bundles"),
            asyncio.create_task(self.housekeeping.run(self.delivery.take_fork), name="housekeeping"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        if self.config.screen is not None:
            from edge_agent.screen.serving import serve_screen  # only here: serving pages takes some megabytes

            tasks.append(asyncio.create_task(serve_screen(self.config.screen.port, self), name="screen"))
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
            of_central = [task for task in tasks if task.get_name() in OF_CENTRAL]
            for task in of_central:
                task.cancel()
            await asyncio.gather(*of_central, return_exceptions=True)
            rest = [task for task in tasks if task not in of_central]  # it says that it is out of service, and lets out
            done, _ = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a loop that ended by an error of ours ends the agent, loudly
        return 0

    def _close(self) -> None:
        self.readers.stop(CLOSE_READERS_S)
        self.housekeeping.stop()
        self.door.close()
        self.wiring.close()
        self.uptake.close()
        self.gate.store.close()

    # --- what an operator sees --------------------------------------------------------------------------

    def _is_known(self) -> bool:
        """Central has answered, and not that it waits for an operator's word."""
        return bool(self.subscription.reachable) and not self.subscription.pending

    def look(self) -> Looked:
        """How this device is. Reads, and writes nothing."""
        moment = self.moments.now()
        return Looked(
            disk_room(self.config.data_dir),
            memory_room(),
            self.gate.clock(moment),
            readers_of(self.readers.status()),
            moment.monotonic_ms // 1_000,
            moment.wall_ms,
        )

    def gather(self) -> bytes:
        """A support bundle; takes the time that `doctor` takes."""
        from edge_agent.support.gathering import bundle_of  # only here: it looks at everything, and that takes memory

        return bundle_of(self.config, self.uptake.identity, self.gate.holding, self.status(), self.gate.now_ms())

    def status(self) -> dict[str, Any]:
        reached = status.Reachability(self.delivery.reachable, self.subscription.reachable)
        troubles = [
            f"{trouble.part} {trouble.version}: {trouble.why}" for trouble in list(self.uptake.troubles.values())
        ]
        troubles += self.readers.troubles()
        if self.uptake.destroyed:
            troubles.append("this device was revoked: it has no keys, and admits nobody")
        if self.subscription.pending:
            troubles.append("waiting for an operator to confirm this device")
        return status.of_running(self.gate, self.readers.status(), reached, troubles) | {
            "poll_age_s": status.age_s(self.subscription.answered_s),
            "receipt_age_s": status.age_s(self.delivery.receipted_s),
            "state_version": self.uptake.states.held.version,
            "on_trial": self.uptake.on_trial(),
            "waits_for_card": self.gate.binding.waits_for_card(),
            "door": msgspec.to_builtins(self.door.state()),
            "inside": self.door.count_inside(),
        }


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
