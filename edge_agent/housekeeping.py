"""Keeps a running agent's store in order: opens an epoch, replaces what is damaged, prunes, looks for flipped bits."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

import structlog

from edge_agent.config import Config
from edge_agent.gate import Gate
from edge_agent.journal import recovery
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.pruning import prune, prune_histories
from edge_agent.journal.store import Store
from edge_agent.journal.verify import faults
from edge_agent.published.uptake import Uptake
from protocol.messages import Clock, Kind, Receipt, StoreDetail, encode

log = structlog.get_logger(__name__)

TICK_S = 0.5
RETRY_S = 5.0
PRUNE_S = 60.0
ERASED_S = 5.0
"""Whose events were not delivered when it was told to forget them is looked after again."""
PRUNE_PAUSE_S = 0.02
FORGET_S = 6 * 3_600.0
"""Between two looks for histories that nothing looks back to any more."""
SCRUB_AFTER_S = 5.0
SCRUB_S = 24 * 3_600.0


class Housekeeping:
    """`start` before the first tap, then `run`; `scrub` in a thread of its own, since it may take minutes."""

    def __init__(self, config: Config, gate: Gate, uptake: Uptake) -> None:
        self.config, self.gate, self.uptake = config, gate, uptake
        self.directory = config.data_dir
        self._on_append: Callable[[], None] = lambda: None
        self._stop = threading.Event()
        self._reserve_was_spent = False
        self._pruned_s = self._tried_s = self._erased_s = time.monotonic()
        self._forgot_s = self._pruned_s - FORGET_S

    def start(self) -> None:
        """What is on disk is put to use, even where nothing can be written: people must still get out."""
        self._adopt(self.gate.store)
        self.uptake.load()
        self._attempt(lambda: self._make_ready("start"))
        threading.Thread(target=self._scrub, name="scrub", daemon=True).start()

    async def run(self, take_fork: Callable[[], Receipt | None]) -> None:
        """Until cancelled. `take_fork`: the receipt of events that central holds otherwise, once."""
        while True:
            await asyncio.sleep(TICK_S)
            await asyncio.to_thread(self._tick, take_fork())

    def on_append(self, call: Callable[[], None]) -> None:
        """Whom to wake when there is something to deliver, whatever store it stands in."""
        self._on_append = self.gate.store.on_append = call

    def stop(self) -> None:
        """Whatever takes long ends soon."""
        self._stop.set()

    def _tick(self, fork: Receipt | None) -> None:
        now_s, store = time.monotonic(), self.gate.store
        if (self.gate.damaged.is_set() or not store.epoch.number) and now_s - self._tried_s >= RETRY_S:
            self._tried_s = now_s
            self._attempt(self._replace if self.gate.damaged.is_set() else lambda: self._make_ready("start"))
        if fork is not None and fork.epoch == store.epoch.epoch:
            self._attempt(lambda: self._begin("forked"))
            self._record(StoreDetail("forked", "", fork.epoch, fork.first, fork.through))
        self._attempt(lambda: self.uptake.tick(now_s))
        if now_s - self._erased_s >= ERASED_S:
            self._erased_s = now_s
            self._attempt(self.uptake.forget_erased)
        if store.reserve.is_spent and not self._reserve_was_spent:
            self._reserve_was_spent = True
            self._record(StoreDetail("reserve-used"))
        if now_s - self._pruned_s >= PRUNE_S:
            self._pruned_s = now_s
            if store.reserve.restore():
                self._reserve_was_spent = False
                self._record(StoreDetail("reserve-restored"))
            self._attempt(self._prune)

    def _attempt(self, work: Callable[[], None]) -> None:
        """What cannot be done now is tried again; the gate goes on with what it has."""
        try:
            work()
        except (JournalUnwritable, StoreDamaged, OSError) as error:
            log.error("store-trouble", error=str(error))
            if isinstance(error, StoreDamaged):
                self.gate.damaged.set()

    # --- the store --------------------------------------------------------------------------------------

    def _adopt(self, store: Store) -> None:
        store.on_append = self._on_append
        self.gate.store = store

    def _make_ready(self, why: str) -> None:
        """All that could be salvaged, then an epoch of its own. Raises JournalUnwritable, StoreDamaged."""
        store = self.gate.store
        if not store.is_writable:
            store.reopen()
            if not store.is_writable:
                raise JournalUnwritable(f"{store.path}: it can only be read")
            self.uptake.load()
        told = []
        for aside in recovery.unsalvaged(self.directory):
            told += recovery.salvage(aside, store)
            store.reload()
            self.uptake.load()
        self._begin(why)
        self.uptake.remove_leftovers()
        tail = store.lost_tail
        if tail is not None:
            last = store.last_of(tail.epoch)
            told.append(StoreDetail("tail-lost", "", tail.epoch, 0 if last is None else last + 1, tail.sequence))
            store.lost_tail = None
        for detail in told:
            log.error("store-loss", what=detail.what, why=detail.why, epoch=detail.epoch.hex(), through=detail.through)
            self._record(detail)

    def _replace(self) -> None:
        """In mid-run: meanwhile nothing can be written down, so nobody enters and everybody may leave."""
        with self.uptake.lock:
            self.gate.store.close()
            recovery.set_aside(self.directory, self.gate.now_ms(), "found damaged while it was in use")
            store = Store(self.directory, self.config.limits())
            self.gate.damaged.clear()
            with self.gate.paused():
                self._adopt(store)
            self.uptake.load()
            self._make_ready("damaged store replaced")

    def _begin(self, why: str) -> None:
        moment, identity = self.gate.moments.now(), self.uptake.identity
        if self.uptake.destroyed:
            raise JournalUnwritable("this device is revoked: it has no key to begin an epoch with")
        clock: Clock = self.gate.clock(moment)
        self.gate.store.begin_epoch(identity.device, self.gate.holding.gate, identity.signer(), moment, clock, why)

    def _record(self, detail: StoreDetail) -> None:
        self.gate.record(Kind.STORE, encode(detail))

    def _prune(self) -> None:
        """In small transactions, so that a tap in between never waits for more than one of them. By age only while
        the time is known: a clock that is years ahead must not let go of everything."""
        journal = self.config.journal
        known = self.gate.clock(self.gate.moments.now()) is Clock.TRUSTED
        keep_ms = journal.keep_days * 86_400_000 if known else self.gate.now_ms() + 1
        most_bytes = journal.prune_above_mib * 1024 * 1024
        while not self._stop.is_set() and prune(self.gate.store, self.gate.now_ms(), keep_ms, most_bytes):
            time.sleep(PRUNE_PAUSE_S)
        if known and time.monotonic() - self._forgot_s >= FORGET_S:
            self._forgot_s = time.monotonic()
            self._forget_old()

    def _forget_old(self) -> None:
        """Histories of which no rule asks any more."""
        policy, now_ms = self.gate.holding.policy, self.gate.now_ms()
        since_ms = policy.day(now_ms).since_ms if policy is not None and policy.looks_back else now_ms
        prune_histories(self.gate.store, now_ms, since_ms, self._stop.is_set)

    # --- flipped bits -----------------------------------------------------------------------------------

    def _scrub(self) -> None:
        """Reads everything at start and once a day: a flipped bit is noticed before it is needed."""
        pause_s = SCRUB_AFTER_S
        while not self._stop.wait(pause_s):
            pause_s = SCRUB_S
            with contextlib.suppress(OSError):
                self._look()

    def _look(self) -> None:
        if not self.gate.store.epoch.number:
            return
        for fault in faults(self.directory):
            log.error("scrub", where=fault.where, what=fault.text)
            if fault.where == "journal":
                self.gate.damaged.set()
            elif fault.where == "list":
                self.gate.list_damaged.set()
            elif fault.where != "gap":  # events once lost stay lost, and were told
                self.uptake.fetch_again(fault.where)
                self._record(StoreDetail("trouble", fault.text[:500]))
