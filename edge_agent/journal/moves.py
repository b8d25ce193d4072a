"""How this gate's own events changed how many are inside, read back from its journal (SPEC §7.8).

A granted tap counts once, whatever repeats it; an undo or a passage that was not taken takes that back, unless a
repeat stands for it. Staff's admissions inwards count, since somebody is inside.
"""

import contextlib
from collections.abc import Mapping

from edge_agent.journal.store import Store
from edge_agent.journal.transaction import event_id
from edge_agent.others import Move, Name
from protocol.errors import Refused
from protocol.messages import Direction, Event, Kind, Outcome, Passage, PassageDetail, UndoDetail, decode

BEFORE = 1_000
"""So many events before those asked for are read too: what is taken back came shortly before."""
BLOCK_ROWS = 1_000
BY = {Direction.IN.value: 1, Direction.OUT.value: -1}


class Moves:
    """Event after event, in the order of the journal."""

    def __init__(self) -> None:
        self.found: list[Move] = []
        self._standing: dict[Name, set[Name]] = {}
        """Of the first tap of a run: it and its repeats that were not given back."""
        self._first: dict[Name, Name] = {}
        self._by: dict[Name, int] = {}

    def add(self, name: Name, event: Event) -> None:
        epoch, _ = name
        if event.kind == Kind.TAP and event.decision == Outcome.GRANTED:
            first = self._first.get((epoch, event.repeat_of - 1)) if event.repeat_of else None
            if first is not None:
                self._standing[first].add(name)
                self._first[name] = first
            elif not event.repeat_of:
                self._begin(name, BY.get(event.direction, 0))
        elif event.kind == Kind.ADMIT:
            self._begin(name, int(event.direction == Direction.IN))
        elif event.kind == Kind.UNDO:
            self._given_back(name, (epoch, decode(UndoDetail, event.detail).sequence))
        elif event.kind == Kind.PASSAGE:
            detail = decode(PassageDetail, event.detail)
            if detail.passage == Passage.NOT_TAKEN:
                self._given_back(name, (detail.epoch or epoch, detail.sequence))

    def _begin(self, name: Name, by: int) -> None:
        self._standing[name], self._first[name], self._by[name] = {name}, name, by
        if by:
            self.found.append(Move(*name, by))

    def _given_back(self, event: Name, tap: Name) -> None:
        first = self._first.get(tap)
        if first is None or tap not in self._standing[first]:
            return
        self._standing[first].remove(tap)
        if not self._standing[first] and self._by[first]:
            self.found.append(Move(*event, -self._by[first]))


def moves_since(store: Store, counted: Mapping[bytes, int]) -> list[Move]:
    """Those of events that central does not count; epochs older than all that it counts events of are long over.
    Raises StoreDamaged, JournalUnwritable."""
    with store.reading() as connection:
        epochs = connection.execute("SELECT number, epoch FROM epochs ORDER BY number").fetchall()
    first = min((number for number, epoch in epochs if epoch in counted), default=0)
    moves = Moves()
    for number, epoch in epochs:
        if number >= first:
            _add(store, moves, number, epoch, max(-1, counted.get(epoch, -1) - BEFORE))
    return [move for move in moves.found if move.sequence > counted.get(move.epoch, -1)]


def _add(store: Store, moves: Moves, number: int, epoch: bytes, through: int) -> None:
    last, high = event_id(number, 0) + through, event_id(number + 1, 0)
    while True:
        with store.reading() as connection:
            rows = connection.execute(
                "SELECT id, public FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?", (last, high, BLOCK_ROWS)
            ).fetchall()
        for id_, public in rows:
            with contextlib.suppress(Refused):  # damaged, or another version's
                moves.add((epoch, id_ - event_id(number, 0)), decode(Event, public))
        if len(rows) < BLOCK_ROWS:
            return
        last = rows[-1][0]
