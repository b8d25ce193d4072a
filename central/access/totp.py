"""One-time codes of six digits by RFC 6238, as phones show them. Pure."""

import base64

import segno
from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

SECRET_BYTES = 20
DIGITS = 6
STEP_S = 30
DRIFT = 1
"""Steps that a phone's clock may be off, either way."""
BEGUN = -1
"""In place of the newest step that was used: the secret was shown, and no code has proved yet that a phone holds it."""
ISSUER = "Tapgate"


def matching_step(secret: bytes, code: str, now_ms: int, after: int) -> int | None:
    """The step whose code this is, newer than the one that was used last; None where there is none."""
    digits = code.replace(" ", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp, now = _totp(secret), now_ms // 1_000 // STEP_S
    for step in range(now - DRIFT, now + DRIFT + 1):
        if step > after and _same(totp.generate(step * STEP_S), digits.encode()):
            return step
    return None


def code_at(secret: bytes, at_ms: int) -> str:
    """What a phone shows."""
    return _totp(secret).generate(at_ms // 1_000).decode()


def uri_of(secret: bytes, account: str) -> str:
    """What a phone reads out of the QR code."""
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def typed_secret(secret: bytes) -> str:
    """The secret in groups, for phones without a camera."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def qr_svg(uri: str) -> str:
    """Dark on white whatever the page's colours are: that is what cameras expect."""
    return str(segno.make(uri, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff"))


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303 - the algorithm that every phone's program has


def _same(left: bytes, right: bytes) -> bool:
    return constant_time.bytes_eq(left, right)
