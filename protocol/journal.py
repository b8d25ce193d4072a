"""The hash chain over the public parts of an epoch's events (SPEC §6)."""

import hashlib
from collections.abc import Iterable

HEAD_BYTES = 32
_PREFIX = b"tapgate-event-v1\0"


def genesis(device: str, epoch: bytes) -> bytes:
    """The head before event 0: it binds the chain to one device and one epoch."""
    return hashlib.sha256(b"tapgate-epoch-v1\0" + device.encode() + b"\0" + epoch).digest()


def extend(head: bytes, public: bytes) -> bytes:
    """The head after one more event, over the bytes as they are stored and sent."""
    return hashlib.sha256(_PREFIX + head + public).digest()


def heads(head: bytes, publics: Iterable[bytes]) -> list[bytes]:
    """The head after each event in turn."""
    sha256, result = hashlib.sha256, []
    for public in publics:
        head = sha256(_PREFIX + head + public).digest()
        result.append(head)
    return result


def personal_digest(personal: bytes) -> bytes:
    """What the public part says of the personal part: its SHA-256, or nothing where there is none."""
    return hashlib.sha256(personal).digest() if personal else b""
