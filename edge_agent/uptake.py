"""Takes up what central published: checks it against the manifest, stores it with its floor, puts it to use.

Each part is taken up for itself; one that fails stays at its last good version and is reported (SPEC §7.2).
"""

import threading
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge_agent import identity as identity_file
from edge_agent import lists
from edge_agent.gate import Gate
from edge_agent.holding import Holding
from edge_agent.identity import DomainSecret, Identity
from edge_agent.list_writer import SnapshotWriter
from edge_agent.moments import Moment
from edge_agent.store import Store
from edge_agent.sync import Opened, first_of, newest_keys, open_all, open_one
from edge_agent.transaction import Transaction
from protocol.allowlist import accept_delta, accept_keys, accept_manifest, accept_part, accept_snapshot, part_of
from protocol.clock import SignedTime
from protocol.envelope import Keyring, digest, domain_key_digest, open_as, open_domain_key
from protocol.errors import Failure, Refused
from protocol.messages import (
    Delta,
    DomainKey,
    Fresh,
    GateConfig,
    KeyStatement,
    Manifest,
    Part,
    PartName,
    Role,
    Snapshot,
    Trouble,
)
from protocol.policy import CompiledPolicy, Policy

log = structlog.get_logger(__name__)

MAX_DELTAS = 64
"""In a row; then a snapshot compacts the list (SPEC §7.3)."""
PERSIST_MS = 6 * 3_600_000
"""How old the stored word may get while nothing else is written: an idle agent spares its disk."""


class Uptake:
    """Owns `gate.holding`. Its methods run one at a time, in a worker thread."""

    def __init__(self, directory: Path, store: Store, gate: Gate, identity: Identity) -> None:
        self.directory, self.store, self.gate, self.identity = directory, store, gate, identity
        self.root = Keyring.of(identity.root_public)
        self.statement: KeyStatement | None = None
        self.troubles: dict[str, Trouble] = {}
        self.generation = 0
        self._persisted_ms = store.signed_ms
        self._lock = threading.RLock()

    # --- at start ---------------------------------------------------------------------------------------

    def load(self) -> None:
        """Put to use what an earlier run took up. What no longer verifies is left out and fetched again."""
        with self._lock:
            self.generation = int.from_bytes(self.store.fact("generation") or b"")
            keys = self._stored("keys")
            if keys is not None:
                self.statement = self._verified("keys", lambda: newest_keys([keys], self.root))
            holding = Holding(self.identity.device, self.identity.gate)
            for name, field in (("manifest", "manifest"), ("config", "config"), ("policy", "policy")):
                envelope = self._stored(name)
                message = envelope and self._verified(name, lambda e=envelope: open_one(e, self.ring()))
                if message:
                    value = CompiledPolicy(message) if isinstance(message, Policy) else message
                    holding = msgspec.structs.replace(holding, **{field: value})
            self.gate.holding = self._with_list(holding, self._open_list())
            confirmed_ms = int.from_bytes(self.store.fact("confirmed_ms") or b"")
            self.gate.signed_time = SignedTime(self.store.signed_ms)
            self.gate.confirmed_ms = confirmed_ms

    def _stored(self, name: str) -> bytes | None:
        with self.store.reading() as connection:
            row = connection.execute("SELECT envelope FROM parts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _verified(self, name: str, open_: Any) -> Any:
        try:
            opened = open_()
            return opened.message if opened else None
        except Refused as error:
            log.error("stored-part-refused", part=name, error=str(error))
            return None

    def _open_list(self) -> lists.ListFile | None:
        name = self.store.fact("list_file")
        path = self.directory / name.decode() if name else None
        lists.remove_others(self.directory, path)
        if path is None or not path.exists():
            return None
        try:
            return lists.ListFile(path)
        except lists.ListDamaged as error:
            log.error("list-damaged", error=str(error))
            self.set_list_aside(path)
            return None

    def set_list_aside(self, path: Path) -> None:
        """Out of use, never erased: somebody may want to know what happened to it."""
        path.rename(path.with_name("damaged-" + path.name))
        lists.remove(path)

    def drop_damaged_list(self) -> None:
        """A list that failed while in use: set aside, and the next poll fetches it whole."""
        with self._lock:
            damaged = self.gate.holding.allowlist
            self.gate.holding = msgspec.structs.replace(self.gate.holding, allowlist=None)
            if damaged is not None:
                damaged.close()
                self.set_list_aside(damaged.path)

    # --- what an answer brings --------------------------------------------------------------------------

    def ring(self) -> Keyring:
        if self.statement is None:
            return Keyring()
        return Keyring.stated(self.statement, self.gate.signed_time.at_ms)

    def take_keys(self, envelopes: tuple[bytes, ...]) -> None:
        """A newer key statement first: the rest of the answer is signed by its keys."""
        with self._lock:
            found = newest_keys(envelopes, self.root)
            held = self.statement.number if self.statement else 0
            if found is None or found.message.number == held:
                return
            accept_keys(held, found.message)
            self.store.commit(lambda t: _put(t, "keys", found.message.number, found.envelope))
            self.statement = found.message

    def take(self, envelopes: tuple[bytes, ...], moment: Moment) -> list[Opened]:
        """Everything in an answer that is ours to take up. Returns what was opened, for the loop to look at."""
        with self._lock:
            self.take_keys(envelopes)
            opened, refused = open_all(envelopes, self.ring())
            for error in refused:
                log.error("message-refused", error=str(error))
            word = first_of(opened, Manifest) or first_of(opened, Fresh)
            if word is not None:
                if isinstance(word.message, Manifest):
                    self._take_manifest(word, moment)
                elif word.message.device == self.identity.device:
                    self._believe_time(word.message.at_ms, moment)
                for kind, part, take in self._takers():
                    found = first_of(opened, kind)
                    if found is not None:
                        self._try(part, _version(found.message), take, found)
                self._confirm(word.message)
            elif refused:
                raise refused[0]
            return opened

    def _takers(self) -> tuple[tuple[Any, PartName, Any], ...]:
        return (
            (DomainKey, PartName.DOMAIN_KEY, self._take_domain_key),
            (GateConfig, PartName.CONFIG, self._take_config),
            (Policy, PartName.POLICY, self._take_policy),
            (Delta, PartName.ALLOWLIST, self._take_delta),
        )

    def _try(self, part: PartName, version: int, take: Any, found: Opened) -> None:
        try:
            take(found)
            self.troubles.pop(part, None)
        except (Refused, lists.ListDamaged) as error:
            log.error("part-refused", part=part, version=version, error=str(error))
            self.troubles[part] = Trouble(part, version, str(error)[:500])

    def _take_manifest(self, found: Opened, moment: Moment) -> None:
        offered: Manifest = found.message
        held = self.gate.holding.manifest
        accept_manifest(held, offered, self.identity.device, self.gate.signed_time.at_ms)
        if offered.number < self.store.manifest_floor:
            raise Refused(Failure.NOT_NEWER, f"manifest {offered.number}, the floor is {self.store.manifest_floor}")
        if held is None or offered.number > held.number:
            self.store.commit(lambda t: _put(t, "manifest", offered.number, found.envelope))
            self.store.manifest_floor = offered.number
            self.gate.holding = msgspec.structs.replace(self.gate.holding, manifest=offered, gate=offered.gate)
            self.troubles.clear()
            self.store.write_mark()
        self._believe_time(offered.at_ms, moment)

    def _take_domain_key(self, found: Opened) -> None:
        message: DomainKey = found.message
        if message.device != self.identity.device:
            raise Refused(Failure.OTHER_DEVICE, f"domain key for {message.device}")
        key = open_domain_key(message, self.identity.sealing_private)
        newest = max((secret.number for secret in self.identity.domain_keys), default=0)
        accept_part(
            self._manifest(), newest, PartName.DOMAIN_KEY, message.number, domain_key_digest(message.number, key)
        )
        kept = tuple(secret for secret in self.identity.domain_keys if secret.number != message.number)
        self._save_keys((*kept, DomainSecret(message.domain, message.number, key)))
        self.gate.holding = self._with_list(self.gate.holding, self.gate.holding.allowlist)

    def _take_config(self, found: Opened) -> None:
        self._accept(PartName.CONFIG, found)
        if found.message.gate != self._manifest().gate:
            raise Refused(Failure.OTHER_DEVICE, f"configuration of gate {found.message.gate}")
        self.store.commit(lambda t: _put(t, "config", found.message.version, found.envelope))
        self.gate.holding = msgspec.structs.replace(self.gate.holding, config=found.message)

    def _take_policy(self, found: Opened) -> None:
        self._accept(PartName.POLICY, found)
        compiled = CompiledPolicy(found.message)
        self.store.commit(lambda t: _put(t, "policy", found.message.version, found.envelope))
        self.gate.holding = msgspec.structs.replace(self.gate.holding, policy=compiled)

    def _take_delta(self, found: Opened) -> None:
        live = self.gate.holding.allowlist
        if live is None:
            raise Refused(Failure.WRONG_BASE, "a delta without a list")
        accept_delta(self._manifest(), live.header.version, live.header.key_number, found.message)
        if live.header.deltas >= MAX_DELTAS:
            raise Refused(Failure.WRONG_BASE, f"{MAX_DELTAS} deltas in a row: a snapshot is due")
        live.apply(found.message)

    def set_generation(self, generation: int) -> None:
        """Which restoration of central this device has reconciled with."""
        with self._lock:
            self.store.commit(lambda transaction: transaction.set_fact("generation", generation.to_bytes(8)))
            self.generation = generation

    # --- snapshots --------------------------------------------------------------------------------------

    @property
    def wants_snapshot(self) -> bool:
        """True when the list is not where the manifest says and no delta brought it there."""
        holding = self.gate.holding
        if holding.manifest is None or part_of(holding.manifest, PartName.ALLOWLIST) is None:
            return False
        return not holding.is_current(PartName.ALLOWLIST)

    def begin_snapshot(self, envelope: bytes) -> SnapshotWriter:
        """Check the head of a snapshot and start a list beside the live one. Raises Refused."""
        with self._lock:
            head = open_as(Snapshot, envelope, self.ring(), Role.PUBLISH)
            live = self.gate.holding.allowlist
            floor = max(live.header.version if live else 0, self._list_floor())
            number = head.key_number if self.identity.domain_key(head.key_number) is not None else -1
            accept_snapshot(self._manifest(), floor, number, head)
            return SnapshotWriter(self.directory, head, digest(envelope))

    def finish_snapshot(self, writer: SnapshotWriter) -> None:
        """Swap the finished list in by one transaction; the old file goes afterwards."""
        with self._lock:
            fresh = writer.finish()
            old = self.gate.holding.allowlist

            def work(transaction: Transaction) -> None:
                transaction.set_fact("list_file", fresh.path.name.encode())
                _put(transaction, "allowlist", fresh.header.version, b"")

            self.store.commit(work)
            self.gate.holding = self._with_list(self.gate.holding, fresh)
            self.gate.list_damaged.clear()
            self.troubles.pop(PartName.ALLOWLIST, None)
            self._save_keys(tuple(s for s in self.identity.domain_keys if s.number >= fresh.header.key_number))
            if self.gate.holding.manifest is not None:
                self._confirm(self.gate.holding.manifest)
            if old is not None:
                old.close()
                lists.remove(old.path)

    def _list_floor(self) -> int:
        with self.store.reading() as connection:
            row = connection.execute("SELECT version FROM parts WHERE name = 'allowlist'").fetchone()
        return int(row[0]) if row else 0

    # --- what a poll says -------------------------------------------------------------------------------

    def held_parts(self) -> tuple[Part, ...]:
        """The parts as they stand, for the poll: version and digest where the manifest names the same."""
        holding, parts = self.gate.holding, []
        newest_key = max((secret.number for secret in self.identity.domain_keys), default=0)
        for name in PartName:
            stated = part_of(holding.manifest, name) if holding.manifest else None
            next_key = name is PartName.DOMAIN_KEY and stated is not None and stated.version == newest_key
            if stated is not None and (holding.is_current(name) or next_key):
                parts.append(stated)
            elif name is PartName.ALLOWLIST and holding.allowlist is not None:
                parts.append(Part(name, holding.allowlist.header.version, bytes(32)))
        return tuple(parts)

    # --- small steps ------------------------------------------------------------------------------------

    def _manifest(self) -> Manifest:
        manifest = self.gate.holding.manifest
        if manifest is None:
            raise Refused(Failure.WRONG_BASE, "no manifest yet")
        return manifest

    def _accept(self, name: PartName, found: Opened) -> None:
        with self.store.reading() as connection:
            row = connection.execute("SELECT version FROM parts WHERE name = ?", (name.value,)).fetchone()
        accept_part(self._manifest(), row[0] if row else 0, name, found.message.version, found.payload_digest)

    def _with_list(self, holding: Holding, allowlist: lists.ListFile | None) -> Holding:
        number = (
            allowlist.header.key_number if allowlist else max((s.number for s in self.identity.domain_keys), default=0)
        )
        return msgspec.structs.replace(
            holding, allowlist=allowlist, domain_key=self.identity.domain_key(number), key_number=number
        )

    def _save_keys(self, keys: tuple[DomainSecret, ...]) -> None:
        if keys != self.identity.domain_keys:
            self.identity = msgspec.structs.replace(self.identity, domain_keys=keys)
            identity_file.save(self.directory, self.identity)

    def _believe_time(self, at_ms: int, moment: Moment) -> None:
        if at_ms >= self.gate.signed_time.at_ms:
            self.gate.signed_time = SignedTime(at_ms, moment.monotonic_ms)
            self.store.signed_ms = at_ms

    def _confirm(self, word: Manifest | Fresh) -> None:
        """This word named the list that is in use: its age counts from here. Stored at most every few hours."""
        manifest = self.gate.holding.manifest
        if manifest is None or word.number != manifest.number or not self.gate.holding.is_current(PartName.ALLOWLIST):
            return
        self.gate.confirmed_ms = max(self.gate.confirmed_ms, word.at_ms)
        if isinstance(word, Manifest) or word.at_ms - self._persisted_ms >= min(PERSIST_MS, manifest.ages.warn_ms // 4):
            self._persist()

    def _persist(self) -> None:
        signed_ms, confirmed_ms = self.gate.signed_time.at_ms, self.gate.confirmed_ms

        def work(transaction: Transaction) -> None:
            transaction.set_fact("signed_ms", signed_ms.to_bytes(8))
            transaction.set_fact("confirmed_ms", confirmed_ms.to_bytes(8))

        self.store.commit(work)
        self._persisted_ms = signed_ms

    def close(self) -> None:
        """Remember how fresh the list is, so that a restart does not make it look older."""
        with self._lock:
            if self.gate.confirmed_ms > 0:
                self._persist()
            if self.gate.holding.allowlist is not None:
                self.gate.holding.allowlist.close()


def _put(transaction: Transaction, name: str, version: int, envelope: bytes) -> None:
    """A part and its floor are one row: neither can be on disk without the other."""
    transaction.connection.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (name, version, envelope))


def _version(message: Any) -> int:
    return int(getattr(message, "version", getattr(message, "number", 0)))
