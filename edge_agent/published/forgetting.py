"""Whom central erased (SPEC §7.13): nothing that names them stays in journal, histories and list.

The version is stored with the histories gone. Personal parts of events go once the events are delivered, so what
central does not hold yet is not lost; until then the subjects stand in a fact of the agent's own.
"""

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence

import msgspec

from edge_agent.gate import Gate
from edge_agent.journal.outbox import read_delivered
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import SEQUENCE_BITS, SEQUENCES, Transaction
from edge_agent.published.lists import ListDamaged
from protocol.erasure import Forget, accept_forget
from protocol.errors import Refused
from protocol.messages import Part, PartName, encode

FACT = "forget"
NOTHING_BOUND = bytes(32)
ROWS = 500
"""Looked at together: a tap beside it waits for a few milliseconds at the most."""
PAUSE_S = 0.002
TAP_S = 2.0
"""A tap that was looked up on the list of before is written down by then; so it is looked once more."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """What is held, as the fact says. `subjects`: some of their events are not delivered yet, or not looked through;
    `through`: the newest event when they were looked for; `is_last`: no tap that began before can come any more."""

    version: int = 0
    subjects: tuple[bytes, ...] = ()
    through: int = 0
    is_last: bool = False


_standing = msgspec.msgpack.Decoder(Standing)


class Forgetting:
    """One caller at a time."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.held = Standing()
        self._is_in_log = False
        """What was destroyed may still stand in the journal's write-ahead file."""
        self._told_s = -TAP_S
        self._left: list[int] | None = None
        """Events that name them and are not delivered yet; None: the journal was not looked through."""

    def load(self) -> None:
        """As an earlier run left it."""
        stored = self.gate.store.fact(FACT)
        with contextlib.suppress(msgspec.MsgspecError):  # written by another version: central says it again
            self.held = _standing.decode(stored) if stored else Standing()
        self._is_in_log = bool(self.held.version)  # the run before may have ended in between

    def part(self) -> Part | None:
        """For the poll: so that it is not brought again."""
        return Part(PartName.FORGET.value, self.held.version, NOTHING_BOUND) if self.held.version else None

    def take(self, offered: Forget, device: str) -> None:
        """Raises Refused, JournalUnwritable, StoreDamaged."""
        accept_forget(self.held.version, offered, device)
        subjects = tuple(sorted({*self.held.subjects, *offered.subjects}))

        look = functools.partial(_look, held=Standing(offered.version, subjects))
        self.held, self._left = self.gate.store.commit(look), None
        self._told_s = time.monotonic()
        self.work()

    def work(self) -> None:
        """Destroy what may be destroyed by now; nothing is written where there is nothing to do."""
        if self.held.subjects:
            if not self.held.is_last and time.monotonic() - self._told_s >= TAP_S:
                look = functools.partial(_look, held=msgspec.structs.replace(self.held, is_last=True))
                self.held, self._left = self.gate.store.commit(look), None
            self._destroy_what_is_delivered()
        if self._is_in_log:
            self._is_in_log = not self.gate.store.empty_log()

    def _destroy_what_is_delivered(self) -> None:
        held, store, left = self.held, self.gate.store, list[int]()
        self._is_in_log = True
        for named in self._naming() if self._left is None else batched(self._left, ROWS):
            left += store.commit(functools.partial(_destroy, ids=named))
            time.sleep(PAUSE_S)
        self._left = left
        if not left and held.is_last:
            done = Standing(held.version)
            store.commit(lambda transaction: transaction.set_fact(FACT, encode(done)))
            self.held = done
        allowlist = self.gate.holding.allowlist
        if allowlist is not None:
            with contextlib.suppress(Refused, ListDamaged):  # whoever looks up a card in it says so, too
                allowlist.let_go()

    def _naming(self) -> Iterator[list[int]]:
        """Events that name one of them."""
        last, held = -1, self.held
        while rows := _next(self.gate.store, last, held.through):
            last = rows[-1][0]
            named = [id_ for id_, personal in rows if any(subject in personal for subject in held.subjects)]
            if named:
                yield named
            time.sleep(PAUSE_S)


def _look(transaction: Transaction, held: Standing) -> Standing:
    """Their histories go, and their events are those through the newest one."""
    for subject in held.subjects:
        transaction.forget(subject)
    newest = transaction.connection.execute("SELECT max(id) FROM events").fetchone()[0] or 0
    found = msgspec.structs.replace(held, through=newest)
    transaction.set_fact(FACT, encode(found))
    return found


def batched(ids: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """As many at a time."""
    return (ids[at : at + most] for at in range(0, len(ids), most))


def _next(store: Store, last: int, through: int) -> Sequence[tuple[int, bytes]]:
    query = "SELECT id, personal FROM events WHERE id > ? AND id <= ? AND personal IS NOT NULL ORDER BY id LIMIT ?"
    with store.reading() as connection:
        return connection.execute(query, (last, through, ROWS)).fetchall()


def _destroy(transaction: Transaction, ids: Sequence[int]) -> list[int]:
    """Of those that are delivered. Returns the others."""
    connection = transaction.connection
    through = {number: read_delivered(connection, number) for number in {id_ >> SEQUENCE_BITS for id_ in ids}}
    due = {id_ for id_ in ids if id_ & SEQUENCES <= through[id_ >> SEQUENCE_BITS]}
    connection.executemany("UPDATE events SET personal = NULL WHERE id = ?", [(id_,) for id_ in sorted(due)])
    return [id_ for id_ in ids if id_ not in due]
