"""`volunteer`: what goes to the welfare ministry's system and to paper, and what comes from there, as files."""

import base64
from pathlib import Path
from typing import Any

import click
import msgspec

from central.actions.cards.member_index import KINDS
from central.commands.classes import follow, table_options
from central.commands.csv_files import csv_options, writing
from central.commands.shell import act, as_json, fail, readable, say_json, say_rows, who_option
from central.config import Config
from central.files import replace_file
from central.neighbours.vols.sheet import sheet_table
from central.services.attendance.sheet import Line

writable = click.Path(dir_okay=False, path_type=Path)


@click.command("export")
@click.argument("team", metavar="TEAM")
@click.argument("month", metavar="YYYY-MM")
@click.argument("file", type=writable)
@click.option("--until", default="", metavar="YYYY-MM", help="The last month of a span.")
@click.option(
    "--identity",
    type=click.Choice(KINDS),
    default="volunteer-number",
    show_default=True,
    help="The number that stands for a volunteer, or is looked up in --list.",
)
@click.option("--list", "listed", type=readable, help="CSV or .xls of 紀錄冊號 (or member) and 身分證字號; not kept.")
@as_json
@click.pass_obj
def vols_export(settings: Config, /, file: Path, listed: Path | None, as_json: bool, **values: Any) -> None:
    """Write approved months of TEAM to FILE as the .xls that the ministry's system (VOLS) imports, exact to the minute.

    Sessions that could not be in it are listed with the reason. Ends with 1 where that is all of them.

    Example: tapgate-central volunteer export desk 2026-02 vols.xls --list identities.csv
    """
    made = act(settings, "volunteer.export", values, file=listed)
    data = base64.b64decode(made.pop("file"))
    if made["rows"]:
        try:
            replace_file(file, data)
        except OSError as error:
            fail(f"{file}: {error.strerror}")
    if as_json:
        say_json({**made, "written": str(file) if made["rows"] else ""})
    else:
        if made["left_out"]:
            say_rows(made["left_out"], False, columns="member day minutes reason why session")
        hours, minutes = divmod(made["minutes"], 60)
        click.echo(f"{made['rows']} sessions, {hours} h {minutes} min; {len(made['left_out'])} are left out.")
    if not made["rows"]:
        fail("no session could be exported: nothing is written")


@click.command("roster")
@click.argument("team", metavar="TEAM")
@click.argument("file", type=readable)
@click.option("--class", "class_name", required=True, help="What its members are from then on: policies admit it.")
@click.option("--why", default="", help="Kept with the history of the class.")
@table_options
@who_option
@click.pass_obj
def roster(settings: Config, /, file: Path, **values: Any) -> None:
    """Follow the ministry's list of TEAM's volunteers (.xls or CSV); by default only say what it would do.

    The header is in row 4 or 1. Members are found by 紀錄冊號 or by 會員編號 (member); where a row has both, the number
    is kept. 加入日期 and 退出日期 say from when until when. Identity numbers are refused: none is kept here.

    Example: tapgate-central volunteer roster desk roster.xls --class volunteer-desk --apply
    """
    follow(settings, "volunteer.roster", file, values)


@click.command("sheet")
@click.argument("team", metavar="TEAM")
@click.argument("month", metavar="YYYY-MM")
@click.argument("file", type=writable)
@csv_options
@as_json
@click.pass_obj
def sheet(settings: Config, /, file: Path, encoding: Any, replace: str, as_json: bool, **values: Any) -> None:
    """Write a team's month to FILE as CSV: members by days (115/03/02), exact minutes, allowances.

    Example: tapgate-central volunteer sheet desk 2026-03 desk-11503.csv --encoding cp950
    """
    shown = act(settings, "volunteer.month", values)
    titles, rows = sheet_table(msgspec.convert(shown["lines"], list[Line]))
    with writing(file, encoding, replace) as out:
        out.rows([titles, *rows])
    said = {"written": str(file), "state": shown["state"], "members": len(shown["lines"]), "replaced": out.replaced}
    if as_json:
        say_json(said)
    else:
        click.echo(f"{file}: {said['members']} members, the month is {said['state']}.")
        for each in out.replaced:
            click.echo(f"replaced: {each}")


COMMANDS = (vols_export, roster, sheet)
