"""The keyed pseudonym of a UID in a domain, and the fingerprint of its chip (SPEC §3)."""

import hashlib
import hmac

from protocol.uid import CardUID

KEY_BYTES = 32
TOKEN_BYTES = 16


def token(domain_key: bytes, uid: CardUID) -> bytes:
    """16 bytes that only a holder of the domain's key can link to the UID."""
    message = b"tapgate-token-v1\0" + bytes([len(uid.raw)]) + uid.raw
    return hmac.digest(domain_key, message, hashlib.sha256)[:TOKEN_BYTES]


def fingerprint(token: bytes, sak: int | None, atr: bytes) -> bytes:
    """16 bytes that change when another chip answers with the same UID; `sak` None where the reader hides it."""
    chip = bytes([0xFF if sak is None else sak]) + atr
    return hashlib.sha256(b"tapgate-fingerprint-v1\0" + token + chip).digest()[:TOKEN_BYTES]
