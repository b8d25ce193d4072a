"""decide(policy, entry, history, tap) -> Decision: the one rule engine of gate, re-check and replay (SPEC §8)."""

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.allowlist import CardState, Entry, Grant
from protocol.messages import Ages, Clock, Count, Direction, Millis, Outcome, Record
from protocol.policy import ANYBODY, CompiledPolicy
from protocol.reasons import Reason
from protocol.uid import Problem


class Staleness(IntEnum):
    """How old the last signed word is, by the three ages of the manifest."""

    FRESH = 0
    WARN = 1
    RESTRICT = 2
    CLOSE = 3
    MISSING = 4


def staleness(ages: Ages, age_ms: int) -> Staleness:
    """An age is reached at its value: at exactly `close_ms` the gate is closed."""
    if age_ms >= ages.close_ms:
        return Staleness.CLOSE
    if age_ms >= ages.restrict_ms:
        return Staleness.RESTRICT
    return Staleness.WARN if age_ms >= ages.warn_ms else Staleness.FRESH


class History(Record, gc=False, frozen=True):
    """The last tap of a member (or of an unknown token) at this gate in one direction."""

    at_ms: Millis
    boot_id: bytes
    monotonic_ms: Count
    sequence: Count
    """Of the first tap of a run of repeats: what a repeat points to."""
    epoch: bytes
    direction: Direction
    decision: Outcome
    reason: Annotated[str, Meta(max_length=64)]
    rule: Annotated[str, Meta(max_length=64)]


class Tap(Struct, frozen=True, gc=False):
    """What the gate knows of this moment."""

    at_ms: int
    boot_id: bytes
    monotonic_ms: int
    clock: Clock
    direction: Direction
    staleness: Staleness
    problem: Problem | None = None


class Decision(Struct, frozen=True, gc=False):
    """The answer; `repeats` is the history that it repeats, if it does."""

    outcome: Outcome
    reason: str
    rule: str = ""
    repeats: History | None = None


def decide(policy: CompiledPolicy | None, entry: Entry | None, history: History | None, tap: Tap) -> Decision:
    """Pure. The guards come in the order of SPEC §8.2, then the policy's rules, then the repeat window."""
    if tap.direction is Direction.OUT:
        fresh = Decision(Outcome.GRANTED, Reason.LEAVING.value)
    else:
        fresh = _guards(policy, entry, tap) or _rules(policy, entry, tap)  # type: ignore[arg-type]
    if policy is None or history is None or not _within_window(policy, history, tap):
        return fresh
    return _repeat(fresh, history)


def _guards(policy: CompiledPolicy | None, entry: Entry | None, tap: Tap) -> Decision | None:
    if tap.problem is not None:
        return _denied(tap.problem.value)
    if policy is None or tap.staleness is Staleness.MISSING:
        return _denied(Reason.LIST_MISSING.value)
    if tap.staleness is Staleness.CLOSE:
        return _denied(Reason.LIST_TOO_OLD.value)
    if entry is None:
        return _denied(Reason.UNKNOWN_CARD.value)
    if entry.state is not CardState.ACTIVE:
        return _denied(_STATE_REASONS[entry.state])
    if tap.clock >= Clock.BEHIND:
        return _denied(Reason.CLOCK_UNTRUSTED.value) if policy.policy.untrusted_clock == "deny" else None
    if tap.at_ms < entry.from_ms:
        return _denied(Reason.NOT_YET_VALID.value)
    if entry.until_ms and tap.at_ms >= entry.until_ms:
        return _denied(Reason.EXPIRED.value)
    return None


def _rules(policy: CompiledPolicy, entry: Entry, tap: Tap) -> Decision:
    dated = tap.clock < Clock.BEHIND
    at_ms, bits = tap.at_ms, policy.bits
    mask = ANYBODY
    for grant in entry.classes:
        if not dated or _in_force(grant, at_ms):
            mask |= bits.get(grant.name, 0)
    if tap.staleness is Staleness.RESTRICT and not mask & policy.restricted_mask:
        return _denied(Reason.LIST_STALE.value)
    day = policy.day(at_ms)
    if dated:
        first, closed_rule = day.hour(mask, at_ms)
    else:  # without a clock no hours hold: an admitting rule goes by class alone, a refusing one is passed over
        first = next((row for row in day.rows_for(mask) if row.grants or row.spans is None), None)
        closed_rule = ""
    if first is not None:
        return Decision(Outcome.GRANTED if first.grants else Outcome.DENIED, first.reason, first.rule)
    if closed_rule:
        return Decision(Outcome.DENIED, Reason.OUTSIDE_HOURS.value, closed_rule)
    if dated and entry.classes and not any(_in_force(grant, at_ms) for grant in entry.classes):
        return _denied(Reason.CLASS_LAPSED.value)
    return _denied(Reason.CLASS_NOT_ADMITTED.value)


def _repeat(fresh: Decision, history: History) -> Decision:
    """The same answer, marked. A revocation in between wins over a granted answer, and a card that was
    enrolled in between over a denied one: only the same outcome is a repeat."""
    if fresh.outcome is not history.decision:
        return fresh
    if fresh.outcome is Outcome.DENIED and fresh.reason != history.reason:
        return fresh
    return Decision(fresh.outcome, history.reason, history.rule, history)


def _within_window(policy: CompiledPolicy, history: History, tap: Tap) -> bool:
    if history.direction is not tap.direction:
        return False
    if history.boot_id == tap.boot_id:  # the wall clock may have jumped; this one cannot
        elapsed_ms = tap.monotonic_ms - history.monotonic_ms
    else:
        elapsed_ms = tap.at_ms - history.at_ms
    return 0 <= elapsed_ms < policy.repeat_window_ms


def _in_force(grant: Grant, at_ms: int) -> bool:
    return grant.from_ms <= at_ms and (not grant.until_ms or at_ms < grant.until_ms)


def _denied(reason: str) -> Decision:
    return Decision(Outcome.DENIED, reason)


_STATE_REASONS = {
    CardState.BLOCKED: Reason.CARD_BLOCKED.value,
    CardState.LOST: Reason.CARD_LOST.value,
    CardState.REPLACED: Reason.CARD_REPLACED.value,
}
