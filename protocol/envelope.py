"""Seal and open signed messages (SPEC §4). The only user of `cryptography` in this package.

An envelope is the MessagePack array [type, payload, key id, signature]. Ed25519 signs the DSSE
pre-authentication encoding of type and payload, so nothing signed as one thing opens as another. What is
verified and kept is the bytes received: nothing is re-encoded to be checked.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Protocol, Self, TypeVar, runtime_checkable

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol.errors import Failure, Refused
from protocol.messages import (
    MAX_MESSAGE_BYTES,
    Bind,
    BindDetail,
    DomainKey,
    KeyStatement,
    Role,
    TappedCard,
    decode,
    encode,
)
from protocol.token import KEY_BYTES

ENVELOPE_OVERHEAD_BYTES = 256
"""What type, key id, signature and framing add to a payload, rounded up."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The outer form; `payload` stays bytes until the signature has been checked."""

    type: Annotated[str, msgspec.Meta(max_length=64)]
    payload: bytes
    key_id: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


@runtime_checkable
class Typed(Protocol):
    """A message class: it names its own type string and size limit."""

    TYPE: str
    MAX_BYTES: int


M = TypeVar("M")


def key_id(public: bytes) -> bytes:
    """The first 8 bytes of SHA-256 over the raw public key."""
    return hashlib.sha256(public).digest()[:8]


class Signer:
    """A private Ed25519 key that can seal messages."""

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def private_bytes(self) -> bytes:
        return self._private.private_bytes_raw()

    def seal(self, message: object) -> bytes:
        """The envelope of a message struct, as bytes to store and send."""
        return self.seal_payload(message.TYPE, encode(message))  # type: ignore[attr-defined]

    def seal_payload(self, type_: str, payload: bytes) -> bytes:
        """The envelope of a payload that was encoded before and must stay the bytes that it is."""
        signature = self._private.sign(_pre_authentication_encoding(type_, payload))
        return encode(Envelope(type_, payload, self.key_id, signature))


class Keyring:
    """Public keys by id, each with the roles it may sign for."""

    def __init__(self, keys: Mapping[bytes, frozenset[Role]] | None = None, out_of_date: Iterable[bytes] = ()) -> None:
        self._roles = {key_id(public): roles for public, roles in (keys or {}).items()}
        self._keys = {key_id(public): Ed25519PublicKey.from_public_bytes(public) for public in keys or {}}
        self._out_of_date = {key_id(public) for public in out_of_date} - self._keys.keys()

    @classmethod
    def of(cls, public: bytes, *roles: Role) -> Self:
        """A ring of one key: a device's, or the root."""
        return cls({public: frozenset(roles)})

    @classmethod
    def stated(cls, statement: KeyStatement, signed_now_ms: int) -> Self:
        """The signing keys of a statement at the newest signed time. A key that stands there more than once has
        the roles of all its entries that are in force."""
        keys: dict[bytes, frozenset[Role]] = {}
        out_of_date = []
        for key in statement.keys:
            if Role.SERVE in key.roles:
                continue
            if key.from_ms <= signed_now_ms and (key.until_ms == 0 or signed_now_ms < key.until_ms):
                keys[key.public] = keys.get(key.public, frozenset()) | frozenset(key.roles)
            else:
                out_of_date.append(key.public)
        return cls(keys, out_of_date)

    def check(self, envelope: Envelope, role: Role | None) -> None:
        """Raises Refused: unknown-key, key-out-of-date, wrong-role or bad-signature."""
        public = self._keys.get(envelope.key_id)
        if public is None and envelope.key_id in self._out_of_date:
            raise Refused(Failure.KEY_OUT_OF_DATE, f"{envelope.type} is signed by key {envelope.key_id.hex()}")
        if public is None:
            raise Refused(Failure.UNKNOWN_KEY, f"{envelope.type} is signed by key {envelope.key_id.hex()}")
        if role is not None and role not in self._roles[envelope.key_id]:
            raise Refused(Failure.WRONG_ROLE, f"key {envelope.key_id.hex()} may not sign for {role}")
        try:
            public.verify(envelope.signature, _pre_authentication_encoding(envelope.type, envelope.payload))
        except InvalidSignature:
            raise Refused(Failure.BAD_SIGNATURE, f"{envelope.type} by key {envelope.key_id.hex()}") from None


def unwrap(data: bytes) -> Envelope:
    """The outer form of an envelope, nothing verified yet. Raises Refused (malformed, oversized)."""
    if len(data) > MAX_MESSAGE_BYTES + ENVELOPE_OVERHEAD_BYTES:
        raise Refused(Failure.OVERSIZED, f"an envelope of {len(data)} bytes")
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Failure.MALFORMED, f"envelope: {error}") from None


def open_as(message: type[M], data: bytes, ring: Keyring, role: Role | None = None) -> M:
    """The verified message of the type that is expected here, or Refused."""
    envelope = unwrap(data)
    expected = message.TYPE  # type: ignore[attr-defined]
    if envelope.type != expected:
        raise Refused(Failure.WRONG_TYPE, f"{envelope.type} where {expected} belongs")
    ring.check(envelope, role)
    return decode(message, envelope.payload)


def digest(data: bytes) -> bytes:
    """SHA-256; the digest of a published part is that of its payload bytes."""
    return hashlib.sha256(data).digest()


def _pre_authentication_encoding(type_: str, payload: bytes) -> bytes:
    """DSSE v1 PAE: lengths are decimal ASCII, so no two pairs encode alike."""
    name = type_.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


_decoder = msgspec.msgpack.Decoder(Envelope)


# --- sealing to one holder of a key (HPKE, RFC 9180) --------------------------------------------------------

_suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def new_sealing_key() -> tuple[bytes, bytes]:
    """A fresh X25519 pair: (private, public), 32 raw bytes each."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def seal_domain_key(key: bytes, device: str, domain: str, number: int, sealing_public: bytes) -> DomainKey:
    """A domain's key that only this device can open. Raises Refused `malformed` for a point that seals nothing."""
    info = _info(device, domain, number)
    return DomainKey(device, domain, number, _seal_to(sealing_public, key, info, f"the sealing key of {device}"))


def open_domain_key(message: DomainKey, sealing_private: bytes) -> bytes:
    """The key. Raises Refused `bad-signature` when it was sealed to somebody else or altered, `wrong-length`
    when it has not 32 bytes."""
    info = _info(message.device, message.domain, message.number)
    key = _open_sealed(sealing_private, message.sealed, info, f"key {message.number} of {message.domain}")
    if len(key) != KEY_BYTES:
        raise Refused(Failure.WRONG_LENGTH, f"key {message.number} of {message.domain} has {len(key)} bytes")
    return key


def domain_key_digest(number: int, key: bytes) -> bytes:
    """What a manifest says of a domain key: HPKE output differs each time, this does not."""
    return hashlib.sha256(b"tapgate-domain-key-v1\0" + number.to_bytes(8) + key).digest()


def _info(device: str, domain: str, number: int) -> bytes:
    return b"\0".join((DomainKey.TYPE.encode(), device.encode(), domain.encode(), str(number).encode()))


def seal_card(card: TappedCard, session: Bind) -> BindDetail:
    """A card that was read for a session, for central alone. Raises Refused `malformed` for a point that seals
    nothing."""
    info = _info_of_card(session.device, session.session)
    return BindDetail(session.session, _seal_to(session.seal_public, encode(card), info, "the session's key"))


def open_card(detail: BindDetail, device: str, seal_private: bytes) -> TappedCard:
    """What that device sealed. Raises Refused: `bad-signature` where it is altered, or of another device, session or
    key; `malformed`, never telling what was in it."""
    info = _info_of_card(device, detail.session)
    plain = _open_sealed(seal_private, detail.sealed, info, "a card")
    try:
        return decode(TappedCard, plain)
    except Refused:
        raise Refused(Failure.MALFORMED, "what was sealed is no card") from None


def _info_of_card(device: str, session: bytes) -> bytes:
    return b"\0".join((Bind.TYPE.encode(), device.encode(), session))


def _seal_to(public: bytes, plain: bytes, info: bytes, whose: str) -> bytes:
    try:
        return _suite.encrypt(plain, X25519PublicKey.from_public_bytes(public), info)
    except ValueError:  # a point of small order: anybody could open what is sealed to it
        raise Refused(Failure.MALFORMED, f"{whose} is no usable X25519 point") from None


def _open_sealed(private: bytes, sealed: bytes, info: bytes, what: str) -> bytes:
    try:
        return _suite.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError):
        raise Refused(Failure.BAD_SIGNATURE, f"{what} is not sealed to us") from None


# --- words to compare at enrolment --------------------------------------------------------------------------

_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"


def comparison_words(root_public: bytes, keys: Iterable[bytes], secret: bytes) -> str:
    """Three pronounceable words (48 bits, proquint spelling) that both sides show before data flows."""
    bound = hashlib.sha256(b"tapgate-words-v1\0" + root_public + b"".join(keys) + secret).digest()
    words = []
    for at in range(0, 6, 2):
        bits = int.from_bytes(bound[at : at + 2])
        words.append(
            _CONSONANTS[bits >> 12]
            + _VOWELS[bits >> 10 & 3]
            + _CONSONANTS[bits >> 6 & 15]
            + _VOWELS[bits >> 4 & 3]
            + _CONSONANTS[bits & 15]
        )
    return "-".join(words)
