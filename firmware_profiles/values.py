"""What a profile writes as text, and what it means: byte strings, status words, answers, parts of names. Pure."""

import re
import string
from functools import total_ordering

LONGEST_COMMAND = 261
"""Bytes: a short APDU of ISO 7816-4."""


class Written:
    """A value as somebody wrote it. Two are equal when they are written alike."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Written) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"


class HexBytes(Written):
    """Bytes written as hexadecimal digits in pairs, with or without spaces."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.raw = bytes.fromhex(text)
        if not self.raw:
            raise ValueError("no bytes")
        if len(self.raw) > LONGEST_COMMAND:
            raise ValueError(f"{len(self.raw)} bytes, more than the {LONGEST_COMMAND} of a short APDU")


class StatusWord(Written):
    """Two status bytes of ISO 7816-4, such as `9000`; an `x` stands for any digit, as in `6Cxx`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        if not re.fullmatch("[0-9A-Fx]{4}", text):
            raise ValueError(f"{text!r} is not a status word such as 9000 or 6Cxx")

    def fits(self, sw1: int, sw2: int) -> bool:
        return _digits_fit(self.text, f"{sw1:02X}{sw2:02X}")


class AnswerPattern(Written):
    """A whole answer, data and status: `90 xx` with `x` for any digit; `E1 00 00 00 *` with anything after that."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        digits = text.replace(" ", "").upper().replace("X", "x")
        self._open = digits.endswith("*")
        self._digits = digits.removesuffix("*")
        if not re.fullmatch("(?:[0-9A-Fx]{2})+", self._digits):
            raise ValueError(f"{text!r} is not an answer such as 9000, 90xx or E1000000*")

    def fits(self, answer: bytes) -> bool:
        said = answer.hex().upper()
        if self._open:
            said = said[: len(self._digits)]
        return len(said) == len(self._digits) and _digits_fit(self._digits, said)


def _digits_fit(pattern: str, digits: str) -> bool:
    return all(ours in ("x", theirs) for ours, theirs in zip(pattern, digits, strict=True))


class NamePart(Written):
    """Words looked for in the name of a reader, upper and lower case alike, and whole: `ICC` is not found in `PICC`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        if not 2 <= len(text) <= 100 or text != text.strip() or not text.isprintable():
            raise ValueError(f"{text!r} is not a part of a reader's name: 2 to 100 characters, none blank at an end")
        self._whole = re.compile(f"(?<![0-9a-z]){re.escape(text)}(?![0-9a-z])", re.IGNORECASE)

    def found_in(self, reader_name: str) -> bool:
        return self._whole.search(reader_name) is not None


@total_ordering
class Version(Written):
    """Numbers with points between them, compared number by number: `202.2` is later than `99.10`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}", text):
            raise ValueError(f"{text!r} is not a version such as 2.0 or 201")
        self.numbers = tuple(int(number) for number in text.split("."))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.numbers == other.numbers

    def __lt__(self, other: "Version") -> bool:
        return self.numbers < other.numbers

    def __hash__(self) -> int:
        return hash(self.numbers)


def version_in(text: str, after: str) -> Version | None:
    """The number that stands in `text` right behind `after`; None where there is none."""
    _, found, rest = text.partition(after)
    number = rest[: len(rest) - len(rest.lstrip(string.digits + "."))].strip(".")
    try:
        return Version(number) if found else None
    except ValueError:
        return None


def readable(answer: bytes) -> str:
    """The printable ASCII characters of an answer: how readers tell their firmware."""
    return "".join(chr(byte) for byte in answer if 0x20 <= byte < 0x7F).strip()
