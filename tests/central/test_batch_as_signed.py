"""A batch is verified and kept as its device signed it (SPEC §4.1), whichever version the device has (§1.1)."""

from typing import ClassVar

import msgspec
import pytest

from central.claim import read_upload, verify
from protocol.envelope import Keyring, Signer, unwrap
from protocol.errors import Failure, Refused
from protocol.journal import extend, genesis
from protocol.messages import Batch, EpochStart, Event, Kind, Upload, decode, encode

SIGNER = Signer(bytes(range(32)))
RING = Keyring.of(SIGNER.public)
EPOCH, AT_MS = b"epoch 01", 1_790_000_000_000


class OlderBatch(msgspec.Struct, array_like=True):
    """As a device would write it that cannot lose anything."""

    TYPE: ClassVar[str] = Batch.TYPE
    device: str
    epoch: bytes
    first: int
    previous_head: bytes
    events: tuple[bytes, ...]
    head: bytes


def batch() -> Batch:
    start = SIGNER.seal(EpochStart("device-1", EPOCH, b"", -1, b"", AT_MS))
    event = encode(Event(0, AT_MS, bytes(8), 1, 0, "door", Kind.START, detail=start))
    before = genesis("device-1", EPOCH)
    return Batch("device-1", EPOCH, 0, before, (event,), extend(before, event))


def as_older(whole: Batch) -> bytes:
    return SIGNER.seal(
        OlderBatch(whole.device, whole.epoch, whole.first, whole.previous_head, whole.events, whole.head)
    )


def test_an_older_devices_batch_is_taken_and_kept_as_it_was_signed() -> None:
    envelope = as_older(batch())
    sealed = read_upload(encode(Upload(envelope, (b"",))))
    claim = verify(sealed, RING)
    assert claim.batch == batch()
    assert sealed.envelope_bytes == envelope


def test_a_batch_that_means_the_same_and_was_not_signed_is_forged() -> None:
    outer = unwrap(as_older(batch()))
    same = encode(decode(Batch, outer.payload))
    assert same != outer.payload
    forged = encode(msgspec.structs.replace(outer, payload=same))
    with pytest.raises(Refused) as caught:
        verify(read_upload(encode(Upload(forged, (b"",)))), RING)
    assert caught.value.kind is Failure.BAD_SIGNATURE
