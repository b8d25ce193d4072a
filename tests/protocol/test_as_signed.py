"""Signatures are over the bytes that were received (SPEC §4.1), whichever version wrote them (§1.1)."""

from typing import ClassVar

import msgspec
import pytest

from protocol.envelope import Keyring, Signer, open_as, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import Receipt, decode, encode

SIGNER = Signer(bytes(range(32)))
RING = Keyring.of(SIGNER.public)
EPOCH, AT_MS = b"epoch 01", 1_790_000_000_000


class OlderReceipt(msgspec.Struct, array_like=True):
    """As a sender would write it that does not know of forks and exceptions yet."""

    TYPE: ClassVar[str] = Receipt.TYPE
    device: str
    epoch: bytes
    first: int
    through: int
    head: bytes
    at_ms: int


def test_a_message_that_ends_early_is_verified_as_it_was_signed() -> None:
    envelope = SIGNER.seal(OlderReceipt("device-1", EPOCH, 0, 4, bytes(32), AT_MS))
    receipt = open_as(Receipt, envelope, RING)
    assert receipt == Receipt("device-1", EPOCH, 0, 4, bytes(32), AT_MS)
    assert encode(receipt) != unwrap(envelope).payload


def test_what_means_the_same_and_was_not_signed_is_forged() -> None:
    outer = unwrap(SIGNER.seal(OlderReceipt("device-1", EPOCH, 0, 4, bytes(32), AT_MS)))
    same = encode(decode(Receipt, outer.payload))
    with pytest.raises(Refused) as caught:
        open_as(Receipt, encode(msgspec.structs.replace(outer, payload=same)), RING)
    assert caught.value.kind is Failure.BAD_SIGNATURE


def test_a_signature_is_judged_before_what_it_covers() -> None:
    outer = unwrap(SIGNER.seal(OlderReceipt("device-1", EPOCH, 0, 4, bytes(32), AT_MS)))
    with pytest.raises(Refused) as caught:
        open_as(Receipt, encode(msgspec.structs.replace(outer, payload=outer.payload[:-1])), RING)
    assert caught.value.kind is Failure.BAD_SIGNATURE
