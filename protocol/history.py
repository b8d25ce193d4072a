"""What is known of a member's earlier taps in a domain: what a gate keeps, what central tells it, and how the two
become one (SPEC §8.6). Pure.
"""

from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.events import Outcome
from protocol.wire import Count, Id16, Identifier, Message, Millis, Name, Record, Through

MAX_MARKS = 256
"""Of one member. Beyond it the oldest but the very first go: the first says when a season began for this person."""
MAX_GIVEN_BACK = 32
MAX_STATES = 5_000
"""Members in one state message: applying it holds up a tap beside it for a few milliseconds at the most."""
FORGOTTEN_MS = 31 * 24 * 3_600_000
"""An entry without an exit counts for so long, and no longer."""

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


class GivenBack(Record, gc=False, frozen=True):
    """A tap of this gate that counts no more: by which later event of it, and the repeat that took its place. Central's
    word may still be from before that event."""

    epoch: Annotated[bytes, Meta(max_length=8)]
    sequence: Count
    """Of the undo, or of the passage that was not taken."""
    tap_epoch: Annotated[bytes, Meta(max_length=8)]
    tap_sequence: Count
    heir_epoch: Annotated[bytes, Meta(max_length=8)] = b""
    """Empty: nothing took its place."""
    heir_sequence: Count = 0

    @property
    def tap(self) -> tuple[bytes, int]:
        return self.tap_epoch, self.tap_sequence

    @property
    def heir(self) -> tuple[bytes, int]:
        return self.heir_epoch, self.heir_sequence


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
    given_back: Annotated[tuple[GivenBack, ...], Meta(max_length=MAX_GIVEN_BACK)] = ()
    """The oldest first. Kept when central counts them, too: it may be restored from before that."""

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


def accept_state(offered: State, device: str, domain: str, held: int) -> None:
    """Whether a state message goes on from the version held (0 = none). Raises Refused; checks in the order of
    SPEC §7.8."""
    if offered.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"states for {offered.device}")
    if offered.domain != domain:
        raise Refused(Failure.OTHER_DOMAIN, f"states of {offered.domain}, {domain} is stated")
    if offered.base not in (0, held):
        raise Refused(Failure.WRONG_BASE, f"states from {offered.base}, {held} is held")
    if offered.version <= offered.base or offered.version < held:
        raise Refused(Failure.NOT_NEWER, f"states {offered.version} from {offered.base}, {held} is held")


# --- from one history to the next ---------------------------------------------------------------------------


def with_tap(history: History | None, last: LastTap, mark: Mark | None) -> History:
    """After a tap of this gate that repeats nothing; `mark` where it counts."""
    before = history or NOTHING
    own = before.own if mark is None else _newest((*before.own, mark))
    return msgspec.structs.replace(before, last=last, own=own)


def without(history: History, name: tuple[bytes, int], last: LastTap | None, by: tuple[bytes, int]) -> History:
    """As if this gate's tap of that name had not been; `last` is the one before it. `by`: the event that says so."""
    return _amended(msgspec.structs.replace(history, last=last), GivenBack(*by, *name))


def renamed(history: History, name: tuple[bytes, int], heir: tuple[bytes, int], by: tuple[bytes, int]) -> History:
    """A repeat takes the place of the tap that it repeats, which counts as never made. `by`: the event that says so."""
    last = history.last
    if last is not None and last.name == name:
        history = msgspec.structs.replace(history, last=last.renamed(heir))
    return _amended(history, GivenBack(*by, *name, *heir))


def with_state(history: History | None, state: SubjectState, counted: Mapping[bytes, int]) -> History:
    """Central's word in place of its earlier one; of this gate's marks those that it does not count yet are kept. What
    was given back by an event that it does not count stays given back."""
    before = history or NOTHING
    told = state.marks
    for back in before.given_back:
        if back.sequence > counted.get(back.epoch, -1):
            told = _without(told, back)
    own = uncounted(before.own, counted, before.given_back)
    reserved = state.reserved + _points(state.marks) - _points(told)
    return History(before.last, own, told, reserved, state.lapse_ms, state.notes, before.given_back)


def uncounted(
    own: tuple[Mark, ...], counted: Mapping[bytes, int], given_back: tuple[GivenBack, ...] = ()
) -> tuple[Mark, ...]:
    """This gate's marks that are not in central's word. One that took another's place is in it when that one is."""
    first: dict[tuple[bytes, int], tuple[bytes, int]] = {}
    for back in given_back:
        if back.heir_epoch:
            first[back.heir] = first.get(back.tap, back.tap)
    names = ((mark, first.get(mark.name, mark.name)) for mark in own)
    return tuple(mark for mark, (epoch, sequence) in names if sequence > counted.get(epoch, -1))


def untold(history: History, ours: Collection[bytes], counted: Mapping[bytes, int]) -> History:
    """Central begins anew: nothing that it told before counts any more. Marks of this gate (`ours`: its epochs) that it
    counted then and counts no more, as after a restore, are this gate's own again."""
    back = uncounted(tuple(mark for mark in history.told if mark.epoch in ours), counted, history.given_back)
    own = {mark.name: mark for mark in (*back, *history.own)}
    return History(history.last, _newest(tuple(own.values())), given_back=history.given_back)


def since(history: History, since_ms: int) -> History:
    """Without what no rule looks back to any more. What this gate took from a reservation stays until central counts
    it, however old: else the same points could be spent again."""
    own = tuple(mark for mark in history.own if mark.at_ms >= since_ms or mark.points)
    told = tuple(mark for mark in history.told if mark.at_ms >= since_ms)
    return msgspec.structs.replace(history, own=own, told=told)


def is_empty(history: History) -> bool:
    """Nothing in it can bear on a decision."""
    return history == NOTHING


def _amended(history: History, back: GivenBack) -> History:
    """Nothing is to be remembered of a tap that left no mark. Points that central counts as gone are there again."""
    own, told = _without(history.own, back), _without(history.told, back)
    if (own, told) == (history.own, history.told):
        return history
    backs = (*history.given_back, back)[-MAX_GIVEN_BACK:]
    reserved = history.reserved + _points(history.told) - _points(told)
    return msgspec.structs.replace(history, own=own, told=told, reserved=reserved, given_back=backs)


def _without(marks: tuple[Mark, ...], back: GivenBack) -> tuple[Mark, ...]:
    if not back.heir_epoch:
        return tuple(mark for mark in marks if mark.name != back.tap)
    heir = {"epoch": back.heir_epoch, "sequence": back.heir_sequence}
    return tuple(msgspec.structs.replace(mark, **heir) if mark.name == back.tap else mark for mark in marks)


def _points(marks: tuple[Mark, ...]) -> int:
    return sum(mark.points for mark in marks)


def _newest(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """At most `MAX_MARKS`. Points that a dropped one took go over to the one after it: they stay spent."""
    if len(marks) <= MAX_MARKS:
        return marks
    cut = len(marks) - MAX_MARKS + 1
    spent = sum(mark.points for mark in marks[1:cut])
    heir = msgspec.structs.replace(marks[cut], points=marks[cut].points + spent)
    return (marks[0], heir, *marks[cut + 1 :])
