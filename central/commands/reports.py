"""What imports of tables have in common: every row's verdict in a file, and the exit code where rows were left out."""

import contextlib
import csv
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from central.commands.shell import fail
from central.neighbours.tables.csv_text import cell

allow_partial = click.option(
    "--allow-partial", is_flag=True, help="With --apply: end with 0 although rows were left out."
)


@contextlib.contextmanager
def reporting(path: Path | None, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Writes each row as it comes: CSV with a header, or a JSON line a row."""
    if path is None:
        yield lambda _rows: None
        return
    try:
        file = path.open("w", encoding="utf-8-sig" if path.suffix == ".csv" else "utf-8", newline="")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    with file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            yield lambda rows: writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
        else:
            yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def fail_if_left_out(result: dict[str, Any], problems: Collection[str]) -> None:
    """Ends the program with 1 where an import was written and rows with these verdicts were not."""
    left_out = sum(result["verdicts"][verdict] for verdict in problems)
    if result["applied"] and left_out:
        others = "the others are written" if left_out < result["rows"] else "nothing is written"
        fail(f"{left_out:,} of {result['rows']:,} rows were left out, {others}: see them with --report")
