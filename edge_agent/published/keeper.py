"""What an agent holds from central: read back at start, swapped between two taps, destroyed when it is revoked."""

import contextlib
import threading
from pathlib import Path

import msgspec
import structlog

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.identity import DomainSecret, Identity
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.published import lists, parts
from edge_agent.published.freshness import Freshness
from edge_agent.published.holding import Holding
from edge_agent.published.lists import ListFile
from edge_agent.published.parts import AtRest
from edge_agent.sync import Opened
from protocol.compiled import CompiledPolicy
from protocol.envelope import Keyring, domain_key_digest
from protocol.errors import Failure, Refused
from protocol.messages import KeyStatement, Manifest, PartName

log = structlog.get_logger(__name__)


class Keeper:
    """Owns `gate.holding` and the key file. `lock` comes before the gate's own."""

    def __init__(self, directory: Path, gate: Gate, identity: Identity) -> None:
        self.directory, self.gate, self.identity = directory, gate, identity
        self.freshness = Freshness(gate)
        self.root = Keyring.of(identity.root_public)
        self.statement: KeyStatement | None = None
        self.generation = 0
        self.destroyed = False
        self.lock = threading.RLock()

    @property
    def store(self) -> Store:
        """The gate's: a damaged one may be replaced in mid-run."""
        return self.gate.store

    # --- at start ---------------------------------------------------------------------------------------

    def load(self) -> AtRest:
        """Put to use what an earlier run took up. What no longer verifies is left out and fetched again; what the
        machine is set by stays as it is until it is loaded too (`settings_uptake`)."""
        with self.lock:
            self.generation = int.from_bytes(self.store.fact("generation") or b"")
            found = parts.at_rest(self.store, self.root)
            self.statement = found.statement
            before = self.gate.holding
            holding = Holding(
                self.identity.device,
                self.identity.gate,
                config=before.config,
                closures=before.closures,
                names=before.names,
            )
            for name, with_part in ((parts.MANIFEST, with_manifest), (PartName.POLICY, with_policy)):
                try:
                    opened = found.opened(name)
                    holding = with_part(holding, opened) if opened else holding
                except Refused as refused:  # a rule kind or time zone that this version or machine does not have
                    found.refused[name] = refused
            self.use(msgspec.structs.replace(self.gate.holding, allowlist=None))  # never two writers of one file
            self.use(self.with_keys(holding, self._open_list()))
            self.freshness.load()
            return found

    def remove_leftovers(self) -> None:
        """Lists that an earlier run did not finish or did not get to remove; once the store says which one counts."""
        with self.lock:
            lists.remove_others(self.directory, self._list_path())

    def _open_list(self) -> ListFile | None:
        path = self._list_path()
        if path is None or not path.exists():
            return None
        try:
            return ListFile(path)
        except (lists.ListDamaged, Refused) as error:
            log.error("list-not-opened", error=str(error))
            if isinstance(error, lists.ListDamaged):
                self._set_aside(path)
            return None

    def _list_path(self) -> Path | None:
        name = self.store.fact("list_file")
        return self.directory / name.decode() if name else None

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # where it cannot be moved it is still out of use
            lists.set_aside(path)

    def fetch_again(self, name: str) -> None:
        """The stored copy of a part is not what was taken up: the next poll does not claim to hold it."""
        with self.lock:
            taken = {part: held for part, held in self.gate.holding.taken.items() if part != name}
            self.use(msgspec.structs.replace(self.gate.holding, taken=taken))

    def drop_damaged_list(self) -> None:
        """A list that failed while in use is set aside and fetched whole; one that is as it was published stays.

        Raises Refused when it cannot be looked at just now.
        """
        with self.lock:
            damaged = self.gate.holding.allowlist
            if damaged is None:
                return
            found = lists.damage(damaged.path)
            log.error("list-damaged", found=found[:3])
            if found:
                self.use(msgspec.structs.replace(self.gate.holding, allowlist=None))
                self._set_aside(damaged.path)

    def use(self, holding: Holding) -> None:
        """Swap what the gate holds between two taps; a list that is in use no more is closed."""
        with self.gate.paused():
            old, self.gate.holding = self.gate.holding.allowlist, holding
        if old is not None and old is not holding.allowlist:
            old.close()

    # --- what is held -----------------------------------------------------------------------------------

    def ring(self) -> Keyring:
        if self.statement is None:
            return Keyring()
        return Keyring.stated(self.statement, self.gate.signed_time.at_ms)

    @property
    def list_floor(self) -> int:
        """The oldest version of the list that would not be a step back."""
        live = self.gate.holding.allowlist
        return max(live.header.version if live else 0, parts.floor_of(self.store, PartName.ALLOWLIST))

    def manifest(self) -> Manifest:
        manifest = self.gate.holding.manifest
        if manifest is None:
            raise Refused(Failure.WRONG_BASE, "no manifest yet")
        return manifest

    def newest_key(self) -> DomainSecret | None:
        return max(self.identity.domain_keys, key=lambda secret: secret.number, default=None)

    def with_keys(self, holding: Holding, allowlist: ListFile | None) -> Holding:
        """A list is looked up under the key that it was made under, whatever the newest one is."""
        newest, taken = self.newest_key(), holding.taken
        if newest is not None:
            stated = domain_key_digest(newest.number, newest.key)
            taken = holding.with_part(PartName.DOMAIN_KEY, newest.number, stated)
        number = allowlist.header.key_number if allowlist else newest.number if newest else 0
        key = self.identity.domain_key(number)
        return msgspec.structs.replace(holding, allowlist=allowlist, domain_key=key, key_number=number, taken=taken)

    def save_keys(self, keys: tuple[DomainSecret, ...]) -> None:
        """Domain keys, and the join token's secret no more: data flows. Raises Refused when there is no room."""
        if (keys, b"") == (self.identity.domain_keys, self.identity.secret) or self.destroyed:
            return
        identity = msgspec.structs.replace(self.identity, domain_keys=keys, secret=b"")
        try:
            identity_file.save(self.directory, identity)
        except OSError as error:
            raise Refused(Failure.NOT_SATISFIABLE, f"the key file cannot be written: {error}") from None
        self.identity = identity

    # --- the end ----------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Revoked: keys and lists go, the journal stays (SPEC §6.6). Nothing is taken up any more."""
        with self.lock:
            before = self.gate.holding
            self.use(Holding(before.device, before.gate, is_enrolled=False, config=before.config))  # which way it faces
            self.destroyed = True
            identity_file.destroy(self.directory)
            self.identity = msgspec.structs.replace(self.identity, domain_keys=(), signing_private=b"")
            for pattern in ("list-*.db", "damaged-list-*.db"):
                lists.remove_others(self.directory, None, pattern)
            with contextlib.suppress(JournalUnwritable, StoreDamaged):
                self.store.commit(lambda transaction: transaction.set_fact("list_file", b""))

    def close(self) -> None:
        """Remember how fresh the list is, so that a restart does not make it look older."""
        with self.lock:
            with contextlib.suppress(JournalUnwritable, StoreDamaged):
                self.freshness.persist()
            self.use(msgspec.structs.replace(self.gate.holding, allowlist=None))


def with_manifest(holding: Holding, found: Opened) -> Holding:
    """The manifest put to use, and the gate that it names."""
    return msgspec.structs.replace(holding, manifest=found.message, gate=found.message.gate)


def with_policy(holding: Holding, found: Opened) -> Holding:
    """The policy put to use. Raises Refused `not-satisfiable`."""
    taken = holding.with_part(PartName.POLICY, found.message.version, found.payload_digest)
    return msgspec.structs.replace(holding, policy=CompiledPolicy(found.message), taken=taken)
