"""The ministry's list of volunteers, `.xls` or CSV, as rows of text. Reads, never decides.

Whoever wrote the file may have meant harm: what cannot be read is refused as a whole, and what is read is text.
"""

import csv
import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from central.actions.action import ActionFailed
from central.actions.table_file import Cells, TableFile, encoding_of
from central.neighbours.vols.layout import Roster, RosterColumn
from central.neighbours.vols.roc import slashed

COLUMNS: tuple[RosterColumn, ...] = ("number", "identity", "name", "member", "since", "until")
MOST_BYTES = 8 * 1024 * 1024
"""A hundred times what a city's list has; a cell takes up to twenty times its bytes in memory."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a BIFF8 workbook begins."""


class RosterFile(TableFile):
    """Read whole into memory: a sheet has at most 65,536 rows. `cells` gives `COLUMNS`, empty where there is none."""

    def __init__(self, path: Path, roster: Roster, encoding: str = "", delimiter: str = "") -> None:
        """Raises ActionFailed for a file that is no such list, naming the place."""
        self.path, self.size, self.offset = path, path.stat().st_size, 0
        if self.size > MOST_BYTES:
            raise ActionFailed(f"the list has {self.size:,} bytes, {MOST_BYTES:,} are read")
        with path.open("rb") as file:
            self.is_workbook = file.read(len(_OLE)) == _OLE
        self.columns = COLUMNS
        self.encoding = "utf-8" if self.is_workbook else encoding_of(path, encoding)
        self._rows = self._workbook() if self.is_workbook else self._text(delimiter)
        self._header, self._places_of = self._found(roster)

    def has(self, column: str) -> bool:
        return column in self._places_of

    def cells(self) -> Iterator[Cells]:
        for number, row in enumerate(self._rows, 1):
            if number <= self._header or not any(row):
                continue
            yield number, [self._cell(row, column) for column in COLUMNS], ""
        self.offset = self.size

    def _cell(self, row: list[str], column: RosterColumn) -> str:
        place = self._places_of.get(column, len(row))
        return row[place] if place < len(row) else ""

    def _found(self, roster: Roster) -> tuple[int, dict[RosterColumn, int]]:
        """The number of the header's row, and where each column is."""
        numbers = [roster.header_row, 1]
        for number in numbers:
            header = self._rows[number - 1] if number <= len(self._rows) else []
            places = {}
            for column, titles in roster.titles.items():
                found = [place for place, text in enumerate(header) if text.lower() in titles]
                if found:
                    places[column] = found[0]
            if "number" in places or "identity" in places:
                return number, places
        wanted = ", ".join(dict.fromkeys((*roster.titles.get("number", ()), *roster.titles.get("identity", ()))))
        raise ActionFailed(f"row {roster.header_row} (or 1) is no header: it names none of {wanted}")

    def _text(self, delimiter: str) -> list[list[str]]:
        text = self.path.read_bytes().decode(self.encoding, "surrogateescape")
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = delimiter or max((",", ";", "\t"), key=first.count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise ActionFailed(f"the list cannot be read: {error}") from None
        return [[cell.strip() for cell in row] for row in rows]

    def _workbook(self) -> list[list[str]]:
        import xlrd  # here alone: other commands need not wait for it

        try:
            book = xlrd.open_workbook(self.path, on_demand=True, ragged_rows=True, logfile=io.StringIO())
            sheet = book.sheet_by_index(0)
            return [[_as_text(cell, book.datemode) for cell in sheet.row(number)] for number in range(sheet.nrows)]
        except Exception as error:  # a damaged workbook breaks the reader in ways that it does not name
            raise ActionFailed(f"the list is no .xls that can be read ({type(error).__name__})") from None


def _as_text(cell: Any, datemode: int) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        day: dt.datetime = xlrd.xldate_as_datetime(cell.value, datemode)
        return slashed(day.date())
    if cell.ctype == xlrd.XL_CELL_NUMBER and float(cell.value).is_integer():
        return str(int(cell.value))
    return str(cell.value).strip() if cell.ctype in (xlrd.XL_CELL_TEXT, xlrd.XL_CELL_NUMBER) else ""
