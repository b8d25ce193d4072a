"""What a decided tap leaves behind: its personal part, the member's history, what a screen tells."""

import os

import msgspec

from edge_agent.published.holding import Holding
from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Tap
from protocol.history import History, LastTap, Mark, Note, since, with_tap
from protocol.messages import Clock, Outcome, Personal


class Known(msgspec.Struct, frozen=True):
    """What a read card is to this gate. `key` is what its history stands under; empty = nobody."""

    entry: Entry | None = None
    token: bytes = b""
    key: bytes = b""
    fingerprint: bytes = b""


def personal_of(holding: Holding, known: Known, decision: Decision) -> Personal:
    """The token is there only when the list did not know the card."""
    salt, entry = os.urandom(16), known.entry
    if entry is None:
        return Personal(salt, b"", known.token, holding.key_number, 0, known.fingerprint)
    return Personal(salt, entry.subject, b"", 0, entry.card, known.fingerprint, decision.points, decision.due)


def history_after(
    policy: CompiledPolicy | None, before: History | None, tap: Tap, decision: Decision, name: tuple[bytes, int]
) -> History:
    """Of a tap that repeats nothing. What no rule looks back to any more goes as a history is written."""
    epoch, sequence = name
    is_granted = decision.outcome is Outcome.GRANTED
    direction = decision.direction if is_granted else tap.direction.value
    last = LastTap(
        tap.at_ms,
        tap.boot_id,
        tap.monotonic_ms,
        sequence,
        epoch,
        direction,
        decision.outcome,
        decision.reason,
        decision.rule,
    )
    if policy is None:
        return with_tap(before, last, None)
    if not policy.looks_back:
        return History(last)
    mark = None
    if decision.counts:
        points, due = decision.points, decision.due
        mark = Mark(tap.at_ms, tap.venue, tap.gate, direction, decision.rule, points, due, epoch, sequence)
    after = with_tap(before, last, mark)
    if tap.clock >= Clock.BEHIND:  # a wrong clock must not forget what rules still look back to
        return after
    since_ms = policy.day(tap.at_ms).since_ms
    is_old = (after.own and after.own[0].at_ms < since_ms) or (after.told and after.told[0].at_ms < since_ms)
    return since(after, since_ms) if is_old else after


def notes_of(decision: Decision) -> tuple[Note, ...]:
    """What the screen tells beside the reason: what was taken and what is due first."""
    points, due, notes = decision.points, decision.due, decision.notes
    if due > 0:
        notes = (("due", due), *notes)
    return (("points-used", points), *notes) if points > 0 else notes
