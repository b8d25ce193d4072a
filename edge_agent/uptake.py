"""Takes up what central published: checks it against the manifest, stores it with its floor, puts it to use.

Each part is taken up for itself; one that fails stays at its last good version and is reported (SPEC §7.2).
"""

import contextlib
from pathlib import Path
from typing import Any

import structlog

from edge_agent import lists, parts
from edge_agent.database import JournalUnwritable
from edge_agent.gate import Gate
from edge_agent.identity import DomainSecret, Identity
from edge_agent.keeper import Keeper, with_config, with_manifest, with_policy
from edge_agent.list_writer import SnapshotWriter
from edge_agent.lists import ListFile
from edge_agent.moments import Moment
from edge_agent.sync import Opened, first_of, newest_keys, open_all
from edge_agent.transaction import Transaction
from protocol.allowlist import accept_delta, accept_keys, accept_manifest, accept_part, accept_snapshot, part_of
from protocol.envelope import digest, domain_key_digest, open_as, open_domain_key
from protocol.errors import Failure, Refused
from protocol.messages import (
    Delta,
    DomainKey,
    Fresh,
    GateConfig,
    Manifest,
    PartName,
    Role,
    Snapshot,
    Trouble,
)
from protocol.policy import Policy

log = structlog.get_logger(__name__)

MAX_DELTAS = 64
"""In a row; then a snapshot compacts the list (SPEC §7.3)."""

NAMES = {
    Manifest.TYPE: parts.MANIFEST,
    DomainKey.TYPE: PartName.DOMAIN_KEY,
    GateConfig.TYPE: PartName.CONFIG,
    Policy.TYPE: PartName.POLICY,
    Delta.TYPE: PartName.ALLOWLIST,
}
"""What a message that is refused is called in the next poll's troubles."""


class NothingNewer(Refused):
    """Central's newest snapshot is the list in use: a delta will bring what is missing. No fault of the list, so not
    among the troubles, where it would keep central from sending that very delta."""


class Uptake(Keeper):
    """Its methods run one at a time, in a worker thread."""

    def __init__(self, directory: Path, gate: Gate, identity: Identity) -> None:
        super().__init__(directory, gate, identity)
        self.troubles: dict[str, Trouble] = {}
        self._meanwhile: list[Delta] | None = None
        """Deltas applied to the live list while a snapshot is on its way."""

    # --- what an answer brings --------------------------------------------------------------------------

    def take(self, envelopes: tuple[bytes, ...], moment: Moment) -> list[Opened]:
        """Everything in an answer that is ours to take up. Returns what was opened and not refused.

        Raises Refused when nothing in it was for us.
        """
        with self.lock:
            if self.destroyed:
                return []
            for part in self.troubles.keys() - set(NAMES.values()):
                del self.troubles[part]
            self._take_keys(envelopes)
            opened, refused = open_all(envelopes, self.ring())
            word = first_of(opened, Manifest) or first_of(opened, Fresh)
            if word is not None and not self._try(parts.MANIFEST, word, lambda found: self._take_word(found, moment)):
                opened.remove(word)
            for kind, error in refused:
                self._say(NAMES.get(kind, kind or "envelope"), self._stated(NAMES.get(kind, "")), error)
            if not opened and refused:
                raise refused[0][1]
            for message, part, take in self._takers():
                found = first_of(opened, message)
                if found is not None and self.gate.holding.manifest is not None:
                    self._try(part, found, take)
            if word in opened:
                self.freshness.confirm(word.message)
            return opened

    def _takers(self) -> tuple[tuple[Any, PartName, Any], ...]:
        return (
            (DomainKey, PartName.DOMAIN_KEY, self._take_domain_key),
            (GateConfig, PartName.CONFIG, self._take_config),
            (Policy, PartName.POLICY, self._take_policy),
            (Delta, PartName.ALLOWLIST, self._take_delta),
        )

    def _try(self, part: str, found: Opened, take: Any) -> bool:
        try:
            take(found)
        except (Refused, lists.ListDamaged, JournalUnwritable) as error:
            if isinstance(error, lists.ListDamaged):
                self.gate.list_damaged.set()
            self._say(part, int(getattr(found.message, "version", getattr(found.message, "number", 0))), error)
            return False
        self.troubles.pop(part, None)
        return True

    def _say(self, part: str, version: int, error: Exception) -> None:
        log.error("part-refused", part=part, version=version, error=str(error))
        self.troubles[part] = Trouble(part, version, str(error)[:500])

    def _stated(self, name: str) -> int:
        manifest = self.gate.holding.manifest
        stated = next((part.version for part in manifest.parts if part.name == name), 0) if manifest else 0
        return stated

    def _take_keys(self, envelopes: tuple[bytes, ...]) -> None:
        """A newer key statement first: the rest of the answer is signed by its keys."""
        held = self.statement.number if self.statement else 0
        try:
            found = newest_keys(envelopes, self.root)
            if found is None or found.message.number == held:
                return
            accept_keys(held, found.message)
            self.store.commit(lambda t: parts.put_keys(t, found.message, found.envelope))
        except (Refused, JournalUnwritable) as error:
            self._say("keys", 0, error)
            return
        self.statement = found.message
        self.troubles.clear()

    def _take_word(self, found: Opened, moment: Moment) -> None:
        word: Manifest | Fresh = found.message
        if word.device != self.identity.device:
            raise Refused(Failure.OTHER_DEVICE, f"{type(word).__name__} for {word.device}")
        if isinstance(word, Fresh):
            self.freshness.believe(word, moment)
            return
        self._take_manifest(found)
        self.freshness.believe(word, moment)
        self.store.write_mark()

    def _take_manifest(self, found: Opened) -> None:
        offered: Manifest = found.message
        held = self.gate.holding.manifest
        accept_manifest(held, offered, self.identity.device, self.gate.signed_time.at_ms)
        if offered.number < self.store.manifest_floor:
            raise Refused(Failure.NOT_NEWER, f"manifest {offered.number}, the floor is {self.store.manifest_floor}")
        if held is None or offered.number > held.number:
            self.store.commit(lambda t: parts.put(t, parts.MANIFEST, offered.number, found.envelope))
            self.store.manifest_floor = offered.number
            self.use(with_manifest(self.gate.holding, found))
            for part in PartName:  # each is tried again
                self.troubles.pop(part, None)
            with contextlib.suppress(Refused):
                self.save_keys(self.identity.domain_keys)

    def _take_domain_key(self, found: Opened) -> None:
        message: DomainKey = found.message
        manifest = self.manifest()
        if message.device != self.identity.device:
            raise Refused(Failure.OTHER_DEVICE, f"domain key for {message.device}")
        if message.domain != manifest.domain:
            raise Refused(Failure.OTHER_DOMAIN, f"key of {message.domain}, this is {manifest.domain}")
        key = open_domain_key(message, self.identity.sealing_private)
        newest = self.newest_key()
        accept_part(
            manifest,
            newest.number if newest else 0,
            PartName.DOMAIN_KEY,
            message.number,
            domain_key_digest(message.number, key),
        )
        kept = tuple(secret for secret in self.identity.domain_keys if secret.number != message.number)
        self.save_keys((*kept, DomainSecret(message.domain, message.number, key)))
        self.use(self.with_keys(self.gate.holding, self.gate.holding.allowlist))

    def _take_config(self, found: Opened) -> None:
        self._accept(PartName.CONFIG, found)
        if found.message.gate != self.manifest().gate:
            raise Refused(Failure.OTHER_DEVICE, f"configuration of gate {found.message.gate}")
        self.store.commit(lambda t: parts.put(t, PartName.CONFIG, found.message.version, found.envelope))
        self.use(with_config(self.gate.holding, found))

    def _take_policy(self, found: Opened) -> None:
        self._accept(PartName.POLICY, found)
        holding = with_policy(self.gate.holding, found)
        self.store.commit(lambda t: parts.put(t, PartName.POLICY, found.message.version, found.envelope))
        self.use(holding)

    def _take_delta(self, found: Opened) -> None:
        delta: Delta = found.message
        live = self.gate.holding.allowlist
        if live is None:
            raise Refused(Failure.WRONG_BASE, "a delta without a list")
        accept_delta(self.manifest(), live.header.version, live.header.key_number, delta)
        live.apply(delta)
        self.store.commit(lambda t: parts.put(t, PartName.ALLOWLIST, delta.version, b""))
        if self._meanwhile is not None:
            self._meanwhile.append(delta)

    def set_generation(self, generation: int) -> None:
        """Which restoration of central this device has reconciled with."""
        with self.lock:
            self.store.commit(lambda transaction: transaction.set_fact("generation", generation.to_bytes(8)))
            self.generation = generation

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
            self._say(PartName.ALLOWLIST, self._stated(PartName.ALLOWLIST), error)

    # --- small steps ------------------------------------------------------------------------------------

    def _accept(self, name: PartName, found: Opened) -> None:
        floor = parts.floor_of(self.store, name)
        accept_part(self.manifest(), floor, name, found.message.version, found.payload_digest)


def _put_list(transaction: Transaction, fresh: ListFile) -> None:
    transaction.set_fact("list_file", fresh.path.name.encode())
    parts.put(transaction, PartName.ALLOWLIST, fresh.header.version, b"")
