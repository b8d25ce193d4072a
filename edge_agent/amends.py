"""What becomes of a granted tap afterwards: its passage, or that the person took it back (SPEC §8.5)."""

from collections.abc import Callable

from edge_agent.granted import Granted, GrantedTaps, Name
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.transaction import Transaction
from edge_agent.others import Move, Others
from edge_agent.recorder import Recorder, cut
from edge_agent.release import Signal
from protocol.messages import Kind, Passage, PassageDetail, UndoDetail, encode


class Amends:
    """Each outcome and what it gives back are one transaction; offline or not makes no difference."""

    def __init__(self, recorder: Recorder, granted: GrantedTaps, others: Others) -> None:
        self._recorder, self._granted, self._others = recorder, granted, others
        self.awaits_passage = False
        """Whether something watches what becomes of granted taps: its to say (see `door`)."""
        self.on_undo: Callable[[bytes, int], None] = lambda epoch, sequence: None
        """Told of every tap that was taken back: (epoch, sequence)."""

    def undo(self, sequence: int, why: str = "not-me") -> bool:
        """Take back a granted tap of this epoch, within ten seconds; a repeat together with the tap that it repeats.

        False when it is too late, was not granted, was taken back or passed already, or cannot be written down.
        """
        moment = self._recorder.moments.now()
        with self._granted.lock:
            undone = self._granted.undoable((self._recorder.store.epoch.epoch, sequence), moment.monotonic_ms)
            if not undone:
                return False

            def work(transaction: Transaction) -> list[Name]:
                events = []
                for each in undone:
                    detail = UndoDetail(each.name[1], cut(why, 64) or "not-me")
                    sequence = self._recorder.append(transaction, moment, Kind.UNDO, encode(detail))
                    events.append((transaction.epoch.epoch, sequence))
                self._granted.restore(transaction, undone, events, moment.wall_ms)
                self._await_no_more(transaction, undone)
                return events

            try:
                events = self._recorder.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self._recorder.not_written(Kind.UNDO, error)
                return False
            self._moved(self._granted.never_were(undone, events))
        self._recorder.store.settle()
        for each in undone:
            self.on_undo(*each.name)
        return True

    def passage(self, tap: Signal | None, passage: Passage) -> bool:
        """Write down what became of a granted tap or, with None, what the door did by itself.

        False: it is not on disk, so tell it again. A tap that has its outcome already gets no second one.
        """
        if tap is not None and tap.sequence < 0:  # never written down: there is nothing to name
            return True
        moment = self._recorder.moments.now()
        with self._granted.lock:
            granted = self._granted.find((tap.epoch, tap.sequence)) if tap else None
            if tap is not None and granted is None:
                return True

            ends_window = granted is not None and passage is Passage.TAKEN and self._looks_back()

            def work(transaction: Transaction) -> Name:
                detail = _passage(transaction, granted, passage)
                event = (transaction.epoch.epoch, self._recorder.append(transaction, moment, Kind.PASSAGE, detail))
                if granted is not None and passage is Passage.NOT_TAKEN:
                    self._granted.restore(transaction, [granted], [event], moment.wall_ms)
                if granted is not None and ends_window:
                    self._granted.close_window(transaction, granted, moment.wall_ms)
                if granted is not None:
                    self._await_no_more(transaction, [granted])
                return event

            try:
                event = self._recorder.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self._recorder.not_written(Kind.PASSAGE, error)
                return False
            if granted is not None and passage is Passage.NOT_TAKEN:
                self._moved(self._granted.never_were([granted], [event]))
            elif granted is not None:
                if ends_window:
                    self._granted.window_closed(granted)
                self._granted.ended(granted)
        self._recorder.store.settle()
        return True

    def end_what_was_left(self) -> bool:
        """Passages that an earlier run did not live to see are unknown. False: not on disk, so ask again."""
        moment = self._recorder.moments.now()

        def work(transaction: Transaction) -> int:
            left = self._granted.left(transaction)
            for epoch, sequence in left:
                detail = PassageDetail(sequence, Passage.UNKNOWN, epoch)
                self._recorder.append(transaction, moment, Kind.PASSAGE, encode(detail))
            if left:
                self._granted.write(transaction, left=False)
            return len(left)

        with self._granted.lock:
            if not self._recorder.store.epoch.number:
                return False
            try:
                ended = self._recorder.store.commit(work)
            except (JournalUnwritable, StoreDamaged) as error:
                self._recorder.not_written(Kind.PASSAGE, error)
                return False
            self._granted.told()
        if ended:
            self._recorder.store.settle()
        return True

    def _looks_back(self) -> bool:
        policy = self._recorder.holding.policy
        return policy is not None and policy.looks_back

    def _moved(self, moves: list[Move]) -> None:
        for move in moves:
            self._others.moved(move)

    def _await_no_more(self, transaction: Transaction, ended: list[Granted]) -> None:
        if any(each.awaited for each in ended):
            self._granted.write(transaction, without=ended)


def _passage(transaction: Transaction, granted: Granted | None, passage: Passage) -> bytes:
    if granted is None:
        return encode(PassageDetail(-1, passage))
    epoch, sequence = granted.name
    return encode(PassageDetail(sequence, passage, b"" if epoch == transaction.epoch.epoch else epoch))
