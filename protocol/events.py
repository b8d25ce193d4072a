"""What a device writes down and how it is taken into custody (SPEC §5.1 to §5.6): events, batches, receipts."""

from enum import IntEnum, StrEnum
from typing import Annotated

from msgspec import Meta

from protocol.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_EVENT_BYTES,
    Count,
    Digest,
    Id8,
    Id16,
    Message,
    Millis,
    Name,
    Record,
    Text,
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


class Held(Record, gc=False, frozen=True):
    """The versions that a gate held at an event; 0 = none."""

    manifest: int = 0
    allowlist: int = 0
    policy: int = 0
    config: int = 0


class Event(Record, gc=False, frozen=True):
    """The public part of an event: a fact that the chain covers. No personal data."""

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
    """The personal part of a tap; destroying it breaks no proof. The salt keeps its digest from being guessed."""

    salt: Id16
    subject: Annotated[bytes, Meta(max_length=16)] = b""
    token: Annotated[bytes, Meta(max_length=16)] = b""
    """Only of a card that the list did not know, with the number of the key it was made under."""
    key_number: Count = 0
    card: Count = 0
    """Which of the member's cards; 0 = unknown."""
    fingerprint: Annotated[bytes, Meta(max_length=16)] = b""
    """First 16 bytes of SHA-256 over UID length, SAK and ATR under the token: tells a copied card's chip apart."""
    charge: int = 0


class EpochStart(Message, frozen=True):
    """Event 0 of every epoch: the device's statement of the last epoch and head that it knows."""

    TYPE = "tapgate.epoch.v1"
    device: Name
    epoch: Id8
    previous_epoch: Annotated[bytes, Meta(max_length=8)]
    previous_sequence: int
    """Last sequence known of that epoch; −1 when there is none."""
    previous_head: Annotated[bytes, Meta(max_length=32)]
    at_ms: Millis
    why: Text = ""


class PassageDetail(Record, frozen=True):
    """What became of a granted tap."""

    sequence: Count
    passage: Name


class ReaderDetail(Record, frozen=True):
    """A reader changed its state."""

    reader: Text
    state: Name
    why: Text = ""


class StoreDetail(Record, frozen=True):
    """Something happened to the agent's own store: damage, a lost tail, the reserve being used."""

    what: Name
    why: Text = ""
    epoch: Annotated[bytes, Meta(max_length=8)] = b""
    first: Count = 0
    through: int = -1


class Batch(Message, frozen=True):
    """A run of events of one epoch, in order, with the chain's head before and after."""

    TYPE = "tapgate.batch.v1"
    MAX_BYTES = MAX_BATCH_BYTES
    device: Name
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
    device: Name
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
    device: Name
    epoch: Id8
    next: Count
    head: Digest
    at_ms: Millis


class EpochHeld(Record, frozen=True):
    """An epoch and the last sequence of it that somebody holds (−1: none)."""

    epoch: Id8
    through: int


class Inventory(Message, frozen=True):
    """What a device can still send; asked for when central's custody generation has changed."""

    TYPE = "tapgate.inventory.v1"
    device: Name
    epochs: Annotated[tuple[EpochHeld, ...], Meta(max_length=10_000)]
    nonce: Id16


class Holdings(Message, frozen=True):
    """What central holds of the epochs asked about: the device sends again what is missing."""

    TYPE = "tapgate.holdings.v1"
    device: Name
    generation: Count
    epochs: Annotated[tuple[EpochHeld, ...], Meta(max_length=10_000)]
    nonce: Id16
    at_ms: Millis


class Revoked(Message, frozen=True):
    """Final: destroy keys and lists, keep the journal."""

    TYPE = "tapgate.revoked.v1"
    device: Name
    at_ms: Millis
    reason: Text = ""
