"""The granted taps of the last moments: what each one changed, so that it can be taken back, and whose passage is
awaited. What is awaited stands in the store too; what a tap changed does not, since nothing is taken back after a
restart."""

import itertools
import threading
from collections import OrderedDict

import msgspec

from edge_agent.journal.transaction import Transaction
from edge_agent.others import Move
from protocol.history import LastTap, is_empty, renamed, without
from protocol.messages import encode

UNDO_MS = 10_000
AWAITED = "awaited"
"""The fact that names the granted taps whose passage is awaited."""

Name = tuple[bytes, int]
"""Epoch and sequence of an event."""


class Granted(msgspec.Struct):
    """One granted tap or admission."""

    name: Name
    at_ms: int
    """Monotonic."""
    is_tap: bool = True
    awaited: bool = False
    key: bytes = b""
    """Whose history it stands in; empty = nobody's."""
    changed: bool = False
    """It changed that history: it repeats nothing, or stands for a tap that was given back."""
    before: LastTap | None = None
    """The tap that was the last one before it."""
    repeats: Name | None = None
    """The tap whose answer it repeats."""
    by: int = 0
    """How many more are inside by it, where that is counted."""
    heir: Name | None = None
    """The first repeat of it that was let through and stands: it takes its place where it is given back."""


class GrantedTaps:
    """`lock` is held around every transaction that adds or ends one; it comes before the store's own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held: OrderedDict[Name, Granted] = OrderedDict()
        """The oldest first: an ordinary dictionary gets slow when it is emptied from its front."""
        self._awaited: dict[Name, None] = {}
        self._left: list[Name] | None = None

    def add(self, granted: Granted) -> None:
        """Those that can neither be taken back nor are awaited are forgotten."""
        late_ms = granted.at_ms - UNDO_MS
        if self._held and next(iter(self._held.values())).at_ms < late_ms:
            old = itertools.takewhile(lambda each: each.at_ms < late_ms, self._held.values())
            for name in [each.name for each in old if not each.awaited]:
                del self._held[name]
        self._held[granted.name] = granted
        if granted.awaited:
            self._awaited[granted.name] = None

    def find(self, name: Name) -> Granted | None:
        return self._held.get(name)

    def undoable(self, name: Name | None, now_ms: int) -> list[Granted]:
        """The tap, and with a repeat the tap that it repeats, where they can still be taken back. The repeat first: who
        hears of the one and not yet of the other takes nothing to stand for it."""
        found = self._held.get(name) if name else None
        if found is None or not found.is_tap or now_ms - found.at_ms > UNDO_MS:
            return []
        return [found, *self.undoable(found.repeats, now_ms)]

    def ended(self, ended: Granted) -> None:
        """Its outcome is on disk, and it stands."""
        self._drop(ended)
        first = self._held.get(ended.repeats) if ended.repeats else None
        if first is not None:
            first.heir = min(ended.name, first.heir or ended.name)

    def _drop(self, gone: Granted) -> None:
        self._held.pop(gone.name, None)
        self._awaited.pop(gone.name, None)

    # --- as if they had not been ------------------------------------------------------------------------

    def restore(self, transaction: Transaction, given_back: list[Granted], events: list[Name], at_ms: int) -> None:
        """Histories as if these taps had not been, each by its event. A repeat that is not given back takes the place
        of the tap that it repeats; where a later tap stands on one of them, that one stays the last."""
        for each, event in zip(given_back, events, strict=True):
            now = transaction.history(each.key) if each.changed else None
            if now is None:
                continue
            heir = self._heir(each, given_back)
            if heir is not None:
                after = renamed(now, each.name, heir, event)
            else:
                stands = now.last is None or now.last.name != each.name
                after = without(now, each.name, now.last if stands else each.before, event)
            if is_empty(after):
                transaction.forget(each.key)
            elif after != now:
                transaction.remember(each.key, after, max(after.at_ms, at_ms))

    def never_were(self, given_back: list[Granted], events: list[Name]) -> list[Move]:
        """That is on disk: here too. Returns what it changes in how many are inside."""
        moves = []
        for each, event in zip(given_back, events, strict=True):
            heir = self._heir(each, given_back)
            if heir is None and each.by:
                moves.append(Move(*event, -each.by))
            for later in self._held.values():
                stood_on = later.before
                if each.changed and later.key == each.key and stood_on and stood_on.name == each.name:
                    later.before = stood_on.renamed(heir) if heir else each.before
                if heir is not None and later.repeats == each.name:
                    later.repeats = heir
            successor = self._held.get(heir) if heir else None
            if successor is not None:
                successor.changed, successor.before, successor.by = each.changed, each.before, each.by
                successor.repeats, successor.heir = None, each.heir
            self._drop(each)
        return moves

    # --- went through -----------------------------------------------------------------------------------

    def close_window(self, transaction: Transaction, taken: Granted, at_ms: int) -> None:
        """Its passage was taken: no tap repeats it any more, nor what it repeats itself (SPEC §8.4)."""
        now = transaction.history(taken.key) if taken.key else None
        if now is None or now.last is None or now.last.name not in (taken.name, taken.repeats):
            return
        after = msgspec.structs.replace(now, last=None)
        if is_empty(after):
            transaction.forget(taken.key)
        else:
            transaction.remember(taken.key, after, max(after.at_ms, at_ms))

    def window_closed(self, taken: Granted) -> None:
        """That is on disk: no giving back of a later tap opens it again."""
        for later in self._held.values():
            if later.before is not None and later.before.name in (taken.name, taken.repeats):
                later.before = None

    def _heir(self, given_back: Granted, others: list[Granted]) -> Name | None:
        """The first of its repeats that stands."""
        held = (each for each in self._held.values() if each.repeats == given_back.name and each not in others)
        return min((*(each.name for each in held), *filter(None, [given_back.heir])), default=None)

    # --- what is awaited, on disk -----------------------------------------------------------------------

    def left(self, transaction: Transaction) -> list[Name]:
        """What an earlier run did not live to see, as it was when the store was first looked at."""
        if self._left is None:
            stored = transaction.fact(AWAITED)
            self._left = msgspec.msgpack.decode(stored, type=list[Name]) if stored else []
        return self._left

    def told(self) -> None:
        """All that was left has its outcome."""
        self._left = []

    def write(
        self,
        transaction: Transaction,
        more: Name | None = None,
        without: list[Granted] | None = None,
        left: bool = True,
    ) -> None:
        """The fact as it is to be after this transaction."""
        gone = {each.name for each in without or ()}
        names = self.left(transaction) if left else []
        names = names + [name for name in self._awaited if name not in gone]
        transaction.set_fact(AWAITED, encode(names if more is None else [*names, more]))
