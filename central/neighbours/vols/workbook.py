"""The ministry's table as a BIFF8 workbook (`.xls`): text is text, never a formula, and numbers are numbers."""

import io
from collections.abc import Iterable, Sequence

from central.neighbours.vols.hours import Cell
from central.neighbours.vols.layout import Layout

TEXT_FORMAT = "@"


def workbook(layout: Layout, rows: Iterable[Sequence[Cell]]) -> bytes:
    """The bytes of a file with one sheet: titles in its first row, then the rows, at most `layout.most_rows`."""
    import xlwt  # here alone: other commands need not wait for it

    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet(layout.sheet)
    as_text = xlwt.easyxf(num_format_str=TEXT_FORMAT)
    for place, column in enumerate(layout.columns):
        sheet.write(0, place, column.title, as_text)
    for number, row in enumerate(rows, 1):
        for place, cell in enumerate(row):
            if cell != "":
                sheet.write(number, place, cell) if isinstance(cell, int) else sheet.write(number, place, cell, as_text)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
