"""Judge a member's taps again, with everything that all gates and central know together (DESIGN invariant 5). Pure.

What a gate did is never rewritten: each disagreement is a finding, for a person (`kinds.py` has the table). The same
taps in any order of arrival give the same findings.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from central.services.judging.charges import charged_otherwise
from central.services.judging.chips import other_chip
from central.services.judging.exits import left_without_entry
from central.services.judging.kinds import Detail, Finding, Kinds, finding, said
from central.services.judging.possible import granting, judged_tap, knowing
from central.services.judging.seen import DENIED, LATE_MS, Circumstances, Seen
from central.services.judging.turned_away import AGAIN_MS, BY_HISTORY, wronged
from central.services.marks import MarkFate
from central.services.points.books import Overspend
from protocol.allowlist import CardState
from protocol.clock import TOLERANCE_MS
from protocol.compiled import CompiledPolicy
from protocol.decision import decide
from protocol.messages import Clock, Kind, Outcome
from protocol.reasons import Reason

MINUTE_MS = 60_000

Travel = Callable[[str, str, int], int]
"""Minutes that it takes at least between two venues, for a tap of this instant; 0 = nothing is known."""


def no_travel(_venue: str, _other: str, _at_ms: int) -> int:
    """Where no travel time was stated."""
    return 0


def judge_again(seen: Iterable[Seen], travel: Travel = no_travel) -> list[Finding]:
    """Every disagreement about those of one member's taps in one domain that bring their circumstances.

    `seen`: these and every one before that may bear on them, in any order.
    """
    found: list[Finding] = []
    before: list[Seen] = []
    given_back: list[Seen] = []
    denied: dict[tuple[str, str, str], int] = {}
    for one in sorted(seen, key=lambda one: one.order):
        if one.fate == DENIED:
            found += _of_denied(one, before, given_back, denied)
            continue
        if one.told is not None and one.fate != MarkFate.REPEAT:
            found += _of_clock(one, one.told)
            if one.kind == Kind.TAP:
                found += _of_rules(one, one.told, before, given_back)
                found += _of_chip(one, before)
            if one.fate == MarkFate.COUNTS:
                found += _of_travel(one, before, travel)
        if one.fate == MarkFate.COUNTS:
            before.append(one)
        elif one.fate != MarkFate.REPEAT:
            given_back.append(one)
    return found


def of_overspends(overspends: Iterable[Overspend]) -> list[Finding]:
    """What the ledger says was spent and nobody had, by the events that spent it."""
    found = []
    for one in overspends:
        what, _, name = one.cause.partition(" ")
        if what == "event":
            device, epoch, sequence = name.rsplit(" ", 2)
            detail = {"points": one.points, "account": one.account}
            found.append(Finding(Kinds.OVERSPENT.value, device, bytes.fromhex(epoch), int(sequence), one.at_ms, detail))
    return found


def _bearing(earlier: Sequence[Seen], one: Seen, policies: Iterable[CompiledPolicy]) -> Sequence[Seen]:
    """Those that any of the policies looks back to from a tap."""
    off_ms = abs(one.at_ms - one.mark.at_ms)
    since_ms = min((policy.day(min(one.at_ms, one.mark.at_ms)).since_ms for policy in policies), default=one.at_ms)
    return earlier[bisect_left(earlier, since_ms - off_ms, key=lambda each: each.at_ms) :]


# --- who was denied ---------------------------------------------------------------------------------------------


def _of_denied(
    one: Seen, before: Sequence[Seen], given_back: Sequence[Seen], denied: dict[tuple[str, str, str], int]
) -> Iterator[Finding]:
    """`denied`: when each answer was last found wrong at each gate."""
    told = one.told
    if told is None:
        return
    if off := list(_of_clock(one, told)):
        yield from off
        return
    policies = [*(told.lately.policies if told.lately else ()), *([told.policy] if told.policy else ())]
    lately = [each for each in given_back if one.at_ms - LATE_MS < each.at_ms]
    detail = wronged(one, told, _bearing(before, one, policies), lately)
    if detail is None:
        return
    answer = one.device, one.reason, one.mark.rule
    if one.at_ms - denied.get(answer, one.at_ms - AGAIN_MS) >= AGAIN_MS:
        yield finding(Kinds.DENIED_ENTITLED, one, detail)
    denied[answer] = one.at_ms


# --- what the rules say -----------------------------------------------------------------------------------------


def _of_rules(one: Seen, told: Circumstances, before: Sequence[Seen], given_back: Sequence[Seen]) -> Iterator[Finding]:
    is_entering = one.mark.direction != "out"
    if told.policy is not None and (told.entry_held is not None or not is_entering):
        bearing = _bearing(before, one, [told.policy])
        own = [b.mark for b in bearing if _certainly_had(b, one, told)]
        others = [b.mark for b in bearing if not _certainly_had(b, one, told)]
        if granting(one, told, own, others) is None:
            yield finding(Kinds.POLICY_DIFFERS, one, _versions(one, told))
            return
        others += [each.mark for each in _bearing(given_back, one, [told.policy])]
        charge = charged_otherwise(one, told, own, sorted(others, key=lambda mark: (mark.at_ms, mark.name)))
        if charge is not None:
            yield finding(Kinds.CHARGED_OTHERWISE, one, charge)
        if told.policy.policy.session is None and is_entering and told.policy.looks_back:
            yield from _apart(one, told, told.policy, bearing)
    if is_entering:
        yield from _revoked(one, told)
    elif told.policy is not None and one.fate == MarkFate.COUNTS:
        left = left_without_entry(one, told.policy, before)
        if left is not None:
            yield finding(Kinds.LEFT_WITHOUT_ENTRY, one, *left)


def _certainly_had(earlier: Seen, one: Seen, told: Circumstances) -> bool:
    """Its own mark, of the same run of the agent, made and kept before."""
    is_own = (earlier.device, earlier.mark.epoch) == (one.device, one.mark.epoch)
    is_before = earlier.mark.sequence < one.mark.sequence and earlier.mark.at_ms <= one.mark.at_ms
    return told.keeps_marks and is_own and is_before and not earlier.is_repeat and earlier.kind == Kind.TAP


def _versions(one: Seen, told: Circumstances) -> Detail:
    held = told.held
    return {"reason": one.reason, "rule": one.mark.rule, "policy": held.policy, "allowlist": held.allowlist}


def _apart(one: Seen, told: Circumstances, policy: CompiledPolicy, bearing: Sequence[Seen]) -> Iterator[Finding]:
    """The same policy and list with every gate's marks, at the time that it was."""
    if one.at_ms != one.mark.at_ms:
        told = told._replace(clock=Clock.TRUSTED)  # somebody stated by how much it was off
    entry = told.entry_held.entry if told.entry_held else None
    history = knowing([earlier.corrected for earlier in bearing])
    answer = decide(policy, entry, history, judged_tap(one, told, one.at_ms))
    if answer.outcome is Outcome.GRANTED or answer.reason not in BY_HISTORY:
        return
    if decide(policy, entry, history, judged_tap(one, told, one.at_ms, one.mark.rule)).outcome is Outcome.GRANTED:
        return
    others = [b for b in bearing if b.device != one.device and b.mark.direction == "in"]
    last = others[-1] if others else bearing[-1]
    yield finding(Kinds.USED_APART, one, {"reason": answer.reason, "rule": answer.rule, "other": said(last)})


def _revoked(one: Seen, told: Circumstances) -> Iterator[Finding]:
    """Against what central knew at that instant. An exit is nobody's to refuse."""
    known = told.entry_known
    if known is None or one.reason == Reason.SIGNED_OUT:
        return
    entry, why = known.entry, ""
    if entry is None:
        why = "not-listed"
    elif entry.state is not CardState.ACTIVE:
        why = entry.state.name.lower()
    elif entry.until_ms and one.at_ms >= entry.until_ms:
        why = "expired"
    if why:
        detail = {"why": why, "known_since_ms": known.version, "allowlist": told.held.allowlist}
        yield finding(Kinds.AFTER_REVOCATION, one, detail)


# --- what no rule says ------------------------------------------------------------------------------------------


def _of_clock(one: Seen, told: Circumstances) -> Iterator[Finding]:
    """What the gate said of its clock, and what can be told from here: nothing is received before it happened, and no
    gate holds what was signed after. Once somebody stated the offset there is nothing left to find."""
    if one.at_ms != one.mark.at_ms:
        return
    manifest = told.held.manifest
    if told.clock >= Clock.BEHIND:
        yield finding(Kinds.CLOCK_OFF, one, {"clock": told.clock.name.lower()})
    elif one.mark.at_ms > told.received_ms + TOLERANCE_MS:
        yield finding(Kinds.CLOCK_OFF, one, {"clock": "ahead", "received_ms": told.received_ms})
    elif one.mark.at_ms + TOLERANCE_MS < manifest <= told.received_ms + TOLERANCE_MS:
        yield finding(Kinds.CLOCK_OFF, one, {"clock": "behind", "manifest": manifest})


def _of_chip(one: Seen, before: Sequence[Seen]) -> Iterator[Finding]:
    other = other_chip(one, before)
    if other is not None:
        yield finding(Kinds.FINGERPRINT_CHANGED, one, {"card": one.card, "other": said(other)})


def _of_travel(one: Seen, before: Sequence[Seen], travel: Travel) -> Iterator[Finding]:
    if not before or before[-1].mark.venue == one.mark.venue:
        return
    last = before[-1]
    minutes = travel(last.mark.venue, one.mark.venue, one.at_ms)
    if one.at_ms - last.at_ms < minutes * MINUTE_MS:
        yield finding(Kinds.IMPOSSIBLE_TRAVEL, one, {"minutes": minutes, "other": said(last)})
