"""Who was denied, and should not have been. Pure.

Asked is what the gate knew or should have known: every entry and policy that central said from `LATE_MS` before the tap
on, and its own marks with those of others that central had by each moment since. Only where all of it admits was
somebody wrongly kept out: a gate that had been told in time is never blamed, and neither is the network.
"""

from collections.abc import Iterator, Sequence

from central.services.judging.kinds import Detail
from central.services.judging.possible import judged_tap, knowing
from central.services.judging.seen import LATE_MS, Circumstances, Lately, Seen
from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import decide
from protocol.history import Mark
from protocol.messages import Clock, Direction, Outcome
from protocol.policy import Admit
from protocol.reasons import Reason

BY_HISTORY = frozenset({Reason.LIMIT_REACHED.value, Reason.TOO_SOON.value, Reason.ALREADY_INSIDE.value})
JUDGED = BY_HISTORY | {
    *(Reason.CARD_BLOCKED.value, Reason.CARD_LOST.value, Reason.CARD_REPLACED.value),
    *(Reason.NOT_YET_VALID.value, Reason.EXPIRED.value),
    *(Reason.CLASS_LAPSED.value, Reason.CLASS_NOT_ADMITTED.value, Reason.OUTSIDE_HOURS.value, Reason.CLOSED.value),
}
"""The others follow from the gate's own state, and no list, policy or history gives them."""

AGAIN_MS = 3_600_000
"""Who is denied and taps on is one disagreement, while no longer passes between two taps."""


def wronged(one: Seen, told: Circumstances, before: Sequence[Seen], given_back: Sequence[Seen]) -> Detail | None:
    """What kept the person out wrongly; None where nothing did, or nothing can be said. `before`: all that counts;
    `given_back`: what counted at its gate for a moment."""
    lately, policy = told.lately, told.policy
    if lately is None or policy is None or told.entry_held is None or not lately.policies or not _is_judged(one):
        return None
    choice = _choice(one, told, policy, before, given_back)
    clock = told.clock if one.at_ms == one.mark.at_ms else Clock.TRUSTED
    tap = judged_tap(one, told._replace(clock=clock), one.at_ms, choice or "")

    def admits(by: CompiledPolicy, entry: Entry | None, marks: Sequence[Mark]) -> bool:
        return decide(by, entry, knowing(marks), tap).outcome is Outcome.GRANTED

    for marks in _known(one, before, given_back):
        if not all(admits(by, entry, marks) for by in lately.policies for entry in lately.entries):
            return None
    return {"why": _why(one, told, choice), "reason": one.reason, "rule": one.mark.rule} | _versions(told, lately)


def _is_judged(one: Seen) -> bool:
    """The way out is nobody's to refuse. What is closed by no rule is closed by a closure."""
    if one.mark.direction == Direction.OUT:
        return True
    return one.reason in JUDGED and (one.reason != Reason.CLOSED or bool(one.mark.rule))


def _known(one: Seen, before: Sequence[Seen], given_back: Sequence[Seen]) -> Iterator[list[Mark]]:
    """What is so, and what the gate may have been told by each moment that counts as in time."""
    yield [each.corrected for each in before]
    first_ms, last_ms = one.at_ms - LATE_MS, one.at_ms + LATE_MS
    briefly = [each.corrected for each in given_back if each.at_ms > first_ms]
    for by_ms in sorted({first_ms, *(each.received_ms for each in before if first_ms < each.received_ms <= last_ms)}):
        told = [each for each in before if each.device == one.device or 0 < each.received_ms <= by_ms]
        yield [each.corrected for each in told] + briefly


def _choice(
    one: Seen, told: Circumstances, policy: CompiledPolicy, before: Sequence[Seen], given_back: Sequence[Seen]
) -> str | None:
    """What must have been chosen on the screen for this answer by the gate's own policy and list; None: nothing that
    it may have known explains it."""
    every = [each.mark for each in before]
    own = [each.mark for each in before if each.device == one.device]
    entry = told.entry_held.entry if told.entry_held else None
    chosen = (rule.id for rule in policy.policy.rules if isinstance(rule, Admit))
    for choice in dict.fromkeys(("", one.mark.rule, *chosen)):
        tap = judged_tap(one, told, one.mark.at_ms, choice)
        for marks in (every, own, every + [each.mark for each in given_back]):
            found = decide(policy, entry, knowing(marks), tap)
            if (found.outcome, found.reason, found.rule) == (Outcome.DENIED, one.reason, one.mark.rule):
                return choice
    return None


def _why(one: Seen, told: Circumstances, choice: str | None) -> str:
    """In what the gate and central differ: `history`, `clock`, `list`, `policy`; `gate`: in nothing that is known."""
    if one.reason in BY_HISTORY:
        return "history"
    if choice is None:
        return "gate"
    if one.at_ms != one.mark.at_ms:
        return "clock"
    lately, held = told.lately, told.entry_held
    assert lately is not None
    is_older = held is not None and lately.list_version > held.version and held.entry != lately.entries[-1]
    return "list" if is_older else "policy"


def _versions(told: Circumstances, lately: Lately) -> Detail:
    held = {"allowlist": told.held.allowlist, "policy": told.held.policy}
    return held | {"known_since_ms": lately.list_version, "policy_in_force": lately.policy_version}
