"""What if: past taps through a policy that was not in force, in the order in which they were (SPEC §8). Pure.

Each member's history is built anew under that policy: who would not have been admitted leaves no mark. It is judged as
if every gate had known of all others; what else a gate knew, as its own answer tells.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from central.services.judging.possible import PLENTY
from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide
from protocol.history import History, Mark
from protocol.messages import Clock, Direction, Outcome
from protocol.policy import Admit
from protocol.reasons import Reason

REPEATED_WITHIN_MS = 3_600_000
"""No window of repeats is longer."""

UNTOUCHED = frozenset(
    {
        *(Reason.UID_RANDOM, Reason.UID_PLACEHOLDER, Reason.UID_INCOMPLETE, Reason.UID_UNREADABLE),
        *(Reason.UNKNOWN_CARD, Reason.LIST_MISSING, Reason.LIST_TOO_OLD, Reason.NOT_ENROLLED),
        Reason.JOURNAL_UNWRITABLE,
    }
)
"""Answers that no policy has a part in."""


_STALE, _LEAVING, _SHORT = Reason.LIST_STALE.value, Reason.LEAVING.value, Reason.POINTS_SHORT.value
_IN, _OUT, _FRESH, _RESTRICT = Direction.IN, Direction.OUT, Staleness.FRESH, Staleness.RESTRICT
_NEVER_MS = PLENTY * 1_000
_APART = frozenset({Reason.RECORDED.value, Reason.HISTORY_UNKNOWN.value})


class PastTap(msgspec.Struct, frozen=True, gc=False):
    """A tap as its gate decided it, with the entry that the gate's list had."""

    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    gate: str
    venue: str
    direction: str
    decision: str
    reason: str
    rule: str
    repeat_of: int
    subject: bytes
    points: int
    due: int
    clock: Clock
    entry: Entry | None
    is_given_back: bool
    """Not taken, or undone: it left no mark."""
    is_heir: bool = False
    """It took the place of the tap that it repeats, which was given back."""


class Different(NamedTuple):
    """Somebody who would have been treated differently."""

    tap: PastTap
    would: Decision


Way = tuple[str, str, str, str]
"""Was, with what reason; would be, with what reason."""


class Replay:
    """One run. Taps and other marks are given in the order of time; `before` is asked once for a member's earlier
    marks."""

    def __init__(self, policy: CompiledPolicy, before: Callable[[bytes], Iterable[Mark]]) -> None:
        self._policy, self._before = policy, before
        self.looks_back = policy.looks_back or policy.counts_inside
        """Whether what happened at other gates matters."""
        self._marks: dict[bytes, list[Mark]] = {}
        self._runs: dict[tuple[str, bytes], tuple[int, tuple[bytes, int], Decision]] = {}
        self._inside: dict[str, set[bytes]] = {}
        self._day_ms = self._day_end_ms = -1
        self._admitting = frozenset(rule.id for rule in policy.policy.rules if isinstance(rule, Admit))
        self._is_session = policy.policy.session is not None
        self.ways: Counter[Way] = Counter()
        self.taps = self.repeats = self.untold = self.points = self.due = 0

    def other(self, subject: bytes, mark: Mark) -> None:
        """A mark of a gate that goes by another policy, or an admission by hand: it is as it was."""
        if self.looks_back:
            self._known(subject).append(mark)
        self._count(mark.venue, subject, mark.direction)

    def tap(self, past: PastTap) -> Different | None:
        """One tap of a gate that goes by the policy."""
        self.taps += 1
        if not self._day_ms <= past.at_ms < self._day_end_ms:
            self.new_day(past.at_ms)
        if past.reason in UNTOUCHED:
            return None
        if past.entry is None:
            self.untold += 1
            return None
        run = None
        if past.repeat_of and not self._is_session:
            run = self._runs.get((past.device, past.subject))
        would = self._decide(past, past.entry, run[1] if run else None)
        if run is not None and _is_repeat(would, run[2]):
            self.repeats += 1
            if past.is_heir and run[2].outcome is Outcome.GRANTED:
                self._leave_mark(past, run[0], run[2])
            return None
        return self._took_place(past, would)

    def horizon_ms(self, at_ms: int) -> int:
        """What was before it bears on no tap from this instant on."""
        return self._policy.day(at_ms).since_ms

    def new_day(self, at_ms: int) -> None:
        """Before the first tap of a local day: let go of what bears on none from then on. Who did not leave unseen by
        midnight is counted inside no more."""
        day_ms = self._policy.day(at_ms).start_ms
        if day_ms == self._day_ms:
            return
        self._day_ms, self._day_end_ms, self._inside = day_ms, self._policy.day(at_ms).end_ms, {}
        since_ms = self.horizon_ms(at_ms)
        self._marks = {s: kept for s, held in self._marks.items() if (kept := [m for m in held if m.at_ms >= since_ms])}
        self._runs = {of: run for of, run in self._runs.items() if run[0] >= at_ms - REPEATED_WITHIN_MS}

    # --- one tap ------------------------------------------------------------------------------------------------

    def _decide(self, past: PastTap, entry: Entry, but: tuple[bytes, int] | None) -> Decision:
        marks: Iterable[Mark] = self._known(past.subject) if self.looks_back else ()
        if but is not None:
            marks = [mark for mark in marks if mark.name != but]
        history = History(None, (), tuple(marks), _points_then(past), _NEVER_MS)
        is_out = past.direction == "out" and (not self._is_session or past.reason == _LEAVING)
        return decide(
            self._policy,
            entry,
            history,
            Tap(
                past.at_ms,
                b"",
                0,
                past.clock,
                _OUT if is_out else _IN,
                _RESTRICT if past.reason == _STALE else _FRESH,
                None,
                past.venue,
                past.gate,
                past.reason in _APART,
                len(self._inside.get(past.venue, ())) if self._policy.counts_inside else None,
                past.rule if self._is_session and past.rule in self._admitting else "",
            ),
        )

    def _took_place(self, past: PastTap, would: Decision) -> Different | None:
        if would.outcome is Outcome.GRANTED and would.repeats is None and not past.is_given_back:
            self._leave_mark(past, past.at_ms, would)
        if not self._is_session:
            self._runs[past.device, past.subject] = past.at_ms, (past.epoch, past.sequence), would
        is_same_answer = past.decision == would.outcome and (
            past.reason == would.reason or (past.decision == Outcome.GRANTED and not self._is_session)
        )
        points, due = would.points - past.points, would.due - past.due
        is_same_charge = points + due == 0 or past.decision != would.outcome or bool(past.repeat_of)
        if is_same_answer and is_same_charge:
            return None
        self.ways[past.decision, past.reason, would.outcome.value, would.reason] += 1
        self.points, self.due = self.points + points, self.due + due
        return Different(past, would)

    def _leave_mark(self, past: PastTap, at_ms: int, would: Decision) -> None:
        if self.looks_back:
            charge = would.direction, would.rule, would.points, would.due
            mark = Mark(at_ms, past.venue, past.gate, *charge, past.epoch, past.sequence)
            self._known(past.subject).append(mark)
        self._count(past.venue, past.subject, would.direction)

    # --- what is known ------------------------------------------------------------------------------------------

    def _known(self, subject: bytes) -> list[Mark]:
        known = self._marks.get(subject)
        if known is None:
            known = self._marks[subject] = list(self._before(subject))
        return known

    def _count(self, venue: str, subject: bytes, direction: str) -> None:
        if self._policy.counts_inside:
            inside = self._inside.setdefault(venue, set())
            if direction == "in":
                inside.add(subject)
            elif direction == "out":
                inside.discard(subject)


def _points_then(past: PastTap) -> int:
    """As many as the charge of then shows that there were: where something was due beside points, no more than those;
    where it was denied for want of points, none."""
    if past.reason == _SHORT:
        return 0
    return past.points if past.points and past.due else PLENTY


def _is_repeat(would: Decision, first: Decision) -> bool:
    return would.outcome is first.outcome and (would.outcome is Outcome.GRANTED or would.reason == first.reason)
