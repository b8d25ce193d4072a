"""Erasing a person: central's signed word of what it destroyed (SPEC §5.17), and of whom a device keeps nothing (§5.18,
§7.13). Pure."""

import hashlib
from typing import Annotated

from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.wire import Count, Digest, Id16, Identifier, Message, Millis, Name, Record

PERSON_TAG = b"tapgate-erased-v1\0"
MAX_FORGOTTEN = 5_000
"""Subjects in one message: the next one brings more."""


class Went(Record, frozen=True):
    """How many of one kind of thing were destroyed."""

    what: Name
    number: Count


class Remains(Record, frozen=True):
    """Where something of the person may still be, and until when at the latest."""

    where: Name
    until_ms: Millis


class Erasure(Message, frozen=True):
    """The receipt. Central keeps neither it nor the salt: only who holds the receipt can show whose it is."""

    TYPE = "tapgate.erasure.v1"
    id: Id16
    at_ms: Millis
    salt: Id16
    person: Digest
    went: Annotated[tuple[Went, ...], Meta(max_length=256)]
    remains: Annotated[tuple[Remains, ...], Meta(max_length=16)]


def person_digest(salt: bytes, reference: str) -> bytes:
    """Of whom a receipt is: the city's own reference, salted."""
    return hashlib.sha256(PERSON_TAG + salt + reference.encode()).digest()


class Forget(Message, frozen=True):
    """Of these subjects a device keeps neither history nor personal part. What it was told before goes on."""

    TYPE = "tapgate.forget.v1"
    device: Identifier
    version: Count
    at_ms: Millis
    subjects: Annotated[tuple[Id16, ...], Meta(max_length=MAX_FORGOTTEN)]


def accept_forget(held_version: int, offered: Forget, device: str) -> None:
    """Raises Refused. `held_version`: of the newest one that the device took up; 0 = none."""
    if offered.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"{device} is told to forget what {offered.device} should")
    if offered.version <= held_version:
        raise Refused(Failure.NOT_NEWER, f"forget {offered.version}, {held_version} is held")
