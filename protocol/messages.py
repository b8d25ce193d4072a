"""Every message on the wire, as typed structs (SPEC §5), and the one strict way to encode and decode them.

Times are UTC milliseconds. Structs are arrays on the wire, so a field's place is its name: append, never
reorder, and give a changed message a new type string. Policy and configuration are maps, since people
write them.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from protocol.errors import Failure, Refused

MAX_BATCH_EVENTS = 1_000
MAX_BATCH_BYTES = 256 * 1024
"""The envelope of a batch; small enough for one retry on a weak mobile line."""
MAX_PERSONAL_BYTES = 256 * 1024
MAX_EVENT_BYTES = 4 * 1024
MAX_DELTA_ROWS = 50_000
"""Above it a snapshot is cheaper for both sides than a delta."""
MAX_CHUNK_ROWS = 16_384
MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Any one message that is not a batch."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=500)]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Id16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Id8 = Annotated[bytes, Meta(min_length=8, max_length=8)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A payload that travels in an envelope under its own type string."""

    TYPE: ClassVar[str] = ""
    MAX_BYTES: ClassVar[int] = MAX_MESSAGE_BYTES


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of a message; never signed alone."""


# --- events -----------------------------------------------------------------------------------------------


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


# --- keys and enrolment -----------------------------------------------------------------------------------


class Role(StrEnum):
    """What a key of central may sign."""

    RECEIPT = "receipt"
    PUBLISH = "publish"
    SERVE = "serve"


class Key(Record, frozen=True):
    """One key of central. For `serve`, `public` is the SHA-256 of the TLS certificate (DER)."""

    public: Digest
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=3)]
    from_ms: Millis = 0
    until_ms: Millis = 0
    """0 = no end. Judged against the newest signed time, never the wall clock."""


class KeyStatement(Message, frozen=True):
    """Signed by the offline root: which keys speak for central. Its number only rises."""

    TYPE = "tapgate.keys.v1"
    number: Count
    at_ms: Millis
    keys: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=32)]


class JoinToken(Record, frozen=True):
    """What an operator carries to a new device (base64url after `tapgate1:`)."""

    url: Text
    secret: Id16
    root_public: Digest
    pinned: bool
    """True: trust the certificates that the key statement names; False: the system's authorities."""


class Hello(Message, frozen=True):
    """Unsigned by need: a device that knows no key yet asks for central's statement and a nonce."""

    TYPE = "tapgate.hello.v1"
    key_statement: Annotated[bytes, Meta(max_length=16_384)]
    nonce: Id16


class Enrol(Message, frozen=True):
    """A device's request to join, signed with the key it brings."""

    TYPE = "tapgate.enrol.v1"
    secret: Id16
    signing_public: Digest
    sealing_public: Digest
    nonce: Id16
    version: Text


class Enrolled(Message, frozen=True):
    """The same answer for the same token and key. Data flows only after an operator compared the words."""

    TYPE = "tapgate.enrolled.v1"
    device: Name
    gate: Name
    venue: Name
    domain: Name
    signing_public: Digest
    at_ms: Millis


class DomainKey(Message, frozen=True):
    """A domain's key, sealed (HPKE: X25519, HKDF-SHA256, ChaCha20-Poly1305; info = this type) to one device."""

    TYPE = "tapgate.domain-key.v1"
    device: Name
    domain: Name
    number: Count
    sealed: Annotated[bytes, Meta(max_length=512)]


# --- publishing -------------------------------------------------------------------------------------------


class PartName(StrEnum):
    """What a manifest binds together."""

    ALLOWLIST = "allowlist"
    POLICY = "policy"
    CONFIG = "config"
    DOMAIN_KEY = "domain-key"


class Part(Record, frozen=True):
    """A published part: its version and the digest of what stands at that version."""

    name: Name
    version: Count
    digest: Digest


class Ages(Record, frozen=True):
    """How old the last signed word may be before a gate warns, restricts, closes. Milliseconds, rising."""

    warn_ms: Count
    restrict_ms: Count
    close_ms: Count


class Manifest(Message, frozen=True):
    """The one signed statement of what one device should hold."""

    TYPE = "tapgate.manifest.v1"
    device: Name
    number: Count
    at_ms: Millis
    expires_ms: Millis
    """Judged against the newest signed time: an old manifest cannot be served as news."""
    domain: Name
    venue: Name
    gate: Name
    parts: Annotated[tuple[Part, ...], Meta(max_length=16)]
    ages: Ages
    generation: Count
    """Custody generation: another value than before means central was restored (SPEC §7.5)."""
    keys_number: Count
    """The key statement that central goes by."""


class Fresh(Message, frozen=True):
    """Nothing newer: this manifest is still the word, as of `at_ms`."""

    TYPE = "tapgate.fresh.v1"
    device: Name
    number: Count
    at_ms: Millis
    generation: Count


class Pending(Message, frozen=True):
    """Enrolled, not yet confirmed by an operator."""

    TYPE = "tapgate.pending.v1"
    device: Name
    at_ms: Millis


class Snapshot(Message, frozen=True):
    """Head of a whole allowlist; the chunks follow in order, each with the digest that stands here."""

    TYPE = "tapgate.snapshot.v1"
    domain: Name
    version: Count
    key_number: Count
    count: Count
    sum: Digest
    chunks: Annotated[tuple[Digest, ...], Meta(max_length=20_000)]


Row = tuple[Id16, Annotated[bytes, Meta(min_length=1, max_length=1024)]]
"""(token, entry): MessagePack of `allowlist.Entry`, kept as received."""


class Delta(Message, frozen=True):
    """What turns the list at `base` into the list at `version`; `count` and `sum` are of the result."""

    TYPE = "tapgate.delta.v1"
    domain: Name
    base: Count
    version: Count
    key_number: Count
    put: Annotated[tuple[Row, ...], Meta(max_length=MAX_DELTA_ROWS)]
    drop: Annotated[tuple[Id16, ...], Meta(max_length=MAX_DELTA_ROWS)]
    count: Count
    sum: Digest


class GateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What central configures of one gate. A map on the wire: operators write it."""

    TYPE: ClassVar[str] = "tapgate.config.v1"
    MAX_BYTES: ClassVar[int] = 64 * 1024
    version: Count
    gate: Name
    kind: Name
    direction: Direction = Direction.IN
    time_zone: Name = "Asia/Taipei"
    title_zh: Text = ""
    title_en: Text = ""


class Trouble(Record, frozen=True):
    """A part that a device could not take up, and why."""

    part: Name
    version: Count
    why: Text


class Poll(Message, frozen=True):
    """A device asks for what is newer than it holds, and waits up to `wait_s` for it."""

    TYPE = "tapgate.poll.v1"
    device: Name
    nonce: Id16
    at_ms: Millis
    manifest: Count
    keys_number: Count
    parts: Annotated[tuple[Part, ...], Meta(max_length=16)]
    troubles: Annotated[tuple[Trouble, ...], Meta(max_length=16)]
    backlog: Count
    wait_s: Annotated[int, Meta(ge=0, le=300)]
    version: Text
    understands: Annotated[tuple[Name, ...], Meta(max_length=128)]
    """Message types and rule kinds: central refuses to publish what a gate could not evaluate."""


class Fetch(Message, frozen=True):
    """A device asks for the snapshot of its domain, from a chunk on."""

    TYPE = "tapgate.fetch.v1"
    device: Name
    nonce: Id16
    at_ms: Millis
    version: Count
    """0 = the newest there is; otherwise go on with this one."""
    first_chunk: Count


# --- encoding ---------------------------------------------------------------------------------------------

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}


def decode(kind: type[T], data: bytes) -> T:
    """The typed message in `data`.

    Raises Refused: `oversized` past the type's limit, `malformed` for wrong types, unknown fields,
    truncation or trailing bytes, with the path of the offence.
    """
    limit = getattr(kind, "MAX_BYTES", MAX_MESSAGE_BYTES)
    if len(data) > limit:
        raise Refused(Failure.OVERSIZED, f"{kind.__name__} of {len(data)} bytes, {limit} allowed")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Failure.MALFORMED, f"{kind.__name__}: {error}") from None
