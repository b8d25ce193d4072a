"""What is known of a member's earlier taps in a domain: what a gate keeps, what central tells it, and how the two
become one (SPEC §8.6). Pure.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.events import Outcome
from protocol.wire import Count, Id16, Identifier, Message, Millis, Name, Record, Through

MAX_MARKS = 256
"""Of one member. Beyond it the oldest but the very first go: the first says when a season began for this person."""
MAX_STATES = 5_000
"""Members in one state message: applying it holds up a tap beside it for a few milliseconds at the most."""

Place = Annotated[str, Meta(max_length=64)]
Way = Annotated[str, Meta(max_length=8)]
Amount = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Note = tuple[Name, Amount]
"""What a screen may tell the person, and its number: `["minutes-month", 754]`."""


class LastTap(Record, gc=False, frozen=True):
    """The last tap of a member (or of an unknown token) at this gate: what a repeat is measured from."""

    at_ms: Millis
    boot_id: bytes
    monotonic_ms: Count
    sequence: Count
    """Of the first tap of a run of repeats: what a repeat points to."""
    epoch: bytes
    direction: Way
    decision: Outcome
    reason: Annotated[str, Meta(max_length=64)]
    rule: Annotated[str, Meta(max_length=64)]

    @property
    def name(self) -> tuple[bytes, int]:
        return self.epoch, self.sequence

    def renamed(self, name: tuple[bytes, int]) -> "LastTap":
        return msgspec.structs.replace(self, epoch=name[0], sequence=name[1])


class Mark(Record, gc=False, frozen=True):
    """A granted tap that counts, at any gate of the domain. Epoch and sequence name its event."""

    at_ms: Millis
    venue: Place
    gate: Place
    direction: Way
    """Empty: recorded, and nobody knows which way."""
    rule: Annotated[str, Meta(max_length=64)]
    points: Amount
    due: Amount
    epoch: Annotated[bytes, Meta(max_length=8)]
    sequence: Count

    @property
    def name(self) -> tuple[bytes, int]:
        return self.epoch, self.sequence


class History(Record, gc=False, frozen=True):
    """Everything that a decision may look back to. What central told and what this gate added since are kept apart, so
    that nothing is counted twice."""

    last: LastTap | None = None
    own: Annotated[tuple[Mark, ...], Meta(max_length=MAX_MARKS)] = ()
    """This gate's, and not yet in central's word."""
    told: Annotated[tuple[Mark, ...], Meta(max_length=MAX_MARKS)] = ()
    reserved: Count = 0
    """Points that may be spent at this gate alone, as central reserved them."""
    lapse_ms: Millis = 0
    """From then on the reservation is void; 0 = none was made."""
    notes: Annotated[tuple[Note, ...], Meta(max_length=8)] = ()

    @property
    def at_ms(self) -> int:
        """Of the newest thing in it."""
        marks = (mark.at_ms for mark in (*self.own, *self.told))
        return max((self.last.at_ms if self.last else 0, self.lapse_ms, *marks))

    def points_left(self, at_ms: int) -> int:
        """What this gate may still spend; below 0 where it spent ahead."""
        held = self.reserved if at_ms < self.lapse_ms else 0
        return held - sum(mark.points for mark in self.own)


NOTHING = History()


# --- the word of central ------------------------------------------------------------------------------------


class SubjectState(Record, gc=False, frozen=True):
    """What central knows of one member that a gate's rules may need."""

    subject: Id16
    marks: Annotated[tuple[Mark, ...], Meta(max_length=MAX_MARKS)]
    reserved: Count = 0
    lapse_ms: Millis = 0
    notes: Annotated[tuple[Note, ...], Meta(max_length=8)] = ()


class Counted(Record, gc=False, frozen=True):
    """The device's own events of an epoch are in these states through this sequence."""

    epoch: Annotated[bytes, Meta(min_length=8, max_length=8)]
    through: Through


class State(Message, frozen=True):
    """The state feed: what changed since `base`. At base 0 nothing that was told before counts any more."""

    TYPE = "tapgate.state.v1"
    device: Identifier
    domain: Identifier
    base: Count
    version: Count
    at_ms: Millis
    counted: Annotated[tuple[Counted, ...], Meta(max_length=1_000)]
    inside: Annotated[tuple[tuple[Name, Count], ...], Meta(max_length=1_000)]
    """By venue: how many are inside, these own events counted in."""
    subjects: Annotated[tuple[SubjectState, ...], Meta(max_length=MAX_STATES)]


# --- from one history to the next ---------------------------------------------------------------------------


def with_tap(history: History | None, last: LastTap, mark: Mark | None) -> History:
    """After a tap of this gate that repeats nothing; `mark` where it counts."""
    before = history or NOTHING
    own = before.own if mark is None else _newest((*before.own, mark))
    return msgspec.structs.replace(before, last=last, own=own)


def without(history: History, name: tuple[bytes, int], last: LastTap | None) -> History:
    """As if this gate's tap of that name had not been; `last` is the one before it."""
    own = tuple(mark for mark in history.own if mark.name != name)
    return msgspec.structs.replace(history, last=last, own=own)


def renamed(history: History, name: tuple[bytes, int], heir: tuple[bytes, int]) -> History:
    """A repeat takes the place of the tap that it repeats, which counts as never made."""
    last = history.last
    own = tuple(
        msgspec.structs.replace(mark, epoch=heir[0], sequence=heir[1]) if mark.name == name else mark
        for mark in history.own
    )
    is_last = last is not None and last.name == name
    return msgspec.structs.replace(history, last=last.renamed(heir) if last and is_last else last, own=own)


def with_state(history: History | None, state: SubjectState, counted: Mapping[bytes, int]) -> History:
    """Central's word in place of its earlier one; of this gate's marks those that it does not count yet are kept."""
    before = history or NOTHING
    return History(
        before.last, uncounted(before.own, counted), state.marks, state.reserved, state.lapse_ms, state.notes
    )


def uncounted(own: tuple[Mark, ...], counted: Mapping[bytes, int]) -> tuple[Mark, ...]:
    """This gate's marks that are not in central's word."""
    return tuple(mark for mark in own if mark.sequence > counted.get(mark.epoch, -1))


def since(history: History, since_ms: int) -> History:
    """Without what no rule looks back to any more."""
    own, told = (tuple(mark for mark in marks if mark.at_ms >= since_ms) for marks in (history.own, history.told))
    return msgspec.structs.replace(history, own=own, told=told)


def is_empty(history: History) -> bool:
    """Nothing in it can bear on a decision."""
    return history == NOTHING


def _newest(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    return marks if len(marks) <= MAX_MARKS else (marks[0], *marks[-(MAX_MARKS - 1) :])
