"""What a device writes down and how it is taken into custody (SPEC §5.1 to §5.6): events, batches, receipts."""

from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from protocol.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_EVENT_BYTES,
    MAX_UPLOAD_BYTES,
    Count,
    Digest,
    Id8,
    Id16,
    Identifier,
    Message,
    Millis,
    Name,
    Record,
    Text,
    Through,
)


class Clock(IntEnum):
    """How far a gate's clock could be trusted at an event (SPEC §8.3)."""

    TRUSTED = 0
    UNCONFIRMED = 1
    BEHIND = 2
    AHEAD = 3


class Direction(StrEnum):
    """The way a tap asks to go."""

    IN = "in"
    OUT = "out"


class Outcome(StrEnum):
    """A decision's outcome."""

    GRANTED = "granted"
    DENIED = "denied"


class Kind(StrEnum):
    """The kinds of event that this version writes. On the wire a kind is any short string."""

    START = "start"
    TAP = "tap"
    PASSAGE = "passage"
    READER = "reader"
    STORE = "store"
    RELEASE_FAILED = "release-failed"
    ADMIT = "admit"
    UNDO = "undo"
    INPUT = "input"
    CONFIG = "config"
    BIND = "bind"
    CLOSURE = "closure"
    CONSENT = "consent"


class Held(Record, gc=False, frozen=True):
    """The versions that a gate held at an event; 0 = none."""

    manifest: Count = 0
    allowlist: Count = 0
    policy: Count = 0
    config: Count = 0


class Event(Record, gc=False, frozen=True):
    """The public part of an event: a fact that the chain covers. No personal data."""

    MAX_BYTES: ClassVar[int] = MAX_EVENT_BYTES
    sequence: Count
    at_ms: Millis
    boot_id: Id8
    monotonic_ms: Count
    clock: Clock
    gate: Annotated[str, Meta(max_length=64)]
    kind: Name
    direction: Annotated[str, Meta(max_length=8)] = ""
    decision: Annotated[str, Meta(max_length=16)] = ""
    reason: Annotated[str, Meta(max_length=64)] = ""
    rule: Annotated[str, Meta(max_length=64)] = ""
    repeat_of: Count = 0
    """Sequence of the tap whose answer this one repeats, plus one; 0 = a tap of its own."""
    held: Held = Held()
    personal_digest: Annotated[bytes, Meta(max_length=32)] = b""
    """SHA-256 of the personal part, or empty when there is none."""
    detail: Annotated[bytes, Meta(max_length=2048)] = b""
    """MessagePack of what this kind adds (StartDetail, PassageDetail, …)."""


class Personal(Record, gc=False, frozen=True):
    """The personal part of a tap or a statement; destroying it breaks no proof. The salt keeps its digest from being
    guessed."""

    MAX_BYTES: ClassVar[int] = MAX_EVENT_BYTES
    salt: Id16
    subject: Annotated[bytes, Meta(max_length=16)] = b""
    token: Annotated[bytes, Meta(max_length=16)] = b""
    """Only of a card that the list did not know, with the number of the key it was made under."""
    key_number: Count = 0
    card: Count = 0
    """Which of the member's cards; 0 = unknown."""
    fingerprint: Annotated[bytes, Meta(max_length=16)] = b""
    """`token.fingerprint`: tells a copied card's chip apart."""
    points: Annotated[int, Meta(ge=-(2**53), le=2**53)] = 0
    """Taken from the member's points."""
    due: Annotated[int, Meta(ge=-(2**53), le=2**53)] = 0
    """Said to be paid in cash or from a purse."""


class EpochStart(Message, frozen=True):
    """Event 0 of every epoch: the device's statement of the last epoch and head that it knows."""

    TYPE = "tapgate.epoch.v1"
    device: Identifier
    epoch: Id8
    previous_epoch: Annotated[bytes, Meta(max_length=8)]
    previous_sequence: Through
    """Last sequence known of that epoch; −1 when there is none."""
    previous_head: Annotated[bytes, Meta(max_length=32)]
    at_ms: Millis
    why: Text = ""

    def __post_init__(self) -> None:
        if len(self.previous_epoch) not in (0, 8) or len(self.previous_head) not in (0, 32):
            raise ValueError("an epoch has 8 bytes and a head 32, or none")


class Passage(StrEnum):
    """What became of the way through a gate (SPEC §5.1)."""

    TAKEN = "taken"
    NOT_TAKEN = "not-taken"
    UNKNOWN = "unknown"
    FORCED = "forced"
    HELD = "held"
    CLOSED = "closed"


class PassageDetail(Record, frozen=True):
    """What became of a granted tap or admission; without one (−1), what the door did by itself."""

    sequence: Through
    passage: Name
    epoch: Annotated[bytes, Meta(max_length=8)] = b""
    """Of the tap, where it is not this event's own."""


class ReaderDetail(Record, frozen=True):
    """A reader changed its state."""

    reader: Text
    state: Name
    why: Text = ""
    profile: Text = ""
    """Name of the profile in use, and whence: `acr122u`, `acr122u (local)`, `acr122u (published 3)`."""
    firmware: Text = ""
    """As the reader itself gave it; empty = not read."""


class AdmitDetail(Record, frozen=True):
    """Staff let somebody in by hand."""

    staff: Name
    why: Text
    sequence: Through = -1
    """The denied tap before it, in this epoch; −1 = none."""


class ClosureDetail(Record, frozen=True):
    """Staff closed this gate's way in, or opened it again (SPEC §7.10). By the gate's best guess at the time."""

    staff: Name
    why: Annotated[str, Meta(max_length=64)]
    """A code of `closure.STAFF_WHY`; empty where it is opened."""
    from_ms: Millis
    until_ms: Millis
    """Excluded; the same as `from_ms` = it is open again."""

    def __post_init__(self) -> None:
        if self.until_ms < self.from_ms:
            raise ValueError("a closure does not end before it begins")


class UndoDetail(Record, frozen=True):
    """A person took back a granted tap of this epoch: it counts as never made."""

    sequence: Count
    why: Name = "not-me"


class InputDetail(Record, frozen=True):
    """A level of an input changed and stayed (SPEC §5.1)."""

    input: Name
    on: bool
    inside: Count = 0
    """At a fire alarm: how many may be inside, as far as this gate knows."""


class ConfigDetail(Record, frozen=True):
    """A published part was put to use, or given up for the last good one."""

    part: Name
    what: Name
    version: Count
    why: Text = ""


class StoreDetail(Record, frozen=True):
    """Something happened to the agent's own store: damage, a lost tail, the reserve being used."""

    what: Name
    why: Text = ""
    epoch: Annotated[bytes, Meta(max_length=8)] = b""
    first: Count = 0
    through: Through = -1


class Batch(Message, frozen=True):
    """A run of events of one epoch, in order, with the chain's head before and after."""

    TYPE = "tapgate.batch.v1"
    MAX_BYTES = MAX_BATCH_BYTES
    device: Identifier
    epoch: Id8
    first: Count
    previous_head: Digest
    events: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_EVENT_BYTES)], ...], Meta(min_length=1, max_length=MAX_BATCH_EVENTS)
    ]
    head: Digest
    lost: Count = 0
    """How many sequences before `first` the device declares lost for ever (a damaged store)."""


class Upload(Record, frozen=True):
    """The body of POST /v1/batches: the signed batch and, beside it, the personal parts in the same order."""

    MAX_BYTES: ClassVar[int] = MAX_UPLOAD_BYTES
    batch: bytes
    personal: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_EVENT_BYTES)], ...], Meta(max_length=MAX_BATCH_EVENTS)
    ]


class Custody(StrEnum):
    """What a receipt says of one event that was not simply accepted."""

    HELD = "held"
    REFUSED = "refused"


class Exempt(Record, frozen=True):
    """An event in custody that central could not (yet) use."""

    sequence: Count
    custody: Custody
    reason: Text


class Receipt(Message, frozen=True):
    """Central's signed word that it holds these events. A resend gets the same bytes again."""

    TYPE = "tapgate.receipt.v1"
    device: Identifier
    epoch: Id8
    first: Count
    through: Count
    head: Digest
    at_ms: Millis
    fork: bool = False
    """These events contradict others of the same identity: kept as evidence; go on in a new epoch."""
    exceptions: Annotated[tuple[Exempt, ...], Meta(max_length=MAX_BATCH_EVENTS)] = ()


class Resume(Message, frozen=True):
    """The answer to a gap: what central holds of an epoch, so where to send from."""

    TYPE = "tapgate.resume.v1"
    device: Identifier
    epoch: Id8
    next: Count
    head: Digest
    at_ms: Millis


class EpochHeld(Record, frozen=True):
    """An epoch and the last sequence of it that somebody holds (−1: none)."""

    epoch: Id8
    through: Through


class Inventory(Message, frozen=True):
    """What a device can still send; asked for when central's custody generation has changed."""

    TYPE = "tapgate.inventory.v1"
    device: Identifier
    epochs: Annotated[tuple[EpochHeld, ...], Meta(max_length=10_000)]
    nonce: Id16


class Holdings(Message, frozen=True):
    """What central holds of the epochs asked about: the device sends again what is missing."""

    TYPE = "tapgate.holdings.v1"
    device: Identifier
    generation: Count
    epochs: Annotated[tuple[EpochHeld, ...], Meta(max_length=10_000)]
    nonce: Id16
    at_ms: Millis


class Revoked(Message, frozen=True):
    """Final: destroy keys and lists, keep the journal."""

    TYPE = "tapgate.revoked.v1"
    device: Identifier
    at_ms: Millis
    reason: Text = ""
