"""CSV that leaves: in the encoding that somebody's program wants, shown by spreadsheets and never computed.

RFC 4180 with CRLF. A character that the encoding lacks is refused by row, column and character, or replaced by a mark
that somebody chose, and told. What could begin a formula gets an apostrophe before it; `unguarded` takes it off again.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

Encoding = Literal["utf-8", "utf-8-sig", "cp950"]
"""`utf-8-sig`: with a byte order mark, without which spreadsheets garble Chinese."""
_BEGINS = re.compile(r"^['\s\u200b\ufeff]*[=+\-@|%\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a formula may begin, for one spreadsheet or another; also after spaces, in full width, and behind apostrophes, so
that taking one off gives what was there."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
MOST_TOLD = 1_000
Row = Sequence[Any]


def cell(value: Any) -> str:
    """A text that a spreadsheet shows and does not compute: what could begin a formula gets an apostrophe before it.
    Plain numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if isinstance(value, (int, float)) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if _BEGINS.match(text) else text


def unguarded(text: str) -> str:
    """What `cell` was given. An apostrophe before anything else is somebody's own."""
    return text[1:] if text.startswith("'") and cell(text[1:]) == text else text


class Unencodable(ValueError):
    """A character that the encoding lacks. `row` counts as a spreadsheet does: the header is row 1."""

    def __init__(self, row: int, column: str, character: str, encoding: str) -> None:
        code = f"U+{ord(character):04X}"
        super().__init__(f"row {row}, column {column}: {encoding.upper()} has no {character} ({code})")
        self.row, self.column, self.character = row, column, character


class Replaced(NamedTuple):
    """A character in whose place the mark stands."""

    row: int
    column: str
    character: str


class CsvWriter:
    """Gives bytes, block by block. `replaced`: the first ones; `count`: how many there are."""

    def __init__(self, columns: Sequence[str], encoding: Encoding = "utf-8-sig", mark: str = "") -> None:
        """`mark`: stands for what the encoding lacks; empty: that is refused. Raises ValueError for one that is lacking
        itself, or would begin a formula."""
        self._columns, self._encoding, self._mark = columns, encoding, mark
        self._codec = "utf-8" if encoding == "utf-8-sig" else encoding
        self._row = 0
        self.replaced: list[Replaced] = []
        self.count = 0
        if mark and (cell(mark) != mark or not _fits(mark, self._codec)):
            raise ValueError(f"{mark!r} cannot stand for what {encoding} lacks: choose another mark")

    def head(self) -> bytes:
        """The byte order mark, where there is to be one, and the header."""
        return (b"\xef\xbb\xbf" if self._encoding == "utf-8-sig" else b"") + self.lines([self._columns])

    def lines(self, rows: Iterable[Row]) -> bytes:
        """Raises Unencodable; then nothing of these rows is given."""
        out = io.StringIO()
        writer = csv.writer(out)
        for row in rows:
            self._row += 1
            writer.writerow([self._fitting(place, cell(value)) for place, value in enumerate(row)])
        return out.getvalue().encode(self._codec)

    def _fitting(self, place: int, text: str) -> str:
        if _fits(text, self._codec):
            return text
        column = self._columns[place] if place < len(self._columns) else str(place + 1)
        lacking = [character for character in text if not _fits(character, self._codec)]
        if not self._mark:
            raise Unencodable(self._row, column, lacking[0], self._encoding)
        self.count += len(lacking)
        self.replaced += [Replaced(self._row, column, each) for each in lacking][: MOST_TOLD - len(self.replaced)]
        return "".join(self._mark if character in lacking else character for character in text)


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
