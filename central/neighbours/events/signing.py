"""Signatures of webhooks after the Standard Webhooks specification. Pure."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP_MS = 24 * 3_600_000
"""After a rotation the secret before signs, too, so that a receiver changes it when it suits."""


def new_secret() -> bytes:
    """Shown once, kept sealed."""
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """As receivers are given it."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(delivery: str, at_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """What is sent with a body; one signature for each key, the newest first."""
    signed = f"{delivery}.{at_s}.".encode() + body
    each = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in each),
    }
