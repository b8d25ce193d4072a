"""A table as agencies send it: its encoding, delimiter, columns and rows. Reads, never decides."""

import codecs
import csv
import difflib
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from central.actions.action import ActionFailed
from central.neighbours.tables.csv_text import unguarded

DELIMITERS = (",", ";", "\t")
_ENCODINGS = {"utf-8": "utf-8-sig", "utf8": "utf-8-sig", "utf-8-sig": "utf-8-sig", "cp950": "cp950", "big5": "cp950"}
_READ_BYTES = 1 << 20

Cells = tuple[int, list[str], str]
"""Number of the row as a spreadsheet counts (the header is row 1), its cells in the order of the known columns (empty
where the file has no such column), and what is wrong with the row as a whole (empty: nothing)."""


class TableFile:
    """A file that was looked at once and can be read from the start any number of times, in constant memory."""

    def __init__(
        self,
        path: Path,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
        encoding: str = "",
        delimiter: str = "",
    ) -> None:
        """Raises ActionFailed for a file that is no such table, naming the place."""
        self.path = path
        self.size = path.stat().st_size
        self.encoding = encoding_of(path, encoding)
        self.columns = (*required, *optional)
        with path.open("rb") as raw, self._decoded(raw) as text:
            header = text.readline()
        self.delimiter = delimiter or max(DELIMITERS, key=header.count)
        self._columns = _columns(next(csv.reader([header], delimiter=self.delimiter), []), required, self.columns)
        self.offset = 0

    def has(self, column: str) -> bool:
        return column in self._columns

    def cells(self) -> Iterator[Cells]:
        """Every row after the header; empty ones are passed over. `offset` follows in bytes, for a progress bar."""
        width, places = len(self._columns), [self._places(name) for name in self.columns]
        with self.path.open("rb") as raw, self._decoded(raw) as text:
            reader = csv.reader(text, delimiter=self.delimiter)
            number = 1
            try:
                next(reader)
                for number, cells in enumerate(reader, 2):
                    if not any(cells):
                        continue
                    if number % 1_000 == 0:
                        self.offset = raw.tell()
                    problem = "" if len(cells) == width else f"{len(cells)} cells where the header has {width}"
                    if problem:
                        cells = (cells + [""] * width)[:width]  # noqa: PLW2901
                    cells.append("")  # what place -1 of a column that is not there finds
                    yield number, [unguarded(cells[place].strip()) for place in places], problem
            except csv.Error as error:
                raise ActionFailed(f"row {number + 1}: {error} (a quotation mark left open?)") from None
        self.offset = self.size

    def character_problem(self, text: str) -> str:
        """Which character of a cell cannot be kept, and why; empty when all can."""
        if text.isprintable():
            return ""
        for place, character in enumerate(text, 1):
            category = unicodedata.category(character)
            if category == "Cs":
                byte = ord(character) & 0xFF
                return f"character {place} is the byte {byte:02x}, which is not {self.encoding_name}"
            if category == "Co":
                return f"character {place} (U+{ord(character):04X}) is of private use (造字): write it in Unicode"
            if category in ("Cc", "Cn", "Zl", "Zp"):
                return f"character {place} (U+{ord(character):04X}) is not a letter or sign"
        return ""

    @property
    def encoding_name(self) -> str:
        return "CP950" if self.encoding == "cp950" else "UTF-8"

    def _decoded(self, raw: BinaryIO) -> io.TextIOWrapper:
        # Bytes that cannot be decoded come through as lone surrogates, so that the row that has them is named.
        return io.TextIOWrapper(raw, self.encoding, errors="surrogateescape", newline="")

    def _places(self, name: str) -> int:
        return self._columns.index(name) if name in self._columns else -1


def _columns(header: list[str], required: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    for place, name in enumerate(columns, 1):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise ActionFailed(f"row 1, column {place}: there is no column {_shown(name)}{hint}")
        if columns.index(name) != place - 1:
            raise ActionFailed(f"row 1, column {place}: {name!r} stands twice")
    missing = [name for name in required if name not in columns]
    if missing:
        raise ActionFailed(f"row 1: column {missing[0]!r} is missing; the header must name {', '.join(required)}")
    return columns


def _shown(name: str) -> str:
    # A file without a header begins with a row of data; a UID must not come back in a message.
    return repr(name) if not any(c.isdigit() for c in name) else "named like a number (is the header missing?)"


def encoding_of(path: Path, stated: str = "") -> str:
    """The codec that a file is read with: the one that was stated, else the first that fits. Raises ActionFailed."""
    return _stated(stated) if stated else _detect(path)


def _stated(encoding: str) -> str:
    try:
        return _ENCODINGS[encoding.lower()]
    except KeyError:
        raise ActionFailed(f"encoding {encoding!r} is not one of utf-8, cp950") from None


def _detect(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ActionFailed("the file is UTF-16: save it as CSV in UTF-8")
    if start.startswith(b"PK\x03\x04"):
        raise ActionFailed("the file is a spreadsheet, not a CSV: save it as CSV in UTF-8")
    failures = []
    for encoding in ("utf-8-sig", "cp950"):
        failure = _first_undecodable(path, encoding)
        if not failure:
            return encoding
        failures.append(failure)
    raise ActionFailed(
        f"the file is neither UTF-8 ({failures[0]}) nor CP950 ({failures[1]}): state --encoding, and the rows"
        " that it does not fit are refused by name"
    )


def _first_undecodable(path: Path, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, row = 0, 1
    with path.open("rb") as file:
        while True:
            data = file.read(_READ_BYTES)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                seen = (pending + data)[: error.start]
                at = offset - len(pending) + error.start
                return f"byte {error.object[error.start]:02x} in row {row + seen.count(10)}, at byte {at} of the file"
            if not data:
                return ""
            offset += len(data)
            row += data.count(10)
