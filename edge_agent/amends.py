"""What becomes of a granted tap afterwards: its passage, or that the person took it back (SPEC §8.5)."""

from collections.abc import Callable

from edge_agent.granted import Granted, GrantedTaps, Name
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.moments import Moments
from edge_agent.others import Move, Others
from edge_agent.published.holding import Holding
from edge_agent.recorder import Recorder, cut
from edge_agent.release import Signal
from protocol.messages import Kind, Passage, PassageDetail, UndoDetail, encode


class Amends(Recorder):
    """Each outcome and what it gives back are one transaction; offline or not makes no difference."""

    def __init__(self, store: Store, moments: Moments, holding: Holding) -> None:
        super().__init__(store, moments, holding)
        self.granted = GrantedTaps()
        self.others = Others()
        self.awaits_passage = False
        """Whether something watches what becomes of granted taps: its to say (see `door`)."""
        self.on_undo: Callable[[bytes, int], None] = lambda epoch, sequence: None
        """Told of every tap that was taken back: (epoch, sequence)."""

    def undo(self, sequence: int, why: str = "not-me") -> bool:
        """Take back a granted tap of this epoch, within ten seconds; a repeat together with the tap that it repeats.

        False when it is too late, was not granted, was taken back or passed already, or cannot be written down.
        """
        moment = self.moments.now()
        with self.granted.lock:
            undone = self.granted.undoable((self.store.epoch.epoch, sequence), moment.monotonic_ms)
            if not undone:
                return False

            def work(transaction: Transaction) -> list[Name]:
                events = []
                for each in undone:
                    detail = UndoDetail(each.name[1], cut(why, 64) or "not-me")
                    sequence = self.append(transaction, moment, Kind.UNDO, encode(detail))
                    events.append((transaction.epoch.epoch, sequence))
                self.granted.restore(transaction, undone, events, moment.wall_ms)
                self._await_no_more(transaction, undone)
                return events

            try:
                events = self.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self.not_written(Kind.UNDO, error)
                return False
            self._moved(self.granted.never_were(undone, events))
        self.store.settle()
        for each in undone:
            self.on_undo(*each.name)
        return True

    def passage(self, tap: Signal | None, passage: Passage) -> bool:
        """Write down what became of a granted tap or, with None, what the door did by itself.

        False: it is not on disk, so tell it again. A tap that has its outcome already gets no second one.
        """
        if tap is not None and tap.sequence < 0:  # never written down: there is nothing to name
            return True
        moment = self.moments.now()
        with self.granted.lock:
            granted = self.granted.find((tap.epoch, tap.sequence)) if tap else None
            if tap is not None and granted is None:
                return True

            ends_window = granted is not None and passage is Passage.TAKEN and self._looks_back()

            def work(transaction: Transaction) -> Name:
                detail = _passage(transaction, granted, passage)
                event = (transaction.epoch.epoch, self.append(transaction, moment, Kind.PASSAGE, detail))
                if granted is not None and passage is Passage.NOT_TAKEN:
                    self.granted.restore(transaction, [granted], [event], moment.wall_ms)
                if granted is not None and ends_window:
                    self.granted.close_window(transaction, granted, moment.wall_ms)
                if granted is not None:
                    self._await_no_more(transaction, [granted])
                return event

            try:
                event = self.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self.not_written(Kind.PASSAGE, error)
                return False
            if granted is not None and passage is Passage.NOT_TAKEN:
                self._moved(self.granted.never_were([granted], [event]))
            elif granted is not None:
                if ends_window:
                    self.granted.window_closed(granted)
                self.granted.ended(granted)
        self.store.settle()
        return True

    def end_what_was_left(self) -> bool:
        """Passages that an earlier run did not live to see are unknown. False: not on disk, so ask again."""
        moment = self.moments.now()

        def work(transaction: Transaction) -> int:
            left = self.granted.left(transaction)
            for epoch, sequence in left:
                detail = PassageDetail(sequence, Passage.UNKNOWN, epoch)
                self.append(transaction, moment, Kind.PASSAGE, encode(detail))
            if left:
                self.granted.write(transaction, left=False)
            return len(left)

        with self.granted.lock:
            if not self.store.epoch.number:
                return False
            try:
                ended = self.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self.not_written(Kind.PASSAGE, error)
                return False
            self.granted.told()
        if ended:
            self.store.settle()
        return True

    def _looks_back(self) -> bool:
        policy = self.holding.policy
        return policy is not None and policy.looks_back

    def _moved(self, moves: list[Move]) -> None:
        for move in moves:
            self.others.moved(move)

    def _await_no_more(self, transaction: Transaction, ended: list[Granted]) -> None:
        if any(each.awaited for each in ended):
            self.granted.write(transaction, without=ended)


def _passage(transaction: Transaction, granted: Granted | None, passage: Passage) -> bytes:
    if granted is None:
        return encode(PassageDetail(-1, passage))
    epoch, sequence = granted.name
    return encode(PassageDetail(sequence, passage, b"" if epoch == transaction.epoch.epoch else epoch))
