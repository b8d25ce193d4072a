"""Where a session of central waits for a card, the next one is sealed and written, and not decided (SPEC §7.9)."""

from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.readers import CardRead
from edge_agent.recorder import Recorder
from edge_agent.release import Signal
from protocol.binding import tapped
from protocol.envelope import seal_card
from protocol.messages import Kind, Outcome, encode
from protocol.reasons import Reason

BIND_USED = "bind-used"
"""The fact that names the last session that took a card."""


class Binding:
    """What the store says of a session counts; what this run remembers of it is for the status."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._used = b""

    def waits_for_card(self) -> bool:
        """Whether the next card is taken to be bound, as far as this run took none for the session."""
        moment = self._recorder.moments.now()
        return self._recorder.holding.open_session(moment.wall_ms, self._recorder.clock(moment), self._used) is not None

    def take(self, holding: Holding, read: CardRead, moment: Moment) -> Signal | None:
        """The card sealed to central, where a session waits for it; None: it is a tap as any. Raises
        JournalUnwritable, StoreDamaged."""
        clock = self._recorder.clock(moment)
        if holding.open_session(moment.wall_ms, clock) is None:
            return None

        def work(transaction: Transaction) -> Signal | None:
            session = holding.open_session(moment.wall_ms, clock, transaction.fact(BIND_USED) or b"")
            if session is None:
                return None
            detail = encode(seal_card(tapped(read.raw, read.sak, read.atr), session))
            reason = Reason.BIND_TAKEN.value
            sequence = self._recorder.append(transaction, moment, Kind.BIND, detail, reason=reason)
            transaction.set_fact(BIND_USED, session.session)
            epoch = transaction.epoch.epoch
            return Signal(epoch, sequence, Outcome.GRANTED, reason, "", frees=False, reader=read.reader)

        signal = self._recorder.store.commit(work)
        if signal is not None and holding.session is not None:
            self._used = holding.session.session
        return signal
