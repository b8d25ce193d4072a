"""The tap path: read → token → list and history → decide → journal → release. No network, no waiting for it."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import msgspec
import structlog

from edge_agent.amends import Amends
from edge_agent.binding import Binding
from edge_agent.closing import Closing
from edge_agent.consenting import Consenting
from edge_agent.granted import Granted, GrantedTaps
from edge_agent.journal.database import StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment, Moments
from edge_agent.others import Move, Others
from edge_agent.published.holding import Holding
from edge_agent.published.lists import ListDamaged
from edge_agent.readers import CardRead
from edge_agent.recorder import Recorder, cut
from edge_agent.release import Release, Signal
from edge_agent.tap_record import Known, history_after, notes_of, personal_of
from protocol.decision import Decision, Staleness, Tap, decide, staleness
from protocol.history import LastTap
from protocol.journal import personal_digest
from protocol.messages import AdmitDetail, ConsentDetail, Direction, Event, Kind, Outcome, encode
from protocol.reasons import Reason
from protocol.token import fingerprint, token
from protocol.uid import CardUID
from protocol.uid import judge as judge_uid

log = structlog.get_logger(__name__)


CHOICE_MS = 30_000
"""For so long a choice waits for its tap."""
BY = {"in": 1, "out": -1}
"""What a way changes in how many are inside."""


class Gate(Recorder):
    """One access point. `tap` may be called by several readers' threads; taps are taken one at a time."""

    def __init__(self, store: Store, release: Release, moments: Moments, holding: Holding) -> None:
        super().__init__(store, moments, holding)
        self.release = release
        self.granted, self.others = GrantedTaps(), Others()
        self.amends = Amends(self, self.granted, self.others)
        self.closing, self.binding, self.consenting = Closing(self), Binding(self), Consenting(self)
        self.watchers: list[Callable[[Signal], None]] = []
        """Told of every answer once the release has been; what they raise is logged and breaks no tap."""
        self.list_damaged = threading.Event()
        self._choice: tuple[str, int] | None = None
        self._one_at_a_time = threading.RLock()

    # --- the tap ----------------------------------------------------------------------------------------

    def tap(self, read: CardRead) -> Signal:
        """Decide, write down, release: in that order, whatever fails. Somebody stands there and gets an answer."""
        with self._one_at_a_time:
            holding = self.holding
            try:
                signal = self._decide_and_write(holding, read)
            except Exception as error:
                signal = msgspec.structs.replace(self._unwritten(holding.direction, error), reader=read.reader)
            return self._answered(signal)

    def choose(self, rule: str) -> None:
        """The next card that is read within thirty seconds goes by this rule; empty = none is chosen any more."""
        self._choice = (rule, self.moments.now().monotonic_ms + CHOICE_MS) if rule else None

    def chosen(self, now_ms: int) -> tuple[str, int] | None:
        """The rule that was chosen for the next tap, and until when. Monotonic."""
        choice = self._choice
        return choice if choice is not None and now_ms < choice[1] else None

    def admit(self, staff: str, why: str, sequence: int = -1) -> Signal:
        """Staff let somebody in by hand: written down, then released, as a tap is. Where it cannot be written down
        it is refused as entry is (`journal-unwritable`). `sequence`: the denied tap before it, in this epoch."""
        with self._one_at_a_time:
            direction = self.holding.direction
            try:
                signal = self._admit_and_write(direction, AdmitDetail(staff[:64], cut(why, 500), sequence))
            except Exception as error:
                signal = self._unwritten(direction, error)
            return self._answered(signal)

    def _decide_and_write(self, holding: Holding, read: CardRead) -> Signal:
        moment = self.moments.now()
        problem = judge_uid(read.raw, read.sak)
        if holding.session is not None and problem is None:
            taken = self.binding.take(holding, read, moment)
            if taken is not None:
                self.consenting.state_nothing()
                return taken
        known = Known() if problem else self._recognise(holding, read)
        choice = "" if problem or self._choice is None else self._take_choice(moment)
        tap = Tap(
            moment.wall_ms,
            moment.boot_id,
            moment.monotonic_ms,
            self.clock(moment),
            holding.direction,
            self._staleness(holding, moment),
            problem,
            holding.venue,
            holding.gate,
            *self._known_of_others(holding, moment),
            choice=choice,
            is_closed=self.closing.is_closed(moment, known.entry),
        )
        if not problem and self.consenting.is_asked:
            detail = self.consenting.take_waiting(moment, known, tap.direction)
            if detail is not None:
                return self._state_and_write(holding, known, tap, detail, read.reader)
        with self.granted.lock:
            signal, last, repeats = self.store.commit(
                lambda transaction: self._write(transaction, holding, known, tap, read.reader)
            )
            if signal.outcome is Outcome.GRANTED:
                self._hold(signal, moment, last, repeats)
        return signal

    def _state_and_write(self, holding: Holding, known: Known, tap: Tap, detail: ConsentDetail, reader: str) -> Signal:
        try:
            return self.consenting.write(holding, known, tap, detail, reader)
        except Exception as error:
            return msgspec.structs.replace(self._unwritten(Direction.IN, error), stated=detail)

    def _take_choice(self, moment: Moment) -> str:
        choice, self._choice = self.chosen(moment.monotonic_ms), None
        return choice[0] if choice else ""

    def _admit_and_write(self, direction: Direction, detail: AdmitDetail) -> Signal:
        moment, reason = self.moments.now(), Reason.STAFF_ADMITTED.value

        def work(transaction: Transaction) -> Signal:
            known = -1 <= detail.sequence < transaction.sequence
            encoded = encode(detail if known else msgspec.structs.replace(detail, sequence=-1))
            epoch = transaction.epoch.epoch
            sequence = self.append(transaction, moment, Kind.ADMIT, encoded, direction.value, reason)
            if self.amends.awaits_passage:
                self.granted.write(transaction, (epoch, sequence))
            return Signal(epoch, sequence, Outcome.GRANTED, reason, direction, awaited=self.amends.awaits_passage)

        with self.granted.lock:
            signal = self.store.commit(work)
            self._hold(signal, moment)
        return signal

    def _hold(
        self, signal: Signal, moment: Moment, before: LastTap | None = None, repeated: LastTap | None = None
    ) -> None:
        """What is granted may be taken back for a while, and its passage may be awaited."""
        is_first, is_tap = repeated is None, signal.key != b"" or signal.reason != Reason.STAFF_ADMITTED
        name, by, policy = (signal.epoch, signal.sequence), 0, self.holding.policy
        if is_first and policy is not None and policy.counts_inside:
            by = BY.get(signal.direction, 0) if is_tap else int(signal.direction == Direction.IN)
            if by:
                self.others.moved(Move(*name, by))
        self.granted.add(
            Granted(
                name,
                moment.monotonic_ms,
                is_tap,
                signal.awaited,
                signal.key,
                is_first and bool(signal.key),
                before,
                repeated.name if repeated else None,
                by,
            )
        )

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

    def _write(
        self, transaction: Transaction, holding: Holding, known: Known, tap: Tap, reader: str
    ) -> tuple[Signal, LastTap | None, LastTap | None]:
        """History, decision, event and new history in one transaction: two readers cannot both be first. Returns
        the last tap before it, and the one that it repeats, too."""
        history = transaction.history(known.key) if known.key else None
        decision = decide(holding.policy, known.entry, history, tap)
        if not holding.is_enrolled and decision.outcome is Outcome.DENIED:
            decision = Decision(Outcome.DENIED, Reason.NOT_ENROLLED.value)
        is_granted = decision.outcome is Outcome.GRANTED
        direction = decision.direction if is_granted else tap.direction.value
        personal = encode(personal_of(holding, known, decision)) if known.key else b""
        repeats = _repeated_sequence(decision, transaction)
        event = Event(
            transaction.sequence,
            tap.at_ms,
            tap.boot_id,
            tap.monotonic_ms,
            tap.clock,
            holding.gate,
            Kind.TAP,
            direction,
            decision.outcome,
            decision.reason,
            decision.rule,
            repeats,
            holding.versions(),
            personal_digest(personal),
        )
        name = (transaction.epoch.epoch, transaction.append(encode(event), personal))
        if known.key and decision.repeats is None:
            after = history_after(holding.policy, history, tap, decision, name)
            transaction.remember(known.key, after, max(tap.at_ms, after.lapse_ms))
        awaited = self.amends.awaits_passage and is_granted
        if awaited:
            self.granted.write(transaction, name)
        signal = Signal(
            *name,
            decision.outcome,
            decision.reason,
            direction,
            decision.repeats is not None,
            awaited=awaited,
            reader=reader,
            key=known.key,
            subject=known.entry.subject if known.entry else b"",
            notes=notes_of(decision),
        )
        return signal, history.last if history else None, decision.repeats

    def _unwritten(self, direction: Direction, error: Exception) -> Signal:
        """Nothing on disk, so nobody enters; nobody is ever locked in."""
        log.error("tap-not-written", error=f"{type(error).__name__}: {error}")
        if isinstance(error, StoreDamaged):
            self.damaged.set()
        outcome = Outcome.GRANTED if direction is Direction.OUT else Outcome.DENIED
        return Signal(self.store.epoch.epoch, -1, outcome, Reason.JOURNAL_UNWRITABLE.value, direction)

    def _answered(self, signal: Signal) -> Signal:
        """Release, then everything that may come after it."""
        if not self._signal(signal):
            signal = msgspec.structs.replace(signal, failed=True)
        self.store.settle()
        for watcher in self.watchers:
            try:
                watcher(signal)
            except Exception as error:
                log.error("watcher-failed", error=f"{type(error).__name__}: {error}")
        return signal

    def _signal(self, signal: Signal) -> bool:
        try:
            self.release.signal(signal)
        except Exception as error:
            log.error("release-failed", sequence=signal.sequence, error=f"{type(error).__name__}: {error}")
            self.release_failed(signal.sequence, str(error))
            return False
        return True

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No tap is taken inside; the next one waits at the door."""
        with self._one_at_a_time:
            yield

    def _known_of_others(self, holding: Holding, moment: Moment) -> tuple[bool, int | None]:
        """Whether what happened at other gates is unknown here, and how many are inside. For rules that ask for it."""
        policy = holding.policy
        if policy is None or not (policy.looks_back or policy.counts_inside):
            return False, None
        inside = self.others.inside(holding.venue) if policy.counts_inside else None
        return self.others.is_apart(moment.monotonic_ms, policy.apart_ms), inside

    def _staleness(self, holding: Holding, moment: Moment) -> Staleness:
        if holding.allowlist is None or holding.ages is None or holding.domain_key is None:
            return Staleness.MISSING
        return staleness(holding.ages, self.age_ms(moment))


def _repeated_sequence(decision: Decision, transaction: Transaction) -> int:
    """1 + the sequence of the first tap of the run; 1 + our own when that tap stands in an earlier epoch."""
    if decision.repeats is None:
        return 0
    same_epoch = decision.repeats.epoch == transaction.epoch.epoch
    return 1 + (decision.repeats.sequence if same_epoch else transaction.sequence)
