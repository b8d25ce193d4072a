"""Card UIDs: raw bytes plus length, converted from and to the notations that venues hold them in.

A UID identifies a card; it never authenticates one (SPEC §2).
"""

from enum import StrEnum
from typing import Self

import msgspec

from protocol.errors import Failure, Refused

LENGTHS = (4, 7, 10)
"""ISO/IEC 14443-3: single, double and triple size UIDs, in bytes."""

SAK_INCOMPLETE = 0x04
"""SAK bit 3: the UID just read is one cascade level of a longer one."""


class Notation(StrEnum):
    """How a text writes a UID. `reversed` counts the bytes from the last one read in air order."""

    HEX = "hex"
    HEX_REVERSED = "hex-reversed"
    DECIMAL = "decimal"
    DECIMAL_REVERSED = "decimal-reversed"


class Problem(StrEnum):
    """Why a UID that was read or typed must not be enrolled; the strings are also denial reasons."""

    RANDOM = "uid-random"
    PLACEHOLDER = "uid-placeholder"
    INCOMPLETE = "uid-incomplete"
    UNREADABLE = "uid-unreadable"


PLACEHOLDERS = frozenset(bytes.fromhex(text) for text in ("01020304", "04030201", "00000000", "ffffffff"))
"""UIDs that many phones and blank cards share."""


class CardUID(msgspec.Struct, frozen=True, order=True):
    """The bytes of a UID in air order. Printing it shows its length only: a UID is personal data."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) not in LENGTHS:
            raise Refused(Failure.WRONG_LENGTH, f"a UID has 4, 7 or 10 bytes, not {len(self.raw)}")

    def __repr__(self) -> str:
        return f"<CardUID of {len(self.raw)} bytes>"

    __str__ = __repr__

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """The UID of plain full-width hex in air order. Raises Refused `not-a-number` or `wrong-length`."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise Refused(Failure.NOT_A_NUMBER, "not a hexadecimal UID") from None

    def in_notation(self, notation: Notation) -> str:
        """The full-width text: two digits a byte in hex, zero-filled decimal (10, 17 or 25 digits)."""
        raw = self.raw[::-1] if notation.endswith("reversed") else self.raw
        if notation.startswith("hex"):
            return raw.hex().upper()
        return str(int.from_bytes(raw)).zfill(_DECIMAL_DIGITS[len(raw)])


_DECIMAL_DIGITS = {length: len(str(256**length - 1)) for length in LENGTHS}


def judge(raw: bytes, sak: int | None = None) -> Problem | None:
    """What is wrong with the bytes that a reader or a file gave as a UID; None when they can be used.

    `sak` is the select acknowledge where the reader tells it. Source of the rules: SPEC §2.2.
    """
    if len(raw) not in LENGTHS:
        return Problem.UNREADABLE  # empty, or the 1-byte answer of some OEM firmware
    if sak is not None and sak & SAK_INCOMPLETE:
        return Problem.INCOMPLETE
    if len(raw) == 4 and raw[0] == 0x08:
        return Problem.RANDOM
    if raw in PLACEHOLDERS:
        return Problem.PLACEHOLDER
    return None


def is_shared_range(uid: CardUID) -> bool:
    """True for a 4-byte NUID (first byte xF): fixed on the card, yet not unique in the world."""
    return len(uid.raw) == 4 and uid.raw[0] & 0x0F == 0x0F


def parse(text: str, notation: Notation) -> CardUID:
    """The UID that `text` writes in a stated notation.

    Separators (space, colon, hyphen) are dropped; leading zeros that a spreadsheet ate are restored where
    that leaves one reading. Raises Refused with `not-a-number` or `wrong-length`.
    """
    digits = text.strip().translate(_SEPARATORS)
    raw = _hex_bytes(digits) if notation.startswith("hex") else _decimal_bytes(digits)
    return CardUID(raw[::-1] if notation.endswith("reversed") else raw)


def candidates(text: str) -> dict[Notation, CardUID]:
    """Every reading of a text whose notation is not known. More than one distinct UID is ambiguous."""
    found = {}
    for notation in Notation:
        try:
            found[notation] = parse(text, notation)
        except Refused:
            continue
    return found


_SEPARATORS = str.maketrans("", "", " :-\u00a0")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def _hex_bytes(digits: str) -> bytes:
    if digits[:2] in ("0x", "0X"):
        digits = digits[2:]
    if not digits or not _HEX_DIGITS.issuperset(digits):
        raise Refused(Failure.NOT_A_NUMBER, "not a hexadecimal UID")
    if len(digits) in (7, 13, 19):  # one leading zero lost; losing more looks like another number
        digits = "0" + digits
    if len(digits) == 6:
        raise Refused(Failure.WRONG_LENGTH, "three bytes are a Wiegand-26 number: one byte of the UID is gone")
    if len(digits) not in (8, 14, 20):
        raise Refused(Failure.WRONG_LENGTH, f"{len(digits)} hexadecimal digits are not 4, 7 or 10 bytes")
    return bytes.fromhex(digits)


def _decimal_bytes(digits: str) -> bytes:
    if not digits.isascii() or not digits.isdecimal():
        raise Refused(Failure.NOT_A_NUMBER, "not a decimal UID")
    if len(digits) > _DECIMAL_DIGITS[10]:
        raise Refused(Failure.WRONG_LENGTH, f"{len(digits)} decimal digits are more than 10 bytes hold")
    number = int(digits)
    # A number written at full width says its length; leading zeros are then part of it.
    full_width = {width: length for length, width in _DECIMAL_DIGITS.items()}.get(len(digits))
    if full_width is not None and number < 256**full_width:
        return number.to_bytes(full_width)
    for length in LENGTHS:
        if number < 256**length:
            return number.to_bytes(length)
    raise Refused(Failure.WRONG_LENGTH, "the number needs more than 10 bytes")
