"""A device as central sees one: it keeps a journal, signs batches and asks. Only `protocol` is used to play it."""

import hashlib
import os
from typing import Any

import msgspec

from protocol.envelope import Keyring, Signer, comparison_words, new_sealing_key, open_as, unwrap
from protocol.journal import extend, genesis, personal_digest
from protocol.messages import (
    Batch,
    Enrol,
    EpochHeld,
    EpochStart,
    Event,
    Fetch,
    Inventory,
    Kind,
    Part,
    Personal,
    Poll,
    Upload,
    decode,
    encode,
)

NOW_MS = 1_790_000_000_000
UNDERSTANDS = ("rule:admit", "rule:refuse")


class Journal:
    """One epoch. Events are made by `tap` and `add`; index = sequence."""

    def __init__(self, device: "Device", previous: "Journal | None" = None, epoch: bytes | None = None) -> None:
        self.device = device
        self.epoch = epoch or os.urandom(8)
        self.heads = [genesis(device.id, self.epoch)]
        self.publics: list[bytes] = []
        self.personals: list[bytes] = []
        named = (previous.epoch, len(previous.publics) - 1, previous.heads[-1]) if previous else (b"", -1, b"")
        self.add(Kind.START, detail=device.signer.seal(EpochStart(device.id, self.epoch, *named, NOW_MS)))

    def add(self, kind: str = Kind.TAP, personal: bytes = b"", **changes: Any) -> None:
        fields: dict[str, Any] = {
            "sequence": len(self.publics),
            "at_ms": NOW_MS,
            "boot_id": bytes(8),
            "monotonic_ms": 1,
            "clock": 0,
            "gate": self.device.gate,
            "kind": kind,
            "personal_digest": personal_digest(personal),
        }
        self.add_raw(encode(Event(**fields | changes)), personal)

    def add_raw(self, public: bytes, personal: bytes = b"") -> None:
        self.publics.append(public)
        self.personals.append(personal)
        self.heads.append(extend(self.heads[-1], public))

    def tap(self, times: int = 1) -> None:
        for _ in range(times):
            personal = encode(Personal(os.urandom(16), subject=os.urandom(16), card=1))
            self.add(Kind.TAP, personal, direction="in", decision="granted", reason="ok", rule="members")

    def branch(self, at: int) -> "Journal":
        """The same epoch as it was before event `at`: a copied disk."""
        other = Journal.__new__(Journal)
        other.device, other.epoch = self.device, self.epoch
        other.heads, other.publics = self.heads[: at + 1], self.publics[:at]
        other.personals = self.personals[:at]
        return other

    def batch(self, first: int, last: int, **changes: Any) -> Batch:
        batch = Batch(
            self.device.id,
            self.epoch,
            first,
            self.heads[first],
            tuple(self.publics[first : last + 1]),
            self.heads[last + 1],
        )
        return msgspec.structs.replace(batch, **changes)

    def upload(self, first: int = 0, last: int | None = None, signer: Signer | None = None, **changes: Any) -> bytes:
        last = len(self.publics) - 1 if last is None else last
        envelope = (signer or self.device.signer).seal(self.batch(first, last, **changes))
        return encode(Upload(envelope, tuple(self.personals[first : last + 1])))


class Device:
    """Its keys, and the messages that it signs."""

    def __init__(self, id_: str = "door-1-device", gate: str = "door-1") -> None:
        self.id, self.gate = id_, gate
        self.signer = Signer.generate()
        self.sealing_private, self.sealing_public = new_sealing_key()

    @property
    def ring(self) -> Keyring:
        return Keyring.of(self.signer.public)

    def words(self, root_public: bytes, secret: bytes) -> str:
        return comparison_words(root_public, (self.signer.public, self.sealing_public), secret)

    def enrol(self, secret: bytes, nonce: bytes) -> bytes:
        return self.signer.seal(Enrol(secret, self.signer.public, self.sealing_public, nonce, "test"))

    def poll_message(self, **changes: Any) -> Poll:
        poll = Poll(self.id, os.urandom(16), NOW_MS, 0, 0, (), (), 0, 0, "test", UNDERSTANDS)
        return msgspec.structs.replace(poll, **changes)

    def poll(self, **changes: Any) -> bytes:
        return self.signer.seal(self.poll_message(**changes))

    def holding(self, manifest: Any, *names: str) -> dict[str, Any]:
        """Poll fields of a device that took up a manifest and these parts of it (none named: all)."""
        parts: tuple[Part, ...] = tuple(part for part in manifest.parts if not names or part.name in names)
        return {"manifest": manifest.number, "keys_number": manifest.keys_number, "parts": parts}

    def inventory(self, *epochs: tuple[bytes, int]) -> bytes:
        return self.signer.seal(Inventory(self.id, tuple(EpochHeld(*each) for each in epochs), bytes(16)))

    def fetch(self, version: int = 0, first_chunk: int = 0) -> bytes:
        return self.signer.seal(Fetch(self.id, os.urandom(16), NOW_MS, version, first_chunk))


def envelopes(body: bytes) -> list[bytes]:
    return msgspec.msgpack.decode(body, type=list[bytes])


def types(answer: list[bytes]) -> list[str]:
    return [unwrap(each).type.split(".")[1] for each in answer]


def find(kind: Any, answer: list[bytes], public: bytes) -> Any:
    """The one message of a type, verified under central's key."""
    (envelope,) = [each for each in answer if unwrap(each).type == kind.TYPE]
    return open_as(kind, envelope, Keyring.of(public))


def read_snapshot(kind: Any, body: bytes) -> tuple[Any, list[bytes]]:
    """Header (unverified) and chunks of a stream of frames; the digests are checked."""
    frames, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4])
        frames.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    head = decode(kind, unwrap(frames[0]).payload)
    return head, frames[1:]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
