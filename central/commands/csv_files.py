"""CSV files that commands write: whole or not at all, in the encoding that was asked for."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from central.commands.shell import fail
from central.files import sync_directory
from central.neighbours.tables.csv_text import CsvWriter, Encoding, Unencodable

ENCODINGS = ("utf-8", "utf-8-sig", "cp950")


def csv_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which encoding, and what becomes of a character that it lacks."""
    options = (
        click.option(
            "--replace", default="", metavar="MARK", help="Stands for what the encoding lacks; not given: refused."
        ),
        click.option(
            "--encoding",
            type=click.Choice(ENCODINGS),
            default="utf-8-sig",
            show_default=True,
            help="utf-8-sig has the mark that spreadsheets want.",
        ),
    )
    for option in options:
        command = option(command)
    return command


class CsvFile:
    """The first row that it is given is the header."""

    def __init__(self, file: BinaryIO, encoding: Encoding, mark: str) -> None:
        self._file, self._encoding, self._mark = file, encoding, mark
        self._writer: CsvWriter | None = None

    def rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Raises Unencodable."""
        if self._writer is None and rows:
            header, *rows = rows
            self._writer = CsvWriter(header, self._encoding, self._mark)
            self._file.write(self._writer.head())
        if self._writer is not None:
            self._file.write(self._writer.lines(rows))

    @property
    def replaced(self) -> list[str]:
        """Where the mark stands, the first thousand places."""
        found = self._writer.replaced if self._writer is not None else []
        return [f"row {each.row}, column {each.column}: {each.character}" for each in found]


@contextlib.contextmanager
def writing(path: Path, encoding: Encoding, mark: str) -> Iterator[CsvFile]:
    """Written aside and put in place at the end. Ends the program with 1 where that cannot be, naming row, column and
    character of what the encoding lacks."""
    aside = path.with_name(path.name + ".new")
    try:
        with aside.open("wb") as file:
            yield CsvFile(file, encoding, mark)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_directory(path.absolute().parent)
    except Unencodable as lacking:
        fail(f"{lacking}: choose another --encoding, or a mark with --replace")
    except ValueError as error:
        fail(f"--replace: {error}")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    finally:
        with contextlib.suppress(OSError):  # it is in place, or never was
            aside.unlink()
