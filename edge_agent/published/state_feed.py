"""What central knows of members' earlier taps, laid into this gate's own histories (SPEC §7.8).

The version held is on disk only with the last of its rows. A crash before that leaves the older one, and the message is
taken again: a row that it reached already comes out the same.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from edge_agent.gate import Gate
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.moves import moves_since
from edge_agent.journal.transaction import STATES, Transaction
from edge_agent.moments import Moment
from protocol.compiled import CompiledPolicy
from protocol.history import Counted, History, State, SubjectState, accept_state, is_empty, since, untold, with_state
from protocol.messages import Fresh, Manifest, Part, PartName, encode

ROWS = 100
"""In one transaction: a tap beside it waits for a few milliseconds at the most."""
PAUSE_S = 0.002
"""Between two of them, so that a tap that waits is let in."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """What is held, as the fact `state` says. Version 0: nothing that could be gone on from."""

    version: int = 0
    domain: str = ""
    generation: int = 0
    """Of central, when it told this."""
    counted: tuple[Counted, ...] = ()
    inside: tuple[tuple[str, int], ...] = ()

    @property
    def through(self) -> dict[bytes, int]:
        """Of each epoch of this device, the last event that is counted."""
        return {each.epoch: each.through for each in self.counted}


NONE = Standing()
_standing = msgspec.msgpack.Decoder(Standing)


class StateFeed:
    """Owns the fact, what central told in each history, and the gate's `others`. One caller at a time."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.held = NONE
        self._generation = 0

    def load(self) -> None:
        """As an earlier run left it. The gate is apart until central answers."""
        self.held = standing_of(self.gate.store.fact(STATES))
        self._generation = self.held.generation
        if self.held.version:
            self._tell()
        else:
            self.gate.others.forget()
        self._recount()

    def part(self) -> Part | None:
        """For the poll."""
        return Part(PartName.STATE, self.held.version, bytes(32)) if self.held.version else None

    # --- central's word ---------------------------------------------------------------------------------

    def follow(self, word: Manifest | Fresh, domain: str) -> None:
        """A restored central or another domain begins anew; what was told stays until it does."""
        self._generation = word.generation
        if self.held.version and (self.held.domain, self.held.generation) != (domain, word.generation):
            self.reset()

    def heard(self, moment: Moment) -> None:
        """Central answered, and nothing that it told was refused."""
        if self.held.version:
            self.gate.others.heard(moment.monotonic_ms)

    def adapt(self, before: CompiledPolicy | None, policy: CompiledPolicy) -> None:
        """Another policy. What no rule looked back to was let go of, so one that looks further back needs it anew."""
        now_ms = self.gate.now_ms()
        asks = policy.looks_back or policy.counts_inside
        is_more = before is None or (policy.looks_back and not before.looks_back)
        if not asks or is_more or (before and policy.day(now_ms).since_ms < before.day(now_ms).since_ms):
            self.reset()
        if policy.counts_inside and not (before is not None and before.counts_inside):
            self._recount()

    def reset(self) -> None:
        """The next message has to begin at base 0."""
        if self.held.version:
            self.held = NONE
            with contextlib.suppress(JournalUnwritable):  # then it is found out again
                self.gate.store.commit(_putting(NONE))

    def take(self, offered: State, device: str, domain: str) -> None:
        """Raises Refused, JournalUnwritable, StoreDamaged; what was laid in before that does no harm."""
        accept_state(offered, device, domain, self.held.version)
        held = Standing(offered.version, domain, self._generation, offered.counted, offered.inside)
        rows = _Rows(offered, held.through, self._since_ms())
        if offered.base == 0:
            self.reset()  # until all of it is there, nothing could be gone on from
            ours = self._ours()
            for keys in self._keys():
                self._in_turn(functools.partial(rows.begin_anew, keys=keys, ours=ours))
        blocks = rows.blocks() or [[]]
        for block in blocks:
            last = held if block is blocks[-1] else None
            self._in_turn(functools.partial(rows.lay_in, states=block, held=last))
        self.held = held
        self._tell()
        if offered.base == 0:
            self._recount()

    def _keys(self) -> Iterator[list[bytes]]:
        """Of all histories, as many at a time as are worked on together."""
        last = b""
        while True:
            with self.gate.store.reading() as connection:
                found = connection.execute(
                    "SELECT key FROM history WHERE key > ? ORDER BY key LIMIT ?", (last, ROWS)
                ).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield [key for (key,) in found]

    def _ours(self) -> frozenset[bytes]:
        with self.gate.store.reading() as connection:
            return frozenset(epoch for (epoch,) in connection.execute("SELECT epoch FROM epochs").fetchall())

    def _since_ms(self) -> int:
        policy = self.gate.holding.policy
        return policy.day(self.gate.now_ms()).since_ms if policy is not None else 0

    def _in_turn(self, work: Callable[[Transaction], None]) -> None:
        self.gate.store.commit(work)
        time.sleep(PAUSE_S)

    # --- the gate's own ---------------------------------------------------------------------------------

    def _tell(self) -> None:
        self.gate.others.told(dict(self.held.inside), self.held.through)

    def _recount(self) -> None:
        policy = self.gate.holding.policy
        if policy is not None and policy.counts_inside and self.held.version:
            self.gate.others.moved_before(moves_since(self.gate.store, self.held.through))

    # --- the end ----------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Revoked: what central told, and what this gate knew of anybody's taps, is overwritten."""
        self.held = NONE
        self.gate.others.forget()
        with contextlib.suppress(JournalUnwritable, StoreDamaged):
            with self.gate.store.reading() as connection:
                connection.execute("PRAGMA secure_delete = ON").fetchall()
            self.gate.store.commit(_putting(NONE))
            for keys in self._keys():
                self._in_turn(functools.partial(_forget, keys=keys))


class _Rows:
    """One message on its way into the histories."""

    def __init__(self, offered: State, counted: Mapping[bytes, int], since_ms: int) -> None:
        self._left = {state.subject: state for state in offered.subjects}
        self._at_ms, self._counted, self._since_ms = offered.at_ms, counted, since_ms

    def begin_anew(self, transaction: Transaction, keys: list[bytes], ours: frozenset[bytes]) -> None:
        """Nothing that was told of these before counts any more; whoever is named has the new word at once."""
        for key in keys:
            before = transaction.history(key)
            if before is None:
                continue
            after, state = untold(before, ours, self._counted), self._left.get(key)
            if state is not None:
                self._put(transaction, key, with_state(after, state, self._counted))
            elif after != before:
                self._put(transaction, key, after)
        for key in keys:
            self._left.pop(key, None)

    def blocks(self) -> list[list[SubjectState]]:
        """Whoever is still to be laid in."""
        left = list(self._left.values())
        return [left[at : at + ROWS] for at in range(0, len(left), ROWS)]

    def lay_in(self, transaction: Transaction, states: list[SubjectState], held: Standing | None) -> None:
        """With the last of them the version is held."""
        for state in states:
            before = transaction.history(state.subject)
            self._put(transaction, state.subject, with_state(before, state, self._counted))
        if held is not None:
            transaction.set_fact(STATES, encode(held))

    def _put(self, transaction: Transaction, key: bytes, history: History) -> None:
        after = since(history, self._since_ms)
        if is_empty(after):
            transaction.forget(key)
        else:
            transaction.remember(key, after, max(after.at_ms, self._at_ms))


def _forget(transaction: Transaction, keys: list[bytes]) -> None:
    for key in keys:
        transaction.forget(key)


def standing_of(stored: bytes | None) -> Standing:
    """From the fact. What another version of the agent wrote is fetched anew."""
    try:
        return _standing.decode(stored) if stored else NONE
    except msgspec.MsgspecError:
        return NONE


def _putting(held: Standing) -> Callable[[Transaction], None]:
    return lambda transaction: transaction.set_fact(STATES, encode(held))
