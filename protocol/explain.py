"""Why a tap was decided so: each rule in order, and why it did or did not apply (SPEC §8). Pure.

It asks the same questions as `decide`, one rule at a time, so the rule that decides here is the one that decided there.
"""

from typing import NamedTuple

from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Tap, decide, here_of, marks_of, mask_of, passed_over
from protocol.history import NOTHING, History
from protocol.messages import Clock
from protocol.plan import Row
from protocol.policy import Rule
from protocol.reasons import Reason

_NO_RULE_APPLIED = (Reason.CLASS_NOT_ADMITTED, Reason.CLASS_LAPSED)
_NO_RULE_TRIED = (Reason.LEAVING, Reason.SIGNED_OUT)
"""They go by the rule of the entry, which was tried then."""


class Tried(NamedTuple):
    """One rule. `outcome`: `passed` (it did not apply), `noted` (it applied and decides nothing), `decided`."""

    rule: str
    outcome: str
    why: str


class Explanation(NamedTuple):
    """The answer, and the rules that were tried for it. No rule was tried where something before them decided."""

    decision: Decision
    tried: tuple[Tried, ...]


def explain(policy: CompiledPolicy | None, entry: Entry | None, history: History | None, tap: Tap) -> Explanation:
    """What `decide` says, and the way to it; of a repeat the way without the first tap."""
    decision = decide(policy, entry, history, tap)
    if policy is None or entry is None or not _was_by_rules(policy, decision):
        return Explanation(decision, ())
    marks = marks_of(history or NOTHING, passed_over(policy, history, tap))
    mask, here = mask_of(policy, entry, tap), here_of(tap)
    rows = {row.rule: row for row in policy.day(tap.at_ms).rows}
    tried: list[Tried] = []
    for rule in policy.policy.rules:
        row = rows.get(rule.id)
        why = "not in force on this date" if row is None else _passed(rule, row, mask, tap)
        if row is None or why:
            tried.append(Tried(rule.id, "passed", why))
            continue
        if row.condition is None:
            tried.append(Tried(rule.id, "decided", _decides(row, decision)))
            break
        reason, told = row.condition.reason(marks, here), row.condition.told(marks, here)
        if not reason:
            tried.append(Tried(rule.id, "passed", told))
        elif row.is_soft:
            tried.append(Tried(rule.id, "noted", f"{reason}: {told}"))
        else:
            tried.append(Tried(rule.id, "decided", f"refuses: {reason}: {told}"))
            break
    return Explanation(decision, tuple(tried))


def _was_by_rules(policy: CompiledPolicy, decision: Decision) -> bool:
    is_double_tap = policy.policy.session is not None and decision.repeats is not None
    if is_double_tap or decision.reason in _NO_RULE_TRIED:
        return False
    return bool(decision.rule) or decision.reason in _NO_RULE_APPLIED


def _decides(row: Row, decision: Decision) -> str:
    if row.grants:
        return f"refuses: {decision.reason}" if decision.reason == Reason.POINTS_SHORT else "admits"
    return f"refuses: {row.reason}"


def _passed(rule: Rule, row: Row, mask: int, tap: Tap) -> str:
    """Why a rule in force is passed over before it asks anything of the past; empty where it is not."""
    if not row.mask & mask:
        return f"for {', '.join(rule.classes)}"
    if row.grants and tap.choice and row.rule != tap.choice:
        return f"{tap.choice} was chosen"
    if tap.clock >= Clock.BEHIND:
        refuses_blindly = not row.grants and (row.spans is not None or row.condition is not None)
        return "the clock cannot be trusted" if refuses_blindly else ""
    if row.spans is not None and not any(start_ms <= tap.at_ms < end_ms for start_ms, end_ms in row.spans):
        return f"outside the hours of {rule.schedule}"
    return ""
