"""Why a tap was decided so: each rule in order, and why it did or did not apply (SPEC §8). Pure.

It asks the same questions as `decide`, one rule at a time, so the rule that decides here is the one that decided there.
"""

from typing import NamedTuple

from protocol.allowlist import Entry
from protocol.compiled import ANYBODY, CompiledPolicy
from protocol.decision import Decision, Tap, decide, here_of, marks_of, mask_of
from protocol.history import NOTHING, History
from protocol.messages import Clock
from protocol.plan import Row
from protocol.policy import Rule


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
    """What `decide` says, and the way to it."""
    decision = decide(policy, entry, history, tap)
    if policy is None or entry is None or not decision.rule:
        is_undecided = decision.reason in ("class-not-admitted", "class-lapsed")
        if policy is None or entry is None or not is_undecided:
            return Explanation(decision, ())
    held = history or NOTHING
    day = policy.day(tap.at_ms)
    rows = {row.rule: row for row in day.rows}
    mask, marks, here = mask_of(policy, entry, tap), marks_of(held, decision.repeats), here_of(tap)
    tried: list[Tried] = []
    for rule in policy.policy.rules:
        row = rows.get(rule.id)
        why = "not in force on this date" if row is None else _passed(rule, row, mask, tap)
        if row is None or why:
            tried.append(Tried(rule.id, "passed", why))
            continue
        if row.condition is None:
            tried.append(Tried(rule.id, "decided", "admits" if row.grants else f"refuses: {row.reason}"))
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


def _passed(rule: Rule, row: Row, mask: int, tap: Tap) -> str:
    """Why a rule in force is passed over before it asks anything of the past; empty where it is not."""
    if not row.mask & mask:
        return f"for {', '.join(rule.classes)}" if row.mask != ANYBODY else "for nobody"
    if row.grants and tap.choice and row.rule != tap.choice:
        return f"{tap.choice} was chosen"
    if tap.clock >= Clock.BEHIND:
        refuses_blindly = not row.grants and (row.spans is not None or row.condition is not None)
        return "the clock cannot be trusted" if refuses_blindly else ""
    if row.spans is not None and not any(start_ms <= tap.at_ms < end_ms for start_ms, end_ms in row.spans):
        return f"outside the hours of {rule.schedule}"
    return ""
