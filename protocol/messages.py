"""Every message on the wire, as typed structs (SPEC §5). Those of publishing stand here; those of enrolment, of the
journal, of a gate's configuration and of a device's state stand beside it and are imported from here, too.

Times are UTC milliseconds. Structs are arrays on the wire, so a field's place is its name: append, never reorder, and
give a changed message a new type string. Policy and configuration are maps, since people write them.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from protocol.binding import Bind, BindDetail, TappedCard
from protocol.configuration import (
    Choice,
    Closure,
    GateConfig,
    MaskedName,
    Names,
    Profiles,
    ReleaseConfig,
    ScreenConfig,
    StaffPin,
    Wording,
)
from protocol.consent import ConsentDetail, ConsentNotice, Consents
from protocol.enrolment import DomainKey, Enrol, Enrolled, Hello, JoinToken, Key, KeyStatement, Pending, Role
from protocol.erasure import Erasure, Forget
from protocol.events import (
    AdmitDetail,
    Batch,
    Clock,
    ClosureDetail,
    ConfigDetail,
    Custody,
    Direction,
    EpochHeld,
    EpochStart,
    Event,
    Exempt,
    Held,
    Holdings,
    InputDetail,
    Inventory,
    Kind,
    Outcome,
    Passage,
    PassageDetail,
    Personal,
    ReaderDetail,
    Receipt,
    Resume,
    Revoked,
    StoreDetail,
    UndoDetail,
    Upload,
)
from protocol.fleet import Ask, Bundle, Health
from protocol.history import Counted, Mark, State, SubjectState
from protocol.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_ROWS,
    MAX_DELTA_CHUNKS,
    MAX_DELTA_ROWS,
    MAX_EVENT_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_PERSONAL_BYTES,
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
    decode,
    encode,
)

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_BATCH_EVENTS",
    "MAX_CHUNK_BYTES",
    "MAX_CHUNK_ROWS",
    "MAX_DELTA_CHUNKS",
    "MAX_DELTA_ROWS",
    "MAX_EVENT_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_PERSONAL_BYTES",
    "MAX_UPLOAD_BYTES",
    "AdmitDetail",
    "Ages",
    "Ask",
    "Batch",
    "Bind",
    "BindDetail",
    "Bundle",
    "Choice",
    "Clock",
    "Closure",
    "ClosureDetail",
    "ConfigDetail",
    "ConsentDetail",
    "ConsentNotice",
    "Consents",
    "Count",
    "Counted",
    "Custody",
    "Delta",
    "Digest",
    "Direction",
    "DomainKey",
    "Enrol",
    "Enrolled",
    "EpochHeld",
    "EpochStart",
    "Erasure",
    "Event",
    "Exempt",
    "Fetch",
    "Forget",
    "Fresh",
    "GateConfig",
    "Health",
    "Held",
    "Hello",
    "Holdings",
    "Id8",
    "Id16",
    "Identifier",
    "InputDetail",
    "Inventory",
    "JoinToken",
    "Key",
    "KeyStatement",
    "Kind",
    "Manifest",
    "Mark",
    "MaskedName",
    "Message",
    "Millis",
    "Name",
    "Names",
    "Outcome",
    "Part",
    "PartName",
    "Passage",
    "PassageDetail",
    "Pending",
    "Personal",
    "Poll",
    "Profiles",
    "ReaderDetail",
    "Receipt",
    "Record",
    "ReleaseConfig",
    "Resume",
    "Revoked",
    "Role",
    "Row",
    "ScreenConfig",
    "Snapshot",
    "StaffPin",
    "State",
    "StoreDetail",
    "SubjectState",
    "TappedCard",
    "Text",
    "Through",
    "Trouble",
    "UndoDetail",
    "Upload",
    "Wording",
    "decode",
    "encode",
]


class PartName(StrEnum):
    """What a manifest binds together."""

    ALLOWLIST = "allowlist"
    POLICY = "policy"
    CONFIG = "config"
    DOMAIN_KEY = "domain-key"
    PROFILES = "profiles"
    NAMES = "names"
    BIND = "bind"
    CONSENTS = "consents"
    STATE = "state"
    ASK = "ask"
    FORGET = "forget"
    """These three stand outside the manifest (SPEC §7.8, §7.11, §7.13), and here for what polls say of them."""


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
    device: Identifier
    number: Count
    at_ms: Millis
    expires_ms: Millis
    """Judged against the newest signed time: an old manifest cannot be served as news."""
    domain: Identifier
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
    device: Identifier
    number: Count
    at_ms: Millis
    generation: Count


class Snapshot(Message, frozen=True):
    """Head of a whole allowlist; the chunks follow in order, each with the digest that stands here."""

    TYPE = "tapgate.snapshot.v1"
    domain: Identifier
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
    domain: Identifier
    base: Count
    version: Count
    key_number: Count
    put: Annotated[tuple[Annotated[bytes, Meta(max_length=MAX_CHUNK_BYTES)], ...], Meta(max_length=MAX_DELTA_CHUNKS)]
    """Chunks as in a snapshot (`chunks.rows_of`), in any order: each is decoded when its rows are needed."""
    drop: Annotated[tuple[Id16, ...], Meta(max_length=MAX_DELTA_ROWS)]
    count: Count
    sum: Digest


class Trouble(Record, frozen=True):
    """A part that a device could not take up, and why."""

    part: Name
    version: Count
    why: Text


class Poll(Message, frozen=True):
    """A device asks for what is newer than it holds, and waits up to `wait_s` for it."""

    TYPE = "tapgate.poll.v1"
    device: Identifier
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
    device: Identifier
    nonce: Id16
    at_ms: Millis
    version: Count
    """Of the snapshot to go on with; without one begun, the floor: an older one is of no use."""
    first_chunk: Count
