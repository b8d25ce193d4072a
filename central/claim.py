"""From the bytes of an upload to a claim: signature, chain and epoch statement hold (SPEC §6.2, §6.4). Pure.

`read_upload` gives the outer form, `verify` the claim; `ingest.judge` decides what becomes of it.
"""

from typing import NamedTuple

from protocol.envelope import Envelope, Keyring, digest, open_as, unwrap
from protocol.errors import Failure, Refused
from protocol.journal import genesis, heads
from protocol.messages import MAX_PERSONAL_BYTES, Batch, EpochStart, Event, Kind, Upload, decode


class Evidence(NamedTuple):
    """What contradicts, is missing or was not meant for us; (device, digest, kind) names it."""

    kind: str
    digest: bytes
    detail: str
    body: bytes


class Evident(Refused):
    """Refused without a signed answer, and kept: status 422."""

    def __init__(self, kind: Failure, detail: str, evidence: Evidence) -> None:
        super().__init__(kind, detail)
        self.evidence = evidence


class Sealed(NamedTuple):
    """An upload in its outer form: nothing in it is verified yet."""

    body: bytes
    envelope_bytes: bytes
    envelope: Envelope
    batch: Batch
    personal: tuple[bytes, ...]
    digest: bytes


class Claim(NamedTuple):
    """An upload that its device signed, whose chain is whole and whose event 0 states its own epoch."""

    sealed: Sealed
    heads: list[bytes]
    start: EpochStart | None
    """Event 0's statement, when the batch brings it."""
    start_envelope: bytes

    @property
    def batch(self) -> Batch:
        return self.sealed.batch

    @property
    def last(self) -> int:
        """The sequence of the batch's last event."""
        return self.sealed.batch.first + len(self.sealed.batch.events) - 1


def read_upload(body: bytes) -> Sealed:
    """Raises Refused: malformed, oversized, wrong-type."""
    upload = decode(Upload, body)
    envelope = unwrap(upload.batch)
    if envelope.type != Batch.TYPE:
        raise Refused(Failure.WRONG_TYPE, f"{envelope.type} where {Batch.TYPE} belongs")
    batch = decode(Batch, envelope.payload)
    if len(upload.personal) != len(batch.events):
        raise Refused(Failure.MALFORMED, f"{len(upload.personal)} personal parts beside {len(batch.events)} events")
    size = sum(map(len, upload.personal))
    if size > MAX_PERSONAL_BYTES:
        raise Refused(Failure.OVERSIZED, f"personal parts of {size} bytes, {MAX_PERSONAL_BYTES} allowed")
    return Sealed(body, upload.batch, envelope, batch, upload.personal, digest(upload.batch))


def verify(sealed: Sealed, ring: Keyring) -> Claim:
    """`ring`: the key of the device that the batch names. Raises Refused for a forged envelope, Evident for
    a chain that is not what was signed and for an event 0 that is not its epoch's statement."""
    ring.check(sealed.envelope, None)
    batch = sealed.batch
    found = heads(batch.previous_head, batch.events)
    if found[-1] != batch.head:
        raise evident(sealed, Failure.BROKEN_CHAIN, "the events do not lead to the head that was signed")
    if batch.first:
        return Claim(sealed, found, None, b"")
    if batch.previous_head != genesis(batch.device, batch.epoch):
        raise evident(sealed, Failure.BROKEN_CHAIN, "event 0 does not stand on its epoch's genesis")
    start, envelope = _statement(sealed, ring)
    return Claim(sealed, found, start, envelope)


def evident(sealed: Sealed, kind: Failure, detail: str) -> Evident:
    """The error that keeps a batch as evidence under the name of its failure."""
    text = f"epoch {sealed.batch.epoch.hex()}, first {sealed.batch.first}: {detail}"
    return Evident(kind, text, Evidence(kind.value, sealed.digest, text, sealed.envelope_bytes))


def _statement(sealed: Sealed, ring: Keyring) -> tuple[EpochStart, bytes]:
    batch = sealed.batch
    try:
        event = decode(Event, batch.events[0])
        start = open_as(EpochStart, event.detail, ring)
    except Refused as refused:
        raise evident(sealed, Failure.OTHER_EPOCH, f"event 0 is no epoch statement ({refused})") from None
    if (event.kind, start.device, start.epoch) != (Kind.START, batch.device, batch.epoch):
        raise evident(sealed, Failure.OTHER_EPOCH, f"event 0 states epoch {start.epoch.hex()} of {start.device}")
    return start, event.detail
