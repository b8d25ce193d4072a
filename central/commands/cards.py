"""`card`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from central.commands.reports import allow_partial, fail_if_left_out, reporting
from central.commands.shell import act, as_json, fail, notation, readable, say_json, say_rows, who_option
from central.config import Config

PROBLEM_COLOURS = {"ambiguous": "yellow", "collision": "red", "refused": "red"}


@click.group()
def card() -> None:
    """Cards: import a table of them, find, block and unblock one."""


@card.command("import")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain on whose list the cards' members shall be.")
@notation
@click.option("--encoding", default="", help="utf-8 or cp950; not given = detected.")
@click.option("--delimiter", default="", help="Not given = comma, semicolon or tab, as the header has it.")
@click.option("--time-zone", default="", help="Of the dates; not given = that of the domain's venues.")
@click.option(
    "--classes",
    type=click.Choice(["replace", "add"]),
    default="replace",
    show_default=True,
    help="What a member holds and the file does not name: goes, or stays.",
)
@click.option("--apply", is_flag=True, help="Write it. Without this nothing is changed.")
@click.option("--full", is_flag=True, help="The file is the whole list: cards that it lacks are absent.")
@click.option(
    "--absent",
    type=click.Choice(["keep", "block", "remove"]),
    default="keep",
    show_default=True,
    help="With --full: what becomes of absent cards.",
)
@click.option("--max-removed", default="2%", show_default=True, help="More absent cards than this are not believed.")
@click.option("--force", is_flag=True, help="Believe them.")
@allow_partial
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Every row's verdict, .csv or .json.")
@as_json
@click.pass_obj
def card_import(
    settings: Config,
    /,
    file: Path,
    max_removed: str,
    report: Path | None,
    allow_partial: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Import a table of cards; by default only say, row by row, what it would do.

    The columns are uid, member, class (several separated by |), valid_from and valid_until (the last valid day;
    2026-01-31 or 115/01/31), and if wanted name, state (active, blocked, lost, replaced), library_barcode and
    volunteer_number, by which members are found.

    Example: tapgate-central card import cards.csv --domain library --notation decimal --report rows.csv
    """
    problems: list[dict[str, Any]] = []
    with reporting(report, ["row", "verdict", "why", "note"]) as write:

        def on_items(rows: Sequence[Any]) -> None:
            write(rows)
            problems.extend(row for row in rows[: 50 - len(problems)] if row["verdict"] in PROBLEM_COLOURS)

        share = {"max_removed": _share(max_removed), "report": report is not None}
        result = act(settings, "card.import", {**values, **share}, file=file, bar=True, on_items=on_items)
    if as_json:
        say_json({**result, "problems": problems})
    else:
        _show(result, problems)
    if not allow_partial:
        fail_if_left_out(result, PROBLEM_COLOURS)


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.UsageError(f"--max-removed {text}: a share such as 2% or 0.02")
    return share


def _show(result: dict[str, Any], problems: list[dict[str, Any]]) -> None:
    console = Console()
    for row in problems:
        colour = PROBLEM_COLOURS[row["verdict"]]
        console.print(f"row {row['row']}: [{colour}]{row['verdict']}[/] ", end="")
        console.print(row["why"], markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None)
    for verdict in result["verdicts"]:
        table.add_column(verdict, justify="right")
    table.add_row(*(f"{number:,}" for number in result["verdicts"].values()))
    console.print(table)
    for note, number in result["notes"].items():
        console.print(f"{number:,} rows: {note}", markup=False)
    if result["absent"]:
        console.print(f"{result['absent']:,} cards are not in the file.")
    console.print(f"Read as {result['encoding']}, UIDs as {result['notation'] or 'unknown notation'}.")
    if not result["applied"]:
        console.print("Nothing was changed: add --apply to write it.")


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """The ways to say which cards are meant."""
    options: tuple[Any, ...] = (
        click.option("--card", "card_id", default="", help="One card, by the id that `card find` shows."),
        click.option("--member", default="", help="All cards of a member."),
        notation,
        click.argument("uid", default=""),
    )
    for option in options:
        command = option(command)
    return command


def _meant(uid: str, notation: str, member: str, card_id: str) -> dict[str, Any]:
    if uid == "-":
        uid = sys.stdin.readline().strip()
    return {"uid": uid, "notation": notation, "member": member, "card": card_id}


@card.command("find")
@_which
@as_json
@click.pass_obj
def card_find(settings: Config, /, as_json: bool, **which: str) -> None:
    """What is held of a card, by its UID (`-`: read from standard input), --member or --card.

    Example: tapgate-central card find 0713233758
    """
    found = act(settings, "card.find", _meant(**which))["cards"]
    if not found:
        fail("no such card is bound to anybody")
    say_rows(found, as_json)


@card.command("block")
@_which
@click.option("--state", type=click.Choice(["blocked", "lost", "replaced"]), default="blocked", show_default=True)
@click.option("--why", default="", help="Kept with the card.")
@who_option
@as_json
@click.pass_obj
def card_block(settings: Config, /, state: str, why: str, who: str, as_json: bool, **which: str) -> None:
    """Refuse a card everywhere; connected gates hear of it at once.

    Example: tapgate-central card block --member A-1024 --state lost --why "reported by phone"
    """
    say_rows(act(settings, "card.block", {**_meant(**which), "state": state, "why": why, "who": who})["cards"], as_json)


@card.command("unblock")
@_which
@click.option("--why", default="", help="Kept with the card.")
@who_option
@as_json
@click.pass_obj
def card_unblock(settings: Config, /, why: str, who: str, as_json: bool, **which: str) -> None:
    """Let a card be judged by the rules again.

    Example: tapgate-central card unblock --member A-1024 --why found
    """
    say_rows(act(settings, "card.unblock", {**_meant(**which), "why": why, "who": who})["cards"], as_json)
