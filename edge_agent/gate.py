"""The tap path: read → token → list and history → decide → journal → release. No network, no waiting for it."""

import contextlib
import os
import threading
from collections.abc import Iterator

import msgspec
import structlog

from edge_agent.database import JournalUnwritable, StoreDamaged
from edge_agent.holding import Holding
from edge_agent.lists import ListDamaged
from edge_agent.moments import Moment, Moments
from edge_agent.readers import CardRead, ReaderFacts, ReaderState
from edge_agent.release import Release, Signal
from edge_agent.store import Store
from edge_agent.transaction import Transaction
from protocol.allowlist import Entry
from protocol.clock import SignedTime, estimate_ms, judge
from protocol.decision import Decision, History, Staleness, Tap, decide, staleness
from protocol.journal import personal_digest
from protocol.messages import Clock, Direction, Event, Kind, Outcome, Personal, ReaderDetail, encode
from protocol.reasons import Reason
from protocol.token import fingerprint, token
from protocol.uid import CardUID
from protocol.uid import judge as judge_uid

log = structlog.get_logger(__name__)


class Known(msgspec.Struct, frozen=True):
    """What a read card is to this gate. `key` is what its history stands under; empty = nobody."""

    entry: Entry | None = None
    token: bytes = b""
    key: bytes = b""
    fingerprint: bytes = b""


class Gate:
    """One access point. `tap` may be called by several readers' threads; taps are taken one at a time."""

    def __init__(self, store: Store, release: Release, moments: Moments, holding: Holding) -> None:
        self.store, self.release, self.moments = store, release, moments
        self.holding = holding
        self.signed_time = SignedTime(store.signed_ms)
        self.confirmed_ms = 0
        """The newest signed time at which the list in use was the one to use."""
        self.damaged = threading.Event()
        self.list_damaged = threading.Event()
        self._one_at_a_time = threading.RLock()

    # --- the tap ----------------------------------------------------------------------------------------

    def tap(self, read: CardRead) -> Signal:
        """Decide, write down, release: in that order, whatever fails. Somebody stands there and gets an answer."""
        with self._one_at_a_time:
            holding = self.holding
            try:
                signal = self._decide_and_write(holding, read)
            except Exception as error:
                signal = self._unwritten(holding.direction, error)
            released = self._signal(signal)
            self.store.settle()
            return signal if released else msgspec.structs.replace(signal, failed=True)

    def _decide_and_write(self, holding: Holding, read: CardRead) -> Signal:
        moment = self.moments.now()
        problem = judge_uid(read.raw, read.sak)
        known = Known() if problem else self._recognise(holding, read)
        tap = Tap(
            moment.wall_ms,
            moment.boot_id,
            moment.monotonic_ms,
            self.clock(moment),
            holding.direction,
            self._staleness(holding, moment),
            problem,
        )
        return self.store.commit(lambda transaction: self._write(transaction, holding, known, tap))

    def _recognise(self, holding: Holding, read: CardRead) -> Known:
        if holding.domain_key is None:
            return Known()
        made = token(holding.domain_key, CardUID(read.raw))
        entry = None
        if holding.allowlist is not None:
            try:
                entry = holding.allowlist.lookup(made)
            except ListDamaged as error:  # an unreadable list knows nobody; the download loop fetches it again
                log.error("list-damaged", error=str(error))
                self.list_damaged.set()
        return Known(entry, made, entry.subject if entry else made, fingerprint(made, read.sak, read.atr))

    def _write(self, transaction: Transaction, holding: Holding, known: Known, tap: Tap) -> Signal:
        """History, decision, event and new history in one transaction: two readers cannot both be first."""
        history = transaction.history(known.key) if known.key else None
        decision = decide(holding.policy, known.entry, history, tap)
        personal = encode(_personal(holding, known)) if known.key else b""
        repeats = _repeated_sequence(decision, transaction)
        event = Event(
            transaction.sequence,
            tap.at_ms,
            tap.boot_id,
            tap.monotonic_ms,
            tap.clock,
            holding.gate,
            Kind.TAP,
            tap.direction,
            decision.outcome,
            decision.reason,
            decision.rule,
            repeats,
            holding.versions(),
            personal_digest(personal),
        )
        sequence = transaction.append(encode(event), personal)
        if known.key and decision.repeats is None:
            transaction.remember(known.key, _history(tap, decision, transaction.epoch.epoch, sequence))
        return Signal(
            transaction.epoch.epoch,
            sequence,
            decision.outcome,
            decision.reason,
            tap.direction,
            decision.repeats is not None,
        )

    def _unwritten(self, direction: Direction, error: Exception) -> Signal:
        """Nothing on disk, so nobody enters; nobody is ever locked in."""
        log.error("tap-not-written", error=f"{type(error).__name__}: {error}")
        if isinstance(error, StoreDamaged):
            self.damaged.set()
        outcome = Outcome.GRANTED if direction is Direction.OUT else Outcome.DENIED
        return Signal(self.store.epoch.epoch, -1, outcome, Reason.JOURNAL_UNWRITABLE.value, direction)

    def _signal(self, signal: Signal) -> bool:
        try:
            self.release.signal(signal)
        except Exception as error:
            log.error("release-failed", sequence=signal.sequence, error=f"{type(error).__name__}: {error}")
            self.record(
                Kind.RELEASE_FAILED, encode(ReaderDetail(str(signal.sequence), "failed", _cut(str(error), 500)))
            )
            return False
        return True

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No tap is taken inside; the next one waits at the door."""
        with self._one_at_a_time:
            yield

    # --- other events -----------------------------------------------------------------------------------

    def record(self, kind: Kind, detail: bytes) -> None:
        """Write down an event that is no tap. A journal that cannot be written is said in the log."""
        moment, holding = self.moments.now(), self.holding
        clock = self.clock(moment)

        def work(transaction: Transaction) -> None:
            event = Event(
                transaction.sequence,
                moment.wall_ms,
                moment.boot_id,
                moment.monotonic_ms,
                clock,
                holding.gate,
                kind,
                held=holding.versions(),
                detail=detail,
            )
            transaction.append(encode(event), b"")

        try:
            self.store.commit(work)
            self.store.settle()
        except (JournalUnwritable, StoreDamaged) as error:
            log.error("event-not-written", kind=kind, error=str(error))
            if isinstance(error, StoreDamaged):
                self.damaged.set()

    def reader_changed(self, reader: str, state: ReaderState, why: str, facts: ReaderFacts = ReaderFacts()) -> None:
        """Every change of a reader's state is an event that reaches central."""
        detail = ReaderDetail(
            _cut(reader, 250), state.value, _cut(why, 500), _cut(facts.profile, 250), _cut(facts.firmware, 250)
        )
        self.record(Kind.READER, encode(detail))

    # --- time -------------------------------------------------------------------------------------------

    def clock(self, moment: Moment) -> Clock:
        return judge(moment.wall_ms, moment.monotonic_ms, self.signed_time)

    def now_ms(self) -> int:
        """The best guess at the time, counted on from what central signed: no wrong clock prunes a journal."""
        moment = self.moments.now()
        return estimate_ms(moment.wall_ms, moment.monotonic_ms, self.signed_time)

    def age_ms(self, moment: Moment) -> int:
        """How old central's newest word for the list in use is, as far as this gate can tell (SPEC §7.4)."""
        return estimate_ms(moment.wall_ms, moment.monotonic_ms, self.signed_time) - self.confirmed_ms

    def _staleness(self, holding: Holding, moment: Moment) -> Staleness:
        if holding.allowlist is None or holding.ages is None or holding.domain_key is None:
            return Staleness.MISSING
        return staleness(holding.ages, self.age_ms(moment))


def _cut(text: str, most: int) -> str:
    """At most so many bytes: an event has room for 2,048."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def _personal(holding: Holding, known: Known) -> Personal:
    salt = os.urandom(16)
    if known.entry is None:
        return Personal(salt, token=known.token, key_number=holding.key_number, fingerprint=known.fingerprint)
    return Personal(salt, subject=known.entry.subject, card=known.entry.card, fingerprint=known.fingerprint)


def _history(tap: Tap, decision: Decision, epoch: bytes, sequence: int) -> History:
    return History(
        tap.at_ms,
        tap.boot_id,
        tap.monotonic_ms,
        sequence,
        epoch,
        tap.direction,
        decision.outcome,
        decision.reason,
        decision.rule,
    )


def _repeated_sequence(decision: Decision, transaction: Transaction) -> int:
    """1 + the sequence of the first tap of the run; 1 + our own when that tap stands in an earlier epoch."""
    if decision.repeats is None:
        return 0
    same_epoch = decision.repeats.epoch == transaction.epoch.epoch
    return 1 + (decision.repeats.sequence if same_epoch else transaction.sequence)
