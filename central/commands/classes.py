"""`member`, and what a member's cards tell at gates: `card flags`, `card flag`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from central.commands.reports import allow_partial, fail_if_left_out, reporting
from central.commands.shell import act, as_json, fail, notation, readable, say, say_json, say_rows, who_option
from central.config import Config

HISTORY = "name from_ms until_ms known_ms until_known_ms who why"


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """What commands have in common that follow a table row by row."""
    options: tuple[Any, ...] = (
        as_json,
        click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Every row's verdict."),
        allow_partial,
        click.option("--apply", is_flag=True, help="Write it. Without this nothing is changed."),
        click.option("--delimiter", default="", help="Not given = comma, semicolon or tab, as the header has it."),
        click.option("--encoding", default="", help="utf-8 or cp950; not given = detected."),
    )
    for option in options:
        command = option(command)
    return command


def follow(
    settings: Config,
    action: str,
    file: Path,
    values: dict[str, Any],
    also: Callable[[dict[str, Any]], str] | None = None,
) -> None:
    """Run an action over a table, say what became of its rows, and end with 1 where some were left out."""
    report, said_as_json = values.pop("report"), values.pop("as_json")
    is_partial_fine = values.pop("allow_partial")
    refused: list[dict[str, Any]] = []
    with reporting(report, ["row", "verdict", "why"]) as write:

        def on_items(rows: Sequence[Any]) -> None:
            write(rows)
            refused.extend(row for row in rows[: 50 - len(refused)] if row["verdict"] == "refused")

        values["report"] = report is not None
        result = act(settings, action, values, file=file, bar=True, on_items=on_items)
    if said_as_json:
        say_json({**result, "problems": refused})
    else:
        _show(result, refused, also(result) if also else "")
    if not is_partial_fine:
        fail_if_left_out(result, ["refused"])


def _show(result: dict[str, Any], refused: Sequence[dict[str, Any]], more: str) -> None:
    console = Console()
    for row in refused:
        console.print(f"row {row['row']}: {row['why']}", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None)
    for verdict in result["verdicts"]:
        table.add_column(verdict, justify="right")
    table.add_row(*(f"{number:,}" for number in result["verdicts"].values()))
    console.print(table)
    if more:
        console.print(more, markup=False, highlight=False, soft_wrap=True)
    if not result["applied"]:
        console.print("Nothing was changed: add --apply to write it.")


@click.group()
def member() -> None:
    """Members: the classes that they are in, by date, and what was known of them when."""


@member.command("classes")
@click.argument("file", type=readable, required=False)
@click.option("--domain", required=True, help="The domain whose members they are.")
@click.option("--from-class", default="", help="In place of FILE: everybody who is in this class …")
@click.option("--to-class", default="", help="… is in this one instead, without a new card.")
@click.option("--on", default="", help="With --from-class: from this local date on; not given = now.")
@click.option("--time-zone", default="", help="Of the dates; not given = that of the domain's venues.")
@click.option("--why", default="", help="Kept with the history.")
@table_options
@who_option
@click.pass_obj
def member_classes(
    settings: Config, /, file: Path | None, from_class: str, to_class: str, on: str, time_zone: str, **values: Any
) -> None:
    """Follow a feed of who is in which class from when until when; by default only say what it would do.

    The columns are member, action (add, end, move-out; 新增, 終止, 遷出), class, and from and until (the last day),
    or date (of an add the first day, of an end or a move-out the first day without). Dates are 2026-01-31 or
    115/01/31. A move-out without a class ends every class. Rows are followed in their order.

    Example: tapgate-central member classes household.csv --domain city --apply
    """
    if (file is None) == (not from_class) or bool(from_class) != bool(to_class):
        raise click.UsageError("state FILE, or --from-class and --to-class")
    if file is not None:
        follow(settings, "member.classes", file, {**values, "time_zone": time_zone})
        return
    kept = {name: values[name] for name in ("domain", "why", "who", "apply")}
    moved = act(settings, "member.move", {**kept, "from_class": from_class, "to_class": to_class, "on": on}, bar=True)
    say(moved, values["as_json"])
    if moved["applied"] and moved["left_out"] and not values["allow_partial"]:
        fail(f"{moved['left_out']:,} members were not in {from_class} on that day, or have no room for {to_class}")


@member.command("history")
@click.argument("reference", metavar="MEMBER")
@as_json
@click.pass_obj
def member_history(settings: Config, reference: str, as_json: bool) -> None:
    """The classes of a member: when each was true, and from when until when that was known.

    Example: tapgate-central member history A-1024
    """
    found = act(settings, "member.history", {"member": reference})
    if as_json:
        say_json(found)
    else:
        say_rows(found["classes"], as_json, "In no class, and never was.", HISTORY)


@click.command("flags")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain at whose gates they are told.")
@notation
@click.option("--time-zone", default="", help="Of the dates; not given = that of the domain's venues.")
@click.option("--full", is_flag=True, help="FILE names all: whoever it does not name has no flags any more.")
@table_options
@who_option
@click.pass_obj
def flags(settings: Config, /, file: Path, **values: Any) -> None:
    """What gates shall tell members, such as a library's notices; by default only say what it would do.

    The columns are uid or member, flags (hold-ready, overdue; several separated by |, empty = none) and if wanted
    until (the last day). Connected gates hear of it at once.

    Example: tapgate-central card flags notices.csv --domain library --full --apply
    """
    follow(
        settings,
        "card.flags",
        file,
        values,
        lambda result: f"{result['cleared']:,} members who are not named had flags." if values["full"] else "",
    )


@click.command("flag")
@click.argument("reference", metavar="MEMBER")
@click.option("--domain", required=True, help="The domain at whose gates it is told.")
@click.option("--set", "set_", multiple=True, help="hold-ready or overdue; may be repeated.")
@click.option("--clear", multiple=True, help="The same.")
@click.option("--until", default="", help="With --set: the last day, 2026-01-31 or 115/01/31.")
@as_json
@click.pass_obj
def flag(
    settings: Config,
    reference: str,
    domain: str,
    set_: tuple[str, ...],
    clear: tuple[str, ...],
    until: str,
    as_json: bool,
) -> None:
    """What gates shall tell one member; connected gates hear of it at once.

    Example: tapgate-central card flag A-1024 --domain library --set hold-ready --until 2026-12-31
    """
    values = {"member": reference, "domain": domain, "set": list(set_), "clear": list(clear), "until": until}
    found = act(settings, "card.flag", values)
    if as_json:
        say_json(found)
    else:
        say_rows(found["flags"], as_json, "No flags.")
