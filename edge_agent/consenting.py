"""A person states at the screen what they agree to or take back, and then holds their card: it is written down as the
statement, and not decided (SPEC §7.14)."""

from typing import NamedTuple

import msgspec

from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.recorder import Recorder
from edge_agent.release import Signal
from edge_agent.tap_record import Known, personal_of
from protocol.consent import AGAIN_MS, STATE_MS, ConsentDetail, ConsentNotice, Said
from protocol.decision import Tap, recognised
from protocol.journal import personal_digest
from protocol.messages import Direction, Event, Kind, Outcome, encode


class Waiting(NamedTuple):
    """A statement that waits for its card. Monotonic."""

    detail: ConsentDetail
    until_ms: int


class Stated(NamedTuple):
    """The last statement that was taken in this run: by which card, and its event."""

    key: bytes
    detail: ConsentDetail
    at_ms: int
    epoch: bytes
    sequence: int


class Consenting:
    """What waits is this run's alone: a restart forgets it, and the person is asked again."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._waiting: Waiting | None = None
        self._stated: Stated | None = None

    def asks(self) -> tuple[ConsentNotice, ...]:
        """What may be stated here: of the purposes that the configuration names, those with a notice."""
        holding = self._recorder.holding
        if holding.config is None or holding.direction is not Direction.IN:
            return ()
        held = {notice.purpose: notice for notice in holding.notices}
        return tuple(held[purpose] for purpose in holding.config.screen.consents if purpose in held)

    def state(self, purpose: str, version: int, said: Said) -> bool:
        """The next card within thirty seconds states this. False: that version is not shown here, or a tap is not
        enough to agree to it."""
        for notice in self.asks():
            if (notice.purpose, notice.version) == (purpose, version) and (notice.gives or said is not Said.GIVEN):
                until_ms = self._recorder.moments.now().monotonic_ms + STATE_MS
                self._waiting = Waiting(ConsentDetail(purpose, version, said), until_ms)
                return True
        return False

    def state_nothing(self) -> None:
        """What waits for its card waits no more."""
        self._waiting = None

    def waiting(self, now_ms: int) -> Waiting | None:
        """What the next card states. Monotonic."""
        waiting = self._waiting
        return waiting if waiting is not None and now_ms < waiting.until_ms else None

    @property
    def is_asked(self) -> bool:
        """Whether a statement waits or was taken: as a rule neither, and a tap asks no further."""
        return self._waiting is not None or self._stated is not None

    def take_waiting(self, moment: Moment, known: Known, direction: Direction) -> ConsentDetail | None:
        """What this card states; whatever becomes of it, nothing waits any more. None: it is a tap as any."""
        waiting, self._waiting = self.waiting(moment.monotonic_ms), None
        if direction is not Direction.IN:
            return None
        if waiting is not None:
            return waiting.detail
        stated = self._stated_by(known, moment.monotonic_ms)
        return stated.detail if stated is not None else None

    def write(self, holding: Holding, known: Known, tap: Tap, detail: ConsentDetail, reader: str) -> Signal:
        """On disk before anybody is told. Raises JournalUnwritable, StoreDamaged."""
        decision = recognised(holding.policy, known.entry, tap)
        is_taken = decision.outcome is Outcome.GRANTED
        before = self._stated_by(known, tap.monotonic_ms) if is_taken else None
        is_again = before is not None and before.detail == detail
        personal = encode(personal_of(holding, known, decision)) if known.key else b""

        def work(transaction: Transaction) -> Signal:
            epoch, sequence = transaction.epoch.epoch, transaction.sequence
            first = before.sequence if before and before.epoch == epoch else sequence
            event = Event(
                *(sequence, tap.at_ms, tap.boot_id, tap.monotonic_ms, tap.clock, holding.gate, Kind.CONSENT, ""),
                *(decision.outcome, decision.reason, "", 1 + first if is_again else 0),
                *(holding.versions(), personal_digest(personal), encode(detail)),
            )
            transaction.append(encode(event), personal)
            said = Signal(epoch, sequence, decision.outcome, decision.reason, "", is_again)
            return msgspec.structs.replace(said, frees=not is_taken, reader=reader, stated=detail)

        signal = self._recorder.store.commit(work)
        if is_taken and not is_again:
            self._stated = Stated(known.key, detail, tap.monotonic_ms, signal.epoch, signal.sequence)
        return signal

    def _stated_by(self, known: Known, now_ms: int) -> Stated | None:
        """What this card stated a moment ago."""
        if self._stated is not None and now_ms - self._stated.at_ms >= AGAIN_MS:
            self._stated = None
        return self._stated if self._stated is not None and self._stated.key == known.key else None
