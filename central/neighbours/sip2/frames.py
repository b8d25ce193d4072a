"""One SIP2 message as the bytes of a line: fields, checksum, sequence digit. Pure.

The checksum counts bytes, the fixed header counts characters, and fields are split after decoding: a `|` may be the
second byte of a character in CP950.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

END = b"\r"
MAX_FRAME_BYTES = 16_384
MAX_JUNK_BYTES = 1_024
MAX_VALUE_CHARS = 255
MAX_FIELDS = 200
ENCODINGS = ("utf-8", "ascii", "latin-1", "cp1252", "cp850", "cp950", "big5hkscs", "gb18030")

HEADER_CHARS = {"94": 3, "98": 36, "24": 37, "64": 61, "12": 24, "10": 24, "36": 21, "96": 2}
"""Of an answer, its two digits included."""
_TRAILER = re.compile(rb"AY([0-9])AZ([0-9A-Fa-f]{4})\Z")
_ANY_TRAILER = re.compile(rb"AY[0-9]AZ[0-9A-Fa-f]{4}")
_RESEND = re.compile(rb"96(?:AY[0-9])?(?:AZ[0-9A-Fa-f]{4})?\Z")
_NAME = re.compile(r"[A-Z][A-Z0-9]")
_UNSENDABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
BLANKS = " \t\r\n\0"


class Unsendable(Exception):
    """A value cannot be put on the line. The text names the field, never the value."""


class BadFrame(Exception):
    """A line is no whole message. `kind`: checksum, malformed, oversized."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Message(NamedTuple):
    """An answer: its code, the fixed part after the code, and the fields in their order. Texts are NFC."""

    code: str
    header: str
    fields: tuple[tuple[str, str], ...]
    sequence: int

    def all(self, name: str) -> list[str]:
        """Each value of a field that may come more than once."""
        return [value for field, value in self.fields if field == name]

    def one(self, name: str) -> str | None:
        """The value; None where it is missing, or said twice and differently."""
        found = set(self.all(name))
        return found.pop() if len(found) == 1 else None


def checksum(data: bytes) -> str:
    """Four upper-case hex digits: added to the sum of all bytes they make zero, modulo 65,536."""
    return f"{-sum(data) & 0xFFFF:04X}"


def write(code: str, header: str, fields: Iterable[tuple[str, str]], sequence: int, encoding: str) -> bytes:
    """A request as it goes out, its end included. Raises Unsendable."""
    parts = [(code + header).encode("ascii")]
    for name, value in fields:
        parts.append(name.encode("ascii") + _value(name, value, encoding) + b"|")
    data = b"".join(parts) + b"AY%dAZ" % (sequence % 10)
    data += checksum(data).encode("ascii") + END
    if len(data) > MAX_FRAME_BYTES:
        raise Unsendable(f"{code}: longer than {MAX_FRAME_BYTES} bytes")
    return data


def _value(name: str, value: str, encoding: str) -> bytes:
    if len(value) > MAX_VALUE_CHARS:
        raise Unsendable(f"{name}: more than {MAX_VALUE_CHARS} characters")
    if "|" in value or any(unicodedata.category(c) in _UNSENDABLE for c in value):
        raise Unsendable(f"{name}: a control character or |")
    try:
        data = value.encode(encoding)
    except UnicodeEncodeError:
        raise Unsendable(f"{name}: a character that {encoding} does not have") from None
    if b"|" in data:  # the second byte of a character: a server that splits bytes would see a new field
        raise Unsendable(f"{name}: a character that {encoding} writes with a |")
    return data


def is_resend(frame: bytes) -> bool:
    """Whether the server asks for the request once more. Its checksum is not looked at: what is asked harms nobody."""
    return bool(_RESEND.match(frame))


def is_answer(frame: bytes) -> bool:
    """Whether these bytes hold the end of any message, whole or damaged."""
    return bool(_ANY_TRAILER.search(frame))


def read(frame: bytes, encoding: str) -> Message:
    """A line without its end. Raises BadFrame."""
    if len(frame) > MAX_FRAME_BYTES:
        raise BadFrame("oversized", f"a line of more than {MAX_FRAME_BYTES} bytes")
    trailer = _TRAILER.search(frame)
    if trailer is None:
        raise BadFrame("malformed", "a line without sequence and checksum")
    if checksum(frame[:-4]).encode() != trailer[2].upper():
        raise BadFrame("checksum", "a line with a wrong checksum")
    text = frame[: trailer.start()].decode(encoding, "replace")
    code, length = text[:2], HEADER_CHARS.get(text[:2], 0)
    if not length or len(text) < length:
        raise BadFrame("malformed", "a line with an unknown code or a short header")
    return Message(code, text[2:length], _fields(text[length:]), int(trailer[1]))


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """What is no field, such as the rest of a value with a `|` in it, is left out."""
    pieces = text.split("|")
    if len(pieces) > MAX_FIELDS:
        raise BadFrame("malformed", f"more than {MAX_FIELDS} fields")
    return tuple((piece[:2], unicodedata.normalize("NFC", piece[2:])) for piece in pieces if _NAME.match(piece))


def find(frame: bytes, code: str, encoding: str) -> Message:
    """The answer with this code in a line, behind junk that a server glued before it. Raises BadFrame.

    Junk is short and holds no end of another message: such a line is not looked into any further.
    """
    try:
        return read(frame, encoding)
    except BadFrame as failure:
        at = frame.find(code.encode(), 1, MAX_JUNK_BYTES)
        while at > 0 and not is_answer(frame[:at]):
            try:
                return read(frame[at:], encoding)
            except BadFrame:
                at = frame.find(code.encode(), at + 1, MAX_JUNK_BYTES)
        raise failure from None


def in_log(frame: bytes) -> str:
    """What a log may hold of a line: code, length and which fields are there, never a value."""
    names = [piece[:2].decode("ascii") for piece in frame.split(b"|")[1:] if re.match(rb"[A-Z][A-Z0-9]", piece)]
    code = frame[:2].decode("ascii") if frame[:2].isdigit() else "??"
    return f"{code} {len(frame)} bytes {' '.join(names[:20])}".rstrip()
