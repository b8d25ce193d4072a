"""A staff member's PIN as a gate may hold it (SPEC §3): useless to whoever has not the domain's key as well."""

import hashlib
import hmac
import re

from protocol.errors import Failure, Refused

DIGITS = re.compile(r"[0-9]{6,12}")


def slow(pin: str, salt: bytes) -> bytes:
    """The costly half (scrypt, 16 MiB, tens of milliseconds), which central keeps: 32 bytes.

    Raises Refused `malformed` for what is no PIN of 6 to 12 digits.
    """
    if not DIGITS.fullmatch(pin):
        raise Refused(Failure.MALFORMED, "a PIN has 6 to 12 digits")
    return hashlib.scrypt(pin.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def verifier(domain_key: bytes, staff: str, slowed: bytes) -> bytes:
    """The keyed half, which gates hold; a six-digit PIN would otherwise be found by trying all of them."""
    return hmac.digest(domain_key, b"tapgate-pin-v1\0" + staff.encode() + b"\0" + slowed, "sha256")


def fits(domain_key: bytes, staff: str, salt: bytes, held: bytes, pin: str) -> bool:
    """True for the right PIN; False for a wrong one and for what is no PIN."""
    try:
        made = verifier(domain_key, staff, slow(pin, salt))
    except Refused:
        return False
    return hmac.compare_digest(made, held)
