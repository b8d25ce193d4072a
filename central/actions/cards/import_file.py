"""A table of cards: its columns, as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from central.actions.table_file import TableFile

REQUIRED = ("uid", "member", "class", "valid_from", "valid_until")
OPTIONAL = ("name", "state", "library_barcode", "volunteer_number")


class FileRow(NamedTuple):
    """One row as text. `number` counts as a spreadsheet does: the header is row 1."""

    number: int
    uid: str
    member: str
    classes: str
    valid_from: str
    valid_until: str
    name: str
    state: str
    library_barcode: str
    volunteer_number: str
    problem: str
    """Not empty: what is wrong with the row as a whole."""


class CardFile(TableFile):
    """A table of cards as agencies send it."""

    def __init__(self, path: Path, encoding: str = "", delimiter: str = "") -> None:
        """Raises ActionFailed for a file that is no such table, naming the place."""
        super().__init__(path, REQUIRED, OPTIONAL, encoding, delimiter)

    def rows(self) -> Iterator[FileRow]:
        """Every row after the header; empty ones are passed over."""
        for number, cells, problem in self.cells():
            uid, member, class_, since, until, name, state, barcode, volunteer = cells
            yield FileRow(number, uid, member, class_, since, until, name, state, barcode, volunteer, problem)
