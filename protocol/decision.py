"""decide(policy, entry, history, tap) -> Decision: the one rule engine of gate, re-check and replay (SPEC §8)."""

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct, structs

from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import ANYBODY, CompiledPolicy
from protocol.conditions import Here, newest
from protocol.history import NOTHING, History, LastTap, Mark, Note
from protocol.messages import Ages, Clock, Direction, Outcome
from protocol.plan import Hour, Row
from protocol.reasons import Reason
from protocol.tariff import FREE, Charge
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


class Tap(Struct, frozen=True, gc=False):
    """What the gate knows of this moment."""

    at_ms: int
    boot_id: bytes
    monotonic_ms: int
    clock: Clock
    direction: Direction
    staleness: Staleness
    problem: Problem | None = None
    venue: str = ""
    gate: str = ""
    is_apart: bool = False
    """What happened at other gates may be unknown here: central's word on histories is missing, or too old."""
    inside: int | None = None
    """How many are inside the venue; None = nobody can tell."""
    choice: str = ""
    """The rule that the person chose on the screen before the tap: a team, an activity; empty = none."""
    is_closed: bool = False
    """A closure holds that admits none of the card's classes (`closure.py`)."""


class Decision(Struct, frozen=True, gc=False):
    """The answer. `repeats` is the tap whose answer it repeats, if it does."""

    outcome: Outcome
    reason: str
    rule: str = ""
    repeats: LastTap | None = None
    direction: str = "in"
    """The way that was decided: at a sign-in gate a tap may go either way, or (empty) nobody knows which."""
    points: int = 0
    """Taken from the member's points."""
    due: int = 0
    """To be paid in cash or from a purse."""
    counts: bool = False
    """It leaves a mark: later taps are judged by it."""
    notes: tuple[Note, ...] = ()
    """What to tell the person beside the reason."""


def decide(policy: CompiledPolicy | None, entry: Entry | None, history: History | None, tap: Tap) -> Decision:
    """Pure. The guards come in the order of SPEC §8.2, then the policy's rules, then the repeat window.

    A tap within the window of the one before it is judged as if that one had not been.
    """
    but = passed_over(policy, history, tap)
    fresh = _judged(policy, entry, history or NOTHING, but, tap)
    return fresh if but is None else _repeat(fresh, but)


def recognised(policy: CompiledPolicy | None, entry: Entry | None, tap: Tap) -> Decision:
    """Whether a card may speak for its holder at the screen (SPEC §7.14). Nobody is let in by it, so neither closures
    nor rules are asked; by a clock that is wrong nobody could tell later which of two statements was the last."""
    found = _guards(policy, entry, structs.replace(tap, is_closed=False))
    if found is None and tap.clock >= Clock.BEHIND:
        found = _denied(Reason.CLOCK_UNTRUSTED.value)
    return found or Decision(Outcome.GRANTED, Reason.CONSENT_TAKEN.value, direction="")


def passed_over(policy: CompiledPolicy | None, history: History | None, tap: Tap) -> LastTap | None:
    """The tap that this one may repeat: this one is judged as if that one had not been."""
    last = history.last if history is not None else None
    return last if policy is not None and last is not None and _within_window(policy, last, tap) else None


def _judged(
    policy: CompiledPolicy | None, entry: Entry | None, history: History, but: LastTap | None, tap: Tap
) -> Decision:
    """By itself, whatever the window says. `but`: the tap that counts as not having been."""
    if tap.direction is Direction.OUT:
        return _leaving(policy, history, but, tap)
    if policy is not None and policy.policy.session is not None:
        return _session(policy, entry, history, tap)
    return _guards(policy, entry, tap) or _rules(policy, entry, history, but, tap)  # type: ignore[arg-type]


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
    dated = tap.clock < Clock.BEHIND
    if not dated and policy.policy.untrusted_clock == "deny":
        return _denied(Reason.CLOCK_UNTRUSTED.value)
    if dated and tap.at_ms < entry.from_ms:
        return _denied(Reason.NOT_YET_VALID.value)
    if dated and entry.until_ms and tap.at_ms >= entry.until_ms:
        return _denied(Reason.EXPIRED.value)
    if tap.is_closed:
        return _denied(Reason.CLOSED.value)
    return None


def _rules(policy: CompiledPolicy, entry: Entry, history: History, but: LastTap | None, tap: Tap) -> Decision:
    mask = mask_of(policy, entry, tap)
    if tap.staleness is Staleness.RESTRICT and not mask & policy.restricted_mask:
        return _denied(Reason.LIST_STALE.value)
    rows, closed_rule = reached(policy, mask, tap)
    is_again = False
    if rows and rows[0].condition is None and not policy.looks_back:
        row = rows[0]  # most policies ask nothing of the past
        return _of_row(policy, entry, row, row.reason, FREE, history)
    marks = marks_of(history, but)
    here = here_of(tap)
    for row in rows:
        reason = row.reason if row.condition is None else row.condition.reason(marks, here)
        if row.is_soft:
            is_again = is_again or reason == Reason.ALREADY_INSIDE
        elif row.grants:
            charge = row.tariff.entry(marks, _points_left(history, but, tap)) if row.tariff else FREE
            if charge.is_short:
                return _denied(Reason.POINTS_SHORT.value, row.rule)
            return _of_row(policy, entry, row, Reason.ADMITTED_AGAIN.value if is_again else reason, charge, history)
        elif reason:
            return _denied(reason, row.rule)
    return _undecided(entry, closed_rule, tap)


def mask_of(policy: CompiledPolicy, entry: Entry, tap: Tap) -> int:
    """The bits of the classes that are in force; without a clock, of all."""
    dated, at_ms, bits = tap.clock < Clock.BEHIND, tap.at_ms, policy.bits
    mask = ANYBODY
    for grant in entry.classes:
        if not dated or _in_force(grant, at_ms):
            mask |= bits.get(grant.name, 0)
    return mask


def reached(policy: CompiledPolicy, mask: int, tap: Tap) -> Hour:
    """The rules to try, in order. Without a clock no hours hold and no past can be told: an admitting rule goes by
    class alone, a refusing one with hours or a condition is passed over. Of admitting rules only the chosen one is
    tried, where one was chosen; what refuses refuses whatever was chosen."""
    day, at_ms = policy.day(tap.at_ms), tap.at_ms
    dated = tap.clock < Clock.BEHIND
    if dated and not tap.choice:
        return day.hour(mask, at_ms)
    rows = [row for row in day.rows_for(mask) if not (row.grants and tap.choice and row.rule != tap.choice)]
    if not dated:
        first = next((r for r in rows if r.condition is None and (r.grants or r.spans is None)), None)
        return Hour((first,) if first else (), "")
    open_ = (r for r in rows if r.spans is None or any(a <= at_ms < b for a, b in r.spans))
    return Hour(tuple(open_), next((row.rule for row in rows if row.grants), ""))


def marks_of(history: History, but: LastTap | None) -> Sequence[Mark]:
    """All that count, but for that of one tap."""
    marks = (*history.told, *history.own)
    return marks if but is None else tuple(mark for mark in marks if mark.name != but.name)


def here_of(tap: Tap) -> Here:
    """What conditions may know of the tap."""
    return Here(tap.at_ms, tap.venue, tap.gate, tap.is_apart, tap.inside)


def _points_left(history: History, but: LastTap | None, tap: Tap) -> int:
    left = history.points_left(tap.at_ms)
    if but is None:
        return left
    # what central counts already is gone from what it reserved, too
    return left + sum(mark.points for mark in (*history.own, *history.told) if mark.name == but.name)


def _of_row(policy: CompiledPolicy, entry: Entry, row: Row, reason: str, charge: Charge, history: History) -> Decision:
    if not row.grants:
        return Decision(Outcome.DENIED, reason, row.rule)
    notes = _notes(entry, history)
    return Decision(Outcome.GRANTED, reason, row.rule, None, "in", charge.points, charge.due, policy.looks_back, notes)


def _notes(entry: Entry | None, history: History) -> tuple[Note, ...]:
    """The card's own first, then what central had to tell of the member."""
    if entry is None or not entry.flags:
        return history.notes
    return (*((flag, 1) for flag in entry.flags), *history.notes)


def _undecided(entry: Entry, closed_rule: str, tap: Tap) -> Decision:
    if closed_rule:
        return _denied(Reason.OUTSIDE_HOURS.value, closed_rule)
    dated = tap.clock < Clock.BEHIND
    if dated and entry.classes and not any(_in_force(grant, tap.at_ms) for grant in entry.classes):
        return _denied(Reason.CLASS_LAPSED.value)
    return _denied(Reason.CLASS_NOT_ADMITTED.value)


def _leaving(policy: CompiledPolicy | None, history: History, but: LastTap | None, tap: Tap) -> Decision:
    """Always granted. What is left to pay is said, and never asked for by a lock."""
    if policy is None or not policy.looks_back:
        return Decision(Outcome.GRANTED, Reason.LEAVING.value, direction="out")
    marks = marks_of(history, but)
    entry = newest([mark for mark in marks if mark.direction and mark.venue == tap.venue])
    charge = FREE
    if entry is not None and entry.direction == "in" and tap.clock < Clock.BEHIND:
        tariff = policy.day(tap.at_ms).tariffs.get(entry.rule)
        if tariff is not None:
            charge = tariff.leaving(entry, marks, tap.at_ms, _points_left(history, but, tap))
    rule = entry.rule if entry is not None and charge.price else ""  # whose caps these points count against
    return Decision(
        Outcome.GRANTED, Reason.LEAVING.value, rule, None, "out", charge.points, charge.due, True, history.notes
    )


# --- signing in and out -----------------------------------------------------------------------------------------


def _session(policy: CompiledPolicy, entry: Entry | None, history: History, tap: Tap) -> Decision:
    """A tap signs in, the next one signs out; soon after either it is the same again; where this gate cannot know
    whether somebody is signed in, it is recorded and central pairs it (SPEC §8.8)."""
    session = policy.policy.session
    assert session is not None
    if tap.problem is not None:
        return _denied(tap.problem.value)
    since_ms = tap.at_ms - session.longest_hours * 3_600_000
    last = newest([mark for mark in marks_of(history, None) if mark.at_ms > since_ms])
    dated = tap.clock < Clock.BEHIND
    if last is not None and dated:
        if 0 <= tap.at_ms - last.at_ms < session.double_tap_s * 1_000:
            notes = _notes(entry, history)
            return Decision(
                Outcome.GRANTED, _SIGNED[last.direction], last.rule, _as_tap(last), last.direction, notes=notes
            )
        if last.direction == "in":
            return _signed(history, entry, "out", last.rule)
    fresh = _guards(policy, entry, tap) or _rules(policy, entry, history, None, tap)  # type: ignore[arg-type]
    if fresh.outcome is Outcome.DENIED:
        return fresh
    is_unknown = tap.is_apart or not dated or (last is not None and not last.direction)
    return _signed(history, entry, "" if is_unknown else "in", fresh.rule)


def _signed(history: History, entry: Entry | None, direction: str, rule: str) -> Decision:
    notes = _notes(entry, history)
    return Decision(Outcome.GRANTED, _SIGNED[direction], rule, None, direction, counts=True, notes=notes)


def _as_tap(mark: Mark) -> LastTap:
    """What is repeated may have been at another kiosk, so the mark speaks for it."""
    reason = _SIGNED[mark.direction]
    return LastTap(mark.at_ms, b"", 0, mark.sequence, mark.epoch, mark.direction, Outcome.GRANTED, reason, mark.rule)


_SIGNED = {"in": Reason.SIGNED_IN.value, "out": Reason.SIGNED_OUT.value, "": Reason.RECORDED.value}


# --- repeats ----------------------------------------------------------------------------------------------------


def _repeat(fresh: Decision, last: LastTap) -> Decision:
    """The same answer, marked. A revocation in between wins over a granted answer, and a card that was
    enrolled in between over a denied one: only the same outcome is a repeat."""
    if fresh.outcome is not last.decision:
        return fresh
    if fresh.outcome is Outcome.DENIED and fresh.reason != last.reason:
        return fresh
    return Decision(fresh.outcome, last.reason, last.rule, last, last.direction, notes=fresh.notes)


def _within_window(policy: CompiledPolicy, last: LastTap, tap: Tap) -> bool:
    is_session = policy.policy.session is not None and tap.direction is Direction.IN
    if is_session or last.direction != tap.direction:
        return False  # signing in and out has a window of its own
    is_same_boot = last.boot_id == tap.boot_id  # the wall clock may have jumped; this one cannot
    elapsed_ms = tap.monotonic_ms - last.monotonic_ms if is_same_boot else tap.at_ms - last.at_ms
    return 0 <= elapsed_ms < policy.repeat_window_ms


def _in_force(grant: Grant, at_ms: int) -> bool:
    return grant.from_ms <= at_ms and (not grant.until_ms or at_ms < grant.until_ms)


def _denied(reason: str, rule: str = "") -> Decision:
    return Decision(Outcome.DENIED, reason, rule)


_STATE_REASONS = {
    CardState.BLOCKED: Reason.CARD_BLOCKED.value,
    CardState.LOST: Reason.CARD_LOST.value,
    CardState.REPLACED: Reason.CARD_REPLACED.value,
}
