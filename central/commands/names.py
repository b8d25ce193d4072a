"""`card names`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from central.commands.reports import allow_partial, fail_if_left_out, reporting
from central.commands.shell import act, as_json, readable, say_json
from central.config import Config


@click.command("names")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain whose screens shall show them.")
@click.option("--encoding", default="", help="utf-8 or cp950; not given = detected.")
@click.option("--delimiter", default="", help="Not given = comma, semicolon or tab, as the header has it.")
@click.option("--apply", is_flag=True, help="Write it. Without this nothing is changed.")
@allow_partial
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Every row's verdict, .csv or .json.")
@as_json
@click.pass_obj
def names(
    settings: Config, /, file: Path, report: Path | None, allow_partial: bool, as_json: bool, **values: Any
) -> None:
    """Names for screens, masked, of members who agreed; by default only say, row by row, what it would do.

    The columns are member, name and agreed (yes or no). A name is masked when it is read (王小明 becomes 王○明) and
    kept in no other form; agreed no removes it; who is not in FILE keeps what is held. Gates with screen.names show
    them.

    Example: tapgate-central card names names.csv --domain library --apply
    """
    refused: list[dict[str, Any]] = []
    with reporting(report, ["row", "verdict", "why", "shown"]) as write:

        def on_items(rows: Sequence[Any]) -> None:
            write(rows)
            refused.extend(row for row in rows[: 50 - len(refused)] if row["verdict"] == "refused")

        values["report"] = report is not None
        result = act(settings, "card.names", values, file=file, bar=True, on_items=on_items)
    if as_json:
        say_json({**result, "problems": refused})
    else:
        _show(result, refused)
    if not allow_partial:
        fail_if_left_out(result, ["refused"])


def _show(result: dict[str, Any], refused: Sequence[dict[str, Any]]) -> None:
    console = Console()
    for row in refused:
        console.print(f"row {row['row']}: {row['why']}", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None)
    for verdict in result["verdicts"]:
        table.add_column(verdict, justify="right")
    table.add_row(*(f"{number:,}" for number in result["verdicts"].values()))
    console.print(table)
    where = ", ".join(result["gates"]) or "no gate yet (see `gate config put`, screen.names)"
    console.print(f"{result['names']:,} names, shown at {where}.", markup=False, highlight=False, soft_wrap=True)
    if not result["applied"]:
        console.print("Nothing was changed: add --apply to write it.")
