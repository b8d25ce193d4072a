"""What events come to: marks, and what became of each (SPEC §8.4, §8.5). Pure.

A mark is a granted tap, or somebody whom staff let in by hand. It counts unless it was undone or not taken, or repeats
one that counts. Of a run of repeats the first that was not given back counts, with the time and the charge of the one
that began the run, as the gate has it. Nothing here depends on the order in which the events came.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from central.details import read_detail
from central.people.attribution import AS_TOLD, Attribution, Person
from protocol.errors import Refused
from protocol.messages import AdmitDetail, Kind, Outcome, Passage, PassageDetail, Personal, UndoDetail, decode

KINDS = (Kind.TAP, Kind.ADMIT, Kind.PASSAGE, Kind.UNDO)
"""Events that marks follow from."""

EventName = tuple[str, bytes, int]
"""Device, epoch, sequence: the identity of an event, forever."""


class MarkFate(StrEnum):
    """What became of a mark. Only the first counts."""

    COUNTS = "counts"
    NOT_TAKEN = "not-taken"
    UNDONE = "undone"
    REPEAT = "repeat"


UNDONE = "undone"
SAID = frozenset({Passage.TAKEN.value, Passage.NOT_TAKEN.value, Passage.UNKNOWN.value, UNDONE})
"""What can be said of a granted tap."""


class Happened(NamedTuple):
    """An accepted event, as far as it matters here."""

    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    gate: str
    kind: str
    direction: str
    decision: str
    reason: str
    rule: str
    repeat_of: int
    personal: bytes | None
    detail: bytes | None

    @property
    def name(self) -> EventName:
        return self.device, self.epoch, self.sequence


class Said(NamedTuple):
    """One word about a granted tap: of which, and when."""

    of: EventName
    what: str
    at_ms: int


class MarkRow(NamedTuple):
    """A mark, before it is known where its gate stands. Of a repeat: what it counts as, should it count."""

    device: str
    epoch: bytes
    sequence: int
    subject: bytes
    at_ms: int
    gate: str
    kind: str
    direction: str
    reason: str
    rule: str
    card: int
    points: int
    due: int
    repeats: int
    """Sequence of the tap that began its run; its own where that stands in an earlier epoch; −1 = it repeats none."""

    @property
    def name(self) -> EventName:
        return self.device, self.epoch, self.sequence

    @property
    def run(self) -> EventName:
        """The name of the tap that began its run."""
        return self.device, self.epoch, self.sequence if self.repeats < 0 else self.repeats


def said_by(event: Happened) -> Said | None:
    """What an event says became of a tap or admission."""
    detail = read_detail(event.kind, event.detail)
    if isinstance(detail, UndoDetail):
        return Said((event.device, event.epoch, detail.sequence), UNDONE, event.at_ms)
    if isinstance(detail, PassageDetail) and detail.sequence >= 0 and detail.passage in SAID - {UNDONE}:
        return Said((event.device, detail.epoch or event.epoch, detail.sequence), detail.passage, event.at_ms)
    return None


def denied_tap(event: Happened) -> EventName | None:
    """The tap that was denied before staff let somebody in: it says whom."""
    detail = read_detail(event.kind, event.detail) if event.kind == Kind.ADMIT else None
    if not isinstance(detail, AdmitDetail) or detail.sequence < 0:
        return None
    return event.device, event.epoch, detail.sequence


def repeated(event: Happened) -> int:
    """Sequence of the tap that a tap repeats; its own where that is in an earlier epoch; −1 = it repeats none."""
    return event.repeat_of - 1 if event.kind == Kind.TAP else -1


def mark_of(
    event: Happened, before: MarkRow | None, denied: bytes | None, whose: Attribution = AS_TOLD
) -> MarkRow | None:
    """The mark that an event leaves, whatever becomes of it. `before`: the mark of the tap that it repeats; `denied`:
    the personal part of the tap that an admission names; `whose`: what is known now of cards that were bound to the
    wrong member. A tap of nobody (any more) leaves none."""
    if event.kind not in (Kind.TAP, Kind.ADMIT) or event.decision != Outcome.GRANTED:
        return None
    person = person_of(event.personal if event.kind == Kind.TAP else denied)
    if event.kind == Kind.TAP and not person.subject:
        return None
    if event.kind == Kind.ADMIT:
        person = Personal(person.salt, subject=person.subject, card=person.card)
    now = whose(Person(person.subject, person.card), event.at_ms)
    own = MarkRow(
        *(event.device, event.epoch, event.sequence, now.subject, event.at_ms, event.gate, event.kind),
        *(event.direction, event.reason, event.rule, now.card, person.points, person.due, repeated(event)),
    )
    if before is None or before.subject != own.subject or before.sequence >= own.sequence:
        return own
    return own._replace(
        at_ms=before.at_ms, rule=before.rule, points=before.points, due=before.due, repeats=before.run[2]
    )


def person_of(personal: bytes | None) -> Personal:
    """Nobody, where the personal part was destroyed, cannot be read, or names a card that no member has."""
    try:
        person = decode(Personal, personal) if personal else _NOBODY
    except Refused:
        return _NOBODY
    return person if person.card <= MOST_CARDS else _NOBODY


_NOBODY = Personal(bytes(16))
MOST_CARDS = 2**31 - 1
"""As many as a column of PostgreSQL's holds; a device that says another number is not believed."""


def given_back(said: Collection[str]) -> MarkFate | None:
    """How, if it was: undone, or not taken. Of a tap said to be taken and not, the one that leaves nobody out holds."""
    if UNDONE in said:
        return MarkFate.UNDONE
    if Passage.NOT_TAKEN in said and Passage.TAKEN not in said and Passage.UNKNOWN not in said:
        return MarkFate.NOT_TAKEN
    return None


def fates_of(marks: Iterable[MarkRow], said: Mapping[EventName, Collection[str]]) -> dict[EventName, MarkFate]:
    """What became of each mark of whole runs: of each run the first that was not given back counts. The tap that began
    a run stands first even where it left no mark here, as one that is lost for ever."""
    counting: dict[EventName, EventName] = {}
    found: dict[EventName, MarkFate] = {}
    for mark in sorted(marks, key=lambda mark: mark.name):
        fate = given_back(said.get(mark.name, ()))
        if fate is not None:
            found[mark.name] = fate
            continue
        run = mark.run
        began_elsewhere = mark.repeats == mark.sequence
        if run not in counting:
            stands = run != mark.name and given_back(said.get(run, ())) is None
            counting[run] = run if stands or began_elsewhere else mark.name
        counts = counting[run] == mark.name and not began_elsewhere
        found[mark.name] = MarkFate.COUNTS if counts else MarkFate.REPEAT
    return found
