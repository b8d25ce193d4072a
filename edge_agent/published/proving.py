"""A published part that the machine may turn out not to work with: what is put to use, what it goes back to.

Beside the newest version, the last one that is known to work stays on disk. Each step is there before it counts, so
that a kill at any moment leaves one of the two in use and what has to be said of it unforgotten.
"""

import threading

import msgspec
import structlog

from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.transaction import Transaction
from edge_agent.published import parts
from edge_agent.published.parts import AtRest
from edge_agent.recorder import Recorder, cut
from edge_agent.sync import Opened
from protocol.errors import Failure, Refused
from protocol.messages import ConfigDetail, Kind, PartName, Trouble, encode

log = structlog.get_logger(__name__)

IN_USE, WENT_BACK = "in-use", "went-back"
FAILED_STARTS = 1
"""After so many a version that was never run with is given up."""
FAILED_STARTS_OF_THE_ONLY_ONE = 3
"""Where there is nothing to go back to, a power cut or two prove nothing."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Of the newest version, until it is known to work. Stored as the fact `<part>_trial`."""

    version: int
    starts: int = 0
    """How many starts of the agent tried it."""
    why_not: str = ""
    """It was given up, for this reason; empty = on trial."""
    is_told: bool = False
    """Its event stands in the journal."""


_standing = msgspec.msgpack.Decoder(Standing)


def standing_of(stored: bytes | None) -> Standing | None:
    """From the fact. None: the newest version is known to work."""
    try:
        return _standing.decode(stored) if stored else None
    except msgspec.MsgspecError:  # written by another version of the agent
        return None


def fact_of(name: PartName) -> str:
    """Under which its standing is stored."""
    return f"{name}_trial"


def in_use(found: AtRest, name: PartName, standing: Standing | None) -> Opened | None:
    """Of what is at rest, the version to use: the newest, unless it was given up or no longer verifies."""
    newest = found.opened(name)
    given_up = standing is not None and standing.why_not
    if newest is not None and not (given_up and standing and newest.message.version == standing.version):
        return newest
    return found.opened(parts.good(name))


class Proving:
    """One part of one gate. `proven_s`: a version is known to work once the agent has run with it for so long, and
    given up when the agent ends before; None = it counts as good until somebody gives it up."""

    def __init__(self, gate: Recorder, name: PartName, proven_s: float | None) -> None:
        self.gate, self.name, self.proven_s = gate, name, proven_s
        self._lock = threading.Lock()
        self._standing: Standing | None = None
        self._running: Opened | None = None
        self._good: Opened | None = None
        self._is_kept = False
        """What runs stands on disk as what later ones go back to."""
        self._counted = 0
        """The version whose start is counted: once a process."""
        self._since_s: float | None = None

    @property
    def is_on_trial(self) -> bool:
        return self._standing is not None and not self._standing.why_not and self.proven_s is not None

    @property
    def version(self) -> int:
        """The newest one that is not known to work; 0 = the newest is."""
        return self._standing.version if self._standing else 0

    @property
    def last_good(self) -> Opened | None:
        """What to go back to; None = there is none."""
        return self._good

    def refusal(self) -> Refused:
        """What is said of a version that was given up."""
        return Refused(Failure.NOT_SATISFIABLE, f"it was given up: {self._standing.why_not if self._standing else ''}")

    def trouble(self) -> Trouble | None:
        """For the poll, where the newest version was given up."""
        standing = self._standing
        if standing is None or not standing.why_not:
            return None
        return Trouble(self.name, standing.version, str(self.refusal())[:500])

    # --- steps ------------------------------------------------------------------------------------------

    def pick(self, found: AtRest) -> Opened | None:
        """What to put to use, of what an earlier run left. A version on trial is counted as tried; where that cannot
        be written down it is not tried. Raises StoreDamaged."""
        with self._lock:
            self._standing = standing = standing_of(self.gate.store.fact(fact_of(self.name)))
            self._good = found.opened(parts.good(self.name))
            newest = found.opened(self.name)
            self._is_kept = newest is not None and newest == self._good
            if standing is not None and self.is_on_trial and self._counted != standing.version:
                try:
                    self._count(standing)
                except JournalUnwritable as error:
                    log.error("trial-not-begun", part=self.name, error=str(error))
                    return self._good or newest
            return in_use(found, self.name, self._standing)

    def _count(self, standing: Standing) -> None:
        if standing.starts < (FAILED_STARTS if self._good else FAILED_STARTS_OF_THE_ONLY_ONE):
            self._stand(msgspec.structs.replace(standing, starts=standing.starts + 1))
            self._counted = standing.version
            return
        why = f"the agent ended {standing.starts} times before it had run with it for {self.proven_s:g} s"
        log.error("part-given-up", part=self.name, version=standing.version, why=why)
        self._stand(msgspec.structs.replace(standing, why_not=why, is_told=False))

    def take(self, found: Opened) -> None:
        """A newer version, on disk with its floor and on trial; what is in use and works is kept. The same version
        again mends its row. Raises Refused when this version was given up, JournalUnwritable."""
        version = found.message.version
        with self._lock:
            standing, running = self._tell_if_due(), self._running
            if standing is not None and standing.version == version and standing.why_not:
                raise self.refusal()
            is_again = parts.floor_of(self.gate.store, self.name) == version
            works = standing is None or (self.proven_s is None and not standing.why_not)

            def work(transaction: Transaction) -> None:
                if works and running is not None and not is_again and not self._is_kept:
                    self._keep(transaction, running)
                parts.put(transaction, self.name, version, found.envelope)
                if not is_again:
                    transaction.set_fact(fact_of(self.name), encode(Standing(version)))

            self.gate.store.commit(work)
            if not is_again:
                self._good = running if works else self._good
                self._standing, self._is_kept, self._counted = Standing(version), False, version

    def runs(self, found: Opened | None) -> None:
        """It was put to use: from the next `tick` on it has to prove itself."""
        with self._lock:
            self._running, self._since_s = found, None

    def give_up(self, version: int, why: str) -> bool:
        """Durably, where the disk takes it; in any case for this run. False: it is not what was taken up last."""
        with self._lock:
            running = self._running.message.version if self._running else 0
            standing = self._standing or Standing(running)
            if standing.version != version or standing.why_not:
                return False
            log.error("part-given-up", part=self.name, version=version, why=why)
            given_up = msgspec.structs.replace(standing, why_not=cut(why, 400) or "no reason given", is_told=False)
            try:
                self._stand(given_up)
            except JournalUnwritable as error:
                log.error("giving-up-not-written", part=self.name, error=str(error))
                self._standing = given_up
            return True

    def tick(self, now_s: float) -> None:
        """Now and then, once every part of the agent runs: says what is to be said, and lets the trial end. Raises
        JournalUnwritable, StoreDamaged."""
        with self._lock:
            standing = self._tell_if_due()
            if self.proven_s is None or self._is_kept or not self._runs_newest or (standing and standing.why_not):
                return
            if self._since_s is None:
                self._since_s = now_s
            elif now_s - self._since_s >= self.proven_s and (standing is None or standing.is_told):
                self._prove()

    @property
    def _runs_newest(self) -> bool:
        standing, running = self._standing, self._running
        return running is not None and (standing is None or standing.version == running.message.version)

    def keep_again(self) -> None:
        """What stands on disk to go back to was found damaged."""
        self._is_kept = False

    # --- on disk ----------------------------------------------------------------------------------------

    def _stand(self, standing: Standing) -> None:
        self.gate.store.commit(lambda transaction: transaction.set_fact(fact_of(self.name), encode(standing)))
        self._standing = standing

    def _keep(self, transaction: Transaction, running: Opened) -> None:
        """What runs, not what stands in the row: that may have been damaged meanwhile."""
        parts.put(transaction, parts.good(self.name), running.message.version, running.envelope)

    def _tell_if_due(self) -> Standing | None:
        """The event first: cut short in between, it is said twice rather than not at all. Returns the standing."""
        standing = self._standing
        if standing is not None and not standing.is_told and (standing.why_not or self._runs_newest):
            what = WENT_BACK if standing.why_not else IN_USE
            detail = ConfigDetail(self.name, what, standing.version, standing.why_not)
            if self.gate.store.epoch.number and self.gate.record(Kind.CONFIG, encode(detail)):
                self._stand(msgspec.structs.replace(standing, is_told=True))
        return self._standing

    def _prove(self) -> None:
        """It works: this is what a later one goes back to."""
        running = self._running
        assert running is not None

        def work(transaction: Transaction) -> None:
            self._keep(transaction, running)
            transaction.set_fact(fact_of(self.name), b"")

        self.gate.store.commit(work)
        log.info("part-proven", part=self.name, version=running.message.version)
        self._standing, self._good, self._is_kept = None, running, True
