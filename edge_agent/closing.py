"""Staff close this gate's way in and open it again (SPEC §7.10): offline or not, whatever the clock."""

import msgspec
import structlog

from edge_agent.amends import Amends
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moment, Moments
from edge_agent.published.holding import Holding
from protocol.allowlist import Entry
from protocol.closure import StaffClosing, ends_in_ms
from protocol.messages import Clock, ClosureDetail, Kind, encode

log = structlog.get_logger(__name__)

CLOSED_BY_STAFF = "closed-by-staff"
"""The fact that holds the newest closing by staff; empty = it was opened again."""


class Closing(Amends):
    """`closing`: the newest one, which may be over. It holds once it is on disk, and not before."""

    def __init__(self, store: Store, moments: Moments, holding: Holding) -> None:
        super().__init__(store, moments, holding)
        self.closing: StaffClosing | None = stored_closing(store)

    def close_entry(self, staff: str, why: str, for_ms: int) -> bool:
        """Nobody enters for so long. False: it cannot be written down, so nothing changed."""
        moment, from_ms = self.moments.now(), self.now_ms()
        clock = self.clock(moment)
        closing = StaffClosing(staff, why, from_ms, from_ms + for_ms, moment.boot_id, moment.monotonic_ms, clock)
        return self._stand(moment, ClosureDetail(staff, why, from_ms, from_ms + for_ms), closing)

    def open_entry(self, staff: str) -> bool:
        """As if it had ended now. False: it cannot be written down, so nothing changed."""
        moment, now_ms = self.moments.now(), self.now_ms()
        return self._stand(moment, ClosureDetail(staff, "", now_ms, now_ms), None)

    def closed_by_staff_ms(self, moment: Moment) -> int | None:
        """For how long yet; 0 = it is not, None = until it is opened by a PIN."""
        if self.closing is None:
            return 0
        return ends_in_ms(self.closing, moment.wall_ms, moment.monotonic_ms, moment.boot_id, self.clock(moment))

    def is_closed(self, moment: Moment, entry: Entry | None) -> bool:
        """By staff, or by a closure of central's that this gate's clock can tell and that does not admit this entry."""
        if self.closed_by_staff_ms(moment) != 0:
            return True
        return self.holding.is_closed(moment.wall_ms, entry) and self.clock(moment) < Clock.BEHIND

    def _stand(self, moment: Moment, detail: ClosureDetail, closing: StaffClosing | None) -> bool:
        def work(transaction: Transaction) -> None:
            self.append(transaction, moment, Kind.CLOSURE, encode(detail))
            transaction.set_fact(CLOSED_BY_STAFF, encode(closing) if closing else b"")

        try:
            self.store.commit(work)
        except (JournalUnwritable, StoreDamaged) as error:
            self.not_written(Kind.CLOSURE, error)
            return False
        self.closing = closing
        self.store.settle()
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
