"""The join token as a person carries it to a device: one line of text, or a QR code (SPEC §5.7)."""

import base64
import string

from protocol.errors import Failure, Refused
from protocol.messages import JoinToken
from protocol.wire import decode, encode

PREFIX = "tapgate1:"
MAX_TEXT_CHARACTERS = 4_096
_BASE64URL = frozenset(string.ascii_letters + string.digits + "-_")


def to_text(token: JoinToken) -> str:
    """`tapgate1:` and base64url without padding."""
    return PREFIX + base64.urlsafe_b64encode(encode(token)).rstrip(b"=").decode()


def from_text(text: str) -> JoinToken:
    """The token that a person pasted or scanned; white space around and inside it is dropped.

    Raises Refused: `wrong-type` for another kind of text, `oversized`, `malformed`.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise Refused(Failure.OVERSIZED, f"a join token of {len(text)} characters")
    text = "".join(text.split())
    if not text.startswith(PREFIX):
        raise Refused(Failure.WRONG_TYPE, f"a join token begins with {PREFIX}")
    body = text.removeprefix(PREFIX)
    try:
        if not _BASE64URL.issuperset(body):
            raise ValueError
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except ValueError:
        raise Refused(Failure.MALFORMED, "join token: it is not base64url without padding") from None
    try:
        return decode(JoinToken, data)
    except Refused as refused:
        raise Refused(refused.kind, f"the join token is not complete: copy the whole line ({refused.detail})") from None
