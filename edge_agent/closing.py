"""Staff close this gate's way in and open it again (SPEC §7.10): offline or not, whatever the clock."""

import msgspec
import structlog

from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment
from edge_agent.recorder import Recorder
from protocol.allowlist import Entry
from protocol.closure import StaffClosing, ends_in_ms
from protocol.messages import Clock, ClosureDetail, Kind, encode

log = structlog.get_logger(__name__)

CLOSED_BY_STAFF = "closed-by-staff"
"""The fact that holds the newest closing by staff; empty = it was opened again."""


class Closing:
    """`newest`: the newest one, which may be over. It holds once it is on disk, and not before."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.newest: StaffClosing | None = stored_closing(recorder.store)

    def close_entry(self, staff: str, why: str, for_ms: int) -> bool:
        """Nobody enters for so long. False: it cannot be written down, so nothing changed."""
        moment, from_ms = self._recorder.moments.now(), self._recorder.now_ms()
        clock = self._recorder.clock(moment)
        closing = StaffClosing(staff, why, from_ms, from_ms + for_ms, moment.boot_id, moment.monotonic_ms, clock)
        return self._stand(moment, ClosureDetail(staff, why, from_ms, from_ms + for_ms), closing)

    def open_entry(self, staff: str) -> bool:
        """As if it had ended now. False: it cannot be written down, so nothing changed."""
        moment, now_ms = self._recorder.moments.now(), self._recorder.now_ms()
        return self._stand(moment, ClosureDetail(staff, "", now_ms, now_ms), None)

    def by_staff_ms(self, moment: Moment) -> int | None:
        """For how long yet; 0 = it is not, None = until it is opened by a PIN."""
        if self.newest is None:
            return 0
        return ends_in_ms(
            self.newest, moment.wall_ms, moment.monotonic_ms, moment.boot_id, self._recorder.clock(moment)
        )

    def is_closed(self, moment: Moment, entry: Entry | None) -> bool:
        """By staff, or by a closure of central's that this gate's clock can tell and that does not admit this entry."""
        if self.by_staff_ms(moment) != 0:
            return True
        return self._recorder.holding.is_closed(moment.wall_ms, entry) and self._recorder.clock(moment) < Clock.BEHIND

    def _stand(self, moment: Moment, detail: ClosureDetail, closing: StaffClosing | None) -> bool:
        def work(transaction: Transaction) -> None:
            self._recorder.append(transaction, moment, Kind.CLOSURE, encode(detail))
            transaction.set_fact(CLOSED_BY_STAFF, encode(closing) if closing else b"")

        try:
            self._recorder.store.commit(work)
        except (JournalUnwritable, StoreDamaged) as error:
            self._recorder.not_written(Kind.CLOSURE, error)
            return False
        self.newest = closing
        self._recorder.store.settle()
        log.warning("entry-closed" if closing else "entry-opened", staff=detail.staff, why=detail.why)
        return True


def stored_closing(store: Store) -> StaffClosing | None:
    """As an earlier run left it."""
    try:
        return closing_in(store.fact(CLOSED_BY_STAFF))
    except (JournalUnwritable, StoreDamaged, msgspec.MsgspecError) as error:
        log.error("closing-not-read", error=str(error))
        return None


def closing_in(held: bytes | None) -> StaffClosing | None:
    """What the fact says. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(held, type=StaffClosing) if held else None
