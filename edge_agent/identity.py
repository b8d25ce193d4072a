"""The device's keys and its domain's: one file of mode 0600, outside the database."""

import hashlib
from pathlib import Path

import msgspec

from edge_agent.files import destroy_file, replace_file
from protocol.envelope import Signer

FILE = "identity.json"


class DomainSecret(msgspec.Struct, frozen=True):
    """A domain's key under its number."""

    domain: str
    number: int
    key: bytes


class Identity(msgspec.Struct, frozen=True):
    """Who this device is and whom it trusts. `device` is empty until central answered the enrolment."""

    url: str
    root_public: bytes
    pinned: bool
    secret: bytes
    """The join token's; kept so that a lost answer can be asked for again. Emptied once data flows."""
    signing_private: bytes
    sealing_private: bytes
    sealing_public: bytes
    device: str = ""
    gate: str = ""
    venue: str = ""
    domain: str = ""
    domain_keys: tuple[DomainSecret, ...] = ()
    """The one that the list in use was made under and, while keys rotate, the next."""

    def signer(self) -> Signer:
        return Signer(self.signing_private)

    def domain_key(self, number: int) -> bytes | None:
        return next((secret.key for secret in self.domain_keys if secret.number == number), None)

    def __repr__(self) -> str:  # secrets never reach a log
        return f"<Identity of {self.device or 'a device not enrolled yet'}>"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: Identity
    check: str


class IdentityDamaged(Exception):
    """The key file is not what was written; the device has to be enrolled again."""


def load(directory: Path) -> Identity | None:
    """The identity, or None before enrolment (and after revocation). Raises IdentityDamaged."""
    path = directory / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IdentityDamaged(f"{path}: {error}") from None
    if _check(file.identity) != file.check:
        raise IdentityDamaged(f"{path}: the content does not match its check")
    return file.identity


def save(directory: Path, identity: Identity) -> None:
    """Durable when it returns."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(directory / FILE, msgspec.json.encode(_File(identity, _check(identity))))


def destroy(directory: Path) -> None:
    """Overwrites and removes the keys (a revoked device)."""
    for path in (directory / FILE, directory / (FILE + ".new")):
        destroy_file(path)


def _check(identity: Identity) -> str:
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()
