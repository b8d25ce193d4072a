"""Allowlist entries, the sum that names a list's content, and every rule for accepting something newer (SPEC §7).

Each rule takes what is held and what is offered and returns, or raises Refused: no I/O, no clock.
"""

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.messages import (
    Count,
    Delta,
    Id16,
    KeyStatement,
    Manifest,
    Millis,
    Name,
    Part,
    PartName,
    Record,
    Snapshot,
)

MODULUS = 1 << 256


class CardState(IntEnum):
    """What a list says of a card besides its dates."""

    ACTIVE = 0
    BLOCKED = 1
    LOST = 2
    REPLACED = 3


class Grant(Record, gc=False, frozen=True):
    """A class that the member holds, from and until (exclusive); 0 = open."""

    name: Name
    from_ms: Millis = 0
    until_ms: Millis = 0


class Entry(Record, gc=False, frozen=True):
    """What a gate knows of a card."""

    subject: Id16
    card: Count
    """Which of the member's cards this is, from 1."""
    state: CardState
    classes: Annotated[tuple[Grant, ...], Meta(max_length=16)]
    from_ms: Millis = 0
    until_ms: Millis = 0
    flags: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
    """Notices for the person at the gate (`notices.py`): a hold is ready, something is overdue."""


# --- the sum of a list ------------------------------------------------------------------------------------


def entry_digest(token: bytes, entry: bytes) -> int:
    """SHA-256 of a row as a number, for adding and subtracting modulo 2²⁵⁶."""
    return int.from_bytes(hashlib.sha256(b"tapgate-entry-v1\0" + token + entry).digest())


def total(rows: Iterable[tuple[bytes, bytes]]) -> int:
    """The sum of a whole list, in any order."""
    return sum(entry_digest(token, entry) for token, entry in rows) % MODULUS


def changed_total(before: int, removed: Iterable[tuple[bytes, bytes]], added: Iterable[tuple[bytes, bytes]]) -> int:
    """The sum after some rows went and others came; a changed row is in both."""
    return (before - total(removed) + total(added)) % MODULUS


def list_digest(domain: str, key_number: int, count: int, sum_: int) -> bytes:
    """What a manifest says of an allowlist: its content, whatever way it was reached."""
    named = domain.encode() + b"\0" + key_number.to_bytes(8) + count.to_bytes(8) + sum_.to_bytes(32)
    return hashlib.sha256(b"tapgate-allowlist-v1\0" + named).digest()


# --- only newer, only signed: what may replace what (SPEC §7.2) ---------------------------------------------


def accept_keys(held_number: int, offered: KeyStatement) -> None:
    """A key statement never goes back; the same number again changes nothing."""
    if offered.number < held_number:
        raise Refused(Failure.NOT_NEWER, f"key statement {offered.number}, {held_number} is held")


def accept_manifest(held: Manifest | None, offered: Manifest, device: str, signed_now_ms: int) -> None:
    """`signed_now_ms` is the newest signed time seen: it, not the wall clock, says what has expired."""
    if offered.device != device:
        raise Refused(Failure.OTHER_DEVICE, f"manifest of {offered.device}, this is {device}")
    if offered.expires_ms <= signed_now_ms:
        raise Refused(Failure.EXPIRED, f"manifest {offered.number} ended at {offered.expires_ms} ms")
    if not 0 < offered.ages.warn_ms <= offered.ages.restrict_ms <= offered.ages.close_ms:
        raise Refused(Failure.NOT_SATISFIABLE, f"manifest {offered.number}: its three ages do not rise")
    if len({part.name for part in offered.parts}) != len(offered.parts):
        raise Refused(Failure.MALFORMED, f"manifest {offered.number} names a part twice")
    if held is not None and (offered.number < held.number or (offered.number == held.number and offered != held)):
        raise Refused(Failure.NOT_NEWER, f"manifest {offered.number}, {held.number} is held")


def part_of(manifest: Manifest, name: PartName) -> Part | None:
    """What a manifest says of a part."""
    return next((part for part in manifest.parts if part.name == name), None)


def accept_part(manifest: Manifest, floor: int, name: PartName, version: int, digest: bytes) -> None:
    """A part other than the allowlist: exactly what the manifest names, and never below its own floor."""
    stated = part_of(manifest, name)
    if stated is None or stated.version != version:
        raise Refused(Failure.WRONG_BASE, f"{name} {version} is not what manifest {manifest.number} names")
    if version < floor:
        raise Refused(Failure.NOT_NEWER, f"{name} {version}, {floor} is held")
    if stated.digest != digest:
        raise Refused(Failure.WRONG_DIGEST, f"{name} {version}")


def accept_snapshot(manifest: Manifest, floor: int, key_number: int, offered: Snapshot) -> None:
    """A snapshot may trail the manifest (a delta follows) but never the floor. `key_number`: the key held."""
    if offered.domain != manifest.domain:
        raise Refused(Failure.OTHER_DOMAIN, f"snapshot of {offered.domain}, this is {manifest.domain}")
    if offered.version < floor:
        raise Refused(Failure.NOT_NEWER, f"snapshot {offered.version}, {floor} is held")
    if offered.key_number != key_number:
        raise Refused(Failure.UNKNOWN_KEY, f"snapshot {offered.version} is under domain key {offered.key_number}")
    _accept_result(manifest, offered.version, key_number, offered.count, int.from_bytes(offered.sum))


def accept_delta(manifest: Manifest, base: int, key_number: int, offered: Delta) -> None:
    """A delta fits the list that is held, and only that one."""
    if offered.domain != manifest.domain:
        raise Refused(Failure.OTHER_DOMAIN, f"delta of {offered.domain}, this is {manifest.domain}")
    if offered.base != base:
        raise Refused(Failure.WRONG_BASE, f"delta from {offered.base}, {base} is held")
    if offered.version <= base:
        raise Refused(Failure.NOT_NEWER, f"delta to {offered.version}, {base} is held")
    if offered.key_number != key_number:
        raise Refused(Failure.UNKNOWN_KEY, f"delta {offered.version} is under domain key {offered.key_number}")
    _accept_result(manifest, offered.version, key_number, offered.count, int.from_bytes(offered.sum))


def accept_applied(offered: Snapshot | Delta, count: int, sum_: int) -> None:
    """The list that came out is the list that was meant; otherwise fetch the snapshot."""
    if count != offered.count:
        raise Refused(Failure.WRONG_COUNT, f"allowlist {offered.version} has {count} rows, {offered.count} were meant")
    if sum_ != int.from_bytes(offered.sum):
        raise Refused(Failure.WRONG_DIGEST, f"allowlist {offered.version} sums to something else")


def _accept_result(manifest: Manifest, version: int, key_number: int, count: int, sum_: int) -> None:
    stated = part_of(manifest, PartName.ALLOWLIST)
    if stated is None or version > stated.version:
        raise Refused(Failure.WRONG_BASE, f"allowlist {version} is not in manifest {manifest.number} yet")
    if version == stated.version and list_digest(manifest.domain, key_number, count, sum_) != stated.digest:
        raise Refused(Failure.WRONG_DIGEST, f"allowlist {version} is not what manifest {manifest.number} names")
