"""Central's keys: files of mode 0600 in one directory outside the database, never in a backup of it."""

import errno
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.files import replace_file, sync_directory
from protocol.envelope import Keyring, Signer, open_as
from protocol.errors import Failure, Refused
from protocol.messages import Key, KeyStatement, Role
from protocol.token import KEY_BYTES
from protocol.uid import CardUID

STATEMENT_FILE = "keys.statement"


class Keys:
    """Loaded once at start. The root's private key is needed by `state_keys` alone and belongs offline."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root_public = _read(directory / "root.public")
        self.receipt = Signer(_read(directory / "receipt.key"))
        self.publish = Signer(_read(directory / "publish.key"))
        self.statement_envelope = (directory / STATEMENT_FILE).read_bytes()
        self.statement = open_as(KeyStatement, self.statement_envelope, Keyring.of(self.root_public))
        self._seal = AESGCM(_read(directory / "card-seal.key"))
        self._index = _read(directory / "card-index.key")

    @classmethod
    def create(cls, directory: Path, certificate_digest: bytes | None, now_ms: int) -> Self:
        """A new set, with a first key statement. `certificate_digest`: of the certificate that devices pin.

        Raises FileExistsError when the directory already holds keys.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = Signer.generate()
        _write(directory / "root.key", root.private_bytes())
        (directory / "root.public").write_text(root.public.hex() + "\n")
        for name in ("receipt.key", "publish.key"):
            _write(directory / name, Signer.generate().private_bytes())
        for name in ("card-seal.key", "card-index.key"):
            _write(directory / name, secrets.token_bytes(32))
        state_keys(directory, [certificate_digest] if certificate_digest else [], now_ms)
        return cls(directory)

    # --- what is sealed at rest -------------------------------------------------------------------------

    def seal_uid(self, uid: CardUID, card: bytes) -> bytes:
        """The UID as it is stored: nonce and AES-256-GCM, bound to the card's id."""
        return self._sealed(uid.raw, b"uid", card)

    def open_uid(self, sealed: bytes, card: bytes) -> CardUID:
        """Raises Refused `bad-signature` when the stored bytes were altered or belong to another card."""
        return CardUID(self._opened(sealed, b"uid", card))

    def uid_index(self, uid: CardUID) -> bytes:
        """A keyed hash to look a UID up by; equal for equal bytes and length only."""
        return hmac.digest(self._index, bytes([len(uid.raw)]) + uid.raw, hashlib.sha256)

    def seal_name(self, name: str, member: bytes) -> bytes:
        return self._sealed(name.encode(), b"name", member)

    def open_name(self, sealed: bytes, member: bytes) -> str:
        return self._opened(sealed, b"name", member).decode()

    def name_key(self, part: str) -> bytes:
        """A keyed hash to find a name by, or a part of one (`central.people.search_keys`): half of a SHA-256 is enough
        to tell parts apart, since what is found is opened and compared."""
        return hmac.digest(self._index, b"name\0" + part.encode(), hashlib.sha256)[:16]

    def seal_number(self, number: str, kind: str, member: bytes) -> bytes:
        """What another system calls a member, as it is stored."""
        return self._sealed(number.encode(), b"number", kind.encode() + b"\0" + member)

    def open_number(self, sealed: bytes, kind: str, member: bytes) -> str:
        """Raises Refused `bad-signature` when it was altered or is somebody else's."""
        return self._opened(sealed, b"number", kind.encode() + b"\0" + member).decode()

    def number_key(self, kind: str, number: str) -> bytes:
        """A keyed hash to look a number up by; equal for equal numbers of one kind only."""
        return hmac.digest(self._index, b"number\0" + kind.encode() + b"\0" + number.encode(), hashlib.sha256)

    def erased_hash(self, kind: str, identity: bytes) -> bytes:
        """What is remembered of somebody who was erased: it finds them again in a backup, and tells nothing else."""
        return hmac.digest(self._index, b"erased\0" + kind.encode() + b"\0" + identity, hashlib.sha256)

    def seal_pin(self, slow: bytes, venue: str, staff: str, salt: bytes) -> bytes:
        """The scrypt half of a PIN (`protocol.pin.slow`), bound to person and salt: without the seal six digits
        would be found by trying all of them."""
        return self._sealed(slow, b"pin", _person(venue, staff, salt))

    def open_pin(self, sealed: bytes, venue: str, staff: str, salt: bytes) -> bytes:
        """Raises Refused `bad-signature` when it was altered or is somebody else's."""
        return self._opened(sealed, b"pin", _person(venue, staff, salt))

    def seal_webhook(self, url: str, contact: str) -> bytes:
        """Where a contact is told of alerts: such addresses hold a secret of the system that listens there."""
        return self._sealed(url.encode(), b"webhook", contact.encode())

    def open_webhook(self, sealed: bytes, contact: str) -> str:
        """Raises Refused `bad-signature` where it was altered or is another contact's."""
        return self._opened(sealed, b"webhook", contact.encode()).decode()

    def seal_subscription(self, plain: bytes, what: str, subscription: str) -> bytes:
        """A subscription's URL, secret or key of pseudonyms (`what`), bound to it."""
        return self._sealed(plain, b"subscription", what.encode() + b"\0" + subscription.encode())

    def open_subscription(self, sealed: bytes, what: str, subscription: str) -> bytes:
        """Raises Refused `bad-signature` where it was altered or is another subscription's."""
        return self._opened(sealed, b"subscription", what.encode() + b"\0" + subscription.encode())

    def seal_session_key(self, private: bytes, session: bytes) -> bytes:
        """The key that opens what is tapped in one session (SPEC §7.9)."""
        return self._sealed(private, b"bind", session)

    def open_session_key(self, sealed: bytes, session: bytes) -> bytes:
        """Raises Refused `bad-signature` where it was altered or is another session's."""
        return self._opened(sealed, b"bind", session)

    def seal_totp(self, secret: bytes, account: str) -> bytes:
        """The secret of an account's one-time codes: it must be readable, since each code is made again from it."""
        return self._sealed(secret, b"totp", account.encode())

    def open_totp(self, sealed: bytes, account: str) -> bytes:
        """Raises Refused `bad-signature` where it was altered or is another account's."""
        return self._opened(sealed, b"totp", account.encode())

    def _sealed(self, plain: bytes, purpose: bytes, owner: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._seal.encrypt(nonce, plain, purpose + b"\0" + owner)

    def _opened(self, sealed: bytes, purpose: bytes, owner: bytes) -> bytes:
        try:
            return self._seal.decrypt(sealed[:12], sealed[12:], purpose + b"\0" + owner)
        except (InvalidTag, ValueError):
            raise Refused(
                Failure.BAD_SIGNATURE, f"the sealed {purpose.decode()} of {owner.hex()} was altered"
            ) from None

    # --- domain keys ------------------------------------------------------------------------------------

    def domain_key(self, domain: str, number: int) -> bytes:
        """The key that tokens of a domain are made with, under its number."""
        return _read(self.directory / f"domain-{domain}-{number}.key")

    def new_domain_key(self, domain: str, number: int) -> bytes:
        """Raises FileExistsError for a number that is taken: a domain key is never overwritten."""
        key = secrets.token_bytes(KEY_BYTES)
        _write(self.directory / f"domain-{domain}-{number}.key", key)
        return key

    def next_domain_key(self, domain: str, after: int) -> int:
        """Make a new one under the next number that is free, and return that: a file that outlived what it was made for
        (a restore, a rotation that was not written) keeps its number."""
        number = after + 1
        while True:
            try:
                self.new_domain_key(domain, number)
                return number
            except FileExistsError:
                number += 1


def _person(venue: str, staff: str, salt: bytes) -> bytes:
    return b"\0".join((venue.encode(), staff.encode(), salt))


def state_keys(directory: Path, certificate_digests: list[bytes], now_ms: int) -> KeyStatement:
    """Sign a new key statement with the root's private key, numbered above the last one."""
    root = Signer(_read(directory / "root.key"))
    path = directory / STATEMENT_FILE
    previous = open_as(KeyStatement, path.read_bytes(), Keyring.of(root.public)).number if path.exists() else 0
    keys = [
        Key(Signer(_read(directory / "receipt.key")).public, (Role.RECEIPT,)),
        Key(Signer(_read(directory / "publish.key")).public, (Role.PUBLISH,)),
        *(Key(digest, (Role.SERVE,)) for digest in certificate_digests),
    ]
    statement = KeyStatement(max(previous + 1, now_ms), now_ms, tuple(keys))
    replace_file(path, root.seal(statement))
    return statement


def _read(path: Path) -> bytes:
    """Raises OSError, also where something else stands in the file."""
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise OSError(errno.EINVAL, "this is no key: bring the file that belongs to this data", str(path))
    return secret


def _write(path: Path, secret: bytes) -> None:
    """Hex, for a person to carry; 0600 from the first byte; synced, since losing it loses what it sealed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
