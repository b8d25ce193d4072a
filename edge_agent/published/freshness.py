"""The newest signed time, and the newest word for the list in use: what staleness and clock are judged by."""

import contextlib

from edge_agent.gate import Gate
from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment
from protocol.clock import SignedTime, estimate_ms
from protocol.messages import Fresh, Manifest, PartName

PERSIST_MS = 6 * 3_600_000
"""How old the stored word may get while nothing else is written: an idle agent spares its disk."""


class Freshness:
    """Owns the gate's `signed_time` and `confirmed_ms`."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._persisted = (0, 0)

    def load(self) -> None:
        """As an earlier run left it; a signed time of this boot stays."""
        self._persisted = (self.gate.store.signed_ms, int.from_bytes(self.gate.store.fact("confirmed_ms") or b""))
        if self.gate.store.signed_ms > self.gate.signed_time.at_ms:
            self.gate.signed_time = SignedTime(self.gate.store.signed_ms)
        self.gate.confirmed_ms = max(self.gate.confirmed_ms, self._persisted[1])

    def believe(self, word: Manifest | Fresh, moment: Moment) -> None:
        """Newer signed time. A fresh message was signed as it was sent; a manifest may have lain a while, so it
        never sets back what has been counted on from a newer one."""
        signed = self.gate.signed_time
        counted_ms = estimate_ms(0, moment.monotonic_ms, signed) if signed.monotonic_ms is not None else signed.at_ms
        if word.at_ms >= counted_ms or (isinstance(word, Fresh) and word.at_ms > signed.at_ms):
            self.gate.signed_time = SignedTime(word.at_ms, moment.monotonic_ms)
            self.gate.store.signed_ms = word.at_ms

    def confirm(self, word: Manifest | Fresh) -> None:
        """This word named the list that is in use: its age counts from here. Stored at most every few hours."""
        manifest = self.gate.holding.manifest
        if manifest is None or word.number != manifest.number or not self.gate.holding.is_current(PartName.ALLOWLIST):
            return
        self.gate.confirmed_ms = max(self.gate.confirmed_ms, word.at_ms)
        if isinstance(word, Manifest) or word.at_ms - self._persisted[0] >= min(PERSIST_MS, manifest.ages.warn_ms // 4):
            with contextlib.suppress(JournalUnwritable):  # it is said where it matters, at the next tap
                self.persist()

    def persist(self) -> None:
        """Remember it, so that a restart does not make the list look older than it is."""
        found = signed_ms, confirmed_ms = self.gate.signed_time.at_ms, self.gate.confirmed_ms

        def work(transaction: Transaction) -> None:
            transaction.set_fact("signed_ms", signed_ms.to_bytes(8))
            transaction.set_fact("confirmed_ms", confirmed_ms.to_bytes(8))

        if found != self._persisted:
            self.gate.store.commit(work)
            self._persisted = found
