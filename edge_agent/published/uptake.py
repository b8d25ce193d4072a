"""Takes up what central published: checks it against the manifest, stores it with its floor, puts it to use.

Each part is taken up for itself; one that fails stays at its last good version and is reported (SPEC §7.2).
"""

import contextlib
from pathlib import Path
from typing import Any

import structlog

from edge_agent.gate import Gate
from edge_agent.identity import DomainSecret, Identity
from edge_agent.journal.database import JournalUnwritable
from edge_agent.moments import Moment
from edge_agent.published import lists, parts
from edge_agent.published.asks import Asks
from edge_agent.published.consents_uptake import ConsentsUptake
from edge_agent.published.forgetting import Forgetting
from edge_agent.published.keeper import with_manifest, with_policy
from edge_agent.published.parts import AtRest
from edge_agent.published.settings_uptake import PROVEN_S
from edge_agent.published.state_feed import StateFeed
from edge_agent.sync import Opened, first_of, newest_keys, open_all, type_of
from protocol.allowlist import accept_keys, accept_manifest, accept_part
from protocol.envelope import domain_key_digest, open_domain_key
from protocol.erasure import Forget
from protocol.errors import Failure, Refused
from protocol.messages import (
    Ask,
    Bind,
    Consents,
    Delta,
    DomainKey,
    Fresh,
    GateConfig,
    Manifest,
    Names,
    Part,
    PartName,
    Profiles,
    State,
)
from protocol.policy import Policy

log = structlog.get_logger(__name__)

PART_OF: dict[str, str] = {
    Manifest.TYPE: parts.MANIFEST,
    DomainKey.TYPE: PartName.DOMAIN_KEY,
    GateConfig.TYPE: PartName.CONFIG,
    Policy.TYPE: PartName.POLICY,
    Profiles.TYPE: PartName.PROFILES,
    Names.TYPE: PartName.NAMES,
    Bind.TYPE: PartName.BIND,
    Consents.TYPE: PartName.CONSENTS,
    Delta.TYPE: PartName.ALLOWLIST,
    State.TYPE: PartName.STATE,
    Ask.TYPE: PartName.ASK,
    Forget.TYPE: PartName.FORGET,
}
"""What a message that is refused is called in the next poll's troubles."""


class Uptake(ConsentsUptake):
    """Its methods run one at a time, in a worker thread."""

    def __init__(self, directory: Path, gate: Gate, identity: Identity, proven_s: float = PROVEN_S) -> None:
        super().__init__(directory, gate, identity, proven_s)
        self.states = StateFeed(gate)
        self.asks = Asks()
        self.forgetting = Forgetting(gate)

    def load(self) -> AtRest:
        """As an earlier run left it."""
        with self.lock:
            found = super().load()
            self.states.load()
            self.forgetting.load()
            return found

    def destroy(self) -> None:
        """Revoked: what is known of anybody's taps goes too."""
        with self.lock:
            super().destroy()
            self.states.destroy()

    def held_parts(self) -> tuple[Part, ...]:
        """For the poll."""
        beside = (self.states.part(), self.asks.part(), self.forgetting.part())
        return (*self.gate.holding.parts(), *filter(None, beside))

    # --- what an answer brings --------------------------------------------------------------------------

    def take(self, envelopes: tuple[bytes, ...], moment: Moment) -> list[Opened]:
        """Everything in an answer that is ours to take up. Returns what was opened and not refused.

        Raises Refused when nothing in it was for us.
        """
        with self.lock:
            if self.destroyed:
                return []
            for part in self.troubles.keys() - set(PART_OF.values()):
                del self.troubles[part]
            self._take_keys(envelopes)
            opened, refused = open_all(envelopes, self.ring(), later=Names.TYPE)
            word = first_of(opened, Manifest) or first_of(opened, Fresh)
            if word is not None and not self._try(parts.MANIFEST, word, lambda found: self._take_word(found, moment)):
                opened.remove(word)
            for kind, error in refused:
                self.say(PART_OF.get(kind, kind or "envelope"), self.stated(PART_OF.get(kind, "")), error)
            if not opened and refused:
                raise refused[0][1]
            self._take_each(opened, DomainKey, Policy, Delta, Bind, Consents)
            if word in opened:
                self.freshness.confirm(word.message)
            self._take_states(opened, {kind for kind, _ in refused})
            if word in opened and PartName.STATE not in self.troubles:
                self.states.heard(moment)
            self._take_each(opened, GateConfig, Profiles)  # last, since the machine may take its time over them
            self._try_names(envelopes)
            asked = first_of(opened, Ask)
            if asked is not None:
                self._try(PartName.ASK, asked, self._take_ask)
            told = first_of(opened, Forget)  # after the list's delta, so that nobody comes in as one of them any more
            if told is not None:
                self._try(PartName.FORGET, told, self._take_forget)
            return opened

    def _take_ask(self, found: Opened) -> None:
        self.asks.take(found.message, self.identity.device, self.gate.signed_time.at_ms)

    def forget_erased(self) -> None:
        """What was told before and could not be destroyed yet. Raises JournalUnwritable, StoreDamaged."""
        with self.lock:
            if not self.destroyed:
                self.forgetting.work()

    def _take_forget(self, found: Opened) -> None:
        self.forgetting.take(found.message, self.identity.device)

    def _take_each(self, opened: list[Opened], *kinds: Any) -> None:
        takers = {
            DomainKey: self._take_domain_key,
            Policy: self._take_policy,
            Delta: self.take_delta,
            Bind: self.take_bind,
            Consents: self.take_consents,
            GateConfig: self.take_config,
            Profiles: self.take_profiles,
        }
        for kind in kinds:
            found = first_of(opened, kind)
            if found is not None and self.gate.holding.manifest is not None:
                self._try(PART_OF[kind.TYPE], found, takers[kind])

    def _take_states(self, opened: list[Opened], refused: set[str]) -> None:
        """What goes on from what is not held here, or finds no room, is said, but not held against its version: central
        may send that very version again, from where this gate is. That is over once central has nothing newer."""
        found, trouble = first_of(opened, State), self.troubles.get(PartName.STATE)
        if found is None or self.gate.holding.manifest is None:
            if trouble is not None and not trouble.version and State.TYPE not in refused:
                del self.troubles[PartName.STATE]
            return
        try:
            self.states.take(found.message, self.identity.device, self.manifest().domain)
        except (Refused, JournalUnwritable) as error:
            may_come_again = isinstance(error, JournalUnwritable) or error.kind is Failure.WRONG_BASE
            self.say(PartName.STATE, 0 if may_come_again else found.message.version, error)
        else:
            self.troubles.pop(PartName.STATE, None)

    def _try(self, part: str, found: Opened, take: Any) -> bool:
        try:
            take(found)
        except (Refused, lists.ListDamaged, JournalUnwritable) as error:
            if isinstance(error, lists.ListDamaged):
                self.gate.list_damaged.set()
            self.say(part, int(getattr(found.message, "version", getattr(found.message, "number", 0))), error)
            return False
        self.troubles.pop(part, None)
        return True

    def _try_names(self, envelopes: tuple[bytes, ...]) -> None:
        for envelope in envelopes:
            if type_of(envelope) == Names.TYPE and self.gate.holding.manifest is not None:
                try:
                    self.take_names(envelope)
                except (Refused, JournalUnwritable) as error:
                    self.say(PartName.NAMES, self.stated(PartName.NAMES), error)
                else:
                    self.troubles.pop(PartName.NAMES, None)

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
            self.say("keys", 0, error)
            return
        self.statement = found.message
        self.troubles.clear()
        self.say_given_up()

    def _take_word(self, found: Opened, moment: Moment) -> None:
        word: Manifest | Fresh = found.message
        if word.device != self.identity.device:
            raise Refused(Failure.OTHER_DEVICE, f"{type(word).__name__} for {word.device}")
        if isinstance(word, Manifest):
            self._take_manifest(found)
        self.freshness.believe(word, moment)
        held = self.gate.holding.manifest
        if held is not None:
            self.states.follow(word, held.domain)
        if isinstance(word, Manifest):
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
            self.say_given_up()
            self.follow_names()
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

    def _take_policy(self, found: Opened) -> None:
        self.accept(PartName.POLICY, found)
        before, holding = self.gate.holding.policy, with_policy(self.gate.holding, found)
        self.store.commit(lambda t: parts.put(t, PartName.POLICY, found.message.version, found.envelope))
        self.use(holding)
        if holding.policy is not None:
            self.states.adapt(before, holding.policy)

    def set_generation(self, generation: int) -> None:
        """Which restoration of central this device has reconciled with."""
        with self.lock:
            self.store.commit(lambda transaction: transaction.set_fact("generation", generation.to_bytes(8)))
            self.generation = generation
