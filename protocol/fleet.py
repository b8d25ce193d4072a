"""What a device tells of its own state, and how central asks it for a support bundle (SPEC §5.15, §7.11).

None of it decides anything: a device that tells nothing of this admits people as well as one that does.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.events import Clock
from protocol.wire import Count, Digest, Id16, Identifier, Message, Millis, Name, Record, Text

MAX_BUNDLE_BYTES = 1024 * 1024
"""A bundle's content, compressed."""
MAX_BUNDLE_UPLOAD_BYTES = MAX_BUNDLE_BYTES + 4 * 1024
"""The body of its upload: the content, its envelope, and their framing."""
MAX_HEALTH_BYTES = 64 * 1024
BUNDLE = "bundle"
"""What central may ask a device for."""


class ReaderHealth(Record, frozen=True):
    """A reader as it works now."""

    name: Name
    kind: Name
    state: Name
    model: Text
    """What the reader calls itself; empty = it does not tell."""
    profile: Text
    firmware: Text


class Health(Message, frozen=True):
    """How a device and its machine are. Only the newest counts."""

    TYPE = "tapgate.health.v1"
    MAX_BYTES: ClassVar[int] = MAX_HEALTH_BYTES
    device: Identifier
    at_ms: Millis
    version: Text
    clock: Clock
    machine_s: Count
    """Since the machine was started."""
    agent_s: Count
    """Since the agent was started."""
    disk_free_bytes: Count
    disk_bytes: Count
    """Of the file system that the journal is on; 0 = not known."""
    memory_free_bytes: Count
    memory_bytes: Count
    """0 = not known."""
    readers: Annotated[tuple[ReaderHealth, ...], Meta(max_length=64)]
    certificate_until_ms: Millis = 0
    """When the certificate that central shows it ends, where authorities vouch for it; 0 = pinned, or not known."""


class Ask(Message, frozen=True):
    """Central asks one device for something that an operator wants to look at."""

    TYPE = "tapgate.ask.v1"
    device: Identifier
    version: Count
    ask: Id16
    what: Name
    until_ms: Millis
    """Excluded: an answer that comes later is refused."""


class Bundle(Message, frozen=True):
    """What a device gathered for an ask, or why it could not. The content travels beside, bound by its digest."""

    TYPE = "tapgate.bundle.v1"
    device: Identifier
    ask: Id16
    at_ms: Millis
    size: Annotated[int, Meta(ge=0, le=MAX_BUNDLE_BYTES)]
    digest: Digest
    """SHA-256 of the content, also of an empty one."""
    why: Text = ""
    """Empty: it was made."""


class BundleUpload(Record, frozen=True):
    """The body of a bundle's upload."""

    bundle: Annotated[bytes, Meta(max_length=2_048)]
    """The signed envelope."""
    content: Annotated[bytes, Meta(max_length=MAX_BUNDLE_BYTES)]

    MAX_BYTES: ClassVar[int] = MAX_BUNDLE_UPLOAD_BYTES


def accept_ask(held_version: int, offered: Ask, device: str, signed_now_ms: int) -> None:
    """Raises Refused. `held_version`: of the newest ask that the device took up; 0 = none."""
    if offered.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"{device} is asked what {offered.device} should be")
    if offered.version < held_version:
        raise Refused(Failure.NOT_NEWER, f"ask {offered.version}, {held_version} is held")
    if offered.until_ms <= signed_now_ms:
        raise Refused(Failure.EXPIRED, f"ask {offered.version} ended at {offered.until_ms} ms")
    if offered.what != BUNDLE:
        raise Refused(Failure.NOT_SATISFIABLE, f"asked for {offered.what!r}, which this version does not have")
