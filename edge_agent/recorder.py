"""What a gate writes down beside taps, and by which clock."""

import threading

import structlog

from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment, Moments
from edge_agent.published.holding import Holding
from edge_agent.readers import ReaderFacts, ReaderState
from protocol.clock import SignedTime, estimate_ms, judge
from protocol.messages import Clock, Event, InputDetail, Kind, ReaderDetail, encode

log = structlog.get_logger(__name__)


class Recorder:
    """Store, clocks and holding of one gate."""

    def __init__(self, store: Store, moments: Moments, holding: Holding) -> None:
        self.store, self.moments = store, moments
        self.holding = holding
        self.signed_time = SignedTime(store.signed_ms)
        self.confirmed_ms = 0
        """The newest signed time at which the list in use was the one to use."""
        self.damaged = threading.Event()

    # --- events that are no taps ------------------------------------------------------------------------

    def record(self, kind: Kind, detail: bytes) -> bool:
        """Write down an event that is no tap. Where the journal cannot be written the log says so; False."""
        moment = self.moments.now()
        try:
            self.store.commit(lambda transaction: self.append(transaction, moment, kind, detail))
            self.store.settle()
        except (JournalUnwritable, StoreDamaged) as error:
            self.not_written(kind, error)
            return False
        return True

    def append(
        self, transaction: Transaction, moment: Moment, kind: Kind, detail: bytes, direction: str = "", reason: str = ""
    ) -> int:
        """Into a transaction; returns the sequence. With a `reason` it is a decision of the gate's own: granted."""
        event = Event(
            transaction.sequence,
            moment.wall_ms,
            moment.boot_id,
            moment.monotonic_ms,
            self.clock(moment),
            self.holding.gate,
            kind,
            direction,
            "granted" if reason else "",
            reason,
            held=self.holding.versions(),
            detail=detail,
        )
        return transaction.append(encode(event), b"")

    def not_written(self, kind: Kind, error: Exception) -> None:
        """Said in the log; a damaged store is replaced by housekeeping."""
        log.error("event-not-written", kind=kind, error=str(error))
        if isinstance(error, StoreDamaged):
            self.damaged.set()

    def reader_changed(self, reader: str, state: ReaderState, why: str, facts: ReaderFacts = ReaderFacts()) -> bool:
        """Every change of a reader's state is an event that reaches central. False: not written down."""
        detail = ReaderDetail(
            cut(reader, 250), state.value, cut(why, 500), cut(facts.profile, 250), cut(facts.firmware, 250)
        )
        return self.record(Kind.READER, encode(detail))

    def release_failed(self, sequence: int, why: str) -> bool:
        """A way that was to be freed or locked was not; −1 = for no tap. False: not written down."""
        return self.record(Kind.RELEASE_FAILED, encode(ReaderDetail(str(sequence), "failed", cut(why, 500))))

    def input_changed(self, name: str, on: bool, inside: int = 0) -> bool:
        """A level that changed and stayed. False: not written down."""
        return self.record(Kind.INPUT, encode(InputDetail(name, on, inside)))

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


def cut(text: str, most: int) -> str:
    """At most so many bytes: an event has room for 2,048."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")
