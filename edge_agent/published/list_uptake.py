"""The allowlist on its way in: deltas laid over the live list, snapshots grown beside it and swapped in."""

import contextlib
from pathlib import Path

import structlog

from edge_agent.gate import Gate
from edge_agent.identity import Identity
from edge_agent.journal.transaction import Transaction
from edge_agent.published import lists, parts
from edge_agent.published.keeper import Keeper
from edge_agent.published.list_writer import SnapshotWriter
from edge_agent.published.lists import ListFile
from edge_agent.sync import Opened
from protocol.allowlist import accept_delta, accept_snapshot, part_of
from protocol.envelope import digest, open_as
from protocol.errors import Failure, Refused
from protocol.messages import Delta, PartName, Role, Snapshot, Trouble

log = structlog.get_logger(__name__)

MAX_DELTAS = 64
"""In a row; then a snapshot compacts the list (SPEC §7.3)."""


class NothingNewer(Refused):
    """Central's newest snapshot is the list in use: a delta will bring what is missing. No fault of the list, so not
    among the troubles, where it would keep central from sending that very delta."""


class ListUptake(Keeper):
    """Its methods run one at a time, in worker threads."""

    def __init__(self, directory: Path, gate: Gate, identity: Identity) -> None:
        super().__init__(directory, gate, identity)
        self.troubles: dict[str, Trouble] = {}
        """What could not be taken up, for the next poll."""
        self._meanwhile: list[Delta] | None = None
        """Deltas applied to the live list while a snapshot is on its way."""

    def take_delta(self, found: Opened) -> None:
        """Raises Refused, ListDamaged, JournalUnwritable."""
        delta: Delta = found.message
        live = self.gate.holding.allowlist
        if live is None:
            raise Refused(Failure.WRONG_BASE, "a delta without a list")
        accept_delta(self.manifest(), live.header.version, live.header.key_number, delta)
        live.apply(delta)
        if self._meanwhile is not None:
            self._meanwhile.append(delta)
        self.store.commit(lambda t: parts.put(t, PartName.ALLOWLIST, delta.version, b""))

    # --- snapshots --------------------------------------------------------------------------------------

    @property
    def wants_snapshot(self) -> bool:
        """True when the list is not where the manifest says and no delta brought it there, or too many did."""
        holding = self.gate.holding
        if holding.manifest is None or part_of(holding.manifest, PartName.ALLOWLIST) is None:
            return False
        listed = holding.allowlist
        return not holding.is_current(PartName.ALLOWLIST) or (listed is not None and listed.header.deltas >= MAX_DELTAS)

    def begin_snapshot(self, envelope: bytes) -> SnapshotWriter:
        """Check the head of a snapshot and start a list beside the live one. Raises Refused."""
        with self.lock:
            head = open_as(Snapshot, envelope, self.ring(), Role.PUBLISH)
            number = head.key_number if self.identity.domain_key(head.key_number) is not None else -1
            accept_snapshot(self.manifest(), self.list_floor, number, head)
            live = self.gate.holding.allowlist
            if (
                live
                and not live.header.deltas
                and (live.header.version, live.header.sum) == (head.version, head.sum)
                and PartName.ALLOWLIST not in self.troubles
            ):
                raise NothingNewer(Failure.WRONG_BASE, f"snapshot {head.version} is what is held already")
            self._meanwhile = []
            return SnapshotWriter(self.directory, head, digest(envelope))

    def finish_snapshot(self, writer: SnapshotWriter) -> None:
        """Swap the finished list in by one transaction; the old file goes afterwards."""
        with self.lock:
            if self.destroyed:
                raise Refused(Failure.NOT_SATISFIABLE, "this device is revoked")
            fresh = writer.finish()
            try:
                self._catch_up(fresh)
                self.store.commit(lambda transaction: _put_list(transaction, fresh))
            except BaseException:
                fresh.close()
                raise
            old = self.gate.holding.allowlist
            self.use(self.with_keys(self.gate.holding, fresh))
            self.gate.list_damaged.clear()
            self.troubles.pop(PartName.ALLOWLIST, None)
            with contextlib.suppress(Refused):
                self.save_keys(tuple(s for s in self.identity.domain_keys if s.number >= fresh.header.key_number))
            if self.gate.holding.manifest is not None:
                self.freshness.confirm(self.gate.holding.manifest)
            if old is not None:
                with contextlib.suppress(OSError):  # then the next start removes it
                    lists.remove(old.path)

    def _catch_up(self, fresh: ListFile) -> None:
        """The live list may have moved on while the snapshot was on its way: the new one follows it."""
        for delta in self._meanwhile or ():
            if delta.base == fresh.header.version and delta.key_number == fresh.header.key_number:
                fresh.apply(delta)
        self._meanwhile = None
        if fresh.header.version < self.list_floor:
            raise Refused(Failure.NOT_NEWER, f"snapshot {fresh.header.version}, {self.list_floor} is held by now")

    def snapshot_refused(self, error: Exception) -> None:
        """Said at the next poll."""
        with self.lock:
            self.say(PartName.ALLOWLIST, self.stated(PartName.ALLOWLIST), error)

    # --- troubles ---------------------------------------------------------------------------------------

    def say(self, part: str, version: int, error: Exception) -> None:
        """In the log, and at the next poll."""
        log.error("part-refused", part=part, version=version, error=str(error))
        self.troubles[part] = Trouble(part, version, str(error)[:500])

    def stated(self, name: str) -> int:
        """The version of a part in the manifest; 0 where it names none."""
        manifest = self.gate.holding.manifest
        stated = next((part.version for part in manifest.parts if part.name == name), 0) if manifest else 0
        return stated


def _put_list(transaction: Transaction, fresh: ListFile) -> None:
    transaction.set_fact("list_file", fresh.path.name.encode())
    parts.put(transaction, PartName.ALLOWLIST, fresh.header.version, b"")
