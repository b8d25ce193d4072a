"""An agent and central in memory through whatever clock, network and disk do to them: nothing that was promised is
ever broken, and in the end everything is delivered.

The agent is the real one on a real disk; central's judgement is the real one, its tables are a model. A run can be
repeated by its seed: `TAPGATE_SEED=… pytest tests/test_stateful.py`.
"""

import asyncio
import contextlib
import copy
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import structlog
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge_agent.config import Config
from edge_agent.delivery import Delivery
from edge_agent.housekeeping import Housekeeping
from edge_agent.journal import outbox
from edge_agent.published.uptake import Uptake
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.uplink import NetworkFailure
from protocol.allowlist import CardState
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import GateConfig, Receipt, decode
from protocol.token import token
from protocol.uid import CardUID
from tests.support.central_model import Custody, FaultyLine, Name, Side
from tests.support.central_side import DAY_MS, DEVICE, GATE, entry, uid
from tests.support.edge_side import Edge, HandClock

SEED = int(os.environ.get("TAPGATE_SEED", random.SystemRandom().randrange(2**32)))
CARDS = 4
START_MS = 1_790_000_000_000
BROKEN = "broken"
"""The kind of a configuration with which the machine cannot start."""
BACKUP_MS = 25 * DAY_MS
"""A device keeps what was receipted for thirty days: an older backup than that cannot be made good."""


def _set_machine(uptake: Uptake) -> None:
    def put_to_use(config: GateConfig | None) -> None:
        if config is not None and config.kind == BROKEN:
            raise OSError("the machine does not work with it")

    uptake.on_config = put_to_use


class Life(RuleBasedStateMachine):
    """One device, one central, and the world between them."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tapgate-stateful-"))
        self.disks = 0
        self.side = Side(START_MS)
        self.side.set_list({token(self.side.domain_key(), CardUID(uid(n))): entry(n) for n in range(CARDS)})
        self.side.publish()
        self.clock = HandClock(START_MS)
        self.line = FaultyLine(self.side)
        self.loop = asyncio.new_event_loop()
        self.released: set[Name] = set()
        self.central_only: set[Name] = set()
        """Released taps that a disk set back took from the device: central's copy is the last one."""
        self.floors = (0, 0)
        self.backup: tuple[int, Custody] | None = None
        self.disk: Path | None = None
        self.edge = Edge(self.folder / "disk-0", self.side, self.clock, wire=_set_machine)
        self._connect()

    def _connect(self) -> None:
        edge, signer = self.edge, self.side.device_signer
        edge.ear.look = self._released
        self.delivery = Delivery(edge.gate, DEVICE, signer, self.line, self.side.ring)  # type: ignore[arg-type]
        self.snapshots = Snapshots(edge.uptake, signer, self.line, self.clock)  # type: ignore[arg-type]
        self.subscription = Subscription(edge.uptake, signer, self.line, self.clock, self.snapshots, 0)  # type: ignore[arg-type]
        self.subscription.on_restored = self.delivery.restored
        self.delivery.on_reconciled = edge.uptake.set_generation
        self.housekeeping = Housekeeping(Config(edge.directory), edge.gate, edge.uptake)

    def _released(self, signal: Any) -> None:
        assert signal.sequence >= 0, "the disk is sound"
        self.released.add((signal.epoch, signal.sequence))

    # --- what people do -----------------------------------------------------------------------------------------

    @rule(number=st.integers(0, CARDS))
    def tap(self, number: int) -> None:
        listed = self.edge.gate.holding.allowlist
        signal = self.edge.tap(number)
        if signal.outcome == "granted":
            assert listed is not None
            key_number, rows = self.side.lists[listed.header.version]
            row = rows[token(self.side.domain_key(key_number), CardUID(uid(number)))]
            assert row == entry(number), "only who is on the list, and active"

    @rule(number=st.integers(0, CARDS - 1), state=st.sampled_from(CardState))
    def change_card(self, number: int, state: CardState) -> None:
        self.side.put_card(number, state)

    @rule()
    def rotate_domain_key(self) -> None:
        self.side.rotate_domain_key(range(CARDS))

    @rule(kind=st.sampled_from(["door", BROKEN]))
    def change_configuration(self, kind: str) -> None:
        self.side.config = GateConfig(self.side.config.version + 1, GATE, kind)

    # --- what the agent does ------------------------------------------------------------------------------------

    def _run(self, coroutine: Any) -> Any:
        with contextlib.suppress(NetworkFailure, Refused):
            return self.loop.run_until_complete(coroutine)

    @rule(most=st.sampled_from([1, 3, 1000]))
    def deliver(self, most: int) -> None:
        self.delivery.most = most
        self._run(self.delivery.step())

    @rule()
    def poll(self) -> None:
        self._run(self.subscription.step())

    @rule()
    def fetch_list(self) -> None:
        self._run(self.snapshots.step())

    @rule()
    def prune(self) -> None:
        self.housekeeping._prune()

    # --- clock, network, disk -----------------------------------------------------------------------------------

    def _advance(self, ms: int) -> None:
        self.clock.advance(ms)
        self.side.now_ms += ms

    @rule(ms=st.sampled_from([1_000, 6_000, 3_600_000, DAY_MS, 12 * DAY_MS]))
    def time_passes(self, ms: int) -> None:
        self._advance(ms)
        if ms > 10_000:
            self.edge.prove()

    @rule(ms=st.sampled_from([-40 * 365 * DAY_MS, -DAY_MS, 60_000, 40 * 365 * DAY_MS]))
    def wall_clock_jumps(self, ms: int) -> None:
        self.clock.wall_ms = max(0, START_MS + ms)

    @rule()
    def wall_clock_is_set(self) -> None:
        self.clock.wall_ms = self.side.now_ms

    @rule(fault=st.sampled_from(["request lost", "answer lost", "twice", "out of order"]))
    def network_fault(self, fault: str) -> None:
        self.line.fault = fault

    @rule(chunks=st.integers(0, 2))
    def download_breaks_off(self, chunks: int) -> None:
        self.line.cut_after = [chunks] * 5

    @rule()
    def restart(self) -> None:
        self.edge.reopen()
        self._connect()

    @rule(off_ms=st.sampled_from([0, DAY_MS]))
    def reboot(self, off_ms: int) -> None:
        self._move_disk(self._copied())
        self.side.now_ms += off_ms
        self.clock.reboot(off_ms)
        self._open()

    @rule()
    def kill(self) -> None:
        self._move_disk(self._copied())
        self._open()

    @rule()
    def copy_disk(self) -> None:
        self.disk = self._copied()

    @precondition(lambda self: self.disk is not None)
    @rule()
    def restore_disk(self) -> None:
        """What was written since is gone for good, unless central has it."""
        assert self.disk is not None
        self._move_disk(self.disk)
        self.disk = None
        self._open()
        self.released &= self._journal().keys() | self.side.custody.events.keys()
        self.central_only |= self.released - self._journal().keys()
        self.floors = (0, 0)

    def _copied(self) -> Path:
        """The files as they lie there at this moment, with whatever stands in a write-ahead file alone."""
        self.disks += 1
        into = self.folder / f"disk-{self.disks}"
        shutil.copytree(self.edge.directory, into, ignore=shutil.ignore_patterns("*-shm", "journal.reserve"))
        return into

    def _move_disk(self, to: Path) -> None:
        self.edge.crash()
        shutil.rmtree(self.edge.directory)
        self.edge.directory = to

    def _open(self) -> None:
        self.edge.open()
        self._connect()
        assert self.edge.store.lost_tail is None

    # --- central ------------------------------------------------------------------------------------------------

    @rule()
    def back_up_central(self) -> None:
        self.backup = (self.side.now_ms, copy.deepcopy(self.side.custody))

    @precondition(lambda self: self.backup is not None and self.side.now_ms - self.backup[0] < BACKUP_MS)
    @rule()
    def restore_central(self) -> None:
        """What the device lost as well is gone for good: loss of both cannot be made good, nor noticed."""
        assert self.backup is not None
        self.side.custody = copy.deepcopy(self.backup[1])
        self.released -= self.central_only - self.side.custody.events.keys()
        self.side.generation += 1
        self.side.publish()

    # --- what always holds --------------------------------------------------------------------------------------

    def _journal(self) -> dict[Name, bytes]:
        rows = self.edge.store.connection.execute(
            "SELECT epoch, id & ((1 << 40) - 1), public FROM events JOIN epochs ON number = id >> 40"
        )
        return {(epoch, sequence): public for epoch, sequence, public in rows}

    @invariant()
    def what_was_released_is_written_down(self) -> None:
        if not hasattr(self, "edge"):
            return
        journal, events = self._journal(), self.side.custody.events
        missing = self.released - journal.keys() - events.keys()
        assert not missing, f"{len(missing)} released taps are nowhere"
        for name in journal.keys() & events.keys():
            assert journal[name] == events[name]

    @invariant()
    def what_counts_as_delivered_has_a_stored_receipt(self) -> None:
        if not hasattr(self, "edge"):
            return
        for epoch, through in self._delivered().items():
            receipted = set()
            for receipt in self._receipts():
                if receipt.epoch == epoch:
                    receipted.update(range(receipt.first, receipt.through + 1))
            journal = {sequence for name, sequence in self._journal() if name == epoch}
            assert {sequence for sequence in journal if sequence <= through} <= receipted

    def _delivered(self) -> dict[bytes, int]:
        numbers = self.edge.store.connection.execute("SELECT number, epoch FROM epochs").fetchall()
        return {epoch: outbox.delivered(self.edge.store, number) for number, epoch in numbers}

    def _receipts(self) -> list[Receipt]:
        rows = self.edge.store.connection.execute("SELECT envelope FROM receipts").fetchall()
        return [decode(Receipt, unwrap(envelope).payload) for (envelope,) in rows]

    @invariant()
    def what_the_machine_does_not_work_with_is_not_in_use(self) -> None:
        config = self.edge.gate.holding.config if hasattr(self, "edge") else None
        assert config is None or config.kind != BROKEN

    @invariant()
    def floors_never_go_back(self) -> None:
        if not hasattr(self, "edge"):
            return
        floors = (self.edge.store.manifest_floor, self.edge.uptake.list_floor)
        assert all(now >= before for now, before in zip(floors, self.floors, strict=True)), (floors, self.floors)
        self.floors = floors

    # --- in the end ---------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "edge"):
            return
        try:
            self._everything_arrives()
        finally:
            self.edge.close()
            self.loop.close()
            shutil.rmtree(self.folder)

    def _everything_arrives(self) -> None:
        self.line.fault, self.line.cut_after = "", []
        self.clock.wall_ms = self.side.now_ms
        self.change_configuration("door")  # what was given up stays so until another one is published
        for _ in range(6):
            self.loop.run_until_complete(self.subscription.step())
            if self.edge.uptake.wants_snapshot:
                self.loop.run_until_complete(self.snapshots.step())
            while self.loop.run_until_complete(self.delivery.step()):
                pass
        assert not self.edge.uptake.troubles
        assert not self.edge.uptake.wants_snapshot
        assert set(self.edge.gate.holding.parts()) == set(self.side.parts())
        assert self.edge.uptake.generation == self.side.generation
        assert outbox.backlog(self.edge.store) == 0
        events = self.side.custody.events
        assert self._journal().items() <= events.items()
        assert self.released <= events.keys()
        for receipt in self._receipts():
            lacking = {(receipt.epoch, n) for n in range(receipt.first, receipt.through + 1)} - events.keys()
            assert not lacking, "what central signed for is not held"


def test_whatever_happens_nothing_promised_is_broken(capsys: Any) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with capsys.disabled():
        print(f" [TAPGATE_SEED={SEED}]", end=" ", flush=True)
    try:
        run_state_machine_as_test(
            seed(SEED)(Life),
            settings=settings(
                max_examples=int(os.environ.get("TAPGATE_EXAMPLES", "75")),
                stateful_step_count=40,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        structlog.reset_defaults()
