"""Starts and stops the parts of an agent; holds no rule."""

import asyncio
import contextlib
import fcntl
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from edge_agent import identity as identity_file
from edge_agent import outbox, recovery, status
from edge_agent.config import Config, make_reader, make_release
from edge_agent.database import JournalUnwritable, StoreDamaged
from edge_agent.delivery import Delivery
from edge_agent.gate import Gate
from edge_agent.holding import Holding
from edge_agent.identity import Identity
from edge_agent.lists import remove_others
from edge_agent.moments import Moments, SystemMoments
from edge_agent.readers import Reader, ReaderState
from edge_agent.store import Store
from edge_agent.subscription import Subscription
from edge_agent.uplink import Uplink
from edge_agent.uptake import Uptake
from edge_agent.verify import verify
from protocol.messages import Kind, StoreDetail, encode

log = structlog.get_logger(__name__)

LOCK = "agent.lock"
HOUSEKEEPING_S = 60
SCRUB_S = 24 * 3_600
PRUNE_PAUSE_S = 0.02
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter: a snapshot being applied must not hold up a tap."""


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
        with hold_lock(self.config.data_dir):
            self._open_store()
            self.release = make_release(self.config.release)
            self.gate = Gate(self.store, self.release, self.moments, Holding(self.identity.device, self.identity.gate))
            self.uptake = Uptake(self.config.data_dir, self.store, self.gate, self.identity)
            self.uptake.load()
            self._begin("start")
            self._tell_losses()
            readers = self._start_readers()
            try:
                async with Uplink(self.identity, self.uptake.statement) as uplink:
                    return await self._serve(uplink)
            finally:
                await self._close(readers)

    async def _serve(self, uplink: Uplink) -> int:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self._stopping.set)
        signer = self.identity.signer()
        self.delivery = Delivery(self.store, self.identity.device, signer, uplink, self.moments, self.uptake.ring)
        self.subscription = Subscription(self.uptake, signer, uplink, self.moments, self.config.poll_wait_s)
        self.subscription.on_restored = self.delivery.reconcile

        def wake() -> None:
            loop.call_soon_threadsafe(self.delivery.wake.set)

        self.store.on_append = wake
        server = await status.serve(self.config.data_dir, self.status)
        wait_s = self.config.retry_max_s
        tasks = [
            asyncio.create_task(self.subscription.run(wait_s), name="download"),
            asyncio.create_task(self.delivery.run(wait_s), name="upload"),
            asyncio.create_task(self._housekeeping(), name="housekeeping"),
            asyncio.create_task(self._scrub(), name="scrub"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        try:
            return await self._watch(tasks)
        finally:
            self.store.on_append = lambda: None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()
            (self.config.data_dir / status.SOCKET).unlink(missing_ok=True)

    async def _watch(self, tasks: list["asyncio.Task[Any]"]) -> int:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if self.delivery.revoked.is_set() or self.subscription.revoked.is_set():
            self._destroy()
            return 1
        for task in done:
            task.result()  # a loop that ended by an error of ours ends the agent, loudly
        return 0

    async def _close(self, readers: list[threading.Thread]) -> None:
        self._stop_readers.set()
        for thread in readers:
            await asyncio.to_thread(thread.join, 2)
        with contextlib.suppress(JournalUnwritable, StoreDamaged):
            self.uptake.close()
        self.release.close()
        self.store.close()

    # --- store ------------------------------------------------------------------------------------------

    def _open_store(self) -> None:
        self.salvaged = recovery.Salvaged(0, ())
        self.damage = ""
        try:
            self.store = Store(self.config.data_dir, self.config.limits())
        except StoreDamaged as error:
            self.damage = str(error)
            self._replace_store()

    def _replace_store(self) -> None:
        """Set the damaged store aside and go on with what can be read. The gate is held still meanwhile."""
        wall_ms = self.moments.now().wall_ms
        aside = recovery.set_aside(self.config.data_dir, wall_ms)
        self.store = Store(self.config.data_dir, self.config.limits())
        self.salvaged = recovery.salvage(aside, self.store)
        self.store.reload()

    def _begin(self, why: str) -> None:
        moment = self.moments.now()
        self.store.begin_epoch(
            self.identity.device, self.gate.holding.gate, self.identity.signer(), moment, self.gate.clock(moment), why
        )

    def _tell_losses(self) -> None:
        """A store that was damaged or set back is said at once, as events."""
        if self.damage:
            log.error("store-damaged", why=self.damage, salvaged_events=self.salvaged.events)
            self._record(StoreDetail("damaged", self.damage[:500]))
            for epoch, first, through in self.salvaged.missing:
                self._record(StoreDetail("damaged", "events lost", epoch, first, through))
            self.damage = ""
        tail = self.store.lost_tail
        if tail is not None:
            last = self.store.last_of(tail.epoch)
            first = 0 if last is None else last + 1
            log.error("tail-lost", epoch=tail.epoch.hex(), first=first, through=tail.sequence)
            self._record(StoreDetail("tail-lost", "", tail.epoch, first, tail.sequence))
            self.store.lost_tail = None

    def _record(self, detail: StoreDetail) -> None:
        self.gate.record(Kind.STORE, encode(detail))

    def _recover(self, why: str) -> None:
        """In mid-run: no tap is taken while the store is replaced."""
        with self.gate.paused():
            self.damage = why
            with contextlib.suppress(Exception):
                self.store.close()
            on_append = self.store.on_append
            self._replace_store()
            self.store.on_append = on_append
            for part in (self.gate, self.uptake, self.delivery):
                part.store = self.store
            self.uptake.load()
            self._begin("damaged store replaced")
            self.gate.damaged.clear()
        self._tell_losses()

    # --- standing tasks ---------------------------------------------------------------------------------

    async def _housekeeping(self) -> None:
        journal = self.config.journal
        keep_ms, most = journal.keep_days * 86_400_000, journal.prune_above_mib * 1024 * 1024
        elapsed_s = 0.0
        spent = False
        while True:
            await asyncio.sleep(0.5)
            elapsed_s += 0.5
            if self.gate.damaged.is_set():
                await asyncio.to_thread(self._recover, "a tap or event could not be written")
            if self.delivery.forked.is_set():
                self.delivery.forked.clear()
                await asyncio.to_thread(self._begin, "forked")
            if not spent and self.store.reserve.is_spent:
                spent = True
                await asyncio.to_thread(self._record, StoreDetail("reserve-used"))
            if elapsed_s >= HOUSEKEEPING_S:
                elapsed_s = 0.0
                if await asyncio.to_thread(self.store.reserve.restore):
                    spent = False
                    await asyncio.to_thread(self._record, StoreDetail("reserve-restored"))
                with contextlib.suppress(JournalUnwritable):
                    await asyncio.to_thread(self._prune, keep_ms, most)

    def _prune(self, keep_ms: int, most_bytes: int) -> None:
        """In small transactions, so that a tap in between never waits for more than one of them."""
        while outbox.prune(self.store, self.moments.now().wall_ms, keep_ms, most_bytes):
            time.sleep(PRUNE_PAUSE_S)

    async def _scrub(self) -> None:
        """Reads everything once a day and at start: a flipped bit is noticed before it is needed."""
        while True:
            await asyncio.sleep(5)
            found = await asyncio.to_thread(verify, self.config.data_dir)
            for line in found:
                log.error("scrub", found=line)
            if any(line.startswith("list-") for line in found):
                self.gate.list_damaged.set()
            if any(not line.startswith("list-") for line in found):
                await asyncio.to_thread(self._recover, found[0])
            await asyncio.sleep(SCRUB_S)

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
                reader.run(self.gate.tap, self._reader_changed, self._stop_readers)
                if not self._stop_readers.wait(0):
                    self._stop_readers.wait(1)
            except Exception as error:
                log.exception("reader-failed", reader=reader.name)
                self._reader_changed(reader.name, ReaderState.WEDGED, f"{type(error).__name__}: {error}")
                self._stop_readers.wait(2)

    def _reader_changed(self, name: str, state: ReaderState, why: str) -> None:
        self.readers[name] |= {"state": state.value, "why": why}
        self.gate.reader_changed(name, state, why)

    # --- what an operator sees --------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        reached = status.Reachability(self.delivery.reachable, self.subscription.reachable)
        troubles = [f"{trouble.part} {trouble.version}: {trouble.why}" for trouble in self.uptake.troubles.values()]
        if self.subscription.pending:
            troubles.append("waiting for an operator to confirm this device")
        return status.of_running(self.gate, self.store, self.readers, reached, troubles)

    def _destroy(self) -> None:
        """Revoked: keys and lists go, the journal stays (SPEC §6.6)."""
        log.error("revoked", device=self.identity.device)
        with self.gate.paused():
            live = self.gate.holding.allowlist
            self.gate.holding = Holding(self.identity.device, self.gate.holding.gate)
            if live is not None:
                live.close()
            remove_others(self.config.data_dir, None)
            identity_file.destroy(self.config.data_dir)


@contextlib.contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """One agent a data directory. Raises AlreadyRunning."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"an agent already runs on {directory}") from None
        yield
