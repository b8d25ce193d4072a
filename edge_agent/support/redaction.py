"""Takes out of a text whatever could be a UID, a token, a key, a join token or a PIN, in whatever notation. Pure.

It takes too much rather than too little: a number of six digits may be a PIN, a run of hex digits a card. What is known
to be harmless (the device's own name) is handed in and stays.
"""

import base64
import re
from collections.abc import Collection, Iterable
from typing import Any

GONE = "‹…›"
LONGEST = 2_000
"""Characters of one text that are kept: looking for patterns must not take for ever."""
SHORTEST_SECRET_BYTES = 8
"""Of a known secret; a shorter one would be found in everything."""

_HEX = r"[0-9A-Fa-f]"
_BYTE = r"(?:0[xX][0-9A-Fa-f]{1,2}|\d{1,3})"
PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[bB]'(?:[^'\\]|\\.)*'|[bB]\"(?:[^\"\\]|\\.)*\"",
        r"tapgate\d*:\S+",
        r"(?<=//)[^/\s@]+@",
        r"[^\s@]{1,64}@[^\s@]{1,200}",
        rf"(?:\\x{_HEX}{{2}}.?)+",
        rf"(?<![0-9A-Za-z])(?:0[xX])?(?=(?:[ :.,_-]?{_HEX}){{8}}){_HEX}+(?:[ :.,_-]{_HEX}+)*(?![0-9A-Za-z])",
        rf"(?:{_BYTE}[,; ]\s*){{3,}}{_BYTE}",
        r"\d(?:[ .,_-]?\d){5,}",
        r"(?<![A-Za-z0-9+_-])(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])"
        r"[A-Za-z0-9+/_-]{20,}={0,2}",
        rf"{_HEX}{{8,}}",
    )
)
"""In this order: what is longer and surer goes first."""


def redacted(value: Any, harmless: Collection[str] = ()) -> Any:
    """The same shape, every text in it redacted; numbers, truth values and null stay."""
    if isinstance(value, str):
        return _text(value, harmless)
    if isinstance(value, dict):
        return {_text(str(key), harmless): redacted(each, harmless) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, harmless) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(str(value), harmless)


def _text(text: str, harmless: Collection[str]) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    known = [re.escape(each) for each in sorted(harmless, key=len, reverse=True) if each]
    if not known:
        return _plain(text)
    pieces = re.split(f"({'|'.join(known)})", text)
    return "".join(piece if at % 2 else _plain(piece) for at, piece in enumerate(pieces))


def _plain(text: str) -> str:
    for pattern in PATTERNS:
        text = pattern.sub(GONE, text)
    return text


def betrays(text: str, secrets: Iterable[bytes]) -> bool:
    """Whether one of these secrets stands in a text, in any usual notation. The last look before anything is sent."""
    squeezed = re.sub(r"[\s:,._-]|0[xX]|\\x", "", text).lower()
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET_BYTES:
            continue
        for each in (secret, secret[::-1]):
            folded = (each.hex(), str(int.from_bytes(each)))
            exact = (base64.b64encode(each), base64.urlsafe_b64encode(each), base64.b32encode(each))
            if any(form in squeezed for form in folded):
                return True
            if any(form.decode().rstrip("=") in text for form in exact) or repr(each)[2:-1] in text:
                return True
    return False
