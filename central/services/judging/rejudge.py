"""Judge a member's taps again, with everything that all gates and central know together (DESIGN invariant 5). Pure.

What a gate did is never rewritten: each disagreement is a finding, for a person. The same taps in any order of arrival
give the same findings.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from central.services.judging.possible import granting, judged_tap, knowing
from central.services.judging.seen import Circumstances, Seen
from central.services.marks import MarkFate
from central.services.points.books import Overspend
from protocol.allowlist import CardState
from protocol.clock import TOLERANCE_MS
from protocol.decision import decide
from protocol.history import FORGOTTEN_MS, Mark
from protocol.messages import Clock, Kind, Outcome
from protocol.reasons import Reason

MINUTE_MS = 60_000


class Kinds(StrEnum):
    """What can contradict. A kind never changes its meaning: it stands in the conflict's id."""

    USED_APART = "used-apart"
    """The gates' marks together keep out whom this gate, which did not know them all, let in."""
    OVERSPENT = "overspent"
    """More points were spent than the member had (of the points service)."""
    AFTER_REVOCATION = "admitted-after-revocation"
    """Central knew that the card was blocked, lost, replaced, ended or taken off the list."""
    IMPOSSIBLE_TRAVEL = "impossible-travel"
    """At another venue sooner than anybody gets there."""
    FINGERPRINT_CHANGED = "fingerprint-changed"
    """Another chip answered with the card's UID at the same device."""
    CLOCK_OFF = "clock-off"
    """The gate's clock was wrong, and nobody stated by how much."""
    POLICY_DIFFERS = "policy-differs"
    """By its own policy and list the gate cannot have granted it."""


Detail = dict[str, Any]


class Finding(NamedTuple):
    """One disagreement about one event. `detail` is JSON."""

    kind: str
    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    """As the event says."""
    detail: Detail

    @property
    def id(self) -> bytes:
        """The same whenever it is found again."""
        named = b"\0".join((self.kind.encode(), self.device.encode(), self.epoch))
        return hashlib.sha256(b"tapgate-conflict-v1\0" + named + self.sequence.to_bytes(8)).digest()[:16]


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
    for one in sorted(seen, key=lambda one: one.order):
        if one.told is not None and one.fate != MarkFate.REPEAT:
            found += _of_clock(one, one.told)
            if one.kind == Kind.TAP:
                found += _of_rules(one, one.told, before)
                found += _of_chip(one, before)
            if one.fate == MarkFate.COUNTS:
                found += _of_travel(one, before, travel)
        if one.fate == MarkFate.COUNTS:
            before.append(one)
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


def _finding(kind: Kinds, one: Seen, detail: Detail) -> Finding:
    return Finding(kind.value, one.device, one.mark.epoch, one.mark.sequence, one.mark.at_ms, detail)


def _said(one: Seen) -> Detail:
    """How another tap stands in a detail."""
    name = f"{one.device}/{one.mark.epoch.hex()}/{one.mark.sequence}"
    return {"event": name, "gate": one.mark.gate, "venue": one.mark.venue, "at_ms": one.at_ms}


# --- what the rules say -----------------------------------------------------------------------------------------


def _of_rules(one: Seen, told: Circumstances, before: Sequence[Seen]) -> Iterator[Finding]:
    is_entering = one.mark.direction != "out"
    if told.policy is not None and (told.entry_held is not None or not is_entering):
        horizon_ms = told.policy.day(min(one.at_ms, one.mark.at_ms)).since_ms - abs(one.at_ms - one.mark.at_ms)
        bearing = before[bisect_left(before, horizon_ms, key=lambda earlier: earlier.at_ms) :]
        own = [b.mark for b in bearing if _certainly_had(b, one, told)]
        others = [b.mark for b in bearing if not _certainly_had(b, one, told)]
        granted = granting(one, told, own, others)
        if granted is None:
            yield _finding(Kinds.POLICY_DIFFERS, one, _versions(one, told))
            return
        if told.policy.policy.session is None and is_entering:
            yield from _apart(one, told, bearing)
    if is_entering:
        yield from _revoked(one, told)


def _certainly_had(earlier: Seen, one: Seen, told: Circumstances) -> bool:
    """Its own mark, of the same run of the agent, made and kept before."""
    is_own = (earlier.device, earlier.mark.epoch) == (one.device, one.mark.epoch)
    is_before = earlier.mark.sequence < one.mark.sequence and earlier.mark.at_ms <= one.mark.at_ms
    return told.keeps_marks and is_own and is_before and not earlier.is_repeat and earlier.kind == Kind.TAP


def _versions(one: Seen, told: Circumstances) -> Detail:
    held = told.held
    return {"reason": one.reason, "rule": one.mark.rule, "policy": held.policy, "allowlist": held.allowlist}


def _apart(one: Seen, told: Circumstances, bearing: Sequence[Seen]) -> Iterator[Finding]:
    """The same policy and list with every gate's marks, at the time that it was."""
    assert told.policy is not None
    if one.at_ms != one.mark.at_ms:
        told = told._replace(clock=Clock.TRUSTED)  # somebody stated by how much it was off
    entry = told.entry_held.entry if told.entry_held else None
    marks = [_corrected(earlier) for earlier in bearing]
    answers = [
        decide(told.policy, entry, knowing(marks), judged_tap(one, told, one.at_ms, choice))
        for choice in ("", one.mark.rule)
    ]
    if any(answer.outcome is Outcome.GRANTED for answer in answers) or answers[0].reason not in _BY_HISTORY:
        return
    others = [b for b in bearing if b.device != one.device and b.mark.direction == "in"]
    last = others[-1] if others else bearing[-1]
    yield _finding(Kinds.USED_APART, one, {"reason": answers[0].reason, "rule": answers[0].rule, "other": _said(last)})


_BY_HISTORY = frozenset({Reason.LIMIT_REACHED.value, Reason.TOO_SOON.value, Reason.ALREADY_INSIDE.value})


def _corrected(one: Seen) -> Mark:
    mark = one.mark
    if one.at_ms == mark.at_ms:
        return mark
    return Mark(one.at_ms, *(getattr(mark, name) for name in Mark.__struct_fields__[1:]))


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
        yield _finding(Kinds.AFTER_REVOCATION, one, detail)


# --- what no rule says ------------------------------------------------------------------------------------------


def _of_clock(one: Seen, told: Circumstances) -> Iterator[Finding]:
    """What the gate said of its clock, and what can be told from here: nothing is received before it happened, and no
    gate holds what was signed after. Once somebody stated the offset there is nothing left to find."""
    if one.at_ms != one.mark.at_ms:
        return
    manifest = told.held.manifest
    if told.clock >= Clock.BEHIND:
        yield _finding(Kinds.CLOCK_OFF, one, {"clock": told.clock.name.lower()})
    elif one.mark.at_ms > told.received_ms + TOLERANCE_MS:
        yield _finding(Kinds.CLOCK_OFF, one, {"clock": "ahead", "received_ms": told.received_ms})
    elif one.mark.at_ms + TOLERANCE_MS < manifest <= told.received_ms + TOLERANCE_MS:
        yield _finding(Kinds.CLOCK_OFF, one, {"clock": "behind", "manifest": manifest})


def _of_chip(one: Seen, before: Sequence[Seen]) -> Iterator[Finding]:
    """Only at one device, since readers tell more or less of a chip, and under one token, which is in it."""
    if not one.fingerprint:
        return
    for earlier in reversed(before):
        if one.at_ms - earlier.at_ms >= FORGOTTEN_MS:
            return
        if (earlier.device, earlier.card) == (one.device, one.card) and earlier.fingerprint:
            if earlier.fingerprint != one.fingerprint and earlier.token == one.token != b"":
                yield _finding(Kinds.FINGERPRINT_CHANGED, one, {"card": one.card, "other": _said(earlier)})
            return


def _of_travel(one: Seen, before: Sequence[Seen], travel: Travel) -> Iterator[Finding]:
    if not before or before[-1].mark.venue == one.mark.venue:
        return
    last = before[-1]
    minutes = travel(last.mark.venue, one.mark.venue, one.at_ms)
    if one.at_ms - last.at_ms < minutes * MINUTE_MS:
        yield _finding(Kinds.IMPOSSIBLE_TRAVEL, one, {"minutes": minutes, "other": _said(last)})
