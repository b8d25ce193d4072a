"""One life of an agent's disk: the real store, gate and uptake, tapping, delivering, taking up lists and pruning
without a pause, with `city` in central's place. What the outside world saw goes to two files, one write a line:
`released` (the dry release's own) and `seen`:

    held EPOCH SEQUENCE PUBLIC      central has it in custody (written before the receipt is handed over)
    receipted EPOCH THROUGH         `accept_receipt` has returned
    taken VERSION                   the list of this version is in use
    begun                           the store was opened and an epoch begun
"""

import itertools
import os
import random
from pathlib import Path

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.journal import outbox
from edge_agent.journal.pruning import prune
from edge_agent.journal.store import Limits, Store
from edge_agent.moments import SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.release.dry import DryRelease
from protocol.envelope import open_as
from protocol.events import Receipt
from tests.faults import city

LIMITS = Limits(journal_bytes=64 * 1024**2, reserve_bytes=256 * 1024, wal_bytes=1024**2)


def witness(path: Path) -> int:
    """Opened to append whole lines: what a kill cut short, nobody acted upon."""
    written = path.read_bytes() if path.exists() else b""
    whole = written.rfind(b"\n") + 1
    if whole < len(written):
        os.truncate(path, whole)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Life:
    """Opens the agent in `directory`, as the program does."""

    def __init__(self, directory: Path, outside: Path) -> None:
        identity = identity_file.load(directory)
        assert identity is not None
        self._seen = witness(outside / "seen")
        self.moments = SystemMoments()
        self.store = Store(directory, LIMITS)
        self.gate = Gate(
            self.store, DryRelease(outside / "released"), self.moments, Holding(identity.device, identity.gate)
        )
        self.uptake = Uptake(directory, self.gate, identity)
        self.wire()
        self.uptake.load()
        moment = self.moments.now()
        clock = self.gate.clock(moment)
        self.store.begin_epoch(identity.device, identity.gate, identity.signer(), moment, clock, "started")
        self.see("begun")
        self.prove()

    def prove(self) -> None:
        """The agent has run for long enough with its configuration."""
        for now_s in (0.0, 1e9):
            self.uptake.tick(now_s)

    def wire(self) -> None:
        """Before anything is loaded."""

    def see(self, *lines: str) -> None:
        os.write(self._seen, "".join(f"{line}\n" for line in lines).encode())

    @property
    def version(self) -> int:
        """Of the list in use."""
        listed = self.gate.holding.allowlist
        return listed.header.version if listed else 0

    def tap(self, number: int) -> None:
        self.gate.tap(city.card(number))

    def deliver(self, most: int) -> bool:
        run = outbox.next_run(self.store, most)
        if run is None:
            return False
        batch = run.batch(city.DEVICE)
        self.see(*city.held_lines(run))
        envelope = city.receipt(batch)
        receipt = open_as(Receipt, envelope, city.RECEIPT_RING)
        outbox.accept_receipt(self.store, city.DEVICE, receipt, envelope, self.moments.now().wall_ms)
        self.see(f"receipted {run.epoch.hex()} {receipt.through}")
        return True

    def take(self, whole: bool) -> None:
        """A newer list: by delta, or the whole of it."""
        held = self.gate.holding.manifest
        version = (held.number if held else 0) + 1
        base = 0 if whole else self.version
        self.uptake.take(city.publication(version, self.uptake.identity.sealing_public, base), self.moments.now())
        if self.uptake.wants_snapshot:
            city.fetch_snapshot(self.uptake, version)
        assert self.version == version, self.uptake.troubles
        self.see(f"taken {version}")
        self.prove()

    def prune(self) -> None:
        prune(self.store, self.moments.now().wall_ms + 1, keep_ms=0)


def live(directory: str, outside: str, seed: str, steps: str = "0") -> None:
    """Open, then `steps` random steps (0 = for ever)."""
    life, chance = Life(Path(directory), Path(outside)), random.Random(seed)
    for _ in range(int(steps)) if int(steps) else itertools.count():
        what = chance.random()
        if what < 0.72:
            life.tap(chance.randrange(city.CARDS + 4))
        elif what < 0.86:
            life.deliver(chance.choice((1, 7, 1000)))
        elif what < 0.94:
            life.take(whole=chance.random() < 0.3)
        else:
            life.prune()
