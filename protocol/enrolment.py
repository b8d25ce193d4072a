"""Which keys speak for central, and how a device joins (SPEC §5)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from protocol.wire import Count, Digest, Id16, Identifier, Message, Millis, Name, Record, Text


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

    def __post_init__(self) -> None:
        if Role.SERVE in self.roles and set(self.roles) != {Role.SERVE}:
            raise ValueError("what serves is a certificate, so it signs nothing")


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
    device: Identifier
    gate: Name
    venue: Name
    domain: Identifier
    signing_public: Digest
    at_ms: Millis


class DomainKey(Message, frozen=True):
    """A domain's key, sealed (HPKE: X25519, HKDF-SHA256, ChaCha20-Poly1305; info = this type) to one device."""

    TYPE = "tapgate.domain-key.v1"
    device: Identifier
    domain: Identifier
    number: Count
    sealed: Annotated[bytes, Meta(max_length=512)]


class Pending(Message, frozen=True):
    """Enrolled, not yet confirmed by an operator."""

    TYPE = "tapgate.pending.v1"
    device: Identifier
    at_ms: Millis
