"""Who may be inside a venue, out of the events of its gates since a moment (SPEC §8.5). Pure.

A granted tap inwards counts when its passage was taken, or where its gate cannot see passages; one that was not taken
or was undone counts as never made. Where it is not known whether the way was taken, the person may be inside: at a fire
nobody is to be left out. A person leaves by a granted tap outwards in the same way; in doubt the person stays.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from protocol.messages import AdmitDetail, Kind, Outcome, Passage, PassageDetail, UndoDetail


class How(StrEnum):
    """How sure it is that somebody went in."""

    TAKEN = "taken"
    """The door was opened, the turnstile turned."""
    NOT_SEEN = "not-seen"
    """Granted at a gate that cannot see passages."""
    UNKNOWN = "unknown"
    """The gate could not see it, or not see whether the person left again."""
    PENDING = "pending"
    """Granted, and no word of the passage yet."""


CERTAIN = (How.TAKEN, How.NOT_SEEN)


class Seen(NamedTuple):
    """An event, as far as it matters here. `detail`: decoded, or None; `subject`: empty where it is not known."""

    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    gate: str
    kind: str
    direction: str
    decision: str
    subject: bytes = b""
    detail: Any = None

    @property
    def name(self) -> tuple[str, bytes, int]:
        return self.device, self.epoch, self.sequence


class Inside(NamedTuple):
    """Somebody who may be inside. `subject` empty: let in by hand, nobody knows who; `by`: the staff who did."""

    subject: bytes
    gate: str
    since_ms: int
    how: How
    by: str = ""


Name = tuple[str, bytes, int]


def who_may_be_inside(events: Iterable[Seen], watched: Collection[str]) -> list[Inside]:
    """By the time of entry. `watched`: gates that see passages, so that a tap there without one is pending."""
    ordered = sorted(events, key=lambda event: (event.at_ms, *event.name))
    fates, undone = _fates(ordered), _undone(ordered)
    tapped = {event.name: event.subject for event in ordered if event.kind == Kind.TAP}
    known: dict[bytes, Inside] = {}
    unknown: list[Inside] = []
    for event in ordered:
        if event.kind not in (Kind.TAP, Kind.ADMIT) or event.decision != Outcome.GRANTED or event.name in undone:
            continue
        how = fates.get(event.name, How.PENDING if event.gate in watched else How.NOT_SEEN)
        if how is None:
            continue
        by = event.detail.staff if isinstance(event.detail, AdmitDetail) else ""
        subject = event.subject or _of_denied_tap(event, tapped)
        if subject:
            _move(known, Inside(subject, event.gate, event.at_ms, how, by), event.direction)
        elif event.kind == Kind.ADMIT and event.direction != "out":
            unknown.append(Inside(b"", event.gate, event.at_ms, how, by))
    return sorted([*known.values(), *unknown], key=lambda one: (one.since_ms, one.subject))


def _move(known: dict[bytes, Inside], one: Inside, direction: str) -> None:
    before = known.get(one.subject)
    if direction != "out":
        if before is None or before.how not in CERTAIN or one.how in CERTAIN:
            known[one.subject] = one
    elif one.how in CERTAIN:
        known.pop(one.subject, None)
    elif before is not None:
        known[one.subject] = before._replace(how=How.UNKNOWN)


def _fates(events: Iterable[Seen]) -> dict[Name, How | None]:
    """What became of taps and admissions, where their gate said so; None = not taken."""
    said = {Passage.TAKEN: How.TAKEN, Passage.UNKNOWN: How.UNKNOWN, Passage.NOT_TAKEN: None}
    found: dict[Name, How | None] = {}
    for event in events:
        detail = event.detail
        if event.kind != Kind.PASSAGE or not isinstance(detail, PassageDetail) or detail.passage not in said:
            continue
        of = event.device, detail.epoch or event.epoch, detail.sequence
        if found.get(of) is not How.TAKEN:  # a gate gives one; of two, the one that leaves nobody out
            found[of] = said[Passage(detail.passage)]
    return found


def _undone(events: Iterable[Seen]) -> set[Name]:
    return {
        (event.device, event.epoch, event.detail.sequence)
        for event in events
        if event.kind == Kind.UNDO and isinstance(event.detail, UndoDetail)
    }


def _of_denied_tap(event: Seen, tapped: dict[Name, bytes]) -> bytes:
    """Whom staff let in, where the card was known and only not admitted."""
    if not isinstance(event.detail, AdmitDetail) or event.detail.sequence < 0:
        return b""
    return tapped.get((event.device, event.epoch, event.detail.sequence), b"")
