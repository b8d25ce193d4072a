"""Whether a gate that goes by its own policy and list can have granted what it granted (SPEC §8). Pure.

What a gate had been told of other gates, how many it thought inside, its reservations and what was chosen on its screen
are not in an event. So the question is whether there is anything it may have known under which `decide` grants: only
where there is nothing was the gate tampered with, or is it broken.
"""

from collections.abc import Iterator, Sequence

from central.entry_history import HeldEntry
from central.services.judging.seen import Circumstances, Seen
from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide
from protocol.history import History, Mark
from protocol.messages import Direction, Outcome
from protocol.reasons import Reason

PLENTY = 2**40
"""Points that no charge uses up, or milliseconds after any tap."""


def judged_tap(seen: Seen, told: Circumstances, at_ms: int, choice: str = "") -> Tap:
    """The tap, with a fresh list, every other gate heard of, and room inside."""
    is_out = seen.mark.direction == "out"
    return Tap(
        at_ms,
        b"",
        0,
        told.clock,
        Direction.OUT if is_out else Direction.IN,
        Staleness.FRESH,
        venue=seen.mark.venue,
        gate=seen.mark.gate,
        inside=0,
        choice=choice,
    )


def knowing(marks: Sequence[Mark]) -> History:
    """A history of these marks, and points enough."""
    return History(told=tuple(marks), reserved=PLENTY, lapse_ms=PLENTY * 1_000)


def granting(seen: Seen, told: Circumstances, own: Sequence[Mark], others: Sequence[Mark]) -> Decision | None:
    """How the gate can have come to what it granted, or None: it cannot.

    `own`: marks that it certainly had; `others`: those that it may have had. All by their gates' clocks, in order.
    """
    assert told.policy is not None
    if seen.reason == Reason.LEAVING:
        return Decision(Outcome.GRANTED, seen.reason, seen.mark.rule, direction="out")
    if told.policy.policy.session is not None:
        return _session(seen, told, told.policy, own, others)
    entry = _entry(told.entry_held)
    for choice in ("", seen.mark.rule):
        tap = judged_tap(seen, told, seen.mark.at_ms, choice)
        for marks in _lenient(own, others):
            decision = decide(told.policy, entry, knowing(marks), tap)
            if decision.outcome is Outcome.GRANTED and decision.rule == seen.mark.rule:
                return decision
    return None


def _lenient(own: Sequence[Mark], others: Sequence[Mark]) -> Iterator[tuple[Mark, ...]]:
    """What speaks most for the person: exits elsewhere, or taps of no known way, up to each of them. An entry elsewhere
    never helps."""
    exits = [mark for mark in others if mark.direction != "in"]
    for known in range(len(exits), -1, -1):
        yield (*own, *exits[:known])


def _session(
    seen: Seen, told: Circumstances, policy: CompiledPolicy, own: Sequence[Mark], others: Sequence[Mark]
) -> Decision | None:
    """Who signs out was signed in, anywhere; who signs in meets the rules, and was not signed in as far as could be
    known. `recorded` is for a gate that knows less, so it may stand where signing in could."""
    session = policy.policy.session
    assert session is not None
    if seen.reason == Reason.SIGNED_OUT:
        since_ms = seen.mark.at_ms - session.longest_hours * 3_600_000
        begun = (m for m in (*own, *others) if m.direction == "in" and m.at_ms > since_ms and m.rule == seen.mark.rule)
        found = next(begun, None)
        return None if found is None else Decision(Outcome.GRANTED, seen.reason, seen.mark.rule, direction="out")
    ways = ("in",) if seen.reason == Reason.SIGNED_IN else ("in", "")
    entry = _entry(told.entry_held)
    for choice in ("", seen.mark.rule):
        tap = judged_tap(seen, told, seen.mark.at_ms, choice)
        for marks in _lenient(own, others):
            decision = decide(policy, entry, knowing(marks), tap)
            if decision.repeats is None and decision.direction in ways and decision.rule == seen.mark.rule:
                return decision
    return None


def _entry(held: HeldEntry | None) -> Entry | None:
    return None if held is None else held.entry
